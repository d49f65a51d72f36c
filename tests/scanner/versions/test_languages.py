"""The schemes of language ecosystems against their definitions, written as comparisons, and other implementations.

The keys are made without comparing anything; here two versions are walked side by side, as the specifications do.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations, pairwise, zip_longest
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import InvalidVersion, Version
from univers.versions import GolangVersion, MavenVersion, NugetVersion, RubygemsVersion, SemverVersion

from scanner import versions
from scanner.versions import Unparsable

Likely = Callable[[str, int], list[str]]


def sign(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


def disagreements(
    ecosystem: str,
    texts: list[str],
    parse: Callable[[str], Any],
    compare: Callable[[Any, Any], int] = sign,
) -> list[tuple[str, str]]:
    """Return the pairs of versions that the keys order differently from ``compare`` of what ``parse`` made of them."""
    found = {}
    for text in texts:
        with suppress(Unparsable):
            found[text] = versions.key(ecosystem, text), parse(text)
    assert len(found) > 50
    return [
        (one, other)
        for (one, (key, parsed)), (other, (other_key, other_parsed)) in combinations(found.items(), 2)
        if sign(key, other_key) != compare(parsed, other_parsed)
    ]


def gem_segments(text: str) -> list[Any]:
    """Return the segments of a gem's version, without the zeros that mean nothing."""
    segments = re.findall("[0-9]+|[A-Za-z]+", text.replace("-", ".pre."))
    first = next((place for place, segment in enumerate(segments) if segment.isalpha()), len(segments))
    found: list[Any] = []
    for part in (segments[:first], segments[first:]):
        values = [int(segment) if segment.isdigit() else segment for segment in part]
        while values and values[-1] == 0:
            values.pop()
        found += values
    return found


def gem_compare(one: list[Any], other: list[Any]) -> int:
    """Compare as ``Gem::Version#<=>`` does: segment by segment, a missing one being 0, texts before numbers."""
    for left, right in zip_longest(one, other, fillvalue=0):
        if left != right:
            if isinstance(left, str) is isinstance(right, str):
                return sign(left, right)
            return -1 if isinstance(left, str) else 1
    return 0


def test_ruby_versions_are_in_the_order_of_their_definition(likely: Likely) -> None:
    texts = [text for text in likely("gem", 300) if "linux" not in text]
    assert disagreements("RubyGems", texts, gem_segments, gem_compare) == []


FORMS = ["dev", "alpha", "beta", "RC", "#", "p"]


def php_parts(text: str) -> list[str]:
    return re.findall("[0-9]+|[A-Za-z]+", text)


def php_rank(part: str) -> int:
    return FORMS.index("#") if part.isdigit() else next(i for i, form in enumerate(FORMS) if part.startswith(form))


def php_compare(one: list[str], other: list[str]) -> int:
    """Compare as PHP's ``version_compare`` does: part by part, names by their place among the known forms."""
    for left, right in zip_longest(one, other):
        if left is None or right is None:
            longer = 1 if right is None else -1
            there = left or right
            return longer if there.isdigit() else longer * sign(php_rank(there), FORMS.index("#"))
        if left.isdigit() and right.isdigit():
            if int(left) != int(right):
                return sign(int(left), int(right))
        elif php_rank(left) != php_rank(right):
            return sign(php_rank(left), php_rank(right))
    return 0


def test_php_versions_are_in_the_order_of_version_compare() -> None:
    numbers = ["0.0.0.1", "1.0.0.0", "1.0.0.1", "1.0.10.0", "1.9.0.0", "10.0.0.0"]
    stages = ["", "-alpha", "-alpha1", "-beta", "-beta2", "-beta10", "-beta2.1", "-RC1", "-patch", "-patch1", "-patch2"]
    texts = [number + stage + dev for number in numbers for stage in stages for dev in ("", "-dev")]
    assert disagreements("Packagist", texts, php_parts, php_compare) == []
    dates = ["20100102", "20100103", "2010-01-02", "2010-01-02-10", "2010-01-02-10-30", "2010-01-02-10-30-5"]
    texts = [
        date + stage
        for date in dates
        for stage in ["", "-beta1", "-p1", "-RC2", "-dev", "-p2", "-alpha", "-p", "-beta"]
    ]
    assert disagreements("Packagist", texts, php_parts, php_compare) == []


QUALIFIERS = ["alpha", "beta", "milestone", "rc", "snapshot", "", "sp"]
MAVEN_ALIASES = {"cr": "rc", "ga": "", "final": "", "release": ""}


def maven_tokens(text: str) -> list[tuple[str, Any]]:
    """Return the prefixed tokens of a version, trimmed at its end and at each hyphen, from end to start."""
    text = re.sub(r"(?<=[0-9])(?=[^0-9.-])|(?<=[^0-9.-])(?=[0-9])", "\0", text.lower())
    found: list[tuple[str, Any]] = []
    for prefix, token, following in re.findall("([.\0-]|^)([^.\0-]*)(?=([.\0-]?))", text):
        if token.isdigit() or not token:
            found.append(("-" if prefix in {"-", "\0"} else ".", int(token or 0)))
        else:
            word = {"a": "alpha", "b": "beta", "m": "milestone"}.get(token, token) if following == "\0" else token
            found.append(("-", MAVEN_ALIASES.get(word, word)))
    place = len(found)
    while place > 0:
        while place > 0 and found[place - 1][1] in {0, ""}:
            place -= 1
            del found[place]
        while place > 0 and found[place - 1][0] == ".":
            place -= 1
        place -= 1
    return found


def maven_rank(token: tuple[str, Any]) -> tuple[Any, ...]:
    prefix, value = token
    if isinstance(value, int):
        return (2 if prefix == "." else 1, value)
    return (0, QUALIFIERS.index(value), "") if value in QUALIFIERS else (0, len(QUALIFIERS), value)


def maven_compare(one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> int:
    """Compare as Maven's version order specification says: the shorter list is padded with nothing."""
    for left, right in zip_longest(one, other):
        prefix = (left or right)[0]
        nothing = (prefix, 0 if prefix == "." else "")
        if result := sign(maven_rank(left or nothing), maven_rank(right or nothing)):
            return result
    return 0


def test_maven_versions_are_in_the_order_of_their_specification(likely: Likely) -> None:
    assert disagreements("Maven", likely("maven", 250), maven_tokens, maven_compare) == []


def test_maven_versions_agree_with_univers_on_what_is_written_the_usual_way() -> None:
    numbers = ["1", "1.0.1", "1.1", "1.2.0", "1.10", "2.0.1"]
    words = [
        "",
        "-SNAPSHOT",
        "-alpha-1",
        "-alpha-2",
        "-beta1",
        "-M1",
        "-M10",
        "-rc1",
        "-RC2",
        "-jre",
        "-android",
        "-1",
        "-sp",
    ]
    texts = [number + word for number in numbers for word in words]
    assert disagreements("Maven", texts, MavenVersion) == []


def test_nuget_versions_agree_with_univers(likely: Likely) -> None:
    texts = [text for text in likely("nuget", 250) if "99999999999" not in text]
    assert disagreements("NuGet", texts, NugetVersion) == []


def test_ruby_versions_agree_with_univers_where_it_reads_them(likely: Likely) -> None:
    texts = []
    for text in likely("gem", 250):
        if "-" not in text:
            with suppress(ValueError):
                RubygemsVersion(text)
                texts.append(text)
    assert disagreements("RubyGems", texts, RubygemsVersion) == []


KINDS = ["first", "number", "letter", "suffix", "suffix number", "hash", "revision", "end"]
SUFFIXES = ["alpha", "beta", "pre", "rc", "", "cvs", "svn", "git", "hg", "p"]
APK_TOKEN = re.compile("\\.([0-9]+)|([a-z])(?![a-z])|_([a-z]+)|([0-9]+)|~([0-9a-f]+)|-r([0-9]+)")


def apk_tokens(text: str) -> list[tuple[str, Any]]:
    first = re.match("[0-9]+", text)
    rest = APK_TOKEN.finditer(text, first.end())
    return [("first", first[0]), *((KINDS[token.lastindex], token[token.lastindex]) for token in rest), ("end", "")]


def apk_value(kind: str, value: str, other: str) -> Any:
    if kind == "suffix":
        return SUFFIXES.index(value)
    numeric = kind in {"first", "revision", "suffix number"} or (kind == "number" and "0" not in {value[0], other[0]})
    return int(value) if numeric else value


def apk_compare(one: list[tuple[str, Any]], other: list[tuple[str, Any]]) -> int:
    """Compare as apk-tools 3 does: token by token, and at the first tokens of other kinds by their kinds."""
    for (kind, value), (other_kind, other_value) in zip(one, other, strict=False):
        if kind != other_kind:
            for which, name, word in ((-1, kind, value), (1, other_kind, other_value)):
                if name == "suffix" and SUFFIXES.index(word) < SUFFIXES.index(""):
                    return which
            return sign(KINDS.index(other_kind), KINDS.index(kind))
        if result := sign(apk_value(kind, value, other_value), apk_value(kind, other_value, value)):
            return result
    return 0


def test_alpine_versions_are_in_the_order_of_their_definition(likely: Likely) -> None:
    assert disagreements("Alpine:v3.20", likely("apk", 500), apk_tokens, apk_compare) == []


numbers = st.lists(st.integers(0, 11).map(str), min_size=3, max_size=3).map(".".join)
identifiers = st.lists(st.integers(0, 21).map(str) | st.sampled_from(["a", "rc", "rc1", "x-y", "Z", "0a"]), min_size=1)
semvers = st.builds(
    "{}{}{}".format,
    numbers,
    st.just("") | identifiers.map(lambda parts: "-" + ".".join(parts)),
    st.sampled_from(["", "+b", "+b.01"]),
)
pieces = st.sampled_from([*"!v.-+_ 012", "a", "rc", "post", "dev", "b1", "alpha", "+x", ".post1", "x"])
loose = st.lists(pieces, max_size=8).map("".join)


def test_pypi_agrees_with_packaging(likely: Likely) -> None:
    texts = []
    for text in [
        *likely("pep440", 300),
        "1.0",
        "1.0.0",
        "1.0+a",
        "1.0+A.1",
        "1.0.dev1",
        "1.0a1.dev1",
        "1.0.post1.dev1",
    ]:
        with suppress(InvalidVersion):
            Version(text)
            texts.append(text)
    assert disagreements("PyPI", texts, Version) == []


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
    oracle = sign(SemverVersion(first.partition("+")[0]), SemverVersion(second.partition("+")[0]))
    for ecosystem in ("crates.io", "npm", "GitHub Actions"):
        assert sign(versions.key(ecosystem, first), versions.key(ecosystem, second)) == oracle
    for ecosystem in ("Pub", "Julia"):
        if first.partition("+")[0] != second.partition("+")[0]:
            assert sign(versions.key(ecosystem, first), versions.key(ecosystem, second)) == oracle


@given(semvers, semvers)
def test_go_agrees_with_an_independent_implementation(first: str, second: str) -> None:
    oracle = GolangVersion("v" + first.partition("+")[0]), GolangVersion(second.partition("+")[0])
    assert sign(versions.key("Go", f"v{first}"), versions.key("Go", second)) == sign(*oracle)


def test_semver_numbers_never_lose_their_digits() -> None:
    texts = [f"1.0.{2**bits + step}" for bits in (31, 32, 53, 63, 64, 128) for step in (-1, 0, 1)]
    for ecosystem in (
        "npm",
        "Go",
        "Julia",
        "Hackage",
        "Debian",
        "Alpine",
        "Mageia",
        "Maven",
        "RubyGems",
        "PyPI",
        "CRAN",
    ):
        found = [versions.key(ecosystem, text) for text in texts]
        assert all(low < high for low, high in pairwise(found)), ecosystem
