"""Paths from the subject of an SBOM to a component (docs/matching.md section 6.4)."""

from collections.abc import Container
from typing import Final

from kit.errors import LimitExceeded
from scanner.foreign import Skipped
from scanner.sbom.model import Sbom

MAX_STEPS: Final = 20_000_000
"""How many edges, for all findings of a scan together, may be followed."""

_COMPLETE: Final = frozenset({"other-purl"})
"""What may be missing from an SBOM without hiding a path."""


class Paths:
    """The dependency graph of an SBOM, upwards from its components.

    Every component is reached from the subject: one without incoming edges directly, and so is each of those that are
    reached from none of these. ``usable`` is false where nothing can be said of *all* paths: without a subject or
    edges, or where parts of the SBOM were not read.
    """

    def __init__(self, sbom: Sbom) -> None:
        self._above: dict[str, list[str]] = {}
        self._entries: frozenset[str] = frozenset()
        self._left = MAX_STEPS
        self.usable = sbom.subject is not None and bool(sbom.dependencies) and gap(sbom) is None
        if sbom.subject is None or not self.usable:
            return
        for source, targets in sbom.dependencies:
            for target in targets:
                self._above.setdefault(target, []).append(source)
        below = dict(sbom.dependencies)
        entries = {one.ref for one in sbom.components if one.ref not in self._above} | {sbom.subject.ref}
        reached = set(entries)
        pending = list(entries)
        while pending:
            for target in below.get(pending.pop(), ()):
                if target not in reached:
                    reached.add(target)
                    pending.append(target)
        self._entries = frozenset(entries.union(one.ref for one in sbom.components if one.ref not in reached))

    def spend(self, steps: int) -> None:
        """Count work in the graph; LimitExceeded."""
        self._left -= steps
        if self._left < 0:
            raise LimitExceeded(detail="edges followed for VEX statements", expected=MAX_STEPS)

    def above(self, ref: str) -> set[str]:
        """Return all components on any path to a component."""
        return self._climb(ref, frozenset())[0]

    def cut(self, ref: str, blocked: Container[str]) -> list[str]:
        """Return the blocked components nearest to a component, sorted, if every path to it has one; else nothing."""
        reached, met = self._climb(ref, blocked)
        if not self._entries.isdisjoint(reached | {ref}):
            return []
        return sorted(met)

    def _climb(self, ref: str, blocked: Container[str]) -> tuple[set[str], set[str]]:
        """Return what is above a component up to those that are blocked, and the blocked ones that were met."""
        reached: set[str] = set()
        met: set[str] = set()
        pending = [ref]
        while pending:
            sources = self._above.get(pending.pop(), ())
            self.spend(1 + len(sources))
            for source in sources:
                if source in blocked:
                    met.add(source)
                elif source not in reached:
                    reached.add(source)
                    pending.append(source)
        reached.discard(ref)
        return reached, met - {ref}


def gap(sbom: Sbom) -> Skipped | None:
    """Return the first part of an SBOM that was not read and may hide a path, ``None`` where there is none."""
    return next((one for one in sbom.skipped if one.reason not in _COMPLETE), None)
