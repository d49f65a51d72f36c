"""What changed between two snapshots of a feed: records added, removed, withdrawn, changed, and in which members.

Both snapshots are in one order (docs/format.md, section Feed snapshot), so they are read side by side. Pages whose
roots are equal are not read at all, and memory follows the number of records that differ, never the size of a snapshot.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from builder import feeds
from kit.bytes import digest
from kit.bytes.merkle import leaf_hash
from kit.errors import MalformedDocument, UsageError
from kit.snapshot import SnapshotReader
from kit.snapshot.index import index_key
from kit.snapshot.records import RECORD
from scanner.identity import NotEvaluated, from_purl, normalise
from scanner.sbom import read_sbom

ADDED, REMOVED, WITHDRAWN, CHANGED = "added", "removed", "withdrawn", "changed"
KINDS = (ADDED, REMOVED, WITHDRAWN, CHANGED)
NO_ECOSYSTEM = "none"
"""Where records are counted that name no package."""

_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{8,64}", re.ASCII)


class _Document(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what is told."""


class SnapshotName(_Document, frozen=True):
    """One of the two snapshots."""

    name: str
    snapshot: str
    snapshot_time: str
    advisories: int
    content_root: str


class RecordChange(_Document, frozen=True):
    """One record that differs; ``members`` are those members of it that do, for a record on both sides."""

    id: str
    kind: str
    ecosystems: tuple[str, ...]
    members: tuple[str, ...] = ()


class FeedDifference(_Document, frozen=True):
    """The whole difference; records ascend by id. ``packages`` is how many packages it was restricted to, if it was."""

    before: SnapshotName
    after: SnapshotName
    equal: bool
    counts: dict[str, int]
    ecosystems: dict[str, dict[str, int]]
    members: dict[str, int]
    records: tuple[RecordChange, ...]
    packages: int | None = None


class _Package(msgspec.Struct, frozen=True, gc=False):
    ecosystem: str
    name: str


class _Affected(msgspec.Struct, frozen=True, gc=False):
    package: _Package | None = None


class _Head(msgspec.Struct, frozen=True, gc=False):
    """The members of a record that say where it stands in a snapshot."""

    id: str
    affected: tuple[_Affected, ...] | None = None
    withdrawn: msgspec.Raw = msgspec.Raw()

    @property
    def packages(self) -> list[_Package]:
        return [entry.package for entry in self.affected or () if entry.package is not None]

    @property
    def is_withdrawn(self) -> bool:
        return bytes(self.withdrawn) not in {b"", b"null"}


_HEADS = msgspec.json.Decoder(_Head)
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])


def locate(store: Path, text: str) -> Path:
    """Return the snapshot directory that a text names.

    It is a directory, a feed of the store (its current snapshot), ``FEED@DIGEST``, or a digest that one snapshot of the
    store has; of digests the first eight hexadecimal digits are enough. UsageError for anything else.
    """
    if (Path(text) / RECORD).is_file():
        return Path(text)
    name, _, wanted = text.partition("@")
    if wanted or not _DIGEST.fullmatch(text):
        return feeds.snapshot_directory(store, name, wanted or None)
    digits = text.removeprefix("sha256:")
    places = sorted(store.glob(f"*/{digits[:16]}*/{RECORD}"))
    found = [path.parent for path in places if digest.hex_of(digest.of_file(path)[0]).startswith(digits)]
    if len(found) != 1:
        raise UsageError(detail="no one snapshot of that digest", found=text[:80])
    return found[0]


def packages_of(purls: Iterable[str], sbom: bytes | None) -> set[tuple[str, str]]:
    """Return the packages, (ecosystem, name), of package URLs and of an SBOM; UsageError for a text that is neither."""
    found = set()
    for purl in purls:
        package = from_purl(purl, version="0")
        if isinstance(package, NotEvaluated):
            raise UsageError(detail=f"{package.reason} {package.detail}".strip(), found=ascii(purl)[:80])
        found.add((package.ecosystem, package.name))
    for component in read_sbom(sbom).components if sbom is not None else ():
        if not isinstance(component.package, NotEvaluated):
            found.add((component.package.ecosystem, component.package.name))
    return found


def compare(before: SnapshotReader, after: SnapshotReader, packages: set[tuple[str, str]] | None) -> FeedDifference:
    """Return what differs, restricted to some packages if asked; equal content roots are not read any further."""
    records: list[RecordChange] = []
    equal = before.info.content_root == after.info.content_root
    if not equal:
        lines = _Unmatched(_Walk(before), _Walk(after)).pairs(before, after)
        found = (_change(old, new) for old, new in lines if packages is None or _is_about(packages, old, new))
        records = sorted(found, key=lambda one: (one.id, one.kind))
    by_ecosystem: dict[str, Counter[str]] = {}
    for one in records:
        for ecosystem in one.ecosystems or (NO_ECOSYSTEM,):
            by_ecosystem.setdefault(ecosystem, Counter())[one.kind] += 1
    kinds = Counter(one.kind for one in records)
    return FeedDifference(
        before=_named(before),
        after=_named(after),
        equal=equal,
        counts={kind: kinds[kind] for kind in KINDS},
        ecosystems={name: {kind: by_ecosystem[name][kind] for kind in KINDS} for name in sorted(by_ecosystem)},
        members=dict(sorted(Counter(name for one in records for name in one.members).items())),
        records=tuple(records),
        packages=None if packages is None else len(packages),
    )


class _Walk:
    """One snapshot, record by record in its order; a page is read when a record of it is looked at."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader
        self._page = 0
        self._place = 0
        self._lines: list[bytes] = []
        self._current: tuple[int, bytes] | None = None
        self._order: tuple[bytes, bytes, bytes] | None = None

    @property
    def page_root(self) -> bytes | None:
        """Root of the page that comes next, where the walk stands at its beginning."""
        if self._place == 0 and self._page < len(self._reader.pages):
            return self._reader.pages[self._page].root
        return None

    @property
    def current(self) -> tuple[int, bytes] | None:
        """Ordinal and line of the record that the walk stands at."""
        if self._current is None and self._page < len(self._reader.pages):
            if self._place == 0:
                self._lines = self._reader.page_lines(self._page)
            self._current = self._reader.pages[self._page].first + self._place, self._lines[self._place]
        return self._current

    @property
    def order(self) -> tuple[bytes, bytes, bytes]:
        """Place of the record in the order of snapshots."""
        if self._order is None:
            _, line = self.current or (0, b"")
            head = _head(line)
            keys = (index_key(one.ecosystem, normalise(one.ecosystem, one.name)) for one in head.packages)
            first = next((key for key in keys if key is not None), b"")
            self._order = first, head.id.encode(), leaf_hash(line)
        return self._order

    def step(self) -> None:
        """Go on to the next record."""
        self._current = self._order = None
        self._place += 1
        if self._place == len(self._lines):
            self.skip_page()

    def skip_page(self) -> None:
        """Go on to the beginning of the next page."""
        self._page, self._place, self._lines = self._page + 1, 0, []
        self._current = self._order = None


class _Unmatched:
    """The records without an equal one on the other side: ordinals by id."""

    def __init__(self, old: _Walk, new: _Walk) -> None:
        self._old: dict[str, list[int]] = {}
        self._new: dict[str, list[int]] = {}
        while True:
            while old.page_root is not None and old.page_root == new.page_root:
                old.skip_page()
                new.skip_page()
            left, right = old.current, new.current
            if left is None and right is None:
                return
            if left is not None and right is not None and left[1] == right[1]:
                old.step()
                new.step()
            elif right is None or (left is not None and old.order < new.order):
                _note(self._old, old)
            else:
                _note(self._new, new)

    def pairs(self, before: SnapshotReader, after: SnapshotReader) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Yield each on both sides, records of one id paired in their order; their pages are read again, in order."""
        old, new = _Lines(before), _Lines(after)
        pairs: list[tuple[int | None, int | None]] = []
        for identifier in self._old.keys() | self._new.keys():
            left, right = self._old.get(identifier, []), self._new.get(identifier, [])
            for position in range(max(len(left), len(right))):
                pair = [side[position] if position < len(side) else None for side in (left, right)]
                pairs.append((pair[0], pair[1]))
        for one, other in sorted(pairs, key=lambda pair: (pair[0] is None, pair[0] or 0, pair[1] or 0)):
            yield None if one is None else old[one], None if other is None else new[other]


class _Lines:
    """Records by ordinal; the page of the last one is kept."""

    def __init__(self, reader: SnapshotReader) -> None:
        self._reader = reader
        self._kept: tuple[int, list[bytes]] = (-1, [])

    def __getitem__(self, ordinal: int) -> bytes:
        number = self._reader.pages.number_of(ordinal)
        if self._kept[0] != number:
            self._kept = number, self._reader.page_lines(number)
        return self._kept[1][ordinal - self._reader.pages[number].first]


def _note(found: dict[str, list[int]], walk: _Walk) -> None:
    ordinal, line = walk.current or (0, b"")
    found.setdefault(_head(line).id, []).append(ordinal)
    walk.step()


def _change(old: bytes | None, new: bytes | None) -> RecordChange:
    heads = [_head(line) for line in (old, new) if line is not None]
    ecosystems = tuple(sorted({package.ecosystem for head in heads for package in head.packages}))
    if old is None or new is None:
        return RecordChange(id=heads[0].id, kind=ADDED if old is None else REMOVED, ecosystems=ecosystems)
    before, after = _MEMBERS.decode(old), _MEMBERS.decode(new)
    members = sorted(name for name in before.keys() | after.keys() if _raw(before.get(name)) != _raw(after.get(name)))
    kind = WITHDRAWN if heads[1].is_withdrawn and not heads[0].is_withdrawn else CHANGED
    return RecordChange(id=heads[1].id, kind=kind, ecosystems=ecosystems, members=tuple(members))


def _is_about(packages: set[tuple[str, str]], *lines: bytes | None) -> bool:
    """Tell whether a record names one of the packages, on either side: one that no longer does has changed too."""
    heads = (_head(line) for line in lines if line is not None)
    return any(
        (package.ecosystem, normalise(package.ecosystem, package.name)) in packages
        for head in heads
        for package in head.packages
    )


def _raw(value: msgspec.Raw | None) -> bytes | None:
    return None if value is None else bytes(value)


def _head(line: bytes) -> _Head:
    try:
        return _HEADS.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as fault:
        raise MalformedDocument(path="a record of the snapshot", detail=str(fault)) from None


def _named(reader: SnapshotReader) -> SnapshotName:
    info = reader.info
    return SnapshotName(
        name=info.name,
        snapshot=reader.snapshot_digest,
        snapshot_time=info.snapshot_time,
        advisories=info.advisories,
        content_root=info.content_root,
    )
