"""The version schemes against chains in data files, against independent implementations, and as total orders."""

from contextlib import suppress
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version
from univers.versions import GolangVersion, SemverVersion

from scanner import versions
from scanner.versions import Unparsable

DATA = Path(__file__).parent / "data"
ECOSYSTEM = {"pep440": "PyPI", "go": "Go", "semver": "crates.io"}

digits = st.integers(0, 12).map(str) | st.sampled_from(["99999999999999999999", "100000000000000000000", "00", "01"])
words = st.sampled_from(["a", "alpha", "b", "beta", "rc", "dev", "post", "x-1", "0a", "-", "A", "é", ""])
loose = st.lists(
    st.sampled_from(["v", "go", "!", "-", ".", ".", ".", "+", "_", "~", " ", "(devel)"]) | digits | words, max_size=9
).map("".join)
numbers = st.lists(st.integers(0, 11).map(str), min_size=3, max_size=3).map(".".join)
identifiers = st.lists(st.integers(0, 21).map(str) | st.sampled_from(["a", "rc", "rc1", "x-y", "Z", "0a"]), min_size=1)
semvers = st.builds(
    "{}{}{}".format,
    numbers,
    st.just("") | identifiers.map(lambda parts: "-" + ".".join(parts)),
    st.sampled_from(["", "+b", "+b.01"]),
)
pep440s = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "1!"]),
    st.lists(st.integers(0, 3).map(str), min_size=1, max_size=4).map(".".join),
    st.sampled_from(["", "", "a1", "b0", "rc2", "-alpha"]),
    st.sampled_from(["", "", ".post1", "-1"]),
    st.sampled_from(["", "", ".dev0", ".dev3"]),
    st.sampled_from(["", "", "+1", "+a", "+a.2"]),
)
WELL_FORMED = {"pep440": pep440s, "go": semvers.map("v".__add__), "semver": semvers}


@cache
def lines(name: str) -> tuple[str, ...]:
    text = (DATA / name).read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def steps(chain: str) -> list[tuple[int, str]]:
    """Return each version of a chain with its rank; ``=`` keeps the rank."""
    found, rank, rest = [], 0, chain
    while rest:
        at = min((place for place in (rest.find(" < "), rest.find(" = ")) if place >= 0), default=len(rest))
        found.append((rank, rest[:at]))
        rank += rest[at : at + 3] == " < "
        rest = rest[at + 3 :]
    return found


@pytest.mark.parametrize(
    ("scheme", "chain"), [(scheme, chain) for scheme in ECOSYSTEM for chain in lines(f"{scheme}.txt")]
)
def test_every_pair_of_a_chain_is_in_its_order(scheme: str, chain: str) -> None:
    ecosystem = ECOSYSTEM[scheme]
    for (low, first), (high, second) in combinations(steps(chain), 2):
        one, other = versions.key(ecosystem, first), versions.key(ecosystem, second)
        assert (one < other, one == other, one > other) == (low < high, low == high, False), (first, second)
        assert (one == other) <= (hash(one) == hash(other))


@pytest.mark.parametrize(
    ("scheme", "text"), [(scheme, text) for scheme in ECOSYSTEM for text in lines(f"{scheme}.refused.txt")]
)
def test_a_text_of_another_form_has_no_place_in_the_order(scheme: str, text: str) -> None:
    with pytest.raises(Unparsable):
        versions.key(ECOSYSTEM[scheme], text)


@pytest.mark.parametrize("ecosystem", ["PyPI", "Go", "crates.io"])
@pytest.mark.parametrize("text", ["", " ", "\n", "\0", "." * 500, "-" * 500, "1." * 3_000, "1" * 5_000 + "x"])
def test_degenerate_texts_are_refused(ecosystem: str, text: str) -> None:
    with pytest.raises(Unparsable):
        versions.key(ecosystem, text)


def test_numbers_beyond_the_interpreter_limit_are_ordered_or_refused_but_never_crash() -> None:
    small, large = "1.0." + "9" * 5_000, "1.0." + "1" + "0" * 5_000
    assert versions.key("Go", small) < versions.key("Go", large)
    with pytest.raises(Unparsable):
        versions.key("PyPI", large)


@pytest.mark.parametrize(
    ("ecosystem", "name"),
    [("PyPI", "pep440"), ("Go", "go"), ("crates.io", "semver"), ("PyPI:x", "pep440"), ("Debian:12", None), ("", None)],
)
def test_each_ecosystem_names_its_comparator(ecosystem: str, name: str | None) -> None:
    assert versions.comparator_name(ecosystem) == name


def test_an_ecosystem_without_a_scheme_orders_nothing() -> None:
    with pytest.raises(Unparsable):
        versions.key("Debian:12", "1.0-1")


@pytest.mark.parametrize("scheme", sorted(ECOSYSTEM))
@given(data=st.data())
def test_any_text_is_ordered_or_refused(scheme: str, data: st.DataObject) -> None:
    text = data.draw(loose | st.text(max_size=20))
    with suppress(Unparsable):
        assert versions.key(ECOSYSTEM[scheme], text) == versions.key(ECOSYSTEM[scheme], text)


@pytest.mark.parametrize("scheme", sorted(ECOSYSTEM))
@given(data=st.data())
def test_the_order_is_total(scheme: str, data: st.DataObject) -> None:
    texts = data.draw(st.lists(WELL_FORMED[scheme], min_size=3, max_size=6))
    keys = sorted(versions.key(ECOSYSTEM[scheme], text) for text in texts)
    for low, high in pairwise(keys):
        assert low <= high
        assert not high < low
    for low, high in combinations(keys, 2):
        assert (low < high) + (low == high) + (low > high) == 1
        assert low <= high


@given(pep440s, pep440s)
def test_pypi_agrees_with_packaging(first: str, second: str) -> None:
    one, other = versions.key("PyPI", first), versions.key("PyPI", second)
    assert (one < other, one == other) == (Version(first) < Version(second), Version(first) == Version(second))


@given(loose.filter(str.isascii))
def test_pypi_refuses_what_packaging_refuses(text: str) -> None:
    try:
        Version(text)
    except InvalidVersion:
        with pytest.raises(Unparsable):
            versions.key("PyPI", text)
    else:
        versions.key("PyPI", text)


@given(semvers, semvers)
def test_semver_agrees_with_an_independent_implementation(first: str, second: str) -> None:
    one, other = versions.key("crates.io", first), versions.key("crates.io", second)
    oracle = SemverVersion(first.partition("+")[0]), SemverVersion(second.partition("+")[0])
    assert (one < other, one == other) == (oracle[0] < oracle[1], oracle[0] == oracle[1])


@given(semvers, semvers)
def test_go_agrees_with_an_independent_implementation(first: str, second: str) -> None:
    one, other = versions.key("Go", f"v{first}"), versions.key("Go", second)
    oracle = GolangVersion("v" + first.partition("+")[0]), GolangVersion(second.partition("+")[0])
    assert (one < other, one == other) == (oracle[0] < oracle[1], oracle[0] == oracle[1])
