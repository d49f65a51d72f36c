"""The version schemes against chains in data files, as total orders, and with texts of any kind."""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanner import versions
from scanner.versions import Unparsable

DATA = Path(__file__).parent / "data"
ECOSYSTEM = {
    "apk": "Alpine:v3.20",
    "bitnami": "Bitnami",
    "composer": "Packagist",
    "cran": "CRAN",
    "dpkg": "Debian:12",
    "gem": "RubyGems",
    "ghc": "GHC",
    "go": "Go",
    "hackage": "Hackage",
    "julia": "Julia",
    "maven": "Maven",
    "nuget": "NuGet",
    "opam": "opam",
    "pep440": "PyPI",
    "pub": "Pub",
    "rpm": "Red Hat:rhel_aus:8.4::appstream",
    "semver": "crates.io",
    "semver-tag": "GitHub Actions",
}
SCHEMES = sorted(ECOSYSTEM)
Likely = Callable[[str, int], list[str]]

COUNTS = ["0", "1", "2", "9", "10", "18446744073709551616"]

# Texts of the same letters in any order, and what generators write where they know no version.
signs = st.sampled_from(
    [*"!-....+_~^:@#*/ ", "v", "go", "(devel)", "(none)", "é", "\u0661", "0x1", "1e5", "--", "\0", "\n"]
)
words = st.sampled_from(
    ["a", "alpha", "rc", "dev", "x", "final", "SNAPSHOT", "post", "r", "p", "pre", "el8", "K", "\u017f"]
)
loose = st.lists(signs | words | st.sampled_from(COUNTS), max_size=9).map("".join)


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


def keys(scheme: str, texts: list[str]) -> list[Any]:
    """Return the keys of those texts that have one."""
    found = []
    for text in texts:
        with suppress(Unparsable):
            found.append(versions.key(ECOSYSTEM[scheme], text))
    return found


def test_every_scheme_has_its_chains_and_its_refusals() -> None:
    assert {path.name for path in DATA.iterdir()} == {
        f"{name}{kind}.txt" for name in SCHEMES for kind in ("", ".refused")
    }
    assert {versions.comparator_name(ecosystem) for ecosystem in ECOSYSTEM.values()} == set(SCHEMES)


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


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("text", ["", " ", "\n", "\0", "1.0.0\0", "1.0 .0", "\u0661.\u0660.\u0660", "1.0.0é"])
def test_texts_that_are_no_version_anywhere(scheme: str, text: str) -> None:
    with pytest.raises(Unparsable):
        versions.key(ECOSYSTEM[scheme], text)


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"pep440"}))
@pytest.mark.parametrize("text", ["1.0.0\n", " 1.0.0", "1.0.0 ", "\t1.0.0"])
def test_white_space_around_a_version_is_not_ignored_but_by_pep_440(scheme: str, text: str) -> None:
    with pytest.raises(Unparsable):
        versions.key(ECOSYSTEM[scheme], text)
    assert versions.key("PyPI", text) == versions.key("PyPI", "1.0.0")


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("piece", ["1", "1.", ".1", "a", "-", "~", "0", "_p", "-a", ".0", "a1", "1a", "+", "^", "-1"])
def test_length_decides_before_form(scheme: str, piece: str) -> None:
    for text in (piece * 513, "1." + piece * 600, "1.0." + piece * 5_000, "1.0.0-" + piece * 5_000):
        with pytest.raises(Unparsable):
            versions.key(ECOSYSTEM[scheme], text[: 513 + len(piece)])
        with pytest.raises(Unparsable):
            versions.key(ECOSYSTEM[scheme], text)
        keys(scheme, [text[:512]])


@pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"nuget", "composer"}))
def test_numbers_are_exact_at_every_size_a_version_can_have(scheme: str) -> None:
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(640)
    try:
        low, high = (versions.key(ECOSYSTEM[scheme], f"1.0.{number}") for number in ("9" * 507, "1" + "0" * 507))
    finally:
        sys.set_int_max_str_digits(limit)
    assert low < high


@pytest.mark.parametrize(
    ("ecosystem", "name"),
    [
        ("PyPI", "pep440"),
        ("PyPI:x", "pep440"),
        ("npm", "semver"),
        ("Hex", "semver"),
        ("VSCode", "semver"),
        ("SwiftURL", "semver-tag"),
        ("Bioconductor", "cran"),
        ("Debian", "dpkg"),
        ("Ubuntu:Pro:18.04:LTS", "dpkg"),
        ("Echo", "dpkg"),
        ("Echo:PyPI", "pep440"),
        ("Echo:Maven", "maven"),
        ("Echo:npm", "pub"),
        ("Maven:https://maven.google.com", "maven"),
        ("Alpine:v3.11", "apk"),
        ("Wolfi", "apk"),
        ("Chainguard", "apk"),
        ("MinimOS", "apk"),
        ("Alpaquita:stream", "apk"),
        ("AlmaLinux:8", "rpm"),
        ("Rocky Linux:9", "rpm"),
        ("SUSE:Linux Enterprise Server 15 SP5", "rpm"),
        ("openSUSE:Leap 15.6", "rpm"),
        ("Mageia:9", "rpm"),
        ("openEuler:24.03-LTS", "rpm"),
        ("Azure Linux:3", "rpm"),
        ("ConanCenter", None),
        ("Linux", None),
        ("debian", None),
        ("Red Hat Lightwell", None),
        (":Debian", None),
        ("", None),
    ],
)
def test_each_ecosystem_names_its_comparator(ecosystem: str, name: str | None) -> None:
    assert versions.comparator_name(ecosystem) == name
    if name is None:
        with pytest.raises(Unparsable):
            versions.key(ecosystem, "1.0.0")
    else:
        assert versions.key(ecosystem, "1.0.1") > versions.key(ecosystem, "1.0.0")


def test_builds_of_echo_are_told_apart() -> None:
    order = ["1.2.2", "1.2.3", "1.2.3+echo.1", "1.2.3+echo.2", "1.2.3+echo.10", "1.2.4"]
    found = [versions.key("Echo:npm", text) for text in order]
    assert found == sorted(found)
    assert len(set(found)) == len(order)


@pytest.mark.parametrize("scheme", SCHEMES)
@settings(max_examples=150)
@given(text=loose | st.text(max_size=30))
def test_any_text_has_a_key_or_is_refused(scheme: str, text: str) -> None:
    with suppress(Unparsable):
        found = versions.key(ECOSYSTEM[scheme], text)
        assert text.isascii()
        assert found == versions.key(ECOSYSTEM[scheme], text)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_order_is_total(scheme: str, likely: Likely) -> None:
    texts = likely(scheme, 400)
    found = sorted(keys(scheme, texts))
    assert len(found) > len(texts) / 4
    for low, high in combinations(found, 2):
        assert (low < high, low <= high, high < low, high <= low) == (low != high, True, False, low == high)
        assert (low == high) <= (hash(low) == hash(high))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_key_is_plain_data(scheme: str, likely: Likely) -> None:
    def plain(value: object) -> bool:
        return type(value) in {int, str} or (type(value) is tuple and all(map(plain, value)))

    assert all(map(plain, keys(scheme, likely(scheme, 100))))
