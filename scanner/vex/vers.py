"""Version ranges as VEX documents write them: ``vers`` of the Package URL project (docs/matching.md section 6.1.4).

The order is that of scanner.versions; what it cannot order is not evaluated, so nothing is guessed here.
"""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from urllib.parse import unquote

from scanner.versions import Unparsable, comparator_name, key

MAX_LENGTH: Final = 4_096

_COMPARATORS: Final = ("<=", ">=", "!=", "<", ">", "=")
_HOLDS_ITSELF: Final = frozenset({"=", "<=", ">="})
_LOWER: Final = frozenset({">", ">="})
# Ecosystems whose versions are SemVer, give or take the prefix that their own scheme knows.
_SEMVER: Final = frozenset({"go", "semver"})


class Unevaluable(Exception):
    """A range says nothing that can be computed here; the argument says why. Never leaves the scanner."""


@dataclass(frozen=True, slots=True)
class Range:
    """A range of one ecosystem's versions; equal where ecosystem and text are."""

    ecosystem: str
    text: str
    _points: Mapping[Any, bool] = field(compare=False, repr=False)
    _bounds: tuple[tuple[Any, bool], ...] = field(compare=False, repr=False)
    """Versions between which membership changes, ascending, with what holds above each."""

    def holds(self, version: str) -> bool:
        """Tell whether a version is in the range; a text that is no version is in none, except in ``*``."""
        if not self._points:
            return True
        try:
            place = key(self.ecosystem, version)
        except Unparsable:
            return False
        if place in self._points:
            return self._points[place]
        if not self._bounds:
            return False
        below = bisect_left(self._bounds, place, key=lambda bound: bound[0])
        return self._bounds[below - 1][1] if below else not self._bounds[0][1]


@lru_cache(maxsize=1 << 12)
def read_range(text: str, kind: str, ecosystem: str) -> Range:
    """Read ``vers:<scheme>/<constraint>|…`` about a package of a Package URL type and an ecosystem.

    The scheme is the type, or ``semver`` where the ecosystem's versions are; ``Unevaluable`` for any other, for texts
    that are no versions there, and for constraints that are not in the specification's canonical form.
    """
    if len(text) > MAX_LENGTH:
        raise Unevaluable("too long")
    prefix, _, rest = "".join(text.split()).partition(":")
    scheme, slash, listed = rest.partition("/")
    if prefix != "vers" or not slash or not listed:
        raise Unevaluable("not a vers range")
    order = comparator_name(ecosystem)
    if order is None or not (scheme == kind or (scheme == "semver" and order in _SEMVER)):
        raise Unevaluable(f"no order for {scheme[:40]!a} in {ecosystem[:40]!a}")
    if listed == "*":
        return Range(ecosystem, text, {}, ())
    constraints = [_constraint(part, ecosystem) for part in listed.split("|")]
    points = {place: comparator in _HOLDS_ITSELF for comparator, place in constraints}
    if len(points) != len(constraints):
        raise Unevaluable("a version is named twice")
    bounds = sorted(
        ((place, comparator in _LOWER) for comparator, place in constraints if comparator not in {"=", "!="}),
        key=lambda bound: bound[0],
    )
    if any(lower == following for (_, lower), (_, following) in pairwise(bounds)):
        raise Unevaluable("bounds do not alternate")
    if not bounds and not any(points.values()):
        raise Unevaluable("nothing but exclusions")
    return Range(ecosystem, text, points, tuple(bounds))


def _constraint(text: str, ecosystem: str) -> tuple[str, Any]:
    """Return comparator and key of one constraint; no comparator is ``=``."""
    comparator = next((one for one in _COMPARATORS if text.startswith(one)), "")
    try:
        return comparator or "=", key(ecosystem, unquote(text[len(comparator) :], errors="strict"))
    except (Unparsable, UnicodeDecodeError):
        raise Unevaluable(f"no version of {ecosystem[:40]}: {text[:80]!a}") from None
