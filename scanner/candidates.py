"""From SBOM and feeds to hits: what is looked up, and what each record says about it (docs/matching.md section 4).

Feeds are streamed: a record is decoded, judged and dropped, so memory follows the hits and not the feeds.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from kit.bytes import digest
from kit.errors import LimitExceeded, NameCollision
from scanner import advisory, identity
from scanner.advisory import Advisory, Severity
from scanner.instant import parse_instant
from scanner.match import Doubt, Entry, Evidence, State
from scanner.sbom import Component, Sbom
from scanner.schemes import Schemes, Subject

NOT_A_PACKAGE = "not-a-package"
"""The reason of components that are no packages: accounted for, but no gap in the evaluation."""
_NO_PACKAGES = frozenset({"file", "operating-system"})
MAX_COMPARISONS = 2_000_000
"""How often a package may be held against a list or range; a large system against all its feeds takes 200,000."""
MAX_HITS = 100_000
"""How many outcomes may be listed: records that affect a package, or that cannot be judged or read."""
MAX_NAMES = 1_000_000
"""How many names, places and versions all hits together may carry."""
_KEPT_SPELLINGS = 1 << 16


class FeedSource(Protocol):
    """A feed snapshot as the evaluation reads it.

    ``records`` yields (ordinal, canonical line) of every record that names one of the packages, each once, ascending;
    ``ecosystems`` are those that the snapshot covers, spelled as in its records.
    """

    @property
    def name(self) -> str:
        """The feed's name, unique among the feeds of a scan."""

    @property
    def snapshot_digest(self) -> str:
        """The digest that identifies the snapshot."""

    @property
    def ecosystems(self) -> Collection[str]:
        """The ecosystems that have records in the snapshot."""

    def records(self, packages: Iterable[tuple[str, str]]) -> Iterator[tuple[int, bytes]]:
        """Yield the records of these (ecosystem, normalised package name) pairs."""


class Target(msgspec.Struct, frozen=True):
    """What is looked up: all component instances of one package URL, package and version. ``refs`` are sorted."""

    purl: str
    package: identity.Package
    refs: tuple[str, ...]
    subject: Subject


class Unevaluated(msgspec.Struct, frozen=True, order=True):
    """A component that was not, or not fully, evaluated, with the reason."""

    ref: str
    reason: str
    detail: str
    name: str
    version: str
    purl: str


class Hit(msgspec.Struct, frozen=True):
    """A record that affects a target. ``severity`` are the vectors that hold for the matched entries."""

    feed: str
    id: str
    digest: str
    modified: str
    aliases: tuple[str, ...]
    upstream: tuple[str, ...]
    matched: tuple[Evidence, ...]
    fixed: tuple[str, ...]
    severity: tuple[Severity, ...]
    severity_word: str
    published: str | None = None
    withdrawn: str | None = None


class Undecided(msgspec.Struct, frozen=True):
    """A record that cannot be judged for a target, by the first doubt in the record's order."""

    feed: str
    id: str
    digest: str
    modified: str
    affected: int
    doubt: Doubt


class Judged(msgspec.Struct):
    """What the feeds say, by position of the target; counts; unreadable records as (feed, digest)."""

    hits: dict[int, list[Hit]] = msgspec.field(default_factory=dict)
    withdrawn: dict[int, list[Hit]] = msgspec.field(default_factory=dict)
    undecided: dict[int, list[Undecided]] = msgspec.field(default_factory=dict)
    unreadable: list[tuple[str, str]] = msgspec.field(default_factory=list)
    records: dict[str, int] = msgspec.field(default_factory=dict)
    pairs: dict[State, int] = msgspec.field(default_factory=lambda: dict.fromkeys(State, 0))
    git_ranges: int = 0


def survey(sbom: Sbom, covered: Collection[str]) -> tuple[list[Target], list[Unevaluated]]:
    """Return the targets of an SBOM, sorted, and its components that are not fully evaluated, sorted.

    ``covered`` are the ecosystems of all feeds. A component with a version that its scheme cannot parse is in both:
    entries of the same text can still list it.
    """
    schemes = Schemes()
    instances: dict[tuple[str, identity.Package], list[Component]] = {}
    unevaluated: list[Unevaluated] = []
    for component in sbom.components:
        package = component.package
        if isinstance(package, identity.NotEvaluated):
            own = component.type in _NO_PACKAGES or component == sbom.subject
            if own and package.reason == "no-purl":
                unevaluated.append(_unevaluated(component, NOT_A_PACKAGE))
            else:
                unevaluated.append(_unevaluated(component, package.reason, package.detail))
        elif package.ecosystem not in covered:
            unevaluated.append(_unevaluated(component, "no-feed", package.ecosystem))
        else:
            instances.setdefault((component.purl or "", package), []).append(component)
    targets = []
    for (purl, package), components in instances.items():
        subject = schemes.subject(package.ecosystem, package.version)
        if subject.native_key is None:
            reason = "version-unparsable" if subject.native else "no-comparator"
            unevaluated.extend(_unevaluated(component, reason, package.version) for component in components)
        refs = tuple(sorted(component.ref for component in components))
        targets.append(Target(purl, package, refs, subject))
    targets.sort(key=lambda one: (one.purl, one.package.ecosystem, one.package.name, one.package.version))
    return targets, sorted(unevaluated)


def judge(targets: Sequence[Target], feeds: Iterable[FeedSource]) -> Judged:
    """Hold every record of the targets' packages against them.

    Raises :class:`NameCollision` where two feeds have one name, :class:`LimitExceeded` beyond the bounds above.
    """
    wanted: dict[tuple[str, str], list[int]] = {}
    for position, target in enumerate(targets):
        wanted.setdefault((target.package.ecosystem, target.package.name), []).append(position)
    judged = Judged()
    tally = _Tally()
    lookup: dict[tuple[str, str], list[int]] = {}
    for feed in sorted(feeds, key=lambda one: one.name):
        if feed.name in judged.records:
            raise NameCollision(path=feed.name, detail="two feeds have this name")
        covered = [key for key in sorted(wanted) if key[0] in feed.ecosystems]
        count = 0
        for _, line in feed.records(covered):
            count += 1
            try:
                record = advisory.decode(line)
                entries = _entries(record, wanted, lookup, tally)
            except advisory.MalformedRecord:
                tally.add_hit()
                judged.unreadable.append((feed.name, digest.of_bytes(line)))
            else:
                _judge_record(record, line, feed.name, targets, entries, judged, tally)
        judged.records[feed.name] = count
    judged.unreadable.sort()
    return judged


class _Tally:
    """Counts what an evaluation costs, so that no document makes it cost more than its bounds."""

    def __init__(self) -> None:
        self._comparisons = self._hits = self._names = 0

    def add_comparisons(self, count: int) -> None:
        """Count packages held against lists and ranges."""
        self._comparisons += count
        if self._comparisons > MAX_COMPARISONS:
            raise LimitExceeded(detail="comparisons of packages with advisories", expected=MAX_COMPARISONS)

    def add_hit(self, names: int = 0) -> None:
        """Count one outcome that is listed, and the names, places and versions that it carries."""
        self._hits += 1
        self._names += names
        if self._hits > MAX_HITS:
            raise LimitExceeded(detail="findings and doubts of one evaluation", expected=MAX_HITS)
        if self._names > MAX_NAMES:
            raise LimitExceeded(detail="names in the findings of one evaluation", expected=MAX_NAMES)


def _unevaluated(component: Component, reason: str, detail: str = "") -> Unevaluated:
    return Unevaluated(component.ref, reason, detail, component.name, component.version or "", component.purl or "")


def _entries(
    record: Advisory,
    wanted: Mapping[tuple[str, str], list[int]],
    lookup: dict[tuple[str, str], list[int]],
    tally: _Tally,
) -> dict[int, list[Entry]]:
    """Return a record's affected entries by target, in the record's order; ``lookup`` remembers spellings of names."""
    found: dict[int, list[Entry]] = {}
    for position, affected in enumerate(record.affected or ()):
        if affected.package is None:
            continue
        spelled = (affected.package.ecosystem, affected.package.name)
        named = lookup.get(spelled)
        if named is None:
            if len(lookup) == _KEPT_SPELLINGS:
                lookup.clear()
            key = (spelled[0], identity.normalise(*spelled))
            named = lookup[spelled] = wanted.get(key, [])
        if named:
            entry = Entry(advisory.extent(affected), position)
            tally.add_comparisons(entry.weight * len(named))
            for target in named:
                found.setdefault(target, []).append(entry)
    return found


def _judge_record(
    record: Advisory,
    line: bytes,
    feed: str,
    targets: Sequence[Target],
    entries: Mapping[int, Sequence[Entry]],
    judged: Judged,
    tally: _Tally,
) -> None:
    """Judge one record for each target that it names and file the outcomes."""
    judged.git_ranges += sum(
        {entry.position: entry.git_ranges for found in entries.values() for entry in found}.values()
    )
    identifier = ""
    withdrawn = _is_withdrawn(record)
    for number, held in entries.items():
        subject = targets[number].subject
        matched: list[tuple[Entry, Evidence]] = []
        state, undecided = State.NOT_AFFECTED, None
        for entry in held:
            outcome = entry.match(subject)
            if outcome.evidence:
                matched.append((entry, outcome.evidence))
            elif outcome.doubt:
                undecided = undecided or (entry.position, outcome.doubt)
            elif outcome.state is State.NOT_EVALUATED:
                state = State.NOT_EVALUATED
        if matched:
            state = State.AFFECTED
        elif undecided:
            state = State.UNDECIDABLE
        if not withdrawn:
            judged.pairs[state] += 1
        if matched:
            identifier = identifier or digest.of_bytes(line)
            found = judged.withdrawn if withdrawn else judged.hits
            hit = _hit(record, feed, identifier, matched, subject)
            tally.add_hit(len(hit.aliases) + len(hit.upstream) + len(hit.matched) + len(hit.fixed) + len(hit.severity))
            found.setdefault(number, []).append(hit)
        elif undecided and not withdrawn:
            identifier = identifier or digest.of_bytes(line)
            tally.add_hit()
            judged.undecided.setdefault(number, []).append(
                Undecided(feed, record.id, identifier, record.modified, *undecided)
            )


def _is_withdrawn(record: Advisory) -> bool:
    """Tell whether a record says when it was withdrawn; a text that is no time takes nothing back."""
    return record.withdrawn is not None and parse_instant(record.withdrawn) is not None


def _hit(
    record: Advisory, feed: str, identifier: str, matched: Sequence[tuple[Entry, Evidence]], subject: Subject
) -> Hit:
    fixed = sorted({found for entry, _ in matched for found in entry.fixed(subject)})
    affected = record.affected or ()
    own = {(one.type, one.score): one for entry, _ in matched for one in affected[entry.position].severity or ()}
    vectors = own or {(one.type, one.score): one for one in record.severity or ()}
    return Hit(
        feed=feed,
        id=record.id,
        digest=identifier,
        modified=record.modified,
        aliases=record.aliases or (),
        upstream=record.upstream or (),
        matched=tuple(evidence for _, evidence in matched),
        fixed=tuple(text for _, _, text in fixed),
        severity=tuple(vectors[key] for key in sorted(vectors)),
        severity_word=record.severity_word,
        published=record.published,
        withdrawn=record.withdrawn,
    )
