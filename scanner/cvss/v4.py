"""CVSS v4.0 scores (FIRST, CVSS v4.0 specification, section 8): macro vectors and interpolation between them.

A vector belongs to a macro vector, one digit for each of six equivalence classes (EQ), which has a score by table.
From that score the mean is taken away of how far, in each class, the vector lies below the gravest vectors of its
macro vector, in proportion to the step down to the next macro vector.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from scanner.cvss.vector import metrics

_BASE = {
    "AV": "NALP", "AC": "LH", "AT": "NP", "PR": "NLH", "UI": "NPA",
    "VC": "HLN", "VI": "HLN", "VA": "HLN", "SC": "HLN", "SI": "HLN", "SA": "HLN",
}  # fmt: skip
"""The base metrics, their values by falling gravity."""
_SAFETY = ("SI", "SA")
_KNOWN: dict[str, tuple[str, ...]] = {
    **{name: tuple(values) for name, values in _BASE.items()},
    **{f"M{name}": ("X", *values, *("S" if name in _SAFETY else "")) for name, values in _BASE.items()},
    **{name: tuple("XHML") for name in ("CR", "IR", "AR")},
    "E": tuple("XAPU"),
    "S": tuple("XNP"), "AU": tuple("XNY"), "R": tuple("XAUI"), "V": tuple("XDC"), "RE": tuple("XLMH"),
    "U": ("X", "Clear", "Green", "Amber", "Red"),
}  # fmt: skip

_ORDER = _BASE | dict.fromkeys(_SAFETY, "SHLN") | {"SC": "-HLN"} | dict.fromkeys(("CR", "IR", "AR"), "HML")
"""Values by falling gravity; the place is the severity level. ``SC`` has no value at the place of the others' ``S``."""

_Gravest = Mapping[tuple[int, ...], Sequence[Mapping[str, str]]]


def _vectors(names: str, *rows: str) -> list[dict[str, str]]:
    return [dict(zip(names.split(), row.split(), strict=True)) for row in rows]


_EQ36 = "VC VI VA CR IR AR"
_GRAVEST: tuple[_Gravest, ...] = (
    {
        (0,): _vectors("AV PR UI", "N N N"),
        (1,): _vectors("AV PR UI", "A N N", "N L N", "N N P"),
        (2,): _vectors("AV PR UI", "P N N", "A L P"),
    },
    {(0,): _vectors("AC AT", "L N"), (1,): _vectors("AC AT", "H N", "L P")},
    {
        (0, 0): _vectors(_EQ36, "H H H H H H"),
        (0, 1): _vectors(_EQ36, "H H L M M H", "H H H M M M"),
        (1, 0): _vectors(_EQ36, "L H H H H H", "H L H H H H"),
        (1, 1): _vectors(_EQ36, "L H L H M H", "L H H H M M", "H L H M H M", "H L L M H H", "L L H H H M"),
        (2, 1): _vectors(_EQ36, "L L L H H H"),
    },
    {
        (0,): _vectors("SC SI SA", "H S S"),
        (1,): _vectors("SC SI SA", "H H H"),
        (2,): _vectors("SC SI SA", "L L L"),
    },
)
"""The gravest vectors of each level of EQ1, EQ2, EQ3 with EQ6, EQ4; EQ5 has a single metric and no distance."""
_DEPTH: tuple[Mapping[tuple[int, ...], int], ...] = (
    {(0,): 1, (1,): 4, (2,): 5},
    {(0,): 1, (1,): 2},
    {(0, 0): 7, (0, 1): 6, (1, 0): 8, (1, 1): 8, (2, 1): 10},
    {(0,): 6, (1,): 5, (2,): 4},
)
"""How many severity steps each level of these classes spans."""

_TABLE = """
    100 98 95 100 93 91 93 89 81   99 95 92 96 87 81 90 80 68   98 95 90 93 89 81 88 78 69
     95 92 84  92 81 65 80 70 48   92 82 72 79 69 50 69 55 27
     99 95 92  95 90 84 92 82 72   97 92 85 91 83 71 81 71 53   95 92 85 92 80 70 84 71 50
     93 85 73  82 72 59 70 52 30   86 75 52 71 52 29 63 29 17
     98 94 91  94 86 77 87 74 63   95 87 81 89 74 64 75 63 49   94 88 76 86 74 59 72 57 52
     89 77 67  76 58 50 57 52 25   83 70 54 65 58 26 53 21 13
     95 88 76  90 75 61 77 68 52   90 76 70 77 62 53 66 59 30   89 76 62 74 57 47 61 57 24
     78 67 58  59 57 23 52 29 16   71 59 30 58 26 15 23 13  6
     93 86 75  86 74 56 70 52 40   87 72 58 74 61 34 54 40 22   85 74 62 72 55 46 53 34 19
     75 55 51  57 41 19 36 19  8   64 51 20 47 21 11 24  9  4
     88 73 60  73 59 41 54 45 20   75 53 50 55 40 20 43 22 11   75 58 40 61 48 20 46 17  8
     55 45 21  51 18  9 18  7  2   53 24 14 24 12  5 10  3  1
"""
"""Scores of all macro vectors in tenths, by EQ1, EQ2, EQ3 with EQ6, EQ4, EQ5, the last running fastest."""
_SCORES = dict(
    zip(
        [
            (eq1, eq2, *eq36, eq4, eq5)
            for eq1 in range(3)
            for eq2 in range(2)
            for eq36 in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 1))
            for eq4 in range(3)
            for eq5 in range(3)
        ],
        map(int, _TABLE.split()),
        strict=True,
    )
)
_MACRO = tuple[int, int, int, int, int, int]


def score(text: str) -> int:
    """Return the score in tenths of all metrics that the vector gives.

    Raises :class:`scanner.cvss.UnusableVector`.
    """
    found = _effective(metrics(text, _KNOWN, _BASE))
    if all(found[name] == "N" for name in ("VC", "VI", "VA", "SC", "SI", "SA")):
        return 0
    macro = _macro_vector(found)
    eq1, eq2, eq3, eq6, eq4, _ = macro
    own = _SCORES[macro]
    proportions = []
    for gravest, depth, key in zip(_GRAVEST, _DEPTH, ((eq1,), (eq2,), (eq3, eq6), (eq4,)), strict=True):
        proportions.append(Fraction(_distance(found, gravest[key]), depth[key]))
    proportions.append(Fraction(0))
    taken = [
        (own - lower) * proportion
        for lower, proportion in zip(_lower(macro), proportions, strict=True)
        if lower is not None
    ]
    total = own - sum(taken, Fraction(0)) / len(taken) if taken else Fraction(own)
    return (total + Fraction(1, 2)).__floor__()


def _effective(given: Mapping[str, str]) -> dict[str, str]:
    """Return the metrics that score: modified ones before base ones, and the worst case where nothing is said."""
    found = {name: given[name] for name in _BASE}
    for name in _BASE:
        modified = given.get(f"M{name}", "X")
        if modified != "X":
            found[name] = modified
    for name, worst in (("E", "A"), ("CR", "H"), ("IR", "H"), ("AR", "H")):
        value = given.get(name, "X")
        found[name] = worst if value == "X" else value
    return found


def _macro_vector(found: Mapping[str, str]) -> _MACRO:
    """Return the levels EQ1, EQ2, EQ3, EQ6, EQ4, EQ5 (section 8.2)."""
    none = [found[name] == "N" for name in ("AV", "PR", "UI")]
    eq1 = 0 if all(none) else 1 if any(none) and found["AV"] != "P" else 2
    eq2 = 0 if (found["AC"], found["AT"]) == ("L", "N") else 1
    high = {name for name in ("VC", "VI", "VA") if found[name] == "H"}
    eq3 = 0 if {"VC", "VI"} <= high else 1 if high else 2
    eq4 = 0 if "S" in (found["SI"], found["SA"]) else 1 if "H" in (found["SC"], found["SI"], found["SA"]) else 2
    eq5 = "APU".index(found["E"])
    eq6 = 0 if any(found[f"{name[1]}R"] == "H" for name in high) else 1
    return eq1, eq2, eq3, eq6, eq4, eq5


def _lower(macro: _MACRO) -> list[int | None]:
    """Return the score of the next macro vector below in EQ1, EQ2, EQ3 with EQ6, EQ4, EQ5; ``None`` where none is."""
    eq1, eq2, eq3, eq6, eq4, eq5 = macro
    if (eq3, eq6) == (0, 0):
        beside = [_SCORES[eq1, eq2, 0, 1, eq4, eq5], _SCORES[eq1, eq2, 1, 0, eq4, eq5]]
        eq36: int | None = max(beside)
    else:
        below = (1, 1) if (eq3, eq6) == (1, 0) else (eq3 + 1, 1)
        eq36 = _SCORES.get((eq1, eq2, *below, eq4, eq5))
    return [
        _SCORES.get((eq1 + 1, eq2, eq3, eq6, eq4, eq5)),
        _SCORES.get((eq1, eq2 + 1, eq3, eq6, eq4, eq5)),
        eq36,
        _SCORES.get((eq1, eq2, eq3, eq6, eq4 + 1, eq5)),
        _SCORES.get((eq1, eq2, eq3, eq6, eq4, eq5 + 1)),
    ]


def _distance(found: Mapping[str, str], gravest: Sequence[Mapping[str, str]]) -> int:
    """Return how many severity steps a vector lies below the first of the gravest vectors that is above it."""
    distances = (
        [_ORDER[name].index(found[name]) - _ORDER[name].index(value) for name, value in vector.items()]
        for vector in gravest
    )
    return sum(next(steps for steps in distances if min(steps) >= 0))
