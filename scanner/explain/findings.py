"""What changed in ``findings.json``, and why: findings and the lists beside them (docs/matching.md section 9)."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import attrgetter
from typing import Any

import msgspec

from scanner import difference
from scanner.difference import APPEARED, CHANGED, VANISHED, Cause, Change, Entry, entry, kind_of, pairs, pointer
from scanner.explain.causes import Causes, Gone, named
from scanner.explain.coverage import coverage_cause
from scanner.explain.pairing import (
    PackageKey,
    RecordKey,
    finding_pairs,
    package_key,
    record_keys,
    subject_of,
)
from scanner.explain.worlds import Cluster
from scanner.findings import Assembled
from scanner.outputs import (
    Finding,
    FindingsDocument,
    UndecidableEntry,
    VexEntry,
    WithdrawnEntry,
)

Listed = UndecidableEntry | WithdrawnEntry


class FindingChanges:
    """The differences between two findings documents."""

    def __init__(self, old: FindingsDocument, new: FindingsDocument, causes: Causes) -> None:
        self._old = old
        self._new = new
        self._causes = causes
        self._otherwise = causes.inputs.otherwise
        self._by_record = _by_record(old.findings), _by_record(new.findings)
        self._recorded_by_cluster: dict[Cluster, list[Finding]] = {}

    def entries(self) -> Iterator[Entry]:
        """Yield every difference."""
        if self._old.contract != self._new.contract:
            cause = self._otherwise()
            yield entry("/contract", difference.METADATA, "contract", cause, self._old.contract, self._new.contract)
        for left, right in finding_pairs(self._old.findings, self._new.findings):
            if right is None and left is not None:
                yield self._presence(self._old.findings[left], left, VANISHED)
            elif left is None and right is not None:
                yield self._presence(self._new.findings[right], right, APPEARED)
            elif left is not None and right is not None and self._old.findings[left] != self._new.findings[right]:
                yield from self._changed(self._old.findings[left], self._new.findings[right], right)
        yield from self._listed("undecidable", self._old.undecidable, self._new.undecidable)
        yield from self._listed("withdrawn", self._old.withdrawn, self._new.withdrawn)
        yield from self._not_evaluated()
        yield from self._unreadable()

    def _presence(self, finding: Finding, position: int, kind: str) -> Entry:
        """Explain a finding that only one side has."""
        cluster = self._cluster(finding)
        gone = self._no_longer_appears(finding, cluster) if kind == APPEARED else _is_back(finding)
        cause = self._causes.of(cluster, gone)
        cause = self._regrouped(finding, kind, cause) if cause else self._otherwise()
        action = finding.decision.action
        before, after = (None, action) if kind == APPEARED else (action, None)
        return entry(pointer("findings", position), kind, subject_of(finding), cause, before, after)

    def _changed(self, old: Finding, new: Finding, position: int) -> Iterator[Entry]:
        """Explain each member of a finding that differs."""
        cluster = self._cluster(old) or self._cluster(new)
        for field in msgspec.structs.fields(Finding):
            before, after = getattr(old, field.name), getattr(new, field.name)
            if before != after:
                cause = self._causes.of(cluster, self._is_as_before(old, new, field.name, cluster))
                if cause and cluster:
                    cause = self._merged(old, new, cluster, cause)
                place = pointer("findings", position, field.encode_name)
                yield entry(place, CHANGED, subject_of(new), cause or self._otherwise(before, after), before, after)

    def _cluster(self, finding: Finding) -> Cluster | None:
        return self._causes.cluster(package_key(finding.component), record_keys(finding))

    def _recorded(self, cluster: Cluster | None) -> list[Finding]:
        """Return the recorded findings of a cluster."""
        if cluster is None:
            return []
        if cluster not in self._recorded_by_cluster:
            self._recorded_by_cluster[cluster] = self._having(0, cluster.package, sorted(cluster.records))
        return self._recorded_by_cluster[cluster]

    def _having(self, side: int, package: PackageKey, records: Iterable[RecordKey]) -> list[Finding]:
        """Return the findings of a side that have one of some records, each once."""
        found = (one for key in records for one in self._by_record[side].get((package, key), ()))
        return list({one.id: one for one in found}.values())

    def _no_longer_appears(self, finding: Finding, cluster: Cluster | None) -> Gone:
        """Return the test that neither a finding nor what else its records give is new."""
        recorded = self._recorded(cluster)
        known, own = {one.id for one in recorded}, set(record_keys(finding))

        def gone(world: Assembled) -> bool:
            if finding.id not in known and any(one.id == finding.id for one in world.findings):
                return False
            fresh = [right for left, right in finding_pairs(recorded, world.findings) if left is None]
            return all(own.isdisjoint(record_keys(world.findings[right])) for right in fresh if right is not None)

        return gone

    def _is_as_before(self, old: Finding, new: Finding, name: str, cluster: Cluster | None) -> Gone:
        """Return the test that a member of a finding has its recorded value."""
        recorded = self._recorded(cluster)
        read: Callable[[Finding], Any] = attrgetter(name)
        if name == "vex" and _meaning(old.vex) != _meaning(new.vex):
            read = _meaning_of  # which document said so does not matter where what it said differs

        def gone(world: Assembled) -> bool:
            found = [
                right
                for left, right in finding_pairs(recorded, world.findings)
                if left is not None and recorded[left] is old
            ]
            return bool(found) and found[0] is not None and bool(read(world.findings[found[0]]) == read(old))

        return gone

    def _regrouped(self, finding: Finding, kind: str, cause: Cause) -> Cause:
        """Name a finding that did not come or go: its records are part of another finding on the other side."""
        side, package = (1 if kind == VANISHED else 0), package_key(finding.component)
        others = self._having(side, package, record_keys(finding))
        if not others:
            return cause
        other = others[0]
        if kind == VANISHED:
            return Cause(
                difference.ALIAS_MERGE, f"{finding.id} is part of {other.id} now: {cause.detail}", cause.changes
            )
        return Cause(difference.ALIAS_SPLIT, f"{finding.id} was part of {other.id}: {cause.detail}", cause.changes)

    def _merged(self, old: Finding, new: Finding, cluster: Cluster, cause: Cause) -> Cause:
        """Name a finding that swallowed or released another one, where that is what the cause undoes."""
        for name, whole, side, said in (
            (difference.ALIAS_MERGE, new, 0, "{} became one"),
            (difference.ALIAS_SPLIT, old, 1, "{} were one"),
        ):
            parts = self._having(side, cluster.package, record_keys(whole))
            if len(parts) < 2:
                continue
            undone = _touching(self._causes.undone(cluster, cause).findings, whole)
            together = len(undone) > 1 if name == difference.ALIAS_MERGE else len(undone) == 1
            if together:
                words = said.format(" and ".join(one.id for one in parts))
                return Cause(name, f"{words}: {cause.detail}", cause.changes)
        return cause

    def _listed(self, name: str, old: Sequence[Listed], new: Sequence[Listed]) -> Iterator[Entry]:
        """Explain the lists of records beside the findings."""

        def key(one: Listed) -> tuple[PackageKey, str, str]:
            return package_key(one.component), one.feed, one.id

        lines: dict[tuple[PackageKey, str, str], set[str]] = {}
        for each in old:
            lines.setdefault(key(each), set()).add(each.digest)
        for left, right in pairs(old, new, key):
            before = None if left is None else old[left]
            after = None if right is None else new[right]
            one = after or before
            if one is None or before == after:
                continue
            kind = kind_of(before, after)
            recorded = lines.get(key(one), set())
            read = attrgetter("undecided" if name == "undecidable" else name)
            found = self._causes.of_record(package_key(one.component), (one.feed, one.id), read, recorded)
            cause = found or self._otherwise(before, after)
            place = pointer(name, right if right is not None else left or 0)
            yield entry(place, kind, f"{one.id} {one.component.purl}", cause, before, after)

    def _not_evaluated(self) -> Iterator[Entry]:
        old, new = self._old.not_evaluated, self._new.not_evaluated
        for left, right in pairs(old, new, lambda one: one.ref):
            before = None if left is None else old[left]
            after = None if right is None else new[right]
            one = after or before
            if one is None or before == after:
                continue
            sides = self._causes.inputs.sides
            cause = (sides and coverage_cause(sides, one.ref, before)) or self._otherwise(before, after)
            place = pointer("notEvaluated", right if right is not None else left or 0)
            yield entry(place, kind_of(before, after), one.purl or one.name, cause, before, after)

    def _unreadable(self) -> Iterator[Entry]:
        old, new = self._old.unreadable, self._new.unreadable
        for left, right in pairs(old, new, lambda one: one):
            if right is None and left is not None:
                one, place, kind, name = old[left], left, VANISHED, difference.FEED_RECORD_REMOVED
            elif left is None and right is not None:
                one, place, kind, name = new[right], right, APPEARED, difference.FEED_RECORD_ADDED
            else:
                continue
            change = Change(
                id=f"feeds/{one.feed}/{one.digest}",
                cause=name,
                detail=f"unreadable record {one.digest} of feed {one.feed}",
            )
            found = named([change]) if self._causes.inputs.given and one.feed in self._causes.inputs.feeds else None
            yield entry(pointer("unreadable", place), kind, f"{one.feed} {one.digest}", found or self._otherwise())


def concerned(old: FindingsDocument, new: FindingsDocument) -> set[PackageKey]:
    """Return the packages whose findings, undecidable or withdrawn records differ."""
    before, after = _everything(old), _everything(new)
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


def _everything(document: FindingsDocument) -> dict[PackageKey, list[object]]:
    found: dict[PackageKey, list[object]] = {}
    listed: list[Finding | Listed] = [*document.findings, *document.undecidable, *document.withdrawn]
    for one in listed:
        found.setdefault(package_key(one.component), []).append(one)
    return found


def _by_record(findings: Iterable[Finding]) -> dict[tuple[PackageKey, RecordKey], list[Finding]]:
    found: dict[tuple[PackageKey, RecordKey], list[Finding]] = {}
    for finding in findings:
        for key in record_keys(finding):
            found.setdefault((package_key(finding.component), key), []).append(finding)
    return found


def _is_back(finding: Finding) -> Gone:
    return lambda world: any(one.id == finding.id for one in world.findings)


def _meaning(vex: VexEntry | None) -> tuple[str, str | None] | None:
    return (vex.status, vex.justification) if vex else None


def _meaning_of(finding: Finding) -> tuple[str, str | None] | None:
    return _meaning(finding.vex)


def _touching(findings: Iterable[Finding], whole: Finding) -> list[Finding]:
    own: set[RecordKey] = set(record_keys(whole))
    return [one for one in findings if not own.isdisjoint(record_keys(one))]
