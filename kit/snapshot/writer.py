"""Writing a feed snapshot into an empty directory: docs/format.md, section Feed snapshot.

The bytes depend on the records, the arguments and the version of libzstd, not on the order of the records. Memory holds
the index, the identifiers and the sort keys of the largest ecosystem, never the content.
"""

import hashlib
from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self, TypeAlias, cast

import msgspec

from kit.bundle import Member
from kit.bytes import digest
from kit.bytes.frames import LIBRARY, FrameCodec
from kit.bytes.merkle import HASH_SIZE, Tree, leaf_hash, root, root_of_joined
from kit.errors import LimitExceeded
from kit.manifest import check_name, check_time
from kit.snapshot import dictionary, records
from kit.snapshot.index import count_ecosystems, index_lines
from kit.snapshot.intake import Normalise, judge, shown
from kit.snapshot.layout import Page, cut, pack_index
from kit.snapshot.records import (
    ADVISORIES,
    DICTIONARY,
    INDEX,
    INDEX_PAGE_SIZE,
    INDEX_PAGES,
    IRREGULAR,
    MAX_ADVISORIES,
    MAX_LISTED,
    PAGE_SIZE,
    PAGES,
    RECORD,
    SCHEMA_VERSION,
    Compressor,
    Irregularity,
    Odd,
    OddReason,
    Refused,
    SnapshotInfo,
)
from kit.snapshot.spill import Row, Spill

SourceRecord: TypeAlias = tuple[str | None, bytes] | Refused
"""One record of a source: (its file name, if it has one of its own; its bytes), or why it could not be read."""

DEFAULT_LEVEL = 3


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What the snapshot says of its origin: names, not paths. ``snapshot_time`` is ``YYYY-MM-DDTHH:MM:SSZ``.

    ``match_contract`` names the rules by which package names were normalised for the index.
    """

    name: str
    source: str
    snapshot_time: str
    source_digest: str | None = None
    match_contract: str | None = None


def write_snapshot(
    target: Path,
    source: Iterable[SourceRecord],
    about: About,
    *,
    normalise: Normalise,
    scratch: Path,
    level: int = DEFAULT_LEVEL,
    given_dictionary: bytes | None = None,
) -> SnapshotInfo:
    """Write the members of a snapshot and its ``snapshot.json`` into a directory that exists and is empty.

    ``scratch`` is an empty directory for intermediate files, about the size of the content. A given dictionary is used
    instead of training one, where the content is large enough to have one. Nothing is synced to disk.
    Raises LimitExceeded for more than 2^32 - 1 advisories or an index entry over 4 MiB, MalformedDocument for a bad
    name or time, MalformedFrame for a bad dictionary.
    """
    check_name(about.name, "/name")
    check_time(about.snapshot_time, "/snapshotTime")
    if given_dictionary is not None:
        dictionary.check(given_dictionary)
    spill = Spill(scratch)
    try:
        ledger = _take_in(source, spill, normalise)
        trained = given_dictionary or dictionary.train(spill, level)
        if spill.content_size < dictionary.WORTHWHILE:
            trained = None
        return _write(target, spill, ledger, about, level, trained)
    finally:
        spill.close()


class _Ledger(msgspec.Struct):
    """What has been refused, which ids came more than once, and under which leaf hashes these were kept."""

    refused: list[Refused]
    repeated: dict[bytes, list[bytes]]
    odd: list[Odd]


def _take_in(source: Iterable[SourceRecord], spill: Spill, normalise: Normalise) -> _Ledger:
    ledger = _Ledger([], {}, [])
    seen: set[str] = set()
    for item in source:
        if isinstance(item, Refused):
            ledger.refused.append(item)
            continue
        file, raw = item
        found = judge(file, raw, normalise)
        if isinstance(found, Refused):
            ledger.refused.append(found)
            continue
        if found.id in seen:
            ledger.repeated[found.id.encode()] = []
        seen.add(found.id)
        spill.add(found, shown(file))
    return ledger


def _write(
    target: Path, spill: Spill, ledger: _Ledger, about: About, level: int, trained: bytes | None
) -> SnapshotInfo:
    members = [] if trained is None else [_put(target, DICTIONARY, trained)]
    order = _Ordering(spill, ledger)
    advisories = write_advisories(target, order, FrameCodec(level, trained))
    entries = index_lines(order.index)
    index = write_index(target, entries, FrameCodec(level))
    refused = tuple(sorted(ledger.refused, key=_by_text))
    odd = tuple(sorted((*ledger.odd, *_same_id(ledger)), key=_by_text))
    listed = len(refused) + len(odd) <= MAX_LISTED
    if not listed:
        members.append(_put(target, IRREGULAR, _irregular(refused, odd)))
    library, _, version = LIBRARY.partition(" ")
    info = SnapshotInfo(
        schema_version=SCHEMA_VERSION,
        name=about.name,
        source=about.source,
        source_digest=about.source_digest,
        match_contract=about.match_contract,
        snapshot_time=about.snapshot_time,
        advisories=advisories.leaves,
        withdrawn=order.withdrawn,
        packages=index.leaves,
        ecosystems=count_ecosystems(order.index),
        content_size=advisories.content_size,
        content_root=advisories.root,
        index_size=index.content_size,
        index_root=index.root,
        page_size=PAGE_SIZE,
        pages=advisories.pages,
        page_root=advisories.page_root,
        index_page_size=INDEX_PAGE_SIZE,
        index_pages=index.pages,
        compressor=Compressor(library=library, version=version, level=level),
        members=tuple(sorted((*members, *advisories.members, *index.members), key=lambda member: member.path)),
        refused_count=len(refused),
        odd_count=len(odd),
        refused=refused if listed else (),
        odd=odd if listed else (),
    )
    _put(target, RECORD, records.encode(info))
    return info


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What snapshot.json says of a file of pages and its directory."""

    members: tuple[Member, Member]
    leaves: int
    pages: int
    content_size: int
    root: str
    page_root: str = ""


def write_advisories(target: Path, order: Iterable[tuple[bytes, bytes]], codec: FrameCodec) -> Written:
    """Write the pages of advisories, given as (line, leaf hash) in order, and their directory."""
    content, entries, directory = bytearray(), Tree(), bytearray()
    with _PageFile(target, ADVISORIES, codec) as file:
        for lines in cut(order, PAGE_SIZE):
            leaves = b"".join([leaf for _, leaf in lines])
            entry = file.write([line for line, _ in lines], root_of_joined(leaves)).pack()
            entries.append(leaf_hash(entry))
            directory += entry
            content += leaves
    return Written(
        members=(file.member(), _put(target, PAGES, bytes(directory))),
        leaves=len(content) // HASH_SIZE,
        pages=entries.size,
        content_size=file.content_size,
        root=digest.of_raw(root_of_joined(bytes(content))),
        page_root=digest.of_raw(entries.root()),
    )


def write_index(target: Path, entries: list[bytes], codec: FrameCodec) -> Written:
    """Write the pages of the index and their directory."""
    pages: list[tuple[Page, bytes]] = []
    with _PageFile(target, INDEX, codec) as file:
        for lines in cut(((entry, None) for entry in entries), INDEX_PAGE_SIZE):
            page = file.write([line for line, _ in lines], b"")
            pages.append((page, lines[0][0].rpartition(b"\t")[0]))
    return Written(
        members=(file.member(), _put(target, INDEX_PAGES, pack_index(pages))),
        leaves=len(entries),
        pages=len(pages),
        content_size=file.content_size,
        root=digest.of_raw(root(leaf_hash(entry) for entry in entries)),
    )


class _Ordering:
    """The advisories in the order of the snapshot; collects index, counts and oddities while it is iterated once."""

    def __init__(self, spill: Spill, ledger: _Ledger) -> None:
        self.index: dict[bytes, array[int]] = defaultdict(lambda: array("I"))
        self.withdrawn = 0
        self._spill = spill
        self._ledger = ledger

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        """Yield (line, leaf hash)."""
        before: tuple[bytes, bytes] | None = None
        ordinal = 0
        index, repeated = self.index, self._ledger.repeated
        for row in self._spill.rows():
            if before == (row.id, row.leaf):
                self._ledger.refused.append(_repetition(row))
                continue
            before = row.id, row.leaf
            if ordinal >= MAX_ADVISORIES:
                raise LimitExceeded(detail="advisories", expected=MAX_ADVISORIES)
            for key in row.keys:
                index[key].append(ordinal)
            if row.withdrawn:
                self.withdrawn += 1
            if row.flags or row.id in repeated:
                self._note(row)
            ordinal += 1
            yield self._spill.line(row), row.leaf

    def _note(self, row: Row) -> None:
        reasons = row.flags.decode().split(",") if row.flags else []
        self._ledger.odd += [_odd(cast("OddReason", reason), row.id, row.leaf, row.file) for reason in reasons]
        if row.id in self._ledger.repeated:
            self._ledger.repeated[row.id].append(row.leaf)


class _PageFile:
    """A file of frames, one a page."""

    def __init__(self, target: Path, path: str, codec: FrameCodec) -> None:
        self.content_size = 0
        self._path = path
        self._file = (target / path).open("xb")
        self._codec = codec
        self._hasher = hashlib.sha256()
        self._leaves = 0
        self._offset = 0

    def write(self, lines: list[bytes], page_root: bytes) -> Page:
        """Append the lines as one page."""
        data = b"\n".join([*lines, b""])
        frame = self._codec.compress(data)
        self._file.write(frame)
        self._hasher.update(frame)
        page = Page(
            self._leaves, len(lines), self._offset, len(frame), len(data), hashlib.sha256(frame).digest(), page_root
        )
        self._leaves += len(lines)
        self._offset += len(frame)
        self.content_size += len(data)
        return page

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def member(self) -> Member:
        """Return the record of the file."""
        return Member(path=self._path, size=self._offset, digest=digest.of_raw(self._hasher.digest()))


def _put(target: Path, path: str, data: bytes) -> Member:
    with (target / path).open("xb") as file:
        file.write(data)
    return Member(path=path, size=len(data), digest=digest.of_bytes(data))


def _repetition(row: Row) -> Refused:
    return Refused(
        reason="repeated", file=row.file.decode() or None, id=row.id.decode(), detail=digest.of_raw(row.leaf)
    )


def _odd(reason: OddReason, identity: bytes, leaf: bytes, file: bytes = b"") -> Odd:
    return Odd(reason=reason, id=identity.decode(), digest=digest.of_raw(leaf), file=file.decode() or None)


def _same_id(ledger: _Ledger) -> list[Odd]:
    return [
        _odd("same-id", identity, leaf)
        for identity, leaves in ledger.repeated.items()
        if len(leaves) > 1
        for leaf in leaves
    ]


def _by_text(item: Refused | Odd) -> tuple[str, ...]:
    return item.reason, item.id or "", item.file or "", item.digest or "", item.detail or ""


def _irregular(refused: Iterable[Refused], odd: Iterable[Odd]) -> bytes:
    lines = [records.encode_line(Irregularity(refused=item)) for item in refused]
    lines += [records.encode_line(Irregularity(odd=item)) for item in odd]
    return b"".join(lines)
