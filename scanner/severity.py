"""How grave a finding is, from what its records say (docs/matching.md section 8.3).

CVSS v3 vectors are scored here; a word in ``database_specific.severity`` stands in for a record without one. Other
vectors are carried in the output, unscored: then the level is ``unknown`` with a reason, never a guess.
"""

from collections.abc import Iterable
from functools import lru_cache

from scanner import cvss
from scanner.candidates import Hit
from scanner.groups import rank
from scanner.outputs import SeverityEntry

UNKNOWN = "unknown"
_WORDS = {"low": "low", "moderate": "medium", "medium": "medium", "high": "high", "critical": "critical"}


def assess(hits: Iterable[Hit]) -> SeverityEntry:
    """Return the gravest severity of a finding's records; equal ones by the record's id and feed.

    Without any, the reason is ``no-severity``, ``unscored-vector`` (another CVSS version or scale) or
    ``unusable-vector``.
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
    """Return a record's highest CVSS v3 score; ``reasons`` gathers why there is none."""
    best: SeverityEntry | None = None
    for one in hit.severity:
        if one.type != "CVSS_V3":
            reasons.add("unscored-vector")
            continue
        score = _base_score(one.score)
        if score is None:
            reasons.add("unusable-vector")
        elif best is None or score > (best.score or 0):
            best = SeverityEntry(level=cvss.level(score), score=score, vector=one.score, feed=hit.feed, record=hit.id)
    return best


@lru_cache(maxsize=1 << 12)
def _base_score(vector: str) -> int | None:
    try:
        return cvss.base_score(vector)
    except cvss.UnusableVector:
        return None
