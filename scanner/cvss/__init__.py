"""CVSS scores of all four versions, exact, in integer tenths (docs/matching.md section 8.3).

v2, v3.0 and v3.1 give the base score, whatever further metrics the vector has. v4.0 has one scoring function, which
takes every metric that the vector gives (FIRST, CVSS v4.0 specification, section 8). Weights are integers and
fractions, so that no score depends on a floating-point unit.
"""

import msgspec

from scanner.cvss import v2, v3, v4
from scanner.cvss.vector import UnusableVector

__all__ = ["LEVELS", "Score", "UnusableVector", "base_score", "level", "score"]

LEVELS = ("none", "low", "medium", "high", "critical")
"""Qualitative ratings in ascending order (CVSS v3.1 section 5, v4.0 section 6)."""

_SCORERS = {"CVSS:3.0/": ("3.0", v3.score), "CVSS:3.1/": ("3.1", v3.score), "CVSS:4.0/": ("4.0", v4.score)}


class Score(msgspec.Struct, frozen=True):
    """A scored vector: version of the standard, score in tenths (0 to 100), rating."""

    version: str
    tenths: int
    level: str


def score(vector: str) -> Score:
    """Return the score of a vector of any version; one of v2 has no prefix.

    Raises :class:`UnusableVector` for an unknown version, an unknown or repeated metric or value, or a missing base
    metric.
    """
    prefix = vector[:9]
    if prefix in _SCORERS:
        version, scorer = _SCORERS[prefix]
        tenths = scorer(vector[9:])
        return Score(version, tenths, level(tenths))
    tenths = v2.score(vector)
    return Score("2.0", tenths, _level_of_v2(tenths))


def base_score(vector: str) -> int:
    """Return a vector's score in tenths; raises as :func:`score` does."""
    return score(vector).tenths


def level(tenths: int) -> str:
    """Return the qualitative rating of a v3 or v4 score in tenths."""
    if tenths == 0:
        return "none"
    if tenths < 40:
        return "low"
    if tenths < 70:
        return "medium"
    return "high" if tenths < 90 else "critical"


def _level_of_v2(tenths: int) -> str:
    """Return the rating that the NVD gives v2 scores, whose standard has none: there is no critical, and no none."""
    if tenths < 40:
        return "low"
    return "medium" if tenths < 70 else "high"
