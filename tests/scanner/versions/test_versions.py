"""The version schemes against chains in data files, as total orders, and with texts of any kind."""

import random
import sys
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

# What versions of a scheme are made of; near enough that most of what is drawn has a key.
PIECES = {
    "apk": ["_alpha", "_rc2", "_p", "_git20200101", "a", "z", "~ab", "-r0", "-r12", ".0", ".01", ".00", ".1"],
    "bitnami": ["-0", "-1", "-10", "-a", "-1.2", "+b"],
    "composer": ["-dev", "-alpha", "beta1", ".RC2", "-p1", "-patch", "_b", ".x-dev", "-stable", ".0", "-1"],
    "cran": ["-0", "-1", "-10", ".00"],
    "dpkg": ["~", "~rc1", "a", "A", "+b1", "-1", "-0", ".", "..", "+deb12u1", ".00", "+", "ba"],
    "gem": [".a", ".b1", ".pre", ".0", ".rc.1", "-x86_64-linux", "-1", "a", ".RC1", ".0.0"],
    "ghc": ["-alpha1", "-rc1", "-rc2", ".20220807"],
    "go": ["-rc.1", "-0.20200101000000-0123456789ab", "+incompatible", "rc1", "beta2"],
    "hackage": [".0", ".0.0", ".10"],
    "julia": ["-DEV", "-rc1", "+0", "+1", "+10", "+a"],
    "maven": ["-SNAPSHOT", "-alpha-1", "a1", ".Final", ".GA", "-rc2", ".SP1", "-jre", "-1", ".0", "-0", "-", ".", "x"],
    "nuget": ["-beta", "-BETA.1", "-rc.10", "+meta", ".0", "-ci.99999999999", "-a-b"],
    "opam": ["~", "~beta1", "-1", "+x", "a", ".0", "-", ".", "v"],
    "pep440": ["a1", "b0", "rc2", "-alpha", ".post1", "-1", ".dev0", "+1", "+a.2", ".0"],
    "pub": ["-a", "-1", "-01", "-rc.1", "+1", "+a", "+1.2", "+01"],
    "rpm": ["~", "~rc1", "^", "^git1", "a", ".", "_", "-1", "-1.el8", "+", "A", ".00"],
    "semver": ["-0", "-alpha", "-alpha.1", "-rc.10", "-x-y", "+b", "+b.01"],
    "semver-tag": ["-beta", "-rc.1", "+b"],
}
PREFIXES = {
    "dpkg": ["", "", "0:", "1:"],
    "rpm": ["", "", "0:", "1:"],
    "go": ["", "v", "go"],
    "julia": ["", "v"],
    "composer": ["", "v"],
    "semver-tag": ["", "v"],
    "pep440": ["", "", "v", "1!"],
    "opam": ["", "v", "~"],
    "maven": ["", "", "r", "x."],
}
COUNTS = ["0", "0", "1", "1", "2", "9", "10", "18446744073709551616"]


def likely(scheme: str, count: int) -> list[str]:
    """Return texts most of which are versions of a scheme, always the same."""
    draw = random.Random(scheme)

    def some(least: int, most: int, choice: list[str]) -> list[str]:
        return draw.choices(choice, k=draw.randint(least, most))

    return [
        draw.choice(PREFIXES.get(scheme, [""]))
        + ".".join(some(*draw.choice([(1, 4), (3, 3)]), COUNTS))
        + "".join(some(0, 3, PIECES[scheme]))
        for _ in range(count)
    ]


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
        assert found == versions.key.__wrapped__(ECOSYSTEM[scheme], text)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_order_is_total(scheme: str) -> None:
    texts = likely(scheme, 400)
    found = sorted(keys(scheme, texts))
    assert len(found) > len(texts) / 4
    for low, high in combinations(found, 2):
        assert (low < high, low <= high, high < low, high <= low) == (low != high, True, False, low == high)
        assert (low == high) <= (hash(low) == hash(high))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_key_is_plain_data(scheme: str) -> None:
    def plain(value: object) -> bool:
        return type(value) in {int, str} or (type(value) is tuple and all(map(plain, value)))

    assert all(map(plain, keys(scheme, likely(scheme, 100))))
