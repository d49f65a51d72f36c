"""Why a component can be evaluated, or cannot be any more (docs/matching.md section 9.2)."""

from collections.abc import Iterator

from scanner import difference
from scanner.candidates import Unevaluated
from scanner.difference import Cause, Change
from scanner.explain.causes import named
from scanner.explain.narrow import minimal
from scanner.explain.sides import Side, not_evaluated
from scanner.identity import Package
from scanner.outputs import NotEvaluatedEntry


def coverage_cause(sides: tuple[Side, Side], ref: str, recorded: NotEvaluatedEntry | None) -> Cause | None:
    """Return what made a component's entry among the unevaluated ones differ: the component, feeds, or both.

    ``recorded`` is that entry on the recorded side.
    """
    old, new = sides
    component = Change(
        id=f"sbom/components/{ref}",
        cause=difference.SBOM_COMPONENT,
        detail=f"component {ref} differs between the SBOMs",
    )
    feeds = {change.id: (name, ecosystem, change) for name, ecosystem, change in _feeds(sides, ref)}

    def gone(undone: frozenset[str]) -> bool:
        covering = {ecosystem: set(names) for ecosystem, names in new.covered.items()}
        for one in undone.intersection(feeds):
            name, ecosystem, _ = feeds[one]
            covering.setdefault(ecosystem, set()).symmetric_difference_update({name})
        covered = {ecosystem for ecosystem, names in covering.items() if names}
        found = not_evaluated(old if component.id in undone else new, ref, covered)
        return _said(found) == _said(recorded)

    changes = {component.id: component} | {one: change for one, (_, _, change) in feeds.items()}
    return named(changes[one] for one in minimal(list(changes), gone))


def _feeds(sides: tuple[Side, Side], ref: str) -> Iterator[tuple[str, str, Change]]:
    """Yield the feeds that cover the component's ecosystem on one side only."""
    old, new = sides
    packages = (side.components[ref].package for side in sides if ref in side.components)
    for ecosystem in sorted({package.ecosystem for package in packages if isinstance(package, Package)}):
        before, after = old.covered.get(ecosystem, frozenset()), new.covered.get(ecosystem, frozenset())
        for name in sorted(before ^ after):
            cause = difference.FEED_RECORD_ADDED if name in after else difference.FEED_RECORD_REMOVED
            said = f"feed {name} covers {ecosystem} {'now' if name in after else 'no more'}"
            yield name, ecosystem, Change(id=f"feeds/{name}/covers {ecosystem}", cause=cause, detail=said)


def _said(entry: Unevaluated | NotEvaluatedEntry | None) -> tuple[str, str] | None:
    return (entry.reason, entry.detail or "") if entry else None
