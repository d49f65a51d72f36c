"""CycloneDX VEX: states, refs and BOM-Links, versions, authors and times, real documents, malformed parts."""

import contextlib
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import MalformedDocument, StellaError, UnsupportedVersion
from scanner.identity import parse_purl
from scanner.vex import VexDocument, read_vex
from scanner.vex.model import Target

TIME = "2024-01-01T00:00:00Z"
SERIAL = "3e671687-395b-41f5-a30f-a58921a69b79"
PURL = "pkg:pypi/a@1"
APP = {"bom-ref": "app", "name": "app", "purl": "pkg:pypi/app@1"}
PART = {"bom-ref": "part", "name": "part", "purl": PURL}


def entry(state: str = "not_affected", *refs: Any, **members: Any) -> dict[str, Any]:
    affects = [ref if isinstance(ref, dict) else {"ref": ref} for ref in refs or ("part",)]
    return {"id": "CVE-1", "analysis": {"state": state}, "affects": affects} | members


def document(*vulnerabilities: Any, **members: Any) -> bytes:
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": [PART]}
    head["metadata"] = {"timestamp": TIME, "authors": [{"name": "A"}]}
    return json.dumps(head | {"vulnerabilities": list(vulnerabilities)} | members).encode()


def read(*vulnerabilities: Any, **members: Any) -> VexDocument:
    return read_vex("a.json", document(*vulnerabilities, **members))


def notes(found: VexDocument) -> list[tuple[str, str]]:
    return [(one.pointer, one.reason) for one in found.skipped]


def crude(data: bytes) -> int:
    """Count, without any of the reader's code, what says something of a version that needs no order of versions."""
    return sum(
        any(not one.get("versions") or any("version" in some for some in one["versions"]) for one in entry["affects"])
        for entry in json.loads(data).get("vulnerabilities", [])
    )


def test_every_real_document_is_read_in_full(real_cyclonedx: Mapping[str, bytes]) -> None:
    assert len(real_cyclonedx) == 39
    counts = {}
    for name, data in real_cyclonedx.items():
        if name == "Use-Cases__Case-7__vex.json":
            with pytest.raises(MalformedDocument):  # a vulnerability without any product
                read_vex(name, data)
            continue
        found = read_vex(name, data)
        assert {one.reason for one in found.skipped} <= {"no-purl", "unevaluable-range"}
        counts[name] = found.count
    assert counts == {name: crude(real_cyclonedx[name]) for name in counts}
    assert sum(counts.values()) == 105


STATES = [
    ("exploitable", "affected"),
    ("in_triage", "under_investigation"),
    ("false_positive", "not_affected"),
    ("not_affected", "not_affected"),
    ("resolved", "fixed"),
    ("resolved_with_pedigree", "fixed"),
    ("Not_Affected", "unknown"),
    ("fixed", "unknown"),
]


@pytest.mark.parametrize(("state", "status"), STATES)
def test_each_state_is_a_status(state: str, status: str) -> None:
    (one,) = read(entry(state)).statements
    assert (one.status, one.author, one.timestamp, one.vulnerabilities) == (status, "A", TIME, ("CVE-1",))


def test_a_justification_belongs_to_what_is_not_affected() -> None:
    found = read(*(entry(analysis={"state": state, "justification": "x"}) for state in ("not_affected", "resolved")))
    assert [one.justification for one in found.statements] == ["x", None]


def test_equivalent_ids_are_aliases() -> None:
    (one,) = read(entry(references=[{"id": "GHSA-2"}, {"id": "GHSA-1"}, {"id": "CVE-1"}])).statements
    assert one.vulnerabilities == ("CVE-1", "GHSA-1", "GHSA-2")


def products(found: VexDocument) -> list[tuple[Target, tuple[Target, ...]]]:
    return [(one.target, one.subcomponents) for statement in found.statements for one in statement.products]


A = Target(purls=(parse_purl(PURL),))
WHOLE = Target(purls=(parse_purl("pkg:pypi/app@1"),))
WITH_APP = {"metadata": {"timestamp": TIME, "component": APP}}


def test_a_ref_without_a_subject_is_the_component_itself() -> None:
    assert products(read(entry())) == [(A, ())]


def test_a_ref_is_a_part_of_the_subject_of_the_document() -> None:
    assert products(read(entry(), **WITH_APP)) == [(WHOLE, (A,))]
    assert products(read(entry("resolved", "app"), **WITH_APP)) == [(WHOLE, ())]


def test_nested_components_have_refs_too() -> None:
    inner = APP | {"components": [{"name": "x", "components": [PART]}]}
    assert products(read(entry(), components=[], metadata={"component": inner})) == [(WHOLE, (A,))]


def test_a_package_url_is_a_ref_of_its_own() -> None:
    assert products(read(entry("resolved", PURL), components=[])) == [(A, ())]


def test_a_document_with_a_serial_number_is_also_referred_to_by_link() -> None:
    found = read(entry(), serialNumber=f"urn:uuid:{SERIAL.upper()}", **WITH_APP)
    (whole, (part,)), (alone, none) = products(found)
    assert none == ()
    assert (part.links, alone) == ((f"{SERIAL}/1#part",), Target(links=(f"{SERIAL}/1#part",)))
    assert whole.purls == WHOLE.purls
    linked = read(entry("not_affected", f"urn:cdx:{SERIAL}/1#part"), serialNumber=f"urn:uuid:{SERIAL}", **WITH_APP)
    assert products(linked) == products(found)


def test_a_link_to_another_bom_names_that_instance_only() -> None:
    found = read(entry("not_affected", f"urn:cdx:{SERIAL}/2#pkg:pypi/a%401"))
    assert products(found) == [(Target(links=(f"{SERIAL}/2#pkg:pypi/a%401", f"{SERIAL}/2#pkg:pypi/a@1")), ())]


@pytest.mark.parametrize("ref", ["nothing", f"urn:cdx:{SERIAL}/1", "urn:cdx:", "twice"])
def test_a_ref_of_nothing_is_listed_and_the_others_count(ref: str) -> None:
    components = [PART, *({"bom-ref": "twice", "name": "x", "purl": f"pkg:pypi/{name}"} for name in "xy")]
    found = read(entry("not_affected", ref, "part"), components=components)
    assert products(found) == [(A, ())]
    assert notes(found) == [("/vulnerabilities/0/affects/0/ref", "unknown-ref")]


def test_a_document_all_of_whose_refs_are_of_nothing_is_refused() -> None:
    with pytest.raises(MalformedDocument) as refused:
        read(entry("not_affected", "x"))
    assert refused.value.details["pointer"] == "/vulnerabilities/0/affects/0/ref"


VERSIONS = [
    ("not_affected", "unaffected", "not_affected"),
    ("not_affected", "affected", "affected"),
    ("not_affected", "unknown", "unknown"),
    ("not_affected", "other", "unknown"),
    ("not_affected", None, "not_affected"),
    ("exploitable", "unaffected", "affected"),
    ("in_triage", "unaffected", "under_investigation"),
    ("resolved", "unaffected", "fixed"),
    ("exploitable", "affected", "affected"),
]


@pytest.mark.parametrize(("state", "word", "status"), VERSIONS)
def test_a_version_has_the_more_cautious_of_two_words(state: str, word: str | None, status: str) -> None:
    versions = [{"version": "1"} | ({"status": word} if word else {})]
    (one,) = read(entry(state, {"ref": "part", "versions": versions})).statements
    assert (one.status, [thing.target.versions for thing in one.products]) == (status, [("1",)])


def test_versions_of_two_statuses_are_two_statements() -> None:
    versions = [
        {"version": "1", "status": "unaffected"},
        {"range": "vers:pypi/>=2|<3", "status": "affected"},
        {"range": "vers:generic/>4", "status": "unaffected"},
    ]
    found = read(entry("not_affected", {"ref": "part", "versions": versions}), **WITH_APP)
    assert [(one.status, one.ref.index) for one in found.statements] == [("affected", 0), ("not_affected", 1)]
    narrowed = [one.products[0].subcomponents[0].versions for one in found.statements]
    assert narrowed[1] == ("1",)
    assert not isinstance(narrowed[0][0], str)
    assert (narrowed[0][0].holds("2.5"), narrowed[0][0].holds("1")) == (True, False)
    assert notes(found) == [("/vulnerabilities/0/affects/0/versions/2", "unevaluable-range")]


AUTHORS = [
    ({"authors": [{}, {"name": "A"}, {"name": "B"}], "supplier": {"name": "S"}}, "A"),
    ({"supplier": {"name": "S"}, "manufacturer": {"name": "M"}}, "S"),
    ({"manufacturer": {"name": "M"}, "manufacture": {"name": "F"}}, "M"),
    ({"manufacture": {"name": "F"}}, "F"),
    ({}, ""),
    (None, ""),
]


@pytest.mark.parametrize(("metadata", "author"), AUTHORS)
def test_the_author_is_the_first_who_is_named(metadata: Any, author: str) -> None:
    assert read(entry(), metadata=metadata).author == author


def test_the_time_is_that_of_the_analysis_or_else_of_the_document() -> None:
    first, last = "2024-02-01T00:00:00Z", "2024-03-01T00:00:00+01:00"
    found = read(
        entry(analysis={"state": "resolved", "firstIssued": first, "lastUpdated": last}),
        entry(analysis={"state": "resolved", "firstIssued": first}),
        entry(updated=last, published=last, created=last),
    )
    assert [one.timestamp for one in found.statements] == [last, first, TIME]
    (one,) = read(entry(updated=last), metadata={}).statements
    assert (one.timestamp, one.time) == ("", None)


MALFORMED = [
    (7, ""),
    (entry(id=None), "/id"),
    (entry(id=7), "/id"),
    (entry(analysis=None), "/analysis/state"),
    (entry(analysis=[1]), "/analysis"),
    (entry(analysis={"state": 1}), "/analysis/state"),
    (entry(analysis={"state": "resolved", "lastUpdated": "soon"}), "/analysis"),
    (entry(references=[{}]), "/references/0/id"),
    (entry(affects=None), "/affects"),
    (entry(affects=[]), "/affects"),
    (entry(affects=[7]), "/affects/0"),
    (entry("resolved", {"ref": "part", "versions": {}}), "/affects/0/versions"),
    (entry("resolved", {"ref": "part", "versions": [{}]}), "/affects/0/versions/0"),
    (entry("resolved", {"ref": "part", "versions": [{"version": "1", "range": "x"}]}), "/affects/0/versions/0"),
]


@pytest.mark.parametrize(("part", "pointer"), MALFORMED)
def test_a_malformed_vulnerability_is_skipped_with_its_place(part: Any, pointer: str) -> None:
    found = read(part, entry())
    assert found.count == 1
    assert notes(found) == [(f"/vulnerabilities/0{pointer}", "malformed")]


@pytest.mark.parametrize(
    ("members", "refusal"),
    [
        ({"specVersion": "1.8"}, UnsupportedVersion),
        ({"specVersion": None}, MalformedDocument),
        ({"bomFormat": "cyclonedx"}, MalformedDocument),
        ({"metadata": [1]}, MalformedDocument),
        ({"vulnerabilities": {}}, MalformedDocument),
        ({"@context": "https://openvex.dev/ns/v0.2.0", "author": "B", "statements": []}, MalformedDocument),
        ({"document": {"csaf_version": "2.0"}}, MalformedDocument),
    ],
    ids=range(7),
)
def test_a_document_that_is_not_clearly_of_the_format_is_refused(members: Any, refusal: type[StellaError]) -> None:
    with pytest.raises(refusal):
        read(entry(), **members)


def test_a_vex_document_may_come_inside_a_large_bom() -> None:
    components = [{"bom-ref": str(number), "name": "x", "purl": f"pkg:pypi/x{number}"} for number in range(2_000)]
    assert products(read(entry("resolved", "1999"), components=components))[0][0].purls[0].name == "x1999"


MEMBERS = ["id", "bom-ref", "purl", "components", "analysis", "state", "affects", "ref", "versions", "version", "range"]
MEMBERS += ["status", "name", "references", "component", "authors", "timestamp"]
scalars = (
    st.none() | st.integers() | st.sampled_from([PURL, "part", "app", "resolved", TIME, "vers:pypi/<2", "affected"])
)
parts = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6),
    max_leaves=25,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(MEMBERS), parts, max_size=3).map(lambda part: entry() | part) | parts),
    st.dictionaries(st.sampled_from(["components", "metadata", "serialNumber", "version"]), parts),
)
def test_any_structure_is_read_listed_or_refused(vulnerabilities: list[Any], members: dict[str, Any]) -> None:
    with contextlib.suppress(MalformedDocument):
        found = read(*vulnerabilities, **members)
        assert [one.ref.index for one in found.statements] == list(range(found.count))
        assert all(one.products for one in found.statements)


SEED = document(entry(), entry("resolved", {"ref": "part", "versions": [{"range": "vers:pypi/<2"}]}), **WITH_APP)


@given(st.integers(0, len(SEED) - 1), st.integers(0, len(SEED) - 1), st.binary(max_size=4))
def test_any_damage_is_refused_with_a_typed_error_or_read(start: int, end: int, patch: bytes) -> None:
    with contextlib.suppress(StellaError):
        found = read_vex("a.json", SEED[:start] + patch + SEED[end:])
        assert found.count == len(found.statements)
