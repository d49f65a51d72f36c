"""Alias groups: transitive, symmetric, whatever the order of the records."""

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner import groups


@dataclass(frozen=True)
class Record:
    id: str
    aliases: tuple[str, ...] = ()


def as_sets(found: list[list[Record]]) -> set[frozenset[str]]:
    return {frozenset(record.id for record in group) for group in found}


def naive(records: list[Record]) -> set[frozenset[str]]:
    """Merge any two groups that share a name until none do."""
    parts = [({record.id}, {record.id, *record.aliases}) for record in records]
    merged = True
    while merged:
        merged = False
        for left, right in itertools.combinations(parts, 2):
            if left[1] & right[1]:
                parts.remove(left)
                parts.remove(right)
                parts.append((left[0] | right[0], left[1] | right[1]))
                merged = True
                break
    return {frozenset(ids) for ids, _ in parts}


def test_a_chain_of_shared_aliases_is_one_group_in_every_order():
    records = [Record("A", ("x",)), Record("B", ("y",)), Record("C", ("y", "z")), Record("D", ("x", "z"))]
    for order in itertools.permutations(records):
        assert as_sets(groups.group(list(order))) == {frozenset("ABCD")}


def test_an_alias_need_be_named_on_one_side_only():
    assert as_sets(groups.group([Record("GHSA-1"), Record("PYSEC-1", ("GHSA-1",))])) == {
        frozenset(("GHSA-1", "PYSEC-1"))
    }


def test_records_of_one_id_are_one_group():
    first, second = Record("CVE-1", ("a",)), Record("CVE-1", ("b",))
    assert groups.group([first, second]) == [[first, second]]


def test_unrelated_records_stay_apart():
    assert as_sets(groups.group([Record("A"), Record("B", ("b",))])) == {frozenset("A"), frozenset("B")}


@pytest.mark.parametrize(
    ("identifiers", "expected"),
    [
        (("PYSEC-2021-1", "GHSA-zzzz-zzzz-zzzz", "CVE-2021-9"), "CVE-2021-9"),
        (("PYSEC-2021-1", "GHSA-zzzz-zzzz-zzzz"), "GHSA-zzzz-zzzz-zzzz"),
        (("PYSEC-2021-1", "GO-2021-1"), "GO-2021-1"),
        (("CVE-2021-2", "CVE-2021-10"), "CVE-2021-10"),
    ],
)
def test_the_representative_is_smallest_by_prefix_rank_then_text(identifiers, expected):
    assert groups.representative(identifiers) == expected
    assert groups.representative(reversed(identifiers)) == expected


names = st.sampled_from("abcdefghij")


@given(st.lists(st.builds(Record, names, st.lists(names, max_size=3).map(tuple)), max_size=9), st.randoms())
def test_groups_are_those_of_repeated_merging(records, random):
    expected = naive(records)
    random.shuffle(records)
    found = groups.group(records)
    assert as_sets(found) == expected
    assert sorted(record.id for group in found for record in group) == sorted(record.id for record in records)
