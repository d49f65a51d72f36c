"""CSAF 2.0: what product ids stand for, what the status lists say, real documents, and the parts that are malformed."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from scanner.identity import parse_purl
from scanner.vex import Allowance, VexDocument, read_vex
from scanner.vex.model import Target

TIME = "2024-01-01T00:00:00Z"
PURL = "pkg:pypi/a@1"


def product(name: str, purl: str | None = PURL, **helper: Any) -> dict[str, Any]:
    given = ({"purl": purl} if purl else {}) | helper
    return {"name": name, "product_id": name, "product_identification_helper": given}


def tree(*products: Any, **members: Any) -> dict[str, Any]:
    return {"full_product_names": list(products)} | members


def relation(name: str, part: str, whole: str) -> dict[str, Any]:
    return {
        "category": "default_component_of",
        "full_product_name": {"name": name, "product_id": name},
        "product_reference": part,
        "relates_to_product_reference": whole,
    }


def vulnerability(**status: Any) -> dict[str, Any]:
    return {"cve": "CVE-1", "product_status": status}


def document(products: Any, *vulnerabilities: Any, **head: Any) -> bytes:
    about = {
        "csaf_version": "2.0",
        "category": "csaf_vex",
        "publisher": {"name": "A", "category": "vendor", "namespace": "https://example.org"},
        "tracking": {"current_release_date": TIME},
    }
    return json.dumps(
        {"document": about | head, "product_tree": products, "vulnerabilities": list(vulnerabilities)}
    ).encode()


def read(products: Any, *vulnerabilities: Any, **head: Any) -> VexDocument:
    return read_vex("a.json", document(products, *vulnerabilities, **head))


def notes(found: VexDocument) -> list[tuple[str, str]]:
    return [(one.pointer, one.reason) for one in found.skipped]


def claims(found: VexDocument) -> list[tuple[str, str | None, list[tuple[str, ...]]]]:
    return [
        (
            one.status,
            one.justification,
            [
                tuple(purl.name for target in (thing.target, *thing.subcomponents) for purl in target.purls)
                for thing in one.products
            ],
        )
        for one in found.statements
    ]


NAMES = {
    "affected": ("first_affected", "known_affected", "last_affected"),
    "fixed": ("first_fixed", "fixed", "recommended"),
    "not_affected": ("known_not_affected",),
    "under_investigation": ("under_investigation",),
}


def crude(data: bytes) -> dict[str, int]:
    """Count, without any of the reader's code, the status entries of a document by status."""
    found: dict[str, int] = {}
    for one in json.loads(data).get("vulnerabilities", []):
        for status, names in NAMES.items():
            ids = {name for member in names for name in one.get("product_status", {}).get(member, [])}
            found[status] = found.get(status, 0) + len(ids)
    return {status: count for status, count in found.items() if count}


def test_every_real_document_is_read_in_full(real_csaf: Mapping[str, bytes]) -> None:
    assert len(real_csaf) == 22
    for name, data in real_csaf.items():
        found = read_vex(name, data)
        counts: dict[str, int] = {}
        for one in found.statements:
            counts[one.status] = counts.get(one.status, 0) + len(one.products)
        assert counts == crude(data), name
        assert {one.reason for one in found.skipped} <= {"no-purl"}
        assert found.author
    assert crude(real_csaf["redhat-rhsa-2020_1358.json"]) == {"fixed": 1_474}


def test_the_flag_of_a_product_is_its_justification(real_csaf: Mapping[str, bytes]) -> None:
    found = read_vex("a", real_csaf["oasis-sec-vex-2022-0001.json"])
    assert [(one.status, one.justification) for one in found.statements] == [
        ("not_affected", "component_not_present")
    ] * 3


@pytest.mark.parametrize(
    ("member", "status"), [(member, status) for status, members in NAMES.items() for member in members]
)
def test_each_list_of_the_format_is_a_status(member: str, status: str) -> None:
    (one,) = read(tree(product("P")), vulnerability(**{member: ["P"]})).statements
    assert (one.status, one.author, one.timestamp, one.vulnerabilities) == (status, "A", TIME, ("CVE-1",))
    assert one.products[0].target == Target(purls=(parse_purl(PURL),))


def test_a_list_that_the_format_does_not_have_is_the_unknown_status() -> None:
    assert claims(read(tree(product("P")), vulnerability(known_unaffected=["P"]))) == [("unknown", None, [("a",)])]


def test_where_lists_contradict_one_another_the_most_cautious_holds_and_it_is_listed() -> None:
    for order in (["known_not_affected", "known_affected"], ["known_affected", "known_not_affected"]):
        found = read(tree(product("P")), vulnerability(**{name: ["P"] for name in order}))
        assert claims(found) == [("affected", None, [("a",)])]
        assert notes(found) == [("/vulnerabilities/0/product_status", "contradictory-status")]


def test_a_statement_is_about_all_products_of_one_status_and_justification() -> None:
    products = tree(
        *(product(name, f"pkg:pypi/{name}") for name in "abcd"),
        product_groups=[{"group_id": "G", "product_ids": ["b", "c"]}],
    )
    flags = [{"label": "x", "product_ids": ["a"]}, {"label": "y", "group_ids": ["G"]}]
    found = read(products, vulnerability(known_not_affected=list("abc"), fixed=["d"]) | {"flags": flags})
    assert claims(found) == [
        ("fixed", None, [("d",)]),
        ("not_affected", "x", [("a",)]),
        ("not_affected", "y", [("b",), ("c",)]),
    ]
    assert [one.ref.index for one in found.statements] == [0, 1, 2]


def test_of_two_flags_the_first_label_counts_whatever_their_order() -> None:
    flags = [{"label": label, "product_ids": ["P"]} for label in ("y", "x")]
    for given_flags in (flags, flags[::-1]):
        found = read(tree(product("P")), vulnerability(known_not_affected=["P"]) | {"flags": given_flags})
        assert [one.justification for one in found.statements] == ["x"]


def test_a_vulnerability_goes_by_cve_and_other_ids() -> None:
    ids = [{"system_name": "s", "text": text} for text in ("GHSA-2", "CVE-1", "GHSA-1")]
    one = vulnerability(fixed=["P"]) | {"ids": ids}
    assert read(tree(product("P")), one).statements[0].vulnerabilities == ("CVE-1", "GHSA-1", "GHSA-2")
    one.pop("cve")
    assert read(tree(product("P")), one).statements[0].vulnerabilities == ("GHSA-2", "CVE-1", "GHSA-1")


def test_the_time_is_the_release_of_the_document_and_not_the_date_of_a_flag() -> None:
    flags = [{"label": "x", "product_ids": ["P"], "date": "2030-01-01T00:00:00Z"}]
    one = vulnerability(known_not_affected=["P"]) | {"flags": flags, "release_date": "2029-01-01T00:00:00Z"}
    assert [one.timestamp for one in read(tree(product("P")), one).statements] == [TIME]


def test_a_relationship_is_a_part_in_a_whole() -> None:
    products = tree(product("P", "pkg:pypi/p"), product("W", "pkg:pypi/w"), relationships=[relation("R", "P", "W")])
    assert claims(read(products, vulnerability(fixed=["R"]))) == [("fixed", None, [("w", "p")])]


@pytest.mark.parametrize(
    "relations",
    [
        [relation("R", "P", "Q"), relation("Q", "P", "P")],
        [relation("R", "R", "P")],
        [relation("R", "Q", "P"), relation("Q", "R", "P")],
    ],
    ids=["nested", "to itself", "in a circle"],
)
def test_relationships_of_relationships_are_listed_and_not_followed(relations: Any) -> None:
    found = read(tree(product("P"), relationships=relations), vulnerability(fixed=["P"], known_affected=["R"]))
    assert claims(found) == [("fixed", None, [("a",)])]
    assert notes(found) == [("/vulnerabilities/0/product_status/known_affected/0", "nested-relationship")]


def test_branches_define_products_at_any_depth() -> None:
    inner: Any = {"category": "product_name", "name": "n", "product": product("P")}
    for depth in range(28):
        inner = {"category": "vendor", "name": str(depth), "branches": [inner, {"category": "vendor", "name": "x"}]}
    assert claims(read({"branches": [inner]}, vulnerability(fixed=["P"]))) == [("fixed", None, [("a",)])]


VERSIONS = [
    ("product_version", "1.5", "pkg:pypi/a", ("1.5",), []),
    ("product_version", "1.5", "pkg:pypi/a@2", (), []),
    ("product_version_range", "<=1.14", "pkg:pypi/a", None, ["unevaluable-range"]),
    ("product_version_range", "vers:generic/<=1.14", "pkg:pypi/a", None, ["unevaluable-range"]),
    ("product_version_range", "vers:generic/<=1.14", "pkg:generic/a", None, ["unevaluable-range"]),
    ("product_name", "1.5", "pkg:pypi/a", (), []),
]


@pytest.mark.parametrize(("category", "name", "purl", "versions", "reasons"), VERSIONS)
def test_the_innermost_branch_says_which_versions_are_meant(
    category: str, name: str, purl: str, versions: Any, reasons: list[str]
) -> None:
    branch = {
        "category": category,
        "name": name,
        "branches": [{"category": "product_name", "name": "y", "product": None}],
    }
    branch["branches"][0]["product"] = product("P", purl)
    found = read({"branches": [branch]}, vulnerability(fixed=["P"]))
    (one,) = found.statements[0].products
    assert one.target == (Target() if versions is None else Target(purls=(parse_purl(purl),), versions=versions))
    assert [one.reason for one in found.skipped] == ([*reasons, "no-purl"] if reasons else [])


def test_a_range_that_has_an_order_is_kept() -> None:
    branch = {"category": "product_version_range", "name": "vers:pypi/>=1|<2", "product": product("P", "pkg:pypi/a")}
    (one,) = read({"branches": [branch]}, vulnerability(fixed=["P"])).statements[0].products
    (versions,) = one.target.versions
    assert not isinstance(versions, str)
    assert [versions.holds(text) for text in ("0.9", "1.0", "1.9", "2")] == [False, True, True, False]


def test_a_list_of_package_urls_names_each_of_them() -> None:
    (one,) = read(tree(product("P", purls=["pkg:pypi/b", PURL])), vulnerability(fixed=["P"])).statements[0].products
    assert one.target.purls == (parse_purl(PURL), parse_purl("pkg:pypi/b"))


@pytest.mark.parametrize(
    "products",
    [
        tree(product("P"), product("P", "pkg:pypi/b")),
        tree(product("P"), relationships=[relation("P", "P", "P")]),
        tree(product("P"), relationships=[relation("R", "P", "P"), relation("R", "P", "Q")]),
        tree(
            product("P"), branches=[{"category": "product_version", "name": "1", "product": product("P", "pkg:pypi/a")}]
        ),
    ],
    ids=range(4),
)
def test_a_product_id_with_two_meanings_makes_a_document_unreadable(products: Any) -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(products, vulnerability(fixed=["P"]))
    assert str(refused.value.details["pointer"]).startswith("/product_tree/")


def test_a_product_that_is_defined_twice_alike_is_one_product() -> None:
    assert claims(read(tree(product("P"), product("P")), vulnerability(fixed=["P"]))) == [("fixed", None, [("a",)])]


def test_a_product_id_that_is_not_defined_is_listed() -> None:
    found = read(tree(product("P")), vulnerability(fixed=["P", "Q"]))
    assert claims(found) == [("fixed", None, [("a",)])]
    assert notes(found) == [("/vulnerabilities/0/product_status/fixed/1", "unknown-product")]


MALFORMED = [
    (7, ""),
    ({"cve": "CVE-1"}, "/product_status"),
    (vulnerability(fixed="P"), "/product_status/fixed"),
    (vulnerability(fixed=[7]), "/product_status/fixed/0"),
    ({"product_status": {"fixed": ["P"]}}, "/cve"),
    (vulnerability(fixed=["P"]) | {"cve": 7}, "/cve"),
    (vulnerability(fixed=["P"]) | {"ids": [{}]}, "/ids/0/text"),
    (vulnerability(fixed=["P"]) | {"flags": [{}]}, "/flags/0/label"),
    (vulnerability(fixed=["P"]) | {"flags": [{"label": "x", "product_ids": [1]}]}, "/flags/0/product_ids/0"),
]


@pytest.mark.parametrize(("part", "pointer"), MALFORMED)
def test_a_malformed_vulnerability_is_skipped_with_its_place(part: Any, pointer: str) -> None:
    found = read(tree(product("P")), part, vulnerability(fixed=["P"]))
    assert found.count == 1
    assert notes(found) == [(f"/vulnerabilities/0{pointer}", "malformed")]


@pytest.mark.parametrize(
    ("head", "pointer"),
    [
        ({"publisher": None}, "/document/publisher"),
        ({"publisher": {}}, "/document/publisher/name"),
        ({"tracking": {}}, "/document/tracking/current_release_date"),
        ({"tracking": {"current_release_date": "soon"}}, "/document/tracking/current_release_date"),
    ],
)
def test_a_document_without_author_or_time_is_refused(head: dict[str, Any], pointer: str) -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(tree(product("P")), vulnerability(fixed=["P"]), **head)
    assert refused.value.details["pointer"] == pointer


def test_another_version_of_the_format_is_refused() -> None:
    with pytest.raises(UnsupportedVersion):
        read(tree(product("P")), vulnerability(fixed=["P"]), csaf_version="2.1")


def test_the_expansion_of_groups_is_counted() -> None:
    names = [str(number) for number in range(100)]
    products = tree(product_groups=[{"group_id": "G", "product_ids": names}])
    flags = [{"label": "x", "group_ids": ["G"]}] * 100
    with pytest.raises(LimitExceeded):
        read_vex("a", document(products, vulnerability() | {"flags": flags}), Allowance(names=5_000))


@pytest.mark.parametrize("category", ["Product_Version", "version", "", None])
@pytest.mark.parametrize("inside", [False, True], ids=["itself", "above a version"])
def test_below_a_branch_of_an_unknown_category_nothing_is_meant(category: str | None, inside: bool) -> None:
    leaf: dict[str, Any] = {"name": "9", "product": product("P", "pkg:pypi/a")}
    branch = {"category": category, "name": "9"}
    branch |= {"branches": [leaf | {"category": "product_version"}]} if inside else leaf
    found = read({"branches": [branch]}, vulnerability(known_not_affected=["P"]))
    assert not found.statements[0].products[0].target.matchable
    assert ("/product_tree/branches/0/category", "unknown-category") in notes(found)


MEMBERS = ["category", "name", "product", "product_id", "product_reference", "relates_to_product_reference"]
MEMBERS += ["full_product_name", "product_identification_helper", "purl", "branches", "group_id", "product_ids"]
scalars = st.none() | st.integers() | st.sampled_from([PURL, "P", "Q", "R", "product_version", "vers:pypi/<2"])
parts = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6),
    max_leaves=25,
)
trees = st.dictionaries(
    st.sampled_from(["branches", "full_product_names", "relationships", "product_groups"]),
    st.lists(parts | st.sampled_from([product("P"), product("Q", None), relation("R", "P", "Q")]), max_size=4) | parts,
)
statuses = st.dictionaries(
    st.sampled_from([*(name for names in NAMES.values() for name in names), "other", "a/b"]),
    st.lists(st.sampled_from("PQRS"), max_size=3) | parts,
    max_size=4,
)


@given(trees, st.lists(statuses.map(lambda status: vulnerability(**status)) | parts, max_size=3))
def test_any_structure_is_read_listed_or_refused(products: Any, vulnerabilities: list[Any]) -> None:
    with contextlib.suppress(MalformedDocument):
        found = read(products, *vulnerabilities)
        assert found.count == len(found.statements)
        assert {one.ref.index for one in found.statements} == set(range(found.count))
        assert all(one.products for one in found.statements)


def mutations(data: bytes) -> Iterator[Any]:
    place = st.integers(0, len(data) - 1)
    yield st.tuples(place, st.binary(max_size=4)).map(lambda cut: data[: cut[0]] + cut[1] + data[cut[0] + 1 :])
    yield st.tuples(place, place).map(lambda cut: data[: cut[0]] + data[cut[1] :])


SEED = document(
    tree(product("P"), product("Q"), relationships=[relation("R", "P", "Q")]), vulnerability(fixed=["P", "R"])
)


@given(st.one_of(*mutations(SEED)))
def test_any_damage_is_refused_with_a_typed_error_or_read(data: bytes) -> None:
    with contextlib.suppress(StellaError):
        found = read_vex("a.json", data)
        assert found.count == len(found.statements)
