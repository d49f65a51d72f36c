"""Worlds between the recorded and the replayed one: a package evaluated again with some changes undone.

docs/matching.md section 9.3. A finding depends on the records of its package that are joined by aliases on either side,
on the statements about their names, on the policy, and on component and subject; so no more than these is evaluated.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from scanner import difference, groups
from scanner.candidates import Judged
from scanner.difference import Change, pairs
from scanner.explain.narrow import Budget
from scanner.explain.pairing import PackageKey, RecordKey
from scanner.explain.policies import PolicyChanges
from scanner.explain.records import record_change
from scanner.explain.sides import Judgements, Outcomes, Side, judged, view
from scanner.findings import Assembled, assemble
from scanner.vex import Statement, StatementRef, VexDocument, VexIndex

MAX_WORK = 100_000
"""How many records and statements may be weighed to narrow causes down, all differences together."""
SUBJECT = "sbom/subject"
_KEPT = 20_000
"""How many records the worlds that are kept may have, all together."""
_NOWHERE = StatementRef("", "", 0)
_REWRITTEN = "~"
"""Stands for the digest of a document into which a statement was put back; it sorts behind all digests."""
_NOTHING = Outcomes()


@dataclass(frozen=True, slots=True, eq=False)
class Cluster:
    """Records of one package that aliases may join on either side, and all their names; equal to itself alone."""

    package: PackageKey
    records: frozenset[RecordKey]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Revision:
    """A statement on both sides; one that stayed has no change of its own."""

    old: Statement | None
    new: Statement | None
    change: Change | None

    def mixed(self, undone: frozenset[str]) -> Statement | None:
        """Return the statement with its own change undone or not, in a document that is not the recorded one."""
        if self.change is None or self.change.id not in undone:
            return self.new
        if self.old is None:
            return None
        place = self.new.ref if self.new else replace(self.old.ref, digest=_REWRITTEN)
        return replace(self.old, ref=place)


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
        self._changes: dict[Cluster, dict[str, Change]] = {}
        self._revisions: dict[Cluster, dict[str, list[_Revision]]] = {}
        self._worlds: dict[tuple[Cluster, frozenset[str]], Assembled] = {}
        self._kept = 0
        self._budget = Budget(MAX_WORK)

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
        """Return the changes that can concern a cluster, by id, those first that are named first."""
        if cluster not in self._changes:
            self._revisions[cluster] = {name: list(found) for name, found in self._compared(cluster)}
            self._changes[cluster] = {change.id: change for change in self._found(cluster)}
        return self._changes[cluster]

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
        return self._worlds[cluster, undone]

    def component_change(self, package: PackageKey) -> Change | None:
        """Return how a package's instances differ between the two SBOMs."""
        old, new = (side.targets.get(package) for side in self._sides)
        if old is None and new is None:
            return None
        if old is None or new is None:
            side, other = ("replayed", self._sides[0]) if old is None else ("recorded", self._sides[1])
            version = f" in version {package[3]}" if any(key[0] == package[0] for key in other.targets) else ""
            detail = f"{package[0]} is in the {side} SBOM only{version}"
        elif old.refs != new.refs:
            detail = f"{package[0]} has other instances in the SBOM"
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
        yield from (one.change for found in revisions.values() for one in found if one.change is not None)
        yield from filter(None, map(self._author_change, revisions))
        for name in self._policy.about(cluster.names, cluster.package[1:3]):
            yield self._policy.changes[name]
        if self._subjects_differ():
            yield Change(id=SUBJECT, cause=difference.SBOM_COMPONENT, detail="the SBOM has another subject")
        for name in revisions:
            word = document_word(*(side.documents.get(name) for side in self._sides))
            if word:
                yield document_change(name, word)

    def _subjects_differ(self) -> bool:
        old, new = (side.sbom.subject for side in self._sides)
        return (old and (old.purl, old.name, old.version)) != (new and (new.purl, new.name, new.version))

    def _compared(self, cluster: Cluster) -> Iterator[tuple[str, Iterator[_Revision]]]:
        """Yield each document with its statements about a cluster's names, those of both sides matched."""
        by_name: dict[str, tuple[list[Statement], list[Statement]]] = {}
        for number, side in enumerate(self._sides):
            for statement in side.statements.about(cluster.names):
                by_name.setdefault(statement.ref.document, ([], []))[number].append(statement)
        for name in sorted(by_name):
            yield name, _revisions(name, *by_name[name])

    def _evaluated(self, cluster: Cluster, undone: frozenset[str]) -> Assembled:
        old, new = self._sides
        side = old if component_id(cluster.package) in undone else new
        target = side.targets.get(cluster.package)
        documents = list(self._documents(cluster, undone))
        statements = sum(len(document.statements) for document in documents)
        of_policy = undone.intersection(self._policy.changes)
        rules = self._policy.size if of_policy else 0
        self._budget.spend(1 + len(cluster.records) + statements + rules)
        if target is None:
            return Assembled()
        hits = [
            hit
            for key in sorted(cluster.records)
            for hit in _outcomes(self._old if record_id(key) in undone else self._new, cluster.package, key).hits
        ]
        subject = (old if SUBJECT in undone else new).sbom.subject
        sbom = replace(side.sbom, components=tuple(side.components[ref] for ref in target.refs), subject=subject)
        policy = self._policy.undone(of_policy)
        return assemble(Judged(hits={0: hits}), [target], sbom, VexIndex(documents), policy)

    def _documents(self, cluster: Cluster, undone: frozenset[str]) -> Iterator[VexDocument]:
        old, new = self._sides
        for name, revisions in self._revisions[cluster].items():
            whole = f"vex/{name}" in undone
            chosen = [one.old if whole else one.mixed(undone) for one in revisions]
            base = (old if whole else new).documents.get(name) or old.documents.get(name) or new.documents[name]
            author = old.documents[name].author if f"vex/{name}/author" in undone else base.author
            authors = self._authors(name)
            found = (one for one in chosen if one is not None)
            signed = (replace(one, author=author) if one.author in authors else one for one in found)
            yield replace(base, author=author, statements=tuple(signed))

    def _authors(self, name: str) -> set[str]:
        return {side.documents[name].author for side in self._sides if name in side.documents}

    def _author_change(self, name: str) -> Change | None:
        """Return how the author of a document differs; it is one change for all of its statements."""
        if len(self._authors(name)) < 2:
            return None
        said = f"VEX document {name} has another author"
        return Change(id=f"vex/{name}/author", cause=difference.VEX_STATEMENT, detail=said, members=("author",))


def record_id(record: RecordKey) -> str:
    """Return the id of the change of a record."""
    return f"feeds/{record[0]}/{record[1]}"


def component_id(package: PackageKey) -> str:
    """Return the id of the change of a package's instances."""
    return f"sbom/components/{package[0]}"


def document_word(old: VexDocument | None, new: VexDocument | None) -> str:
    """Say what became of a VEX document; nothing where it is the same."""
    if old is None or new is None:
        return "added" if old is None else "removed"
    return "changed" if old.digest != new.digest else ""


def document_change(name: str, word: str) -> Change:
    """Return the change of a VEX document as a whole."""
    return Change(id=f"vex/{name}", cause=difference.VEX_STATEMENT, detail=f"VEX document {word}: {name}")


def _outcomes(judgements: Judgements, package: PackageKey, record: RecordKey) -> Outcomes:
    return judgements.get(package, {}).get(record, _NOTHING)


def _revisions(name: str, old: list[Statement], new: list[Statement]) -> Iterator[_Revision]:
    """Match the statements of one document: the same ones, then those about the same things, then the rest."""
    left_old: list[Statement] = []
    left_new: list[Statement] = []
    for left, right in pairs(old, new, lambda one: replace(one, ref=_NOWHERE, author="")):
        if left is not None and right is not None:
            yield _Revision(old[left], new[right], None)
        elif left is not None:
            left_old.append(old[left])
        elif right is not None:
            left_new.append(new[right])
    for left, right in pairs(left_old, left_new, lambda one: (one.vulnerabilities, one.products)):
        before = None if left is None else left_old[left]
        after = None if right is None else left_new[right]
        yield _Revision(before, after, _statement_change(name, before, after))


def _statement_change(name: str, old: Statement | None, new: Statement | None) -> Change:
    word = "added" if old is None else "removed" if new is None else "changed"
    one = new or old
    if one is None:
        raise LookupError(name)
    members = _differing(old, new) if old and new else ()
    said = f"statement {one.ref.index} of VEX document {name} {word}: {one.vulnerabilities[0]} {one.status}"
    return Change(
        id=f"vex/{name}/{word}/{one.ref.index}",
        cause=difference.VEX_STATEMENT,
        detail=said + (f" ({', '.join(members)})" if members else ""),
        members=members,
    )


def _differing(old: Statement, new: Statement) -> tuple[str, ...]:
    names = ("justification", "status", "timestamp")
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))
