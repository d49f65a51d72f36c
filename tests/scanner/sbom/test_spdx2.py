"""SPDX 2: package URLs, relationships in both directions, the subject, and the parts that generators get wrong."""

import json
from typing import Any

import pytest

from kit.errors import MalformedDocument, UnsupportedVersion
from scanner.sbom import Sbom, read_sbom

DOCUMENT = "SPDXRef-DOCUMENT"


def read(**members: Any) -> Sbom:
    head = {"spdxVersion": "SPDX-2.3", "SPDXID": DOCUMENT, "name": "doc", "dataLicense": "CC0-1.0"}
    return read_sbom(json.dumps(head | members).encode())


def reference(purl: Any, kind: str = "purl", category: str = "PACKAGE-MANAGER") -> dict[str, Any]:
    return {"referenceCategory": category, "referenceType": kind, "referenceLocator": purl}


def package(name: str, *purls: str, **members: Any) -> dict[str, Any]:
    refs = [reference(purl) for purl in purls]
    return {"SPDXID": f"SPDXRef-{name}", "name": name, "versionInfo": "1.0", "externalRefs": refs, **members}


def related(source: str, kind: str, target: str) -> dict[str, str]:
    return {"spdxElementId": source, "relationshipType": kind, "relatedSpdxElement": target}


def notes(sbom: Sbom) -> list[tuple[str, str]]:
    return [(one.pointer, one.reason) for one in sbom.skipped]


@pytest.mark.parametrize(("version", "short"), [("SPDX-2.2", "2.2"), ("SPDX-2.3", "2.3")])
def test_every_supported_version_is_read(version: str, short: str) -> None:
    sbom = read(spdxVersion=version, packages=[package("a", "pkg:pypi/a@1")])
    assert (sbom.format, sbom.spec_version, sbom.name, len(sbom.components)) == ("SPDX", short, "doc", 1)


@pytest.mark.parametrize("version", ["SPDX-1.2", "SPDX-2.1", "SPDX-2.4", "SPDX-3.0", "2.3", "spdx-2.3"])
def test_an_unknown_version_is_refused(version: str) -> None:
    with pytest.raises(UnsupportedVersion):
        read(spdxVersion=version)


@pytest.mark.parametrize("category", ["PACKAGE-MANAGER", "PACKAGE_MANAGER", "PERSISTENT-ID", "OTHER"])
@pytest.mark.parametrize("kind", ["purl", "http://spdx.org/rdf/references/purl"])
def test_the_package_url_is_found_in_every_spelling(category: str, kind: str) -> None:
    refs = [reference("cpe:2.3:a:a:a:1:*:*:*:*:*:*:*", "cpe23Type"), reference("pkg:pypi/a@1", kind, category)]
    (one,) = read(packages=[package("a", externalRefs=refs)]).components
    assert one.purl == "pkg:pypi/a@1"


def test_of_several_package_urls_the_smallest_that_can_be_looked_up_counts() -> None:
    purls = ["pkg:pypi/b@1", "pkg:generic/a@1", "pkg:pypi/a@1", "pkg:pypi/a@1"]
    for order in (purls, purls[::-1]):
        sbom = read(packages=[package("a", *order)])
        assert [one.purl for one in sbom.components] == ["pkg:pypi/a@1"]
        assert sorted((one.reason, one.detail) for one in sbom.skipped) == [
            ("other-purl", "pkg:generic/a@1"),
            ("other-purl", "pkg:pypi/b@1"),
        ]


@pytest.mark.parametrize("version", [None, "", "NOASSERTION", "NONE"])
def test_no_version_is_no_version(version: str | None) -> None:
    (one,) = read(packages=[package("a", versionInfo=version)]).components
    assert one.version is None


@pytest.mark.parametrize(
    ("kind", "edge"),
    [
        ("CONTAINS", ("SPDXRef-a", ("SPDXRef-b",))),
        ("DEPENDS_ON", ("SPDXRef-a", ("SPDXRef-b",))),
        ("STATIC_LINK", ("SPDXRef-a", ("SPDXRef-b",))),
        ("DYNAMIC_LINK", ("SPDXRef-a", ("SPDXRef-b",))),
        ("HAS_PREREQUISITE", ("SPDXRef-a", ("SPDXRef-b",))),
        ("depends_on", ("SPDXRef-a", ("SPDXRef-b",))),
        ("PREREQUISITE_FOR", ("SPDXRef-b", ("SPDXRef-a",))),
        ("PACKAGE_OF", ("SPDXRef-b", ("SPDXRef-a",))),
        ("OPTIONAL_COMPONENT_OF", ("SPDXRef-b", ("SPDXRef-a",))),
        ("EXPANDED_FROM_ARCHIVE", ("SPDXRef-b", ("SPDXRef-a",))),
        ("CONTAINED_BY", ("SPDXRef-b", ("SPDXRef-a",))),
        ("DEPENDENCY_OF", ("SPDXRef-b", ("SPDXRef-a",))),
        ("DEV_DEPENDENCY_OF", ("SPDXRef-b", ("SPDXRef-a",))),
        ("RUNTIME_DEPENDENCY_OF", ("SPDXRef-b", ("SPDXRef-a",))),
        ("OTHER", None),
        ("GENERATED_FROM", None),
        ("DESCRIBES", None),
    ],
)
def test_dependency_and_containment_are_edges_in_their_direction(kind: str, edge: Any) -> None:
    sbom = read(packages=[package("a"), package("b")], relationships=[related("SPDXRef-a", kind, "SPDXRef-b")])
    assert sbom.dependencies == ((edge,) if edge else ())


def test_what_cannot_lead_to_a_package_is_passed_over() -> None:
    evident = related("SPDXRef-a", "OTHER", "SPDXRef-File") | {"comment": "evident-by: the file"}
    sbom = read(
        packages=[package("a"), package("b")],
        files=[{"SPDXID": "SPDXRef-File"}, {}, 7],
        snippets=[{"SPDXID": "SPDXRef-Snippet"}],
        relationships=[
            related("SPDXRef-a", "CONTAINS", "SPDXRef-File"),
            related("SPDXRef-File", "CONTAINS", "SPDXRef-Snippet"),
            related("SPDXRef-File", "GENERATED_FROM", "SPDXRef-Snippet"),
            related("SPDXRef-a", "DEPENDS_ON", "NONE"),
            related("SPDXRef-a", "VARIANT_OF", "SPDXRef-b"),
            evident,
        ],
    )
    assert (sbom.dependencies, sbom.skipped) == ((), ())


@pytest.mark.parametrize(
    ("source", "kind", "target"),
    [
        ("a", "DEPENDS_ON", "File"),
        ("File", "DEPENDS_ON", "b"),
        ("File", "CONTAINS", "b"),
        ("b", "CONTAINED_BY", "File"),
        ("File", "STATIC_LINK", "File"),
        ("a", "CONTAINS", "nowhere"),
        ("nowhere", "DEPENDS_ON", "b"),
        ("DOCUMENT", "DEPENDS_ON", "b"),
        ("a", "GENERATED_FROM", "b"),
        ("a", "OTHER", "b"),
        ("a", "DEPENDS-ON", "b"),
        ("a", "NEEDS", "File"),
    ],
)
def test_what_may_be_a_path_and_is_no_edge_is_listed(source: str, kind: str, target: str) -> None:
    relationship = related(f"SPDXRef-{source}", kind, f"SPDXRef-{target}")
    files = [{"SPDXID": "SPDXRef-File"}]
    sbom = read(packages=[package("a"), package("b")], files=files, relationships=[relationship])
    assert (sbom.dependencies, notes(sbom)) == ((), [("/relationships/0", "unknown-edge")])


@pytest.mark.parametrize("target", ["NOASSERTION", "DocumentRef-x:SPDXRef-y"])
def test_a_dependency_that_leads_out_of_the_document_is_listed(target: str) -> None:
    sbom = read(packages=[package("a")], relationships=[related("SPDXRef-a", "DEPENDS_ON", target)])
    assert notes(sbom) == [("/relationships/0", "unknown-edge")]


def test_of_very_many_doubtful_edges_the_first_are_listed_and_the_others_counted() -> None:
    sbom = read(packages=[package("a")], relationships=[related("SPDXRef-x", "CONTAINS", "SPDXRef-a")] * 103)
    assert len(sbom.skipped) == 101
    assert (sbom.skipped[0].reason, sbom.skipped[0].detail) == ("unknown-edge", "3 further relationships")


@pytest.mark.parametrize(
    "members",
    [
        {"documentDescribes": ["SPDXRef-a"]},
        {"relationships": [related(DOCUMENT, "DESCRIBES", "SPDXRef-a")]},
        {"relationships": [related(DOCUMENT, "DESCRIBE", "SPDXRef-a")]},
        {"relationships": [related("SPDXRef-a", "DESCRIBED_BY", DOCUMENT)]},
        {
            "documentDescribes": ["SPDXRef-a", "SPDXRef-File"],
            "relationships": [related(DOCUMENT, "DESCRIBES", DOCUMENT)],
        },
    ],
)
def test_the_one_package_that_is_described_is_the_subject(members: dict[str, Any]) -> None:
    sbom = read(packages=[package("b"), package("a")], **members)
    assert sbom.subject is not None
    assert sbom.subject.name == "a"


def test_of_several_packages_that_are_described_none_is_the_subject() -> None:
    assert read(packages=[package("b"), package("a")], documentDescribes=["SPDXRef-a", "SPDXRef-b"]).subject is None


@pytest.mark.parametrize(
    "members",
    [
        {"primaryPackagePurpose": "OPERATING-SYSTEM"},
        {"primaryPackagePurpose": "OPERATING_SYSTEM"},
        {"SPDXID": "SPDXRef-OperatingSystem-e89cb61d"},
    ],
)
def test_the_operating_system_is_known_by_purpose_or_by_name(members: dict[str, str]) -> None:
    sbom = read(packages=[package("a"), package("debian", **members)])
    assert sbom.operating_system is not None
    assert sbom.operating_system.name == "debian"


MALFORMED = [
    (None, "/packages/0"),
    ({"SPDXID": "SPDXRef-x"}, "/packages/0/name"),
    (package("x", versionInfo=1), "/packages/0/versionInfo"),
    (package("x", SPDXID=7), "/packages/0/SPDXID"),
    (package("x", externalRefs={}), "/packages/0/externalRefs"),
    (package("x", externalRefs=["pkg:pypi/x"]), "/packages/0/externalRefs/0"),
    (package("x", externalRefs=[reference(None)]), "/packages/0/externalRefs/0/referenceLocator"),
]


@pytest.mark.parametrize(("part", "pointer"), MALFORMED)
def test_a_malformed_package_is_skipped_with_its_place(part: Any, pointer: str) -> None:
    sbom = read(packages=[part, package("b")])
    assert [one.name for one in sbom.components] == ["b"]
    assert notes(sbom) == [(pointer, "malformed")]


def test_a_malformed_relationship_is_skipped_with_its_place() -> None:
    sbom = read(packages=[package("a")], relationships=[7, {}, related("a", "CONTAINS", "b") | {"relationshipType": 1}])
    assert notes(sbom) == [
        ("/relationships/0", "malformed"),
        ("/relationships/1/spdxElementId", "malformed"),
        ("/relationships/2/relationshipType", "malformed"),
    ]


def test_packages_without_or_with_a_taken_identifier_are_known_by_position() -> None:
    sbom = read(packages=[package("a"), package("b", SPDXID="SPDXRef-a"), package("c", SPDXID=None)])
    assert {one.name: one.ref for one in sbom.components} == {
        "a": "SPDXRef-a",
        "b": "#/packages/1",
        "c": "#/packages/2",
    }
    assert notes(sbom) == [("/packages/1/SPDXID", "duplicate-ref")]


@pytest.mark.parametrize(
    ("members", "pointer"),
    [
        ({"packages": {}}, "/packages"),
        ({"relationships": 1}, "/relationships"),
        ({"documentDescribes": "SPDXRef-a"}, "/documentDescribes"),
        ({"name": ["x"]}, "/name"),
        ({"spdxVersion": None}, "/spdxVersion"),
    ],
)
def test_a_malformed_document_is_refused_with_the_place(members: dict[str, Any], pointer: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(**members)
    assert refused.value.details["pointer"] == pointer
