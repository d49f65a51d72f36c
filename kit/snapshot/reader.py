"""Reading a feed snapshot by package: docs/format.md, section Feed snapshot.

The cost follows the packages asked for, not the feed: the two directories are kept as bytes; a page is read, hashed
against its directory entry and decoded when it is touched, then dropped.
"""

from array import array
from collections.abc import Iterable, Iterator
from functools import cached_property

import msgspec

from kit.bundle import MemberFile, MemberSource
from kit.bytes import digest, sha256
from kit.bytes.frames import FrameCodec
from kit.errors import DigestMismatch, LimitExceeded, MalformedDocument, MalformedFrame, SizeMismatch
from kit.snapshot import deep, proofs, records
from kit.snapshot.index import MAX_KEY, index_key
from kit.snapshot.intake import Normalise
from kit.snapshot.layout import INDEX_ENTRY, MAX_INDEX_PAGES, PAGE_ENTRY, IndexDirectory, Page, PageDirectory
from kit.snapshot.records import (
    ADVISORIES,
    DICTIONARY,
    INDEX,
    INDEX_PAGES,
    IRREGULAR,
    MAX_DICTIONARY,
    MAX_RECORD_BYTES,
    PAGES,
    RECORD,
    Odd,
    Refused,
    SnapshotInfo,
    parse_ordinals,
)

_PIECE = 1 << 20
_MAX_IRREGULAR = 1 << 30
_MAX_INDEX_DIRECTORY = MAX_INDEX_PAGES * (INDEX_ENTRY.size + MAX_KEY)


class Counters(msgspec.Struct):
    """What a reader has done so far; the same reads give the same numbers on every machine."""

    pages_touched: int = 0
    index_pages_touched: int = 0
    bytes_hashed: int = 0
    bytes_decompressed: int = 0


class SnapshotReader:
    """One snapshot below a prefix of a member source, identified by the digest of its ``snapshot.json``.

    Not to be shared between threads. Raises DigestMismatch, SizeMismatch, MalformedDocument or MalformedFrame wherever
    bytes are not what ``snapshot.json`` says, and the member source's own errors.
    """

    def __init__(self, source: MemberSource, prefix: str, snapshot_digest: str) -> None:
        self._source = source
        self._prefix = prefix
        self.counters = Counters()
        self.snapshot_digest = digest.check(snapshot_digest)
        data = source.read(prefix + RECORD, limit=MAX_RECORD_BYTES)
        self._check_digest(prefix + RECORD, data, snapshot_digest)
        self.info: SnapshotInfo = records.decode(data)
        self._index_page: tuple[int, bytes] | None = None

    @property
    def name(self) -> str:
        """Return the feed's name."""
        return self.info.name

    @property
    def ecosystems(self) -> tuple[str, ...]:
        """Return the ecosystems that have records here, spelled as in the records."""
        return tuple(entry.ecosystem for entry in self.info.ecosystems)

    @cached_property
    def pages(self) -> PageDirectory:
        """Return the directory of the advisory pages, checked."""
        return PageDirectory(self._member(PAGES, self.info.pages * PAGE_ENTRY.size), self.info)

    @cached_property
    def index_pages(self) -> IndexDirectory:
        """Return the directory of the index pages, checked."""
        return IndexDirectory(self._member(INDEX_PAGES, _MAX_INDEX_DIRECTORY), self.info)

    @cached_property
    def dictionary(self) -> bytes | None:
        """Return the dictionary of the advisory pages, if they have one."""
        return None if self.info.member(DICTIONARY) is None else self._member(DICTIONARY, MAX_DICTIONARY)

    def lookup(self, ecosystem: str, package: str) -> tuple[int, ...]:
        """Return the ordinals, ascending, of the advisories that name a package (in its normal form)."""
        key = index_key(ecosystem, package)
        return () if key is None else self._lookup(key)

    def records(self, packages: Iterable[tuple[str, str]]) -> Iterator[tuple[int, bytes]]:
        """Yield (ordinal, canonical line) of every advisory that names one of the packages: once each, ascending."""
        keys = {index_key(ecosystem, package) for ecosystem, package in packages}
        found = (self._lookup(key) for key in sorted(key for key in keys if key is not None))
        ordinals = array("I", sorted({ordinal for entry in found for ordinal in entry}))
        position = 0
        while position < len(ordinals):
            number = self.pages.number_of(ordinals[position])
            page = self.pages[number]
            lines = self.page_lines(number)
            while position < len(ordinals) and ordinals[position] < page.first + page.count:
                yield ordinals[position], lines[ordinals[position] - page.first]
                position += 1

    def page_lines(self, number: int) -> list[bytes]:
        """Return the advisories of one page, canonical JSON without the line end."""
        return _lines(ADVISORIES, self.pages[number], self.page_content(number))

    def page_content(self, number: int) -> bytes:
        """Return the content of one page, each line with its end; their number is not checked."""
        self.counters.pages_touched += 1
        return self._content(ADVISORIES, self._advisories, self.pages[number], self._codec)

    def index_lines(self) -> Iterator[bytes]:
        """Yield all entries of the index in order, without the line end; reads the index as a whole."""
        for number in range(len(self.index_pages)):
            page = self.index_pages[number]
            yield from _lines(INDEX, page, self._index_content(number))

    def irregular(self) -> tuple[tuple[Refused, ...], tuple[Odd, ...]]:
        """Return all refused and all odd records, wherever the snapshot lists them."""
        if self.info.member(IRREGULAR) is None:
            return self.info.refused, self.info.odd
        decoder = msgspec.json.Decoder(records.Irregularity)
        try:
            found = decoder.decode_lines(self._member(IRREGULAR, _MAX_IRREGULAR))
        except (msgspec.DecodeError, UnicodeDecodeError) as fault:
            raise MalformedDocument(path=IRREGULAR, detail=str(fault)) from fault
        refused = tuple(item.refused for item in found if item.refused is not None)
        odd = tuple(item.odd for item in found if item.odd is not None)
        if (len(refused), len(odd)) != (self.info.refused_count, self.info.odd_count):
            raise MalformedDocument(path=IRREGULAR, detail="the lists and their counts differ")
        return refused, odd

    def verify_quick(self) -> None:
        """Hash every member once against ``snapshot.json`` and check both directories; decode no page."""
        for member in self.info.members:
            file = self._open(member.path)
            hasher = sha256.new()
            for offset in range(0, member.size, _PIECE):
                hasher.update(file.read_at(offset, min(_PIECE, member.size - offset)))
            self.counters.bytes_hashed += member.size
            found = digest.of_raw(hasher.digest())
            if found != member.digest:
                raise DigestMismatch(path=self._prefix + member.path, expected=member.digest, found=found)
        _ = self.pages, self.index_pages

    def verify_deep(self, normalise: Normalise | None) -> deep.DeepCheck:
        """Check every page, leaf and root, and re-derive the index with the scanner's name normalisation.

        Without a normalisation the index is not re-derived, and the result says so.
        """
        return deep.verify(self, normalise)

    def prove(self, ecosystem: str, package: str) -> proofs.PackageProof:
        """Return the proof that the index has exactly this entry for a package, or none."""
        return proofs.prove_package(self.index_lines(), ecosystem, package)

    def prove_advisory(self, ordinal: int) -> proofs.AdvisoryProof:
        """Return the proof that the advisory of an ordinal is in the snapshot; IndexError for no such ordinal."""
        return proofs.prove_advisory(self, ordinal)

    @cached_property
    def _codec(self) -> FrameCodec:
        return FrameCodec(dictionary=self.dictionary)

    @cached_property
    def _index_codec(self) -> FrameCodec:
        return FrameCodec()

    @cached_property
    def _advisories(self) -> MemberFile:
        return self._open(ADVISORIES)

    @cached_property
    def _index(self) -> MemberFile:
        return self._open(INDEX)

    def _lookup(self, key: bytes) -> tuple[int, ...]:
        number = self.index_pages.number_of(key)
        if number < 0:
            return ()
        content = self._index_content(number)
        wanted = key + b"\t"
        start = 0 if content.startswith(wanted) else content.find(b"\n" + wanted) + 1
        if not start and not content.startswith(wanted):
            return ()
        return parse_ordinals(content[start + len(wanted) : content.index(b"\n", start)], self.info.advisories)

    def _index_content(self, number: int) -> bytes:
        """Return the content of an index page; the last one is kept, since keys are looked up in order."""
        if self._index_page is None or self._index_page[0] != number:
            self.counters.index_pages_touched += 1
            content = self._content(INDEX, self._index, self.index_pages[number], self._index_codec)
            self._index_page = number, content
        return self._index_page[1]

    def _content(self, path: str, file: MemberFile, page: Page, codec: FrameCodec) -> bytes:
        """Read, hash, measure and decode one page, in this order."""
        frame = file.read_at(page.offset, page.stored)
        self.counters.bytes_hashed += page.stored
        if sha256.of(frame) != page.digest:
            raise DigestMismatch(path=self._prefix + path, pointer=f"/{page.first}", expected=page.digest.hex())
        try:
            length, content = codec.length(frame)
            data = codec.decode(frame, content) if (length, content) == (page.stored, page.content) else None
        except MalformedFrame as fault:
            raise MalformedFrame(path=self._prefix + path, pointer=f"/{page.first}", **fault.details) from fault
        if data is None:
            raise MalformedFrame(
                path=self._prefix + path, pointer=f"/{page.first}", detail="lengths as in the directory"
            )
        self.counters.bytes_decompressed += content
        if not data.endswith(b"\n"):
            raise MalformedDocument(path=self._prefix + path, pointer=f"/{page.first}", detail="no line end")
        return data

    def _member(self, path: str, limit: int) -> bytes:
        """Return a whole member, hashed against ``snapshot.json``."""
        member = self.info.member(path)
        if member is None:
            raise MalformedDocument(path=RECORD, pointer="/members", detail=f"no {path}")
        if member.size > limit:
            raise LimitExceeded(path=self._prefix + path, expected=limit, found=member.size)
        data = self._source.read(self._prefix + path, limit=member.size)
        if len(data) != member.size:
            raise SizeMismatch(path=self._prefix + path, expected=member.size, found=len(data))
        self._check_digest(self._prefix + path, data, member.digest)
        return data

    def _open(self, path: str) -> MemberFile:
        """Open a member for reading in places, its size checked."""
        member = self.info.member(path)
        if member is None:
            raise MalformedDocument(path=RECORD, pointer="/members", detail=f"no {path}")
        file = self._source.open(self._prefix + path)
        if file.size != member.size:
            raise SizeMismatch(path=self._prefix + path, expected=member.size, found=file.size)
        return file

    def _check_digest(self, path: str, data: bytes, expected: str) -> None:
        self.counters.bytes_hashed += len(data)
        found = digest.of_bytes(data)
        if found != expected:
            raise DigestMismatch(path=path, expected=expected, found=found)


def _lines(path: str, page: Page, content: bytes) -> list[bytes]:
    lines = content.split(b"\n")
    lines.pop()
    if len(lines) != page.count:
        raise MalformedDocument(path=path, pointer=f"/{page.first}", expected=page.count, found=len(lines))
    return lines
