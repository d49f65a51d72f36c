"""Receipts of a site in order: gaps, forks and ends, whatever order they come home in."""

import random

from hypothesis import given
from hypothesis import strategies as st

from kit.receipt_chain import Fork, Gap, Link, of_site


def line(count: int, start: int = 0) -> list[Link]:
    return [
        Link(f"d{n}", f"d{n - 1}" if n else None, f"2026-01-01T00:00:{n:02d}Z") for n in range(start, start + count)
    ]


@given(st.permutations(range(12)), st.integers(0, 3))
def test_whole_chain_in_any_order_and_number(order: list[int], twice: int) -> None:
    links = line(12)
    chain = of_site([links[at] for at in order] + links[:twice])
    assert chain.links == tuple(links)
    assert (chain.is_whole, chain.newest, chain.backwards) == (True, "d11", ())


@given(st.sets(st.integers(0, 19), max_size=19))
def test_every_receipt_that_is_not_there_leaves_a_gap_unless_it_is_the_last(missing: set[int]) -> None:
    links = [link for at, link in enumerate(line(20)) if at not in missing]
    chain = of_site(links)
    present = set(range(20)) - missing
    expected = {at - 1 for at in present if at and at - 1 in missing}
    assert {gap.missing for gap in chain.gaps} == {f"d{at}" for at in expected}
    assert chain.links == tuple(links)
    assert chain.newest == f"d{max(present)}"
    assert not chain.forks


def test_gap_names_what_is_missing_and_what_follows_it() -> None:
    first, _, third = line(3)
    assert of_site([third, first]).gaps == (Gap("d1", "d2"),)
    assert of_site(line(2, start=5)).gaps == (Gap("d4", "d5"),)


def test_two_that_follow_one_are_a_fork_and_each_branch_stays_together() -> None:
    links = line(3)
    clone = [Link("e2", "d1", "2026-01-01T00:00:09Z"), Link("e3", "e2", "2026-01-01T00:00:10Z")]
    chain = of_site([*clone, *links])
    assert chain.forks == (Fork("d1", ("d2", "e2")),)
    assert [link.digest for link in chain.links] == ["d0", "d1", "d2", "e2", "e3"]
    assert chain.newest == "e3"
    assert not chain.is_whole


def test_two_first_receipts_are_a_fork_of_nothing() -> None:
    chain = of_site([Link("a", None, "1"), Link("b", None, "2")])
    assert chain.forks == (Fork(None, ("a", "b")),)


def test_two_that_follow_a_missing_one_are_gap_and_fork() -> None:
    chain = of_site([Link("a", "x", "1"), Link("b", "x", "2")])
    assert chain.forks == (Fork("x", ("a", "b")),)
    assert chain.gaps == (Gap("x", "a"), Gap("x", "b"))


def test_clock_that_went_back_is_told() -> None:
    assert of_site([Link("a", None, "2"), Link("b", "a", "1"), Link("c", "b", "1")]).backwards == ("b",)


def test_no_receipts_make_an_empty_chain() -> None:
    chain = of_site([])
    assert (chain.links, chain.newest, chain.is_whole) == ((), None, True)


def test_long_chain_takes_no_deep_stack() -> None:
    links = [Link(str(n), str(n - 1) if n else None, f"{n:06d}") for n in range(20_000)]
    assert of_site(random.Random(1).sample(links, len(links))).is_whole
