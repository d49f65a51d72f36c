"""CVSS v2 base scores (FIRST, A Complete Guide to CVSS v2.0, section 3.2.1)."""

from fractions import Fraction

from scanner.cvss.vector import metrics

_IMPACT = {"N": 0, "P": 275, "C": 660}
_BASE = {
    "AV": {"L": 395, "A": 646, "N": 1000},
    "AC": {"H": 350, "M": 610, "L": 710},
    "Au": {"M": 450, "S": 560, "N": 704},
    "C": _IMPACT,
    "I": _IMPACT,
    "A": _IMPACT,
}
"""Weights in thousandths."""
_REQUIREMENT = ("L", "M", "H", "ND")
_KNOWN = {name: tuple(values) for name, values in _BASE.items()} | {
    "E": ("U", "POC", "F", "H", "ND"),
    "RL": ("OF", "TF", "W", "U", "ND"),
    "RC": ("UC", "UR", "C", "ND"),
    "CDP": ("N", "L", "LM", "MH", "H", "ND"),
    "TD": ("N", "L", "M", "H", "ND"),
    "CR": _REQUIREMENT,
    "IR": _REQUIREMENT,
    "AR": _REQUIREMENT,
}


def score(text: str) -> int:
    """Return the base score in tenths; raises :class:`scanner.cvss.UnusableVector`."""
    found = metrics(text, _KNOWN, _BASE)
    weight = {name: Fraction(values[found[name]], 1000) for name, values in _BASE.items()}
    impact = Fraction(1041, 100) * (1 - (1 - weight["C"]) * (1 - weight["I"]) * (1 - weight["A"]))
    if not impact:
        return 0
    exploitability = 20 * weight["AV"] * weight["AC"] * weight["Au"]
    total = (Fraction(6, 10) * impact + Fraction(4, 10) * exploitability - Fraction(3, 2)) * Fraction(1176, 1000)
    return (total * 10 + Fraction(1, 2)).__floor__()
