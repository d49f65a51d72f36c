"""The cause of one difference: the changes that undo it, found by undoing them (docs/matching.md section 9.3)."""

from collections.abc import Callable, Collection, Iterable

from kit.errors import LimitExceeded
from scanner import difference
from scanner.candidates import Hit, Undecided
from scanner.difference import Cause, Change
from scanner.explain.inputs import Inputs
from scanner.explain.narrow import Exhausted, minimal
from scanner.explain.pairing import PackageKey, RecordKey
from scanner.explain.sides import Outcomes
from scanner.explain.worlds import Cluster, Worlds
from scanner.findings import Assembled

Gone = Callable[[Assembled], bool]
"""Tells whether a difference is gone in a world."""
Listing = Callable[[Outcomes], Iterable[Hit | Undecided]]
"""Picks one of the lists beside the findings."""

_ORDER = (
    difference.SBOM_COMPONENT,
    *difference.LEADING,
    difference.VEX_STATEMENT,
    difference.REACHABILITY_EVIDENCE,
    difference.POLICY_RULE,
)


class Causes:
    """Looks for causes in the worlds between two inputs; knows of none where the inputs are not at hand."""

    def __init__(self, inputs: Inputs, packages: Iterable[PackageKey]) -> None:
        self.inputs = inputs
        self._unnarrowed: dict[Cluster, Cause | None] = {}
        self.worlds: Worlds | None = None
        if inputs.sides:
            try:
                self.worlds = Worlds(*inputs.sides, packages)
            except LimitExceeded:  # each side is within the limits, and both together are not
                inputs.too_large = True

    def cluster(self, package: PackageKey, records: Iterable[RecordKey]) -> Cluster | None:
        """Return the records that a finding depends on."""
        return self.worlds.cluster(package, records) if self.worlds else None

    def of(self, cluster: Cluster | None, gone: Gone) -> Cause | None:
        """Return the smallest set of changes that undoes a difference, ``None`` where none does."""
        if self.worlds is None or cluster is None:
            return None
        worlds = self.worlds
        try:
            changes = worlds.changes(cluster)
            return named(
                [changes[name] for name in minimal(list(changes), lambda one: gone(worlds.world(cluster, one)))]
            )
        except Exhausted:
            if cluster not in self._unnarrowed:
                self._unnarrowed[cluster] = _unnarrowed(worlds, cluster)
            return self._unnarrowed[cluster]

    def undone(self, cluster: Cluster, cause: Cause) -> Assembled:
        """Return the world in which the changes of a cause are undone; an empty one once all work is spent."""
        try:
            worlds = self.worlds
            return worlds.world(cluster, frozenset(one.id for one in cause.changes)) if worlds else Assembled()
        except Exhausted:
            return Assembled()

    def of_record(
        self, package: PackageKey, record: RecordKey, read: Listing, recorded: Collection[str]
    ) -> Cause | None:
        """Return the cause of a difference in the lists beside the findings: a record, the component, or both.

        ``read`` tells which lines are in the list, ``recorded`` are those that were.
        """
        if self.worlds is None:
            return None
        worlds = self.worlds
        found = [one for one in (worlds.component_change(package), worlds.record(package, record)) if one is not None]

        def gone(undone: frozenset[str]) -> bool:
            return {one.digest for one in read(worlds.outcomes(package, record, undone))} == set(recorded)

        chosen = minimal([one.id for one in found], gone) if found else ()
        return named(one for one in found if one.id in chosen)


def named(changes: Iterable[Change]) -> Cause | None:
    """Return the cause that several changes are together, called after the leading one; ``None`` for none."""
    found = sorted(changes, key=lambda one: (_ORDER.index(one.cause), one.id))
    return Cause(found[0].cause, "; ".join(one.detail for one in found), tuple(found)) if found else None


def _unnarrowed(worlds: Worlds, cluster: Cluster) -> Cause | None:
    """Return what is left to say once all work is spent; the changes themselves would swell every entry."""
    try:
        changes = worlds.changes(cluster)
    except Exhausted:
        return Cause(worlds.leading(cluster), "more changes than can be listed, not narrowed down")
    if not changes:
        return None
    first = min(changes.values(), key=lambda one: _ORDER.index(one.cause))
    return Cause(first.cause, f"{len(changes)} changes, not narrowed down")
