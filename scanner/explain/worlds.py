"""Worlds between the recorded and the replayed one: a package evaluated again with some changes undone.

docs/matching.md section 9.3. A finding depends on the records of its package that are joined by aliases on either side,
on the statements about their names, on what the SBOM has between its subject and the package, on the evidence of
reachability and on the policy; so no more than these is evaluated.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from kit.errors import LimitExceeded
from scanner import difference, groups
from scanner.candidates import Judged, Target
from scanner.difference import Change
from scanner.explain import surroundings
from scanner.explain.evidence import EvidenceChanges
from scanner.explain.narrow import Budget, Exhausted
from scanner.explain.pairing import PackageKey, RecordKey
from scanner.explain.policies import PolicyChanges
from scanner.explain.records import record_change
from scanner.explain.sides import Judgements, Outcomes, Side, judged, view
from scanner.explain.statements import Revision, StatementChanges, Statements
from scanner.explain.surroundings import Part, Surroundings
from scanner.findings import Assembled, Given, assemble
from scanner.sbom import Sbom
from scanner.vex import VexIndex

MAX_WORK = 60_000
"""How many records and statements may be weighed to narrow causes down, all differences together."""
WORLD = 5
"""A world by itself is as much work as so many records."""
MAX_LISTED = 300_000
"""How many changes may be listed as possible causes, all findings together."""
MAX_COMPARED = 300_000
"""How many findings of a world may be held against the recorded ones, all differences together."""
SUBJECT = "sbom/subject"
SERIAL = "sbom/serial number"
_KEPT = 20_000
"""How many records the worlds that are kept may have, all together."""
_LIGHT = 8
"""So many edges, pieces of evidence, or rules that are not compiled anew, are as much work as one record."""
_LISTING = 5
"""To match one statement with one of the other side is as much work as to list so many changes."""
_NOTHING = Outcomes()
_ALONE = Part((), (), gap=False, components=())


class Cluster(msgspec.Struct, frozen=True, eq=False):
    """Records of one package that aliases may join on either side, and all their names; equal to itself alone."""

    package: PackageKey
    records: frozenset[RecordKey]
    names: tuple[str, ...]


class Worlds:
    """The two inputs, and every mixture of them."""

    def __init__(self, recorded: Side, replayed: Side, packages: Iterable[PackageKey]) -> None:
        self._sides = recorded, replayed
        chosen = [
            target
            for key in sorted(packages)
            if (target := recorded.targets.get(key) or replayed.targets.get(key)) is not None
        ]
        self._old = judged(recorded.given.feeds, chosen)
        self._new = judged(replayed.given.feeds, chosen)
        self._records = self._compared_records()
        self._clusters = dict(self._clustered())
        self._policy = PolicyChanges(recorded.rules, replayed.rules, (recorded.given.time, replayed.given.time))
        self._evidence = EvidenceChanges(recorded.evidence, replayed.evidence)
        names = {name for cluster in self._clusters.values() for name in cluster.names}
        self._statements = StatementChanges(*(Statements(side.given.vex, names) for side in self._sides))
        steps = Budget(surroundings.MAX_STEPS)
        self._surroundings = tuple(Surroundings(side.sbom, steps) for side in self._sides)
        self._parts: dict[tuple[PackageKey, int, int], Part] = {}
        self._changes: dict[Cluster, dict[str, Change]] = {}
        self._revisions: dict[Cluster, dict[str, list[Revision]]] = {}
        self._sizes: dict[Cluster, int] = {}
        self._worlds: dict[tuple[Cluster, frozenset[str]], Assembled] = {}
        self._kept = 0
        self._budget = Budget(MAX_WORK)
        self._listed = Budget(MAX_LISTED)
        self._compared = Budget(MAX_COMPARED)

    def cluster(self, package: PackageKey, records: Iterable[RecordKey]) -> Cluster | None:
        """Return the cluster that has one of a package's records."""
        return next((self._clusters[package, key] for key in records if (package, key) in self._clusters), None)

    def record(self, package: PackageKey, record: RecordKey) -> Change | None:
        """Return how a record differs, ``None`` where it says the same about a package."""
        old, new = _outcomes(self._old, package, record), _outcomes(self._new, package, record)
        return self._records[record] if old.digests != new.digests else None

    def outcomes(self, package: PackageKey, record: RecordKey, undone: frozenset[str]) -> Outcomes:
        """Return what a record says about a package with changes undone; nothing where the package is absent."""
        present = package in self._sides[0 if component_id(package) in undone else 1].targets
        judgements = self._old if record_id(record) in undone else self._new
        return _outcomes(judgements, package, record) if present else _NOTHING

    def changes(self, cluster: Cluster) -> Mapping[str, Change]:
        """Return the changes that can concern a cluster, by id, those first that are named first.

        Raises :class:`scanner.explain.narrow.Exhausted` once the work for all clusters is spent.
        """
        if cluster not in self._changes:
            statements = self._statements.count(cluster.names)
            others = len(self._evidence.changes) + self._policy.general
            self._listed.spend(1 + len(cluster.records) + statements * _LISTING + others)
            revisions = self._revisions[cluster] = self._statements.about(cluster.names)
            self._sizes[cluster] = sum(one.size for found in revisions.values() for one in found)
            self._changes[cluster] = {change.id: change for change in self._found(cluster)}
        return self._changes[cluster]

    def leading(self, cluster: Cluster) -> str:
        """Return the cause class of the first change that can concern a cluster, without listing the others."""
        component = self.component_change(cluster.package)
        if component is not None:
            return component.cause
        records = filter(None, (self.record(cluster.package, key) for key in cluster.records))
        causes = [one.cause for one in records]
        if causes:
            return min(causes, key=difference.LEADING.index)
        if self._statements.differ and self._statements.count(cluster.names):
            return difference.VEX_STATEMENT
        if self._evidence.changes:
            return difference.REACHABILITY_EVIDENCE
        return difference.POLICY_RULE if self._policy.changes else difference.SBOM_COMPONENT

    def world(self, cluster: Cluster, undone: frozenset[str]) -> Assembled:
        """Return the findings of a cluster as the replayed inputs give them with some changes undone.

        Raises :class:`scanner.explain.narrow.Exhausted` once the work for all clusters is spent.
        """
        self.changes(cluster)
        if (cluster, undone) not in self._worlds:
            self._kept += 1 + len(cluster.records)
            if self._kept > _KEPT:
                self._worlds.clear()
                self._kept = 0
            self._worlds[cluster, undone] = self._evaluated(cluster, undone)
        found = self._worlds[cluster, undone]
        self._compared.spend(1 + len(found.findings))
        return found

    def component_change(self, package: PackageKey) -> Change | None:
        """Return how a package's instances differ between the two SBOMs."""
        old, new = (side.targets.get(package) for side in self._sides)
        if old is None and new is None:
            return None
        if old is None or new is None:
            side, other = ("replayed", self._sides[0]) if old is None else ("recorded", self._sides[1])
            version = f" in version {package[3]}" if any(key[0] == package[0] for key in other.targets) else ""
            detail = f"{package[0]} is in the {side} SBOM only{version}"
        elif _instances(self._sides[0], old) != _instances(self._sides[1], new):
            word = "instances" if old.refs != new.refs else "owners"
            detail = f"{package[0]} has other {word} in the SBOM"
        else:
            return None
        return Change(id=component_id(package), cause=difference.SBOM_COMPONENT, detail=detail)

    def _compared_records(self) -> Mapping[RecordKey, Change]:
        """Return the records that do not say the same on both sides, with how they differ."""
        differing: set[RecordKey] = set()
        packages: set[tuple[str, str]] = set()
        for package in self._old.keys() | self._new.keys():
            old, new = self._old.get(package, {}), self._new.get(package, {})
            found = {
                key
                for key in old.keys() | new.keys()
                if old.get(key, _NOTHING).digests != new.get(key, _NOTHING).digests
            }
            differing |= found
            packages |= {package[1:3]} if found else set()
        before, after = (view(side.given.feeds, packages, differing) for side in self._sides)
        return {key: record_change(before, after, key) for key in differing}

    def _clustered(self) -> Iterator[tuple[tuple[PackageKey, RecordKey], Cluster]]:
        for package in sorted(self._old.keys() | self._new.keys()):
            hits = [
                hit
                for side in (self._old, self._new)
                for outcomes in side.get(package, {}).values()
                for hit in outcomes.hits
            ]
            for group in groups.group(hits):
                names = {name for hit in group for name in (hit.id, *hit.aliases, *hit.upstream)}
                records = frozenset((hit.feed, hit.id) for hit in group)
                cluster = Cluster(package, records, tuple(sorted(names)))
                yield from (((package, key), cluster) for key in records)

    def _found(self, cluster: Cluster) -> Iterator[Change]:
        """Yield the changes that can concern a cluster."""
        component = self.component_change(cluster.package)
        if component is not None:
            yield component
        records = filter(None, (self.record(cluster.package, key) for key in cluster.records))
        yield from sorted(records, key=lambda one: (difference.LEADING.index(one.cause), one.id))
        revisions = self._revisions[cluster]
        yield from self._statements.changes(revisions)
        yield from self._evidence.changes.values()
        for name in self._policy.about(cluster.names, cluster.package[1:3]):
            yield self._policy.changes[name]
        if revisions:
            yield from self._around(cluster.package)
        yield from self._statements.whole(revisions)

    def _around(self, package: PackageKey) -> Iterator[Change]:
        """Yield what differs between the SBOMs around a package, as far as statements depend on it."""
        if self._subjects_differ():
            yield Change(id=SUBJECT, cause=difference.SBOM_COMPONENT, detail="the SBOM has another subject")
        old, new = (side.sbom.bom_link for side in self._sides)
        if old != new:
            yield Change(id=SERIAL, cause=difference.SBOM_COMPONENT, detail="the SBOM has another serial number")
        if any(self._part(package, own, 0) != self._part(package, own, 1) for own in (0, 1)):
            said = f"other components or dependencies lead to {package[0]} in the SBOM"
            yield Change(id=graph_id(package), cause=difference.SBOM_COMPONENT, detail=said)

    def _subjects_differ(self) -> bool:
        old, new = (side.sbom.subject for side in self._sides)
        return (old and (old.ref, old.purl, old.version)) != (new and (new.ref, new.purl, new.version))

    def _part(self, package: PackageKey, own: int, around: int) -> Part:
        """Return what leads, on the side ``around``, to the instances of a package that the side ``own`` has."""
        key = package, own, around
        if key not in self._parts:
            target = self._sides[own].targets.get(package)
            self._parts[key] = self._surroundings[around].leading_to(target.refs if target else ())
        return self._parts[key]

    def _evaluated(self, cluster: Cluster, undone: frozenset[str]) -> Assembled:
        side = self._sides[0 if component_id(cluster.package) in undone else 1]
        target = side.targets.get(cluster.package)
        revisions = self._revisions[cluster]
        of_policy = undone.intersection(self._policy.changes)
        rules = self._policy.size if of_policy else self._policy.size // _LIGHT
        evidence = len(self._evidence.changes) // _LIGHT
        self._budget.spend(WORLD + len(cluster.records) + self._sizes[cluster] + rules + evidence)
        if target is None:
            return Assembled()
        hits = [
            hit
            for key in sorted(cluster.records)
            for hit in _outcomes(self._old if record_id(key) in undone else self._new, cluster.package, key).hits
        ]
        given = Given(
            self._sbom(cluster, side, target, undone),
            VexIndex(self._statements.mixed(revisions, undone)),
            self._evidence.undone(undone.intersection(self._evidence.changes)),
            self._policy.undone(of_policy),
            self._policy.time(undone),
        )
        try:
            return assemble(Judged(hits={0: hits}), [target], given)
        except LimitExceeded:  # one policy serves many worlds, and counts for all of them
            raise Exhausted from None

    def _sbom(self, cluster: Cluster, side: Side, target: Target, undone: frozenset[str]) -> Sbom:
        """Return a package and what is around it, of the SBOMs of both sides."""
        part = _ALONE
        if self._revisions[cluster]:
            own = 0 if component_id(cluster.package) in undone else 1
            part = self._part(cluster.package, own, 0 if graph_id(cluster.package) in undone else 1)
            self._budget.spend(len(target.refs) * (part.size // _LIGHT))
        instances = [side.components[ref] for ref in target.refs]
        subject, serial = (self._sides[0 if name in undone else 1].sbom for name in (SUBJECT, SERIAL))
        return surroundings.mixed(side.sbom, instances, part, subject.subject, serial.bom_link)


def record_id(record: RecordKey) -> str:
    """Return the id of the change of a record."""
    return f"feeds/{record[0]}/{record[1]}"


def component_id(package: PackageKey) -> str:
    """Return the id of the change of a package's instances."""
    return f"sbom/components/{package[0]}"


def graph_id(package: PackageKey) -> str:
    """Return the id of the change of what leads to a package."""
    return f"sbom/paths to {package[0]}"


def _outcomes(judgements: Judgements, package: PackageKey, record: RecordKey) -> Outcomes:
    return judgements.get(package, {}).get(record, _NOTHING)


def _instances(side: Side, target: Target) -> list[tuple[str, bool]]:
    """Return what of the instances of a package a finding depends on."""
    return [(ref, side.components[ref].owner is not None) for ref in target.refs]
