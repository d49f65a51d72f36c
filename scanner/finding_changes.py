"""What changed in ``findings.json``, and why: findings and the lists beside them (docs/matching.md section 9.2)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from scanner import difference
from scanner.attribution import Inputs, Views, change, gravest, view
from scanner.difference import APPEARED, CHANGED, VANISHED, Cause, Entry, entry, pairs, pointer
from scanner.findings import decision_entry, facts
from scanner.outputs import (
    Finding,
    FindingsDocument,
    NotEvaluatedEntry,
    PackageEntry,
    UndecidableEntry,
    WithdrawnEntry,
)

PackageKey = tuple[str, str, str, str]
_RecordKey = tuple[str, str]
_Listed = UndecidableEntry | WithdrawnEntry


def package_key(package: PackageEntry) -> PackageKey:
    """Return what identifies a package in the outputs."""
    return package.purl, package.ecosystem, package.package, package.version


class FindingChanges:
    """The differences between two findings documents.

    ``purls`` are the package URLs of the recorded and of the replayed SBOM.
    ``causes`` says why the findings of a package changed, by (package, finding id), for what follows from that
    elsewhere; it fills as the entries are taken.
    """

    def __init__(
        self,
        old: FindingsDocument,
        new: FindingsDocument,
        inputs: Inputs,
        purls: tuple[frozenset[str], frozenset[str]],
    ) -> None:
        self.causes: dict[tuple[PackageKey, str], Cause] = {}
        self._old = old
        self._new = new
        self._inputs = inputs
        self._old_purls, self._new_purls = purls
        self._pairs = list(_finding_pairs(old.findings, new.findings))
        self._old_by_record = _by_record(old.findings)
        self._new_by_record = _by_record(new.findings)
        self._before, self._after = self._views()

    def entries(self) -> Iterator[Entry]:
        """Yield every difference."""
        if self._old.contract != self._new.contract:
            yield entry(
                "/contract",
                difference.METADATA,
                "contract",
                self._inputs.otherwise(),
                self._old.contract,
                self._new.contract,
            )
        for left, right in self._pairs:
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

    def _views(self) -> tuple[Views, Views]:
        """Return the records of both sides that have to do with a difference."""
        concerned: dict[PackageKey, PackageEntry] = {}
        for left, right in self._pairs:
            old = None if left is None else self._old.findings[left]
            new = None if right is None else self._new.findings[right]
            if old != new:
                concerned.update((package_key(one.component), one.component) for one in (old, new) if one)
        mentioned: list[tuple[PackageEntry, _RecordKey]] = []
        for document in (self._old, self._new):
            mentioned += [(one.component, key) for one in document.findings for key in _records(one)]
        for before, after in (
            (self._old.undecidable, self._new.undecidable),
            (self._old.withdrawn, self._new.withdrawn),
        ):
            if before != after:
                listed: list[_Listed] = [*before, *after]
                concerned.update((package_key(one.component), one.component) for one in listed)
                mentioned += [(one.component, (one.feed, one.id)) for one in listed]
        packages = {(one.ecosystem, one.package) for one in concerned.values()}
        wanted = {record for package, record in mentioned if package_key(package) in concerned}
        feeds = self._inputs
        return view(feeds.recorded.feeds, packages, wanted), view(feeds.replayed.feeds, packages, wanted)

    def _presence(self, finding: Finding, position: int, kind: str) -> Entry:
        """Explain a finding that only one side has."""
        relatives = self._old_by_record if kind == APPEARED else self._new_by_record
        cause = (
            self._component_cause(finding.component.purl, kind)
            or self._record_cause([finding])
            or self._regrouping(finding, relatives)
            or self._inputs.otherwise()
        )
        self.causes[package_key(finding.component), finding.id] = cause
        action = finding.decision.action
        before, after = (None, action) if kind == APPEARED else (action, None)
        return entry(pointer("findings", position), kind, _subject(finding), cause, before, after)

    def _changed(self, old: Finding, new: Finding, position: int) -> Iterator[Entry]:
        """Explain each field of a finding that differs."""
        for field in msgspec.structs.fields(Finding):
            before, after = getattr(old, field.name), getattr(new, field.name)
            if before != after:
                cause = self._field_cause(field.name, old, new)
                self.causes.setdefault((package_key(new.component), new.id), cause)
                place = pointer("findings", position, field.encode_name)
                yield entry(place, CHANGED, _subject(new), cause, before, after)

    def _field_cause(self, name: str, old: Finding, new: Finding) -> Cause:
        before, after = getattr(old, name), getattr(new, name)
        cause: Cause | None
        if name == "decision":
            cause = self._decision_cause(old, new)
        elif name == "vex":
            cause = self._vex_cause(old, new)
        elif name in {"component", "owned_by_os_package"}:
            cause = (difference.SBOM_COMPONENT, "other instances in the SBOM") if self._inputs.sbom else None
        elif name == "reachability":
            cause = self._reachability_cause()
        else:
            cause = self._feed_cause(old, new)
        return cause or self._inputs.otherwise(before, after)

    def _decision_cause(self, old: Finding, new: Finding) -> Cause | None:
        """Tell a policy that decides otherwise about the same facts from facts that changed."""
        if self._inputs.policy:
            same_facts = decision_entry(self._inputs.replayed_rules.decide(facts(old)))
            if same_facts != old.decision:
                return difference.POLICY_RULE, f"{_decider(old)} -> {_decider(new)}"
        if old.vex != new.vex:
            return self._vex_cause(old, new)
        if old.reachability != new.reachability:
            return self._reachability_cause()
        return self._feed_cause(old, new)

    def _reachability_cause(self) -> Cause | None:
        varied = self._inputs.reachability
        return (difference.REACHABILITY_EVIDENCE, "graphs or traces") if varied else None

    def _vex_cause(self, old: Finding, new: Finding) -> Cause | None:
        if self._inputs.vex:
            return difference.VEX_STATEMENT, self._inputs.vex
        if (old.id, old.aliases) != (new.id, new.aliases):
            return self._feed_cause(old, new)
        if self._inputs.policy:
            return difference.POLICY_RULE, "order of trust"
        return (difference.SBOM_COMPONENT, "the SBOM's subject") if self._inputs.sbom else None

    def _feed_cause(self, old: Finding, new: Finding) -> Cause | None:
        return self._record_cause([old, new]) or self._regrouping(old, self._new_by_record)

    def _record_cause(self, findings: Iterable[Finding]) -> Cause | None:
        """Return what became of the records of findings."""
        return gravest(
            change(self._before, self._after, (record.feed, record.id), record.digest)
            for finding in findings
            for record in finding.records
        )

    def _regrouping(
        self, finding: Finding, relatives: Mapping[tuple[PackageKey, _RecordKey], list[Finding]]
    ) -> Cause | None:
        """Explain records that are themselves unchanged by those with which the other side groups them."""
        package = package_key(finding.component)
        cause = self._record_cause(one for key in _records(finding) for one in relatives.get((package, key), ()))
        return (cause[0], f"regrouped: {cause[1]}") if cause else None

    def _component_cause(self, purl: str, kind: str) -> Cause | None:
        other, side = (self._old_purls, "replayed") if kind == APPEARED else (self._new_purls, "recorded")
        if self._inputs.sbom and purl not in other:
            return difference.SBOM_COMPONENT, f"{purl} is in the {side} SBOM only"
        return None

    def _listed(
        self,
        name: str,
        old: Sequence[_Listed],
        new: Sequence[_Listed],
    ) -> Iterator[Entry]:
        """Explain the lists of records beside the findings."""

        def key(one: _Listed) -> tuple[PackageKey, str, str]:
            return package_key(one.component), one.feed, one.id

        for left, right in pairs(old, new, key):
            before = None if left is None else old[left]
            after = None if right is None else new[right]
            one = after or before
            if one is None or before == after:
                continue
            kind = CHANGED if before and after else APPEARED if after else VANISHED
            own = "" if before and after else one.digest
            cause = None if kind == CHANGED else self._component_cause(one.component.purl, kind)
            cause = cause or change(self._before, self._after, (one.feed, one.id), own)
            place = pointer(name, right if right is not None else left or 0)
            subject = f"{one.id} {one.component.purl}"
            yield entry(place, kind, subject, cause or self._inputs.otherwise(before, after), before, after)

    def _not_evaluated(self) -> Iterator[Entry]:
        old, new = self._old.not_evaluated, self._new.not_evaluated
        for left, right in pairs(old, new, lambda one: one.ref):
            before = None if left is None else old[left]
            after = None if right is None else new[right]
            one = after or before
            if one is None or before == after:
                continue
            kind = CHANGED if before and after else APPEARED if after else VANISHED
            cause = self._coverage_cause(before, after) or self._inputs.otherwise(before, after)
            place = pointer("notEvaluated", right if right is not None else left or 0)
            yield entry(place, kind, one.purl or one.name, cause, before, after)

    def _coverage_cause(self, before: NotEvaluatedEntry | None, after: NotEvaluatedEntry | None) -> Cause | None:
        """Explain a component that can or cannot be evaluated any more: another SBOM, or feeds of other ecosystems."""
        if self._inputs.sbom:
            return difference.SBOM_COMPONENT, "the component or its instances differ"
        if self._inputs.feeds and after and after.reason == "no-feed":
            return difference.FEED_RECORD_REMOVED, f"no feed covers {after.detail} any more"
        if self._inputs.feeds and before and before.reason == "no-feed":
            return difference.FEED_RECORD_ADDED, f"a feed covers {before.detail} now"
        return None

    def _unreadable(self) -> Iterator[Entry]:
        old, new = self._old.unreadable, self._new.unreadable
        for left, right in pairs(old, new, lambda one: one):
            if right is None and left is not None:
                one, place, kind, cause = old[left], left, VANISHED, difference.FEED_RECORD_REMOVED
            elif left is None and right is not None:
                one, place, kind, cause = new[right], right, APPEARED, difference.FEED_RECORD_ADDED
            else:
                continue
            varied = (cause, f"unreadable record {one.digest} of feed {one.feed}")
            found = varied if one.feed in self._inputs.feeds else self._inputs.otherwise()
            yield entry(pointer("unreadable", place), kind, f"{one.feed} {one.digest}", found)


def _finding_pairs(old: Sequence[Finding], new: Sequence[Finding]) -> Iterator[tuple[int | None, int | None]]:
    """Pair findings of one package by id, the rest by a record that they share: a group's representative may change."""
    single_old: list[int] = []
    single_new: list[int] = []
    for left, right in pairs(old, new, lambda one: (package_key(one.component), one.id)):
        if left is not None and right is not None:
            yield left, right
        elif left is not None:
            single_old.append(left)
        elif right is not None:
            single_new.append(right)
    places: dict[tuple[PackageKey, _RecordKey], int] = {}
    for right in single_new:
        for key in _records(new[right]):
            places.setdefault((package_key(new[right].component), key), right)
    taken: set[int] = set()
    for left in single_old:
        package = package_key(old[left].component)
        shared = [places[package, key] for key in _records(old[left]) if (package, key) in places]
        found = next((right for right in shared if right not in taken), None)
        if found is not None:
            taken.add(found)
        yield left, found
    yield from ((None, right) for right in single_new if right not in taken)


def _by_record(findings: Iterable[Finding]) -> dict[tuple[PackageKey, _RecordKey], list[Finding]]:
    found: dict[tuple[PackageKey, _RecordKey], list[Finding]] = {}
    for finding in findings:
        for key in _records(finding):
            found.setdefault((package_key(finding.component), key), []).append(finding)
    return found


def _records(finding: Finding) -> list[_RecordKey]:
    return list(dict.fromkeys((record.feed, record.id) for record in finding.records))


def _subject(finding: Finding) -> str:
    return f"{finding.id} {finding.component.purl}"


def _decider(finding: Finding) -> str:
    decision = finding.decision
    return f"{decision.by} {decision.rule}" if decision.rule else decision.by
