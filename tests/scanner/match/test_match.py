"""The matching contract: a table of cases, and the range walk against the schema's own words."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from scanner import advisory
from scanner.match import Entry, State
from scanner.schemes import Schemes

CASES = json.loads((Path(__file__).parent / "data" / "cases.json").read_bytes())


def extent_of(affected: dict, ecosystem: str = "PyPI") -> advisory.Extent:
    entry = {"package": {"ecosystem": ecosystem, "name": "x"}, **affected}
    record = {"id": "X", "modified": "", "affected": [entry]}
    return advisory.extent(advisory.decode(json.dumps(record).encode()).affected[0])


def judge(affected: dict, version: str, ecosystem: str = "PyPI"):
    return Entry(extent_of(affected, ecosystem), 0).match(Schemes().subject(ecosystem, version))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_an_entry_is_judged_by_the_contract(case):
    outcome = judge(case["affected"], case["version"], case["ecosystem"])
    assert outcome.state.value == case["state"]
    evidence = msgspec.to_builtins(outcome.evidence) if outcome.evidence else None
    assert evidence == ({"affected": 0, **case["evidence"]} if "evidence" in case else None)
    doubt = outcome.doubt
    expected = case.get("doubt")
    assert (doubt.reason if doubt else None) == (expected["reason"] if expected else None)
    if expected:
        assert (doubt.range, doubt.value) == (expected.get("range"), expected.get("value"))


def test_the_fixed_versions_of_a_hit_are_the_next_ones_above():
    affected = {
        "ranges": [
            {
                "type": "ECOSYSTEM",
                "events": [{"introduced": "0"}, {"fixed": "2"}, {"introduced": "3"}, {"fixed": "3.5"}],
            },
            {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.2"}]},
            {"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "4.0.0"}]},
            {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abc"}]},
        ]
    }
    found = Entry(extent_of(affected), 0).fixed(Schemes().subject("PyPI", "1.0.0"))
    assert [(scheme, text) for scheme, _, text in found] == [("pep440", "2"), ("pep440", "1.2"), ("semver", "4.0.0")]


versions = st.sampled_from(["0", "0.1", "1", "1.0", "1.1rc1", "1.1", "1.2", "2", "2.0.0", "2.1"])
events = st.one_of(
    versions.map(lambda text: {"introduced": text}),
    versions.map(lambda text: {"fixed": text}),
    versions.map(lambda text: {"last_affected": text}),
    st.sampled_from(["*", "1", "2"]).map(lambda text: {"limit": text}),
)
ORDER = {"fixed": 0, "last_affected": 1, "introduced": 2}


def included(version: Version, found: list[dict]) -> bool:
    """Sort the events and walk through them, in the words of the schema's section on evaluation."""
    limits = [event["limit"] for event in found if "limit" in event]
    if limits and not any(limit == "*" or version < Version(limit) for limit in limits):
        return False
    walk = []
    for number, event in enumerate(found):
        for kind, text in event.items():
            if kind != "limit":
                lowest = kind == "introduced" and text == "0"
                walk.append((not lowest, Version(text), ORDER[kind], number, kind))
    vulnerable = False
    for after_lowest, at, _, _, kind in sorted(walk):
        if kind == "introduced" and (not after_lowest or version >= at):
            vulnerable = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            vulnerable = False
    return vulnerable


@given(st.lists(events, max_size=7), versions)
def test_a_range_holds_what_the_walk_of_the_schema_holds(found, version):
    outcome = judge({"ranges": [{"type": "ECOSYSTEM", "events": found}]}, version)
    assert (outcome.state is State.AFFECTED) == included(Version(version), found)
    if outcome.evidence and outcome.evidence.introduced != "0":
        assert Version(outcome.evidence.introduced) <= Version(version)
    if outcome.evidence and outcome.evidence.fixed:
        assert Version(version) < Version(outcome.evidence.fixed)


@given(st.lists(events, max_size=5), st.lists(events, max_size=5), st.lists(versions, max_size=4), versions)
def test_an_entry_is_the_union_of_its_list_and_ranges(first, second, listed, version):
    ranges = [{"type": "ECOSYSTEM", "events": found} for found in (first, second)]
    expected = (
        any(Version(one) == Version(version) for one in listed)
        or included(Version(version), first)
        or included(Version(version), second)
    )
    assert (judge({"ranges": ranges, "versions": listed}, version).state is State.AFFECTED) == expected


@given(st.lists(events, min_size=1, max_size=7), versions, st.randoms())
def test_the_order_of_events_does_not_count_for_the_state(found, version, random):
    state = judge({"ranges": [{"type": "ECOSYSTEM", "events": found}]}, version).state
    random.shuffle(found)
    assert judge({"ranges": [{"type": "ECOSYSTEM", "events": found}]}, version).state is state


def test_two_versions_of_one_entry_are_judged_as_each_alone():
    affected = {
        "versions": ["0.9", "1.0.0"],
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "2"}, {"fixed": "3"}]}],
    }
    schemes = Schemes()
    entry = Entry(extent_of(affected), 0)
    for version in ("1.0", "2.5", "3", "bulbasaur", "2.5", "0.9"):
        assert entry.match(schemes.subject("PyPI", version)) == judge(affected, version)
