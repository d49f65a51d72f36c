"""From SBOM and feeds to hits: what is looked up, and what each record says about it (docs/matching.md section 4).

Feeds are streamed: a record is decoded, judged and dropped, so memory follows the hits and not the feeds.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from kit.bytes import digest
from kit.errors import NameCollision
from scanner import advisory, identity
from scanner.advisory import Advisory, Extent, Severity
from scanner.match import Doubt, Evidence, Schemes, State, Subject, fixed_versions, git_ranges, match
from scanner.sbom import Component, Sbom

NOT_A_PACKAGE = "not-a-package"
"""The reason of components that are no packages: accounted for, but no gap in the evaluation."""
_NO_PACKAGES = frozenset({"file", "operating-system"})


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


@dataclass(frozen=True, slots=True)
class Target:
    """What is looked up: all component instances of one package URL, package and version. ``refs`` are sorted."""

    purl: str
    package: identity.Package
    refs: tuple[str, ...]
    subject: Subject


@dataclass(frozen=True, slots=True, order=True)
class Unevaluated:
    """A component that was not, or not fully, evaluated, with the reason."""

    ref: str
    reason: str
    detail: str
    name: str
    version: str
    purl: str


@dataclass(frozen=True, slots=True)
class Hit:
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


@dataclass(frozen=True, slots=True)
class Undecided:
    """A record that cannot be judged for a target, by the first doubt in the record's order."""

    feed: str
    id: str
    digest: str
    modified: str
    affected: int
    doubt: Doubt


@dataclass(slots=True)
class Judged:
    """What the feeds say, by position of the target; counts; unreadable records as (feed, digest)."""

    hits: dict[int, list[Hit]] = field(default_factory=dict)
    withdrawn: dict[int, list[Hit]] = field(default_factory=dict)
    undecided: dict[int, list[Undecided]] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    records: dict[str, int] = field(default_factory=dict)
    pairs: dict[State, int] = field(default_factory=lambda: dict.fromkeys(State, 0))
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

    Raises :class:`NameCollision` where two feeds have one name.
    """
    wanted: dict[tuple[str, str], list[int]] = {}
    for position, target in enumerate(targets):
        wanted.setdefault((target.package.ecosystem, target.package.name), []).append(position)
    judged = Judged()
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
                _judge_record(record, line, feed.name, targets, _entries(record, wanted, lookup), judged)
            except advisory.MalformedRecord:
                judged.unreadable.append((feed.name, digest.of_bytes(line)))
        judged.records[feed.name] = count
    judged.unreadable.sort()
    return judged


def _unevaluated(component: Component, reason: str, detail: str = "") -> Unevaluated:
    return Unevaluated(component.ref, reason, detail, component.name, component.version or "", component.purl or "")


def _entries(
    record: Advisory, wanted: Mapping[tuple[str, str], list[int]], lookup: dict[tuple[str, str], list[int]]
) -> dict[int, list[int]]:
    """Return the positions of a record's affected entries by target; ``lookup`` remembers spellings of names."""
    found: dict[int, list[int]] = {}
    for position, entry in enumerate(record.affected or ()):
        if entry.package is None:
            continue
        spelled = (entry.package.ecosystem, entry.package.name)
        named = lookup.get(spelled)
        if named is None:
            key = (spelled[0], identity.normalise(*spelled))
            named = lookup[spelled] = wanted.get(key, [])
        for target in named:
            found.setdefault(target, []).append(position)
    return found


def _judge_record(
    record: Advisory,
    line: bytes,
    feed: str,
    targets: Sequence[Target],
    entries: Mapping[int, list[int]],
    judged: Judged,
) -> None:
    """Judge one record for each target that it names and file the outcomes."""
    affected = record.affected or ()
    extents = {
        position: advisory.extent(affected[position]) for positions in entries.values() for position in positions
    }
    judged.git_ranges += sum(git_ranges(extent) for extent in extents.values())
    identifier = ""
    for number, positions in entries.items():
        subject = targets[number].subject
        matched: list[Evidence] = []
        state, undecided = State.NOT_AFFECTED, None
        for position in positions:
            outcome = match(extents[position], position, subject)
            if outcome.evidence:
                matched.append(outcome.evidence)
            elif outcome.doubt:
                undecided = undecided or (position, outcome.doubt)
            elif outcome.state is State.NOT_EVALUATED:
                state = State.NOT_EVALUATED
        if matched:
            state = State.AFFECTED
        elif undecided:
            state = State.UNDECIDABLE
        if record.withdrawn is None:
            judged.pairs[state] += 1
        if matched:
            identifier = identifier or digest.of_bytes(line)
            found = judged.hits if record.withdrawn is None else judged.withdrawn
            found.setdefault(number, []).append(_hit(record, feed, identifier, matched, extents, subject))
        elif undecided and record.withdrawn is None:
            identifier = identifier or digest.of_bytes(line)
            judged.undecided.setdefault(number, []).append(
                Undecided(feed, record.id, identifier, record.modified, *undecided)
            )


def _hit(
    record: Advisory,
    feed: str,
    identifier: str,
    matched: Sequence[Evidence],
    extents: Mapping[int, Extent],
    subject: Subject,
) -> Hit:
    positions = [evidence.affected for evidence in matched]
    fixed = sorted({found for position in positions for found in fixed_versions(extents[position], subject)})
    affected = record.affected or ()
    own = {(one.type, one.score): one for position in positions for one in affected[position].severity or ()}
    vectors = own or {(one.type, one.score): one for one in record.severity or ()}
    return Hit(
        feed=feed,
        id=record.id,
        digest=identifier,
        modified=record.modified,
        aliases=record.aliases or (),
        upstream=record.upstream or (),
        matched=tuple(matched),
        fixed=tuple(text for _, _, text in fixed),
        severity=tuple(vectors[key] for key in sorted(vectors)),
        severity_word=record.severity_word,
        published=record.published,
        withdrawn=record.withdrawn,
    )
