"""Version ranges, against an independent implementation where that is right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from univers.version_range import GolangVersionRange, PypiVersionRange

from scanner.vex.vers import Range, Unevaluable, read_range

ORACLES = {"pypi": ("PyPI", PypiVersionRange), "golang": ("Go", GolangVersionRange)}

HOLDS = [
    ("vers:pypi/*", ["0", "1", "not a version"], []),
    ("vers:pypi/1.0", ["1.0", "1", "1.0.0"], ["1.1", "x"]),
    ("vers:pypi/1|3", ["1", "3"], ["2"]),
    ("vers:pypi/=1|=3", ["1", "3"], ["2"]),
    ("vers:pypi/>=1|<2", ["1", "1.9"], ["0.9", "2", "2.0"]),
    ("vers:pypi/<2|>=1", ["1", "1.9"], ["0.9", "2"]),
    ("vers:pypi/<1|>=2", ["0.9", "2", "9"], ["1", "1.5"]),
    ("vers:pypi/>1|!=1.5|<2|3", ["1.4", "3"], ["1", "1.5", "2", "4"]),
    ("vers:pypi/<=2", ["0", "2"], ["2.1"]),
    ("vers:pypi/>2", ["2.1"], ["2", "1"]),
    ("vers:pypi/1|>=2|<3", ["1", "2.5"], ["1.5", "3"]),
    ("vers:pypi/ >= 1 | < 2 ", ["1"], ["2"]),
    ("vers:pypi/>=1%2B2|<2", ["1.1"], ["1"]),
    ("vers:golang/>=v1.2.0|<v1.3.0", ["v1.2.0", "1.2.5"], ["v1.3.0", "v1.1.0"]),
    ("vers:semver/>=1.2.0|<1.3.0", ["v1.2.9"], ["v1.3.0"]),
]


def read(text: str) -> Range:
    kind = text[5:].partition("/")[0]
    return read_range(text, *(("golang", "Go") if kind in {"golang", "semver"} else ("pypi", "PyPI")))


@pytest.mark.parametrize(("text", "inside", "outside"), HOLDS, ids=[case[0] for case in HOLDS])
def test_a_range_holds(text: str, inside: list[str], outside: list[str]) -> None:
    found = read(text)
    assert [version for version in inside if not found.holds(version)] == []
    assert [version for version in outside if found.holds(version)] == []


UNEVALUABLE = [
    "",
    "1.0",
    "<=1.14.0",
    "vers:pypi",
    "vers:pypi/",
    "vers:pypi/>=",
    "vers:pypi/>=1|",
    "vers:pypi/>=x",
    "vers:pypi/>=1|>=2",
    "vers:pypi/<1|<2",
    "vers:pypi/>=1|<1.0",
    "vers:pypi/1|1",
    "vers:pypi/!=1",
    "vers:pypi/*|1",
    "vers:pypi/~1",
    "vers:pypi/%ff",
    "vers:npm/>=1.0.0",
    "vers:generic/>=1",
    "vers:semver/>=1.0.0",
    "vls:pypi/1",
    "vers:pypi/" + "|".join(str(number) for number in range(2_000)),
]


@pytest.mark.parametrize("text", UNEVALUABLE, ids=range(len(UNEVALUABLE)))
def test_what_cannot_be_computed_is_no_range(text: str) -> None:
    with pytest.raises(Unevaluable):
        read_range(text, "pypi", "PyPI")


def test_an_ecosystem_without_a_scheme_has_no_ranges() -> None:
    with pytest.raises(Unevaluable):
        read_range("vers:generic/1", "generic", "pkg:generic")


numbers = st.lists(st.integers(0, 30), min_size=1, max_size=6, unique=True)


@given(st.sampled_from(sorted(ORACLES)), numbers, st.booleans(), st.data())
def test_ranges_agree_with_an_independent_reader(
    kind: str, places: list[int], lower: bool, data: st.DataObject
) -> None:
    ecosystem, oracle = ORACLES[kind]
    constraints = []
    for place in sorted(places):
        single = data.draw(st.sampled_from(["", "", "!=", None, None, None]))
        if single is None:
            single = data.draw(st.sampled_from([">", ">="] if lower else ["<", "<="]))
            lower = not lower
        constraints.append(f"{single}1.{place}.0")
    text = f"vers:{kind}/{'|'.join(constraints)}"
    try:
        found = read_range(text, kind, ecosystem)
    except Unevaluable:
        assert all(one.startswith("!=") for one in constraints)
        return
    theirs = oracle.from_string(text)
    shuffled = read_range(f"vers:{kind}/{'|'.join(data.draw(st.permutations(constraints)))}", kind, ecosystem)
    for place in range(-1, 32):
        version = f"1.{place}.1" if place in places else f"1.{max(place, 0)}.0"
        expected = theirs.version_class(version) in theirs
        assert found.holds(version) is expected, (text, version)
        assert shuffled.holds(version) is expected


@given(
    st.text(max_size=60)
    | st.text(st.sampled_from("vers:py/npm<>=!|*%0123456789.-"), max_size=60).map("vers:pypi/".__add__)
)
def test_any_text_is_a_range_or_not(text: str) -> None:
    try:
        found = read_range(text, "pypi", "PyPI")
    except Unevaluable:
        return
    assert found.holds("1.0") in {True, False}
