"""CVSS v3.0 and v3.1 base scores in integer tenths (FIRST, CVSS v3.1 specification, section 7.1 and appendix A).

All arithmetic is exact: metric weights are integers in hundredths or thousandths, so a score depends on no
floating-point unit. v3.0 and v3.1 differ in the rounding rule only, and on exact values both round up to the next
tenth.
"""

from fractions import Fraction

LEVELS = ("none", "low", "medium", "high", "critical")
"""Qualitative ratings in ascending order (section 5 of the specification)."""

_PREFIXES = ("CVSS:3.0/", "CVSS:3.1/")
_MAX_LENGTH = 512


def _hundredths(**weights: int) -> dict[str, Fraction]:
    return {value: Fraction(weight, 100) for value, weight in weights.items()}


_IMPACT = _hundredths(H=56, L=22, N=0)
_BASE: dict[str, dict[str, Fraction]] = {
    "AV": _hundredths(N=85, A=62, L=55, P=20),
    "AC": _hundredths(L=77, H=44),
    "PR": _hundredths(N=85, L=62, H=27),
    "UI": _hundredths(N=85, R=62),
    "S": _hundredths(U=0, C=1),
    "C": _IMPACT,
    "I": _IMPACT,
    "A": _IMPACT,
}
_PRIVILEGES_CHANGED = _hundredths(N=85, L=68, H=50)
_OPTIONAL = {
    "E": "XHFPU", "RL": "XUWTO", "RC": "XCRU", "CR": "XHML", "IR": "XHML", "AR": "XHML",
    "MAV": "XNALP", "MAC": "XLH", "MPR": "XNLH", "MUI": "XNR", "MS": "XUC", "MC": "XNLH", "MI": "XNLH", "MA": "XNLH",
}  # fmt: skip


class UnusableVector(Exception):
    """The text is not a CVSS v3 vector with a complete base group."""


def base_score(vector: str) -> int:
    """Return the base score of a CVSS v3.0 or v3.1 vector in tenths, 0 to 100.

    Raises :class:`UnusableVector` for any other version, an unknown or repeated metric or value, or a missing base
    metric.
    """
    metrics = _parse(vector)
    weights = {name: values[metrics[name]] for name, values in _BASE.items()}
    changed = metrics["S"] == "C"
    if changed:
        weights["PR"] = _PRIVILEGES_CHANGED[metrics["PR"]]
    missed = 1 - (1 - weights["C"]) * (1 - weights["I"]) * (1 - weights["A"])
    if changed:
        shifted = missed - Fraction(2, 100)
        impact = Fraction(752, 100) * (missed - Fraction(29, 1000)) - Fraction(325, 100) * shifted**15
    else:
        impact = Fraction(642, 100) * missed
    if impact <= 0:
        return 0
    exploitability = Fraction(822, 100) * weights["AV"] * weights["AC"] * weights["PR"] * weights["UI"]
    total = impact + exploitability
    if changed:
        total *= Fraction(108, 100)
    return _round_up(min(total, Fraction(10)))


def level(score: int) -> str:
    """Return the qualitative rating of a score in tenths."""
    if score == 0:
        return "none"
    if score < 40:
        return "low"
    if score < 70:
        return "medium"
    return "high" if score < 90 else "critical"


def _parse(vector: str) -> dict[str, str]:
    if len(vector) > _MAX_LENGTH or not vector.startswith(_PREFIXES):
        raise UnusableVector
    metrics: dict[str, str] = {}
    for part in vector.rstrip("/").split("/")[1:]:
        name, _, value = part.partition(":")
        known = _BASE.get(name) or _OPTIONAL.get(name, "")
        if len(value) != 1 or value not in known or name in metrics:
            raise UnusableVector
        metrics[name] = value
    if not _BASE.keys() <= metrics.keys():
        raise UnusableVector
    return metrics


def _round_up(score: Fraction) -> int:
    """Round up to tenths, after rounding to five decimals as the specification does."""
    hundred_thousandths = (score * 100_000 + Fraction(1, 2)).__floor__()
    return -(-hundred_thousandths // 10_000)
