"""CVSS v3.0 and v3.1 base scores (FIRST, CVSS v3.1 specification, section 7.1 and appendix A).

The two versions differ in the rounding rule only, and on exact values both round up to the next tenth.
"""

from fractions import Fraction

from scanner.cvss.vector import metrics


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
_KNOWN = {name: tuple(values) for name, values in (_BASE | _OPTIONAL).items()}


def score(text: str) -> int:
    """Return the base score in tenths; raises :class:`scanner.cvss.UnusableVector`."""
    found = metrics(text, _KNOWN, _BASE)
    weights = {name: values[found[name]] for name, values in _BASE.items()}
    changed = found["S"] == "C"
    if changed:
        weights["PR"] = _PRIVILEGES_CHANGED[found["PR"]]
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


def _round_up(total: Fraction) -> int:
    """Round up to tenths, after rounding to five decimals as the specification does."""
    hundred_thousandths = (total * 100_000 + Fraction(1, 2)).__floor__()
    return -(-hundred_thousandths // 10_000)
