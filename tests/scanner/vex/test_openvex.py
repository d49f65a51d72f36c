"""OpenVEX: both versions of the format, real documents, and the parts that are malformed."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from scanner.identity import parse_purl
from scanner.vex import Allowance, VexDocument, read_vex

STATEMENTS = {
    "aqua-vexhub/golang__github.com__aquasecurity__trivy__trivy.openvex.json": 21,
    "aqua-vexhub/golang__github.com__harvester__harvester__scan.openvex.json": 384,
    "docker-hardened-images/dhi-elasticsearch.vex.json": 16,
    "docker-hardened-images/dhi-loki.vex.json": 2,
    "docker-hardened-images/dhi-zookeeper.vex.json": 17,
    "rancher-vexhub/golang__github.com__containerd__containerd.openvex.json": 135,
    "rancher-vexhub/golang__github.com__rancher__fleet.openvex.json": 2708,
    "rancher-vexhub/golang__k8s.io__kube-state-metrics__v2.openvex.json": 50,
    "rancher-vexhub/oci__index.docker.io__rancher__mirrored-longhornio-longhorn-manager.openvex.json": 75,
    "rancher-vexhub/oci__index.docker.io__suse-observability__promtail.openvex.json": 3,
    "spec-versions/v0.0.1-noversion.json": 1,
    "spec-versions/v0.0.1.json": 1,
    "spec-versions/v0.2.0.json": 5,
    "spec-versions/vexctl-demo.vex.json": 1,
    "spec-versions/vexctl-document1.vex.json": 1,
    "spec-versions/vexctl-document2.vex.json": 1,
}
TIME = "2024-01-01T00:00:00Z"
PURL = "pkg:pypi/a@1"


def statement(**members: Any) -> dict[str, Any]:
    return {"vulnerability": {"name": "CVE-1"}, "products": [{"@id": PURL}], "status": "fixed"} | members


def document(*statements: Any, **members: Any) -> bytes:
    head = {"@context": "https://openvex.dev/ns/v0.2.0", "author": "A", "timestamp": TIME}
    return json.dumps(head | {"statements": list(statements)} | members).encode()


def read(*statements: Any, **members: Any) -> VexDocument:
    return read_vex("a.json", document(*statements, **members))


def notes(found: VexDocument) -> list[tuple[str, str]]:
    return [(one.pointer, one.reason) for one in found.skipped]


def test_every_real_document_is_read_in_full(real_openvex: Mapping[str, bytes]) -> None:
    found = {name: read_vex(name, data) for name, data in real_openvex.items()}
    assert {name: len(one.statements) for name, one in found.items()} == STATEMENTS
    assert [one.skipped for one in found.values()] == [()] * len(STATEMENTS)
    assert all(one.author for one in found.values())


def test_the_first_version_has_texts_where_the_later_one_has_objects() -> None:
    old = statement(vulnerability="CVE-1", products=[PURL], subcomponents=["pkg:pypi/b@1"])
    new = statement(products=[{"@id": PURL, "subcomponents": [{"@id": "pkg:pypi/b@1"}]}])
    (one,) = read(old, **{"@context": "https://openvex.dev/ns/v0.0.1"}).statements
    (other,) = read(new).statements
    assert (one.vulnerabilities, one.products) == (other.vulnerabilities, other.products)


@pytest.mark.parametrize("context", ["", "/v0.0.0", "/v0.0.1", "/v0.2.0"])
def test_every_supported_context_is_read(context: str) -> None:
    assert len(read(statement(), **{"@context": f"https://openvex.dev/ns{context}"}).statements) == 1


@pytest.mark.parametrize(
    "context", ["https://openvex.dev/ns/v0.3.0", "https://openvex.dev/nsx", "https://example.org/"]
)
def test_an_unknown_context_is_refused(context: str) -> None:
    with pytest.raises(UnsupportedVersion):
        read(**{"@context": context})


def test_a_statement_keeps_its_place_in_the_document() -> None:
    found = read(statement(), "broken", statement())
    assert [(one.ref.document, one.ref.digest, one.ref.index) for one in found.statements] == [
        ("a.json", found.digest, 0),
        ("a.json", found.digest, 2),
    ]
    assert notes(found) == [("/statements/1", "malformed")]


def test_names_and_aliases_are_kept_the_name_first() -> None:
    (one,) = read(statement(vulnerability={"name": "GO-1", "aliases": ["GHSA-1", "CVE-1", "GO-1", ""]})).statements
    assert one.vulnerabilities == ("GO-1", "CVE-1", "GHSA-1")


def test_a_vulnerability_without_a_name_goes_by_its_identifier() -> None:
    (one,) = read(statement(vulnerability={"@id": "https://example.org/CVE-1"})).statements
    assert one.vulnerabilities == ("https://example.org/CVE-1",)


def test_the_time_is_the_statement_s_or_else_the_document_s() -> None:
    own = "2024-01-02T02:00:00.5+02:00"
    found = read(statement(), statement(timestamp=own))
    assert [one.timestamp for one in found.statements] == [TIME, own]
    assert [one.time for one in found.statements] == [(1_704_067_200, 0), (1_704_153_600, 500_000_000)]


def test_identifier_and_package_url_both_name_the_product() -> None:
    product = {"@id": "pkg:pypi/a", "identifiers": {"purl": "pkg:pypi/a@1"}}
    (one,) = read(
        statement(products=[product, {"identifiers": {"purl": PURL}}, {"@id": "https://example.org"}])
    ).statements
    assert [(target.id, target.purls) for target in (product.target for product in one.products)] == [
        ("pkg:pypi/a", (parse_purl("pkg:pypi/a"), parse_purl(PURL))),
        (PURL, (parse_purl(PURL),)),
        ("https://example.org", ()),
    ]


@pytest.mark.parametrize("status", ["affected", "under_investigation", "fixed", "not_affected"])
def test_each_status_is_kept(status: str) -> None:
    assert [one.status for one in read(statement(status=status)).statements] == [status]


@pytest.mark.parametrize("status", ["exploitable", "Not_Affected", "not affected", "unknown", "false_positive"])
def test_any_other_word_is_the_unknown_status(status: str) -> None:
    assert [one.status for one in read(statement(status=status)).statements] == ["unknown"]


def test_a_broken_package_url_is_noted_and_names_nothing() -> None:
    found = read(statement(products=[{"@id": "pkg:pypi/%zz"}, {"@id": PURL}]))
    assert notes(found) == [("/statements/0/products/0", "bad-purl")]
    assert [product.target.purls for product in found.statements[0].products] == [(), (parse_purl(PURL),)]


MALFORMED = [
    (7, ""),
    (statement(vulnerability=None), "/vulnerability"),
    (statement(vulnerability=""), "/vulnerability"),
    (statement(vulnerability={}), "/vulnerability/@id"),
    (statement(vulnerability={"name": 1}), "/vulnerability/name"),
    (statement(vulnerability={"name": "a", "aliases": "b"}), "/vulnerability/aliases"),
    (statement(vulnerability={"name": "a", "aliases": ["b", 1]}), "/vulnerability/aliases/1"),
    (statement(status=None), "/status"),
    (statement(status=["fixed"]), "/status"),
    (statement(justification={}), "/justification"),
    (statement(timestamp="yesterday"), "/timestamp"),
    (statement(timestamp=1_704_067_200), "/timestamp"),
    (statement(products=None), "/products"),
    (statement(products=[]), "/products"),
    (statement(products={"@id": PURL}), "/products"),
    (statement(products=[PURL, 7]), "/products/1"),
    (statement(products=[{}]), "/products/0/@id"),
    (statement(products=[{"@id": 1}]), "/products/0/@id"),
    (statement(products=[{"@id": PURL, "identifiers": "x"}]), "/products/0/identifiers"),
    (statement(products=[{"identifiers": {"purl": 1}}]), "/products/0/identifiers/purl"),
    (statement(products=[{"@id": PURL, "subcomponents": {}}]), "/products/0/subcomponents"),
    (statement(products=[{"@id": PURL, "subcomponents": [None]}]), "/products/0/subcomponents/0"),
    (statement(subcomponents=[[]]), "/subcomponents/0"),
]


@pytest.mark.parametrize(("part", "pointer"), MALFORMED)
def test_a_malformed_statement_is_skipped_with_its_place(part: Any, pointer: str) -> None:
    found = read(part, statement())
    assert [one.ref.index for one in found.statements] == [1]
    assert notes(found) == [(f"/statements/0{pointer}", "malformed")]


def test_a_statement_without_any_time_is_skipped() -> None:
    found = read(statement(), statement(timestamp=TIME), timestamp=None)
    assert [one.ref.index for one in found.statements] == [1]
    assert notes(found) == [("/statements/0/timestamp", "malformed")]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"@context": None}, "/@context"),
        ({"@context": ["https://openvex.dev/ns/v0.2.0"]}, "/@context"),
        ({"author": None}, "/author"),
        ({"author": ""}, "/author"),
        ({"timestamp": 7}, "/timestamp"),
        ({"statements": {}}, "/statements"),
    ],
)
def test_a_malformed_document_is_refused_with_name_and_place(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(**members)
    assert (refused.value.details["path"], refused.value.details["pointer"]) == ("a.json", pointer)


@pytest.mark.parametrize(
    ("data", "refusal"),
    [
        (b"", MalformedDocument),
        (b"[]", MalformedDocument),
        (b'{"statements": []}', MalformedDocument),
        (document(statement()).replace(b'"author"', b'"author": "B", "author"'), DuplicateMember),
        (document(statement()).replace(b'"status"', b'"status": "affected", "status"'), DuplicateMember),
        (document() + b" " * (64 << 20), LimitExceeded),
    ],
    ids=range(6),
)
def test_a_document_that_two_readers_could_see_differently_is_refused(data: bytes, refusal: type[StellaError]) -> None:
    with pytest.raises(refusal) as refused:
        read_vex("a.json", data)
    assert refused.value.details["path"] == "a.json"


def test_documents_list_no_more_than_the_limit() -> None:
    aliases = {"name": "CVE-1", "aliases": ["X", "Y"]}
    full = statement(vulnerability=aliases, products=[PURL, {"@id": PURL, "subcomponents": [PURL]}])

    def read_within(names: int, *statements: Any) -> VexDocument:
        return read_vex("a.json", document(*statements), Allowance(names=names))

    assert len(read_within(7, full, {}).statements) == 1
    with pytest.raises(LimitExceeded):
        read_within(7, full, {}, {})


MEMBERS = [
    "vulnerability",
    "name",
    "aliases",
    "@id",
    "products",
    "subcomponents",
    "identifiers",
    "purl",
    "status",
    "timestamp",
]
scalars = (
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from([PURL, "pkg:", TIME, "fixed", "CVE-1"])
)
parts = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=5),
    max_leaves=20,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(MEMBERS), parts).map(lambda part: statement(**part)) | parts, max_size=4)
)
def test_any_statement_is_read_or_skipped(statements: list[Any]) -> None:
    statements.append(statement())
    found = read(*statements)
    faulty = {int(one.pointer.split("/")[2]) for one in found.skipped if one.reason == "malformed"}
    assert {one.ref.index for one in found.statements} | faulty == set(range(len(statements)))
    assert not {one.ref.index for one in found.statements} & faulty


def test_a_document_of_which_no_statement_can_be_read_is_refused_with_the_first_fault() -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(statement(products=[]), 7)
    assert (refused.value.details["path"], refused.value.details["pointer"]) == ("a.json", "/statements/0/products")


def test_a_document_that_lists_no_statement_says_nothing() -> None:
    found = read()
    assert (found.count, found.statements, found.skipped) == (0, (), ())


def test_statements_that_can_be_about_nothing_are_pointed_out() -> None:
    found = read(statement(products=["https://example.org/app"]), statement(products=["pkg:pypi/a", "x"]))
    assert notes(found) == [("/statements/0", "no-purl")]
    assert found.count == 2


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_refused_with_a_typed_error(data: bytes) -> None:
    with pytest.raises(StellaError):
        read_vex("a.json", data)
