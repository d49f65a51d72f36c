"""The feed store of the connected side: ``<store>/<feed>/<16 hex of the digest>/`` and a pointer ``current``.

A snapshot is made aside, flushed and then renamed into its place, so that what is there is whole. The same inputs give
the same snapshot, and adding it again changes nothing. The pointer moves forward in time only, unless the operator asks
for more: what a later scan is told must never grow older by itself.
"""

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from builder import feed_sources, files
from kit.bundle import DirectorySource
from kit.bytes import digest
from kit.errors import FileMissing, LockerConflict, MalformedDocument, StellaError, UsageError
from kit.manifest import check_name, check_time
from kit.snapshot import DeepCheck, SnapshotInfo, SnapshotReader
from kit.snapshot.records import DICTIONARY, RECORD, Odd, Refused
from kit.snapshot.writer import DEFAULT_LEVEL, About, write_snapshot
from scanner.identity import normalise
from scanner.match import MATCH_CONTRACT
from verifier.asked import typed

CURRENT = "current"

_STAGE = ".building"
_PLACE = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Added:
    """A snapshot in the store. ``created`` is false when it was there before.

    ``current`` is false where another one stays current; ``moved`` is true where it became current now. ``previous`` is
    what was current before, if anything was. ``time_from_records`` is true where the snapshot's time is the newest
    ``modified`` of its records, and not what was asked for.
    """

    directory: Path
    digest: str
    info: SnapshotInfo
    created: bool
    current: bool = True
    previous: SnapshotInfo | None = None
    moved: bool = False
    time_from_records: bool = False

    @property
    def word(self) -> str:
        """Return the word of the verdict: what became of the snapshot, and of what later scans use."""
        if self.created:
            return "ADDED" if self.current else "ADDED, NOT CURRENT"
        return "MADE CURRENT" if self.moved else "UNCHANGED"


class FeedSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One feed of the store: its current snapshot in short, and how many snapshots there are."""

    name: str
    snapshot_time: str
    snapshot: str
    advisories: int
    packages: int
    refused: int
    odd: int
    snapshots: int


class FeedView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One snapshot: ``info`` without its lists, and these counted by reason."""

    snapshot: str
    directory: str
    current: bool
    stored_size: int
    info: SnapshotInfo
    refused_by_reason: dict[str, int]
    odd_by_reason: dict[str, int]
    deep: str | None = None


def add(
    store: Path,
    name: str,
    source: Path,
    *,
    snapshot_time: str | None = None,
    now: str | None = None,
    level: int = DEFAULT_LEVEL,
    dictionary_from: Path | None = None,
    origin: str | None = None,
    make_current: bool = False,
    change_ecosystems: bool = False,
) -> Added:
    """Make a snapshot of a source; it becomes the feed's current one unless that is of a later time.

    The snapshot time is evidence of how old the advisories are. By default it is the newest ``modified`` of the
    records, which anybody can check and which the same records always give; never a file's time, which every copy
    changes. ``now``, if given, is the UTC time that this default must not pass. ``dictionary_from`` is the directory of
    a snapshot whose dictionary is used instead of training one; ``origin`` is how the source is named in the snapshot.
    ``make_current`` makes it the current one whatever its time. UsageError when the source holds no advisory, when
    another command is at work on the feed, or, without ``change_ecosystems``, when it lacks an ecosystem of the current
    snapshot: it is another source's then, and scans would no longer find what they found.
    """
    with typed("NAME"):
        check_name(name, "NAME")
    if snapshot_time is not None:
        with typed("--time"):
            check_time(snapshot_time, "--time")
    found = feed_sources.open_source(source)
    about = About(
        name=name,
        source=origin or found.name,
        snapshot_time=snapshot_time or _newest(found, now),
        source_digest=found.digest,
        match_contract=MATCH_CONTRACT,
    )
    dictionary = None if dictionary_from is None else _dictionary(dictionary_from)
    feed = store / name
    files.make_directory(feed)
    with files.locked(feed):
        stage = feed / _STAGE
        shutil.rmtree(stage, ignore_errors=True)
        try:
            made, scratch = stage / "snapshot", stage / "scratch"
            made.mkdir(parents=True)
            scratch.mkdir()
            info = write_snapshot(
                made,
                found.records(),
                about,
                normalise=normalise,
                scratch=scratch,
                level=level,
                given_dictionary=dictionary,
            )
            if not info.advisories:
                raise UsageError(path=found.name, detail="no advisory in it", refused=info.refused_count)
            before = _current_info(store, name)
            if before is not None and not change_ecosystems:
                _check_ecosystems(found.name, before, info)
            added = _publish(feed, made, info, before, make_current=make_current)
            return replace(added, time_from_records=snapshot_time is None)
        finally:
            shutil.rmtree(stage, ignore_errors=True)


def current_snapshot(store: Path, name: str) -> Path:
    """Return the directory of a feed's current snapshot; UsageError when the store has no such feed."""
    return snapshot_directory(store, name, None)


def snapshot_directory(store: Path, name: str, snapshot: str | None) -> Path:
    """Return the directory of a snapshot, given by its digest or the first hex digits of it, or of the current one."""
    try:
        feed = store / check_name(name, "name")
        place = _pointer(feed)
    except (MalformedDocument, OSError, UnicodeDecodeError) as fault:
        known = ", ".join(sorted(entry.parent.name for entry in store.glob(f"*/{CURRENT}"))[:10])
        here = f"{store} has {known}" if known else f"{store} has no feed: stella feed add makes one"
        raise UsageError(detail="no such feed in the store", found=ascii(name)[1:-1][:80], expected=here) from fault
    if snapshot is not None:
        wanted = snapshot.removeprefix("sha256:")
        matching = [entry for entry in _places(feed) if wanted and (entry + wanted[16:]).startswith(wanted)]
        if len(matching) != 1:
            detail = f"{len(matching)} snapshots have this digest or its first digits"
            raise UsageError(option="--snapshot", detail=detail, found=ascii(snapshot)[1:-1][:80])
        place = matching[0]
    if not _PLACE.fullmatch(place) or not (feed / place).is_dir():
        raise FileMissing(path=f"{name}/{place[:16]}")
    return feed / place


@contextmanager
def opened(directory: Path) -> Iterator[SnapshotReader]:
    """Open a snapshot directory as what its own record says it is; nothing beyond the record is verified."""
    try:
        found, _ = digest.of_file(directory / RECORD)
    except FileNotFoundError as fault:
        raise FileMissing(path=RECORD) from fault
    with DirectorySource(directory) as source:
        yield SnapshotReader(source, "", found)


def list_feeds(store: Path) -> list[FeedSummary]:
    """Return the feeds of the store, by name."""
    names = sorted(entry.parent.name for entry in store.glob(f"*/{CURRENT}"))
    return [_summary(store, name) for name in names]


def check_foreign(directory: Path) -> None:
    """Verify a snapshot that somebody else may have made, to the last advisory.

    An index that does not lead to all of its advisories hides findings, and no later check would look for that.
    """
    with opened(directory) as reader:
        reader.verify_quick()
        reader.verify_deep(normalise)


def show(store: Path, name: str, snapshot: str | None = None, *, deep: bool = False) -> FeedView:
    """Return one snapshot, the current one by default, after a quick verification or, if asked, a deep one."""
    directory = snapshot_directory(store, name, snapshot)
    with opened(directory) as reader:
        reader.verify_quick()
        refused, odd = reader.irregular()
        return FeedView(
            snapshot=reader.snapshot_digest,
            directory=directory.name,
            current=directory.name == _pointer(store / name),
            stored_size=sum(member.size for member in reader.info.members),
            info=msgspec.structs.replace(reader.info, refused=(), odd=()),
            refused_by_reason=_by_reason(refused),
            odd_by_reason=_by_reason(odd),
            deep=_told(reader.verify_deep(normalise)) if deep else None,
        )


def _newest(source: feed_sources.Source, now: str | None) -> str:
    newest = feed_sources.newest_change(source)
    if now is not None and newest > now:
        detail = "a record says that it was modified after the present time; say with --time how old the source is"
        raise UsageError(path=source.name, expected=f"at most {now}", found=newest, detail=detail)
    return newest


def ecosystems(info: SnapshotInfo) -> frozenset[str]:
    """Return the ecosystems of a snapshot without their releases: a distribution's come and go."""
    return frozenset(item.ecosystem.partition(":")[0] for item in info.ecosystems)


def _pointer(feed: Path) -> str:
    return (feed / CURRENT).read_text(encoding="ascii").strip()


def _current_info(store: Path, name: str) -> SnapshotInfo | None:
    """Return the record of a feed's current snapshot; nothing where there is none that a scan could use."""
    if not (store / name / CURRENT).is_file():
        return None
    try:
        with opened(current_snapshot(store, name)) as reader:
            return reader.info
    except StellaError:
        return None


def _check_ecosystems(source: str, before: SnapshotInfo, info: SnapshotInfo) -> None:
    """Refuse a source of other ecosystems, which is most likely meant for another feed."""
    if lost := ecosystems(before) - ecosystems(info):
        raise UsageError(
            path=source,
            detail=f"feed {info.name} would lose {', '.join(sorted(lost))}, and scans would evaluate nothing of it",
            expected=", ".join(sorted(ecosystems(before))),
            found=", ".join(sorted(ecosystems(info))) or "no ecosystem",
        ).then(
            "Give the feed's own source, or add this one under a name of its own; --change-ecosystems if it is meant."
        )


def _publish(feed: Path, made: Path, info: SnapshotInfo, before: SnapshotInfo | None, *, make_current: bool) -> Added:
    """Move a finished snapshot into its place, and point to it unless what is current is of a later time."""
    found, _ = digest.of_file(made / RECORD)
    place = feed / digest.hex_of(found)[:16]
    created = not place.exists()
    if created:
        files.sync_tree(made)
        made.rename(place)
        files.sync_tree(feed, recurse=False)
    elif digest.of_file(place / RECORD)[0] != found:
        raise LockerConflict(path=f"{feed.name}/{place.name}", expected=found)
    was_current = before is not None and _pointer(feed) == place.name
    current = was_current or make_current or before is None or info.snapshot_time >= before.snapshot_time
    if current and not was_current:
        files.write_atomic(feed / CURRENT, f"{place.name}\n".encode("ascii"))
    return Added(place, found, info, created, current, before, moved=current and not was_current)


def _dictionary(directory: Path) -> bytes:
    if not (directory / RECORD).is_file():
        expected = f"a snapshot's directory, with {RECORD}"
        raise UsageError(option="--dictionary-from", path=str(directory), expected=expected, found="none there")
    with opened(directory) as reader:
        dictionary = reader.dictionary
    if dictionary is None:
        raise UsageError(path=directory.name, detail=f"the snapshot has no {DICTIONARY}")
    return dictionary


def _summary(store: Path, name: str) -> FeedSummary:
    with opened(current_snapshot(store, name)) as reader:
        info = reader.info
    return FeedSummary(
        name=name,
        snapshot_time=info.snapshot_time,
        snapshot=reader.snapshot_digest,
        advisories=info.advisories,
        packages=info.packages,
        refused=info.refused_count,
        odd=info.odd_count,
        snapshots=len(_places(store / name)),
    )


def _places(feed: Path) -> list[str]:
    return sorted(entry.name for entry in feed.iterdir() if _PLACE.fullmatch(entry.name))


def _by_reason(items: tuple[Refused, ...] | tuple[Odd, ...]) -> dict[str, int]:
    return dict(sorted(Counter(item.reason for item in items).items()))


def _told(check: DeepCheck) -> str:
    return f"{check.advisories} advisories, {check.pages} pages, {check.index_entries} index entries derived anew"
