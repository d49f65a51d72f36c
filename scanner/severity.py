"""How grave a finding is, from what its records say (docs/matching.md section 8.3).

Of a record, the newest version of CVSS that it has a usable vector of counts; a word stands in for a record without
one. Of a finding, the gravest record counts. Other scales are carried in the output, unscored: then the level is
``unknown`` with a reason, never a guess.
"""

from collections.abc import Iterable
from functools import lru_cache

from scanner import cvss
from scanner.candidates import Hit
from scanner.groups import rank
from scanner.outputs import SeverityEntry

UNKNOWN = "unknown"
_WORDS = {"low": "low", "moderate": "medium", "medium": "medium", "high": "high", "critical": "critical"}
_VERSIONS = {"CVSS_V2": ("2.0",), "CVSS_V3": ("3.0", "3.1"), "CVSS_V4": ("4.0",)}
"""Types of the OSV schema, and the versions of the standard whose vectors they hold."""


def assess(hits: Iterable[Hit]) -> SeverityEntry:
    """Return the gravest severity of a finding's records; equal ones by the record's id and feed.

    Without any, the reason is ``no-severity``, ``unscored-vector`` (another scale) or ``unusable-vector``.
    """
    rated: list[tuple[int, int, tuple[int, str], str, SeverityEntry]] = []
    reasons = {"no-severity"}
    for hit in hits:
        best = _scored(hit, reasons)
        if best is None and hit.severity_word in _WORDS:
            best = SeverityEntry(level=_WORDS[hit.severity_word], feed=hit.feed, record=hit.id)
        if best is not None:
            rated.append((-cvss.LEVELS.index(best.level), -(best.score or 0), rank(hit.id), hit.feed, best))
    if rated:
        return min(rated, key=lambda one: one[:4])[-1]
    return SeverityEntry(level=UNKNOWN, reason=max(reasons))


def _scored(hit: Hit, reasons: set[str]) -> SeverityEntry | None:
    """Return a record's highest score by its newest CVSS version; ``reasons`` gathers why there is none."""
    best: tuple[str, int] | None = None
    entry: SeverityEntry | None = None
    for one in hit.severity:
        if one.type not in _VERSIONS:
            reasons.add("unscored-vector")
            continue
        found = _score(one.score)
        if found is None or found.version not in _VERSIONS[one.type]:
            reasons.add("unusable-vector")
        elif best is None or (found.version, found.tenths) > best:
            best = found.version, found.tenths
            entry = SeverityEntry(level=found.level, score=found.tenths, vector=one.score, feed=hit.feed, record=hit.id)
    return entry


@lru_cache(maxsize=1 << 12)
def _score(vector: str) -> cvss.Score | None:
    try:
        return cvss.score(vector)
    except cvss.UnusableVector:
        return None
