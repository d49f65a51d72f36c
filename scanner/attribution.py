"""What differs between two inputs, and what became of advisory records (docs/matching.md section 9.2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from kit.bytes import digest
from scanner import difference
from scanner.difference import Cause
from scanner.evaluate import EvaluationInput, FeedSource
from scanner.policy import Policy, load


@dataclass(frozen=True, slots=True)
class RecordView:
    """A record of one side: digest of its line, whether it is withdrawn, and the digest of each member."""

    digest: str
    withdrawn: bool
    members: Mapping[str, str]


Views = Mapping[tuple[str, str], list[RecordView]]
"""The records of one side by (feed, id)."""

_LEADING = (
    difference.FEED_RECORD_WITHDRAWN,
    difference.FEED_RECORD_REMOVED,
    difference.FEED_RECORD_ADDED,
    difference.FEED_RECORD_CHANGED,
)


class Inputs:
    """The two inputs, and which of their parts differ."""

    def __init__(self, recorded: EvaluationInput, replayed: EvaluationInput, *, engine_changed: bool) -> None:
        self.recorded = recorded
        self.replayed = replayed
        self.engine_changed = engine_changed
        self.contract_changed = False

    @cached_property
    def feeds(self) -> frozenset[str]:
        """The names of feeds that one side lacks or that are at different snapshots."""
        before = {feed.name: feed.snapshot_digest for feed in self.recorded.feeds}
        after = {feed.name: feed.snapshot_digest for feed in self.replayed.feeds}
        return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))

    @cached_property
    def vex(self) -> str:
        """What differs between the VEX documents, in words; empty where nothing does."""
        before, after = dict(self.recorded.vex), dict(self.replayed.vex)
        said = []
        for word, names in (
            ("added", after.keys() - before.keys()),
            ("removed", before.keys() - after.keys()),
            ("changed", {name for name in before.keys() & after.keys() if before[name] != after[name]}),
        ):
            said += [f"VEX document {word}: {name}" for name in sorted(names)]
        return "; ".join(said)

    @cached_property
    def policy(self) -> bool:
        """Whether the policy differs, or the time at which its rules end is judged."""
        return self.recorded.policy != self.replayed.policy or self.recorded.time != self.replayed.time

    @cached_property
    def sbom(self) -> bool:
        """Whether the SBOM differs."""
        return self.recorded.sbom != self.replayed.sbom

    @cached_property
    def reachability(self) -> bool:
        """Whether the evidence of reachability differs: what is named, what is there, or its content."""
        before, after = (
            {entry.cas_uri: data for entry, data in side.reachability} for side in (self.recorded, self.replayed)
        )
        return before != after

    @cached_property
    def scan(self) -> bool:
        """Whether the scan's own identity differs."""
        before, after = self.recorded, self.replayed
        return (before.scan_id, before.time, before.subject) != (after.scan_id, after.time, after.subject)

    @cached_property
    def differ(self) -> bool:
        """Whether any input differs; the engine is none."""
        return bool(self.feeds or self.vex or self.policy or self.sbom or self.reachability or self.scan)

    @cached_property
    def replayed_rules(self) -> Policy:
        """The replayed side's policy, compiled."""
        return load(self.replayed.policy, time=self.replayed.time)

    def otherwise(self, before: object = None, after: object = None) -> Cause:
        """Return the cause of what no input accounts for."""
        if before is not None and after is not None and difference.same_but_for_order(before, after):
            return difference.ORDERING, "the same values in another order"
        if self.contract_changed:
            return difference.ENGINE_CONTRACT, "the matching contract differs"
        if self.engine_changed:
            return difference.TOOL, "the engine differs"
        return difference.UNEXPLAINED, "no difference between the inputs accounts for this"


def view(feeds: Iterable[FeedSource], packages: set[tuple[str, str]], wanted: set[tuple[str, str]]) -> Views:
    """Return the wanted records, (feed, id), out of those of some packages, (ecosystem, name)."""
    found: dict[tuple[str, str], list[RecordView]] = {}
    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    for feed in feeds if wanted else ():
        for _, line in feed.records(sorted(package for package in packages if package[0] in feed.ecosystems)):
            try:
                members = decoder.decode(line)
                key = feed.name, msgspec.json.decode(members.get("id", b""), type=str)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue  # the evaluation lists it as unreadable
            if key in wanted:
                withdrawn = bytes(members.get("withdrawn", b"null")) != b"null"
                digests = {name: digest.of_bytes(bytes(value)) for name, value in members.items()}
                found.setdefault(key, []).append(RecordView(digest.of_bytes(line), withdrawn, digests))
    return found


def change(before: Views, after: Views, record: tuple[str, str], own: str = "") -> Cause | None:
    """Return how a record, (feed, id), differs between the recorded and the replayed side; ``None`` if it does not.

    One id may stand for several records; they are compared as sets. ``own`` is the digest of the one that is meant:
    found on both sides, it is no cause.
    """
    feed, identifier = record
    old, new = before.get(record, []), after.get(record, [])
    old_digests, new_digests = {one.digest for one in old}, {one.digest for one in new}
    if old_digests == new_digests or own in old_digests & new_digests:
        return None
    if not old:
        return difference.FEED_RECORD_ADDED, f"{identifier} added to feed {feed}"
    if not new:
        return difference.FEED_RECORD_REMOVED, f"{identifier} removed from feed {feed}"
    if all(one.withdrawn for one in new) and not all(one.withdrawn for one in old):
        return difference.FEED_RECORD_WITHDRAWN, f"{identifier} withdrawn in feed {feed}"
    names = {name for one in (*old, *new) for name in one.members}
    differing = sorted(
        name for name in names if {one.members.get(name) for one in old} != {one.members.get(name) for one in new}
    )
    return difference.FEED_RECORD_CHANGED, f"{identifier} changed in feed {feed}: {', '.join(differing)}"


def gravest(causes: Iterable[Cause | None]) -> Cause | None:
    """Return the leading one of several causes, with the details of all of them; ``None`` for none."""
    found = sorted({cause for cause in causes if cause}, key=lambda cause: (_LEADING.index(cause[0]), cause[1]))
    return (found[0][0], "; ".join(detail for _, detail in found)) if found else None
