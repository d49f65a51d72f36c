"""The members of a bundle that a delta says in differences: decoded, and the pages of feeds made again of their lines.

docs/format.md section 2.4. One chunk is in memory at a time; members lie as files beside the bundle that is being made.
"""

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from io import FileIO
from pathlib import Path
from typing import Self

from kit import delta as deltas
from kit import layout, patch
from kit import manifest as manifests
from kit.bundle import BundleReader, BundleRecord, Member
from kit.bytes import digest
from kit.delta import Chunk, MemberDelta, Object
from kit.errors import (
    DigestMismatch,
    EvidenceMissing,
    FileMissing,
    LimitExceeded,
    MalformedDocument,
    SizeMismatch,
)
from kit.snapshot import SnapshotReader, rebuild, records
from scanner.identity import normalise
from verifier.intake_copy import CHUNK
from verifier.medium import Medium


class Frames:
    """The frames of an object, taken one after the other from its file on the medium, whose digest is demanded."""

    def __init__(self, medium: Medium, each: Object) -> None:
        self._medium = medium
        self._stored = each.stored
        self._file: FileIO | None = None

    def __enter__(self) -> Self:
        if self._stored is not None:
            found, size = self._medium.digest(self._stored.path)
            if size != self._stored.size:
                raise SizeMismatch(path=self._stored.path, expected=self._stored.size, found=size)
            if found != self._stored.digest:
                raise DigestMismatch(path=self._stored.path, expected=self._stored.digest, found=found)
            self._file = self._medium.open(self._stored.path)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def at(self, offset: int, length: int) -> bytes:
        """Return the bytes of a frame."""
        return b"" if self._file is None else os.pread(self._file.fileno(), length, offset)


def decoded(stored: Frames, chunks: Sequence[Chunk], read_at: patch.ReadAt, start: int = 0) -> Iterator[bytes]:
    """Yield the bytes of chunks whose frames follow one another from a place on."""
    for chunk in chunks:
        yield patch.decode(stored.at(start, chunk.stored), chunk, read_at)
        start += chunk.stored


def write(place: Path, pieces: Iterator[bytes]) -> None:
    """Write a file that is not there yet, durably."""
    with place.open("xb") as out:
        for piece in pieces:
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


class Members:
    """The members of a bundle on its way: from the base's bundle where it has them, else made in a directory."""

    def __init__(
        self,
        each: Object,
        record: BundleRecord,
        old: BundleReader,
        old_manifest: manifests.Manifest,
        stored: Frames,
        work: Path,
    ) -> None:
        self._each = each
        self._record = {member.path: member for member in record.members}
        self._old = old
        self._by_digest = {member.digest: member for member in old.record.members}
        self._feeds = feeds_of(old_manifest, old)
        self._stored = stored
        self._work = work
        self._made: dict[str, Path] = {}

    def paths(self) -> list[tuple[str, bytes | Path]]:
        """Return every member of the bundle and a file with its content."""
        starts, place = {}, 0
        for member in self._each.members:
            starts[member.path] = place
            place += sum(chunk.stored for chunk in member.chunks)
            if member.path not in self._record:
                raise MalformedDocument(path=layout.DELTA_FILE, detail=f"no member of the bundle: {member.path[:120]}")
        for member in self._each.members:
            if member.kind == deltas.CONTENT:
                self._content(member, starts[member.path])
        for member in self._each.members:
            if member.kind == deltas.LINES:
                self._lines(member, starts[member.path])
        return [(path, self._made.get(path) or self._kept(member)) for path, member in self._record.items()]

    def _file(self, path: str) -> Path:
        number = list(self._record).index(path)
        return self._work / f"member-{number:04d}"

    def _content(self, member: MemberDelta, start: int) -> None:
        wanted = self._record[member.path]
        if sum(chunk.size for chunk in member.chunks) != wanted.size:
            raise SizeMismatch(path=member.path, detail="what its chunks give together", expected=wanted.size)
        place = self._file(member.path)
        base = self._old.open(member.base).read_at if member.base is not None else _nothing
        write(place, decoded(self._stored, member.chunks, base, start))
        if (found := digest.of_file(place)[0]) != wanted.digest:
            raise DigestMismatch(path=member.path, expected=wanted.digest, found=found)
        self._made[member.path] = place

    def _lines(self, member: MemberDelta, start: int) -> None:
        """Make the pages of a feed, and all that follows from them, of its advisory lines."""
        prefix = member.path.removesuffix(records.ADVISORIES)
        info = records.decode(self._member(prefix + records.RECORD))
        if sum(chunk.size for chunk in member.chunks) != info.content_size:
            raise SizeMismatch(path=member.path, detail="what its chunks give together", expected=info.content_size)
        dictionary = self._member(prefix + records.DICTIONARY) if info.member(records.DICTIONARY) else None
        reader = self._feeds.get(member.base or "")
        if reader is None:
            raise MalformedDocument(path=layout.DELTA_FILE, detail=f"the base has no such feed: {member.path[:120]}")
        place = self._file(member.path).with_suffix(".pages")
        place.mkdir()
        content = decoded(self._stored, member.chunks, lines_at(reader), start)
        rebuild.rebuild(place, content, info, dictionary, normalise)
        self._made |= {prefix + name: place / name for name in rebuild.MADE}

    def _member(self, path: str) -> bytes:
        """Return a small member, made here or kept from the base."""
        wanted = self._record.get(path)
        if wanted is None:
            raise FileMissing(path=path)
        if wanted.size > records.MAX_RECORD_BYTES:
            raise LimitExceeded(path=path, expected=records.MAX_RECORD_BYTES, found=wanted.size)
        return (self._made.get(path) or self._kept(wanted)).read_bytes()

    def _kept(self, member: Member) -> Path:
        """Return a file with a member that the base has as well, under this name or another."""
        old = self._by_digest.get(member.digest)
        if old is None:
            raise EvidenceMissing(path=member.path, detail="neither the delta nor the base has this member")
        place = self._file(member.path)
        source = self._old.open(old.path)
        pieces = (source.read_at(at, min(CHUNK, old.size - at)) for at in range(0, old.size, CHUNK))
        write(place, pieces)
        self._made[member.path] = place
        return place


def _nothing(_offset: int, _length: int) -> bytes:
    return b""


def feeds_of(manifest: manifests.Manifest, bundle: BundleReader) -> dict[str, SnapshotReader]:
    """Return the readers of a verified input bundle's feeds, by the member that holds their advisories."""
    if bundle.record != manifest.bundles.input:
        return {}
    return {
        feed.path + records.ADVISORIES: SnapshotReader(bundle, feed.path, feed.snapshot_hash)
        for feed in manifest.inputs.feeds
    }


def lines_at(reader: SnapshotReader) -> patch.ReadAt:
    """Return access to the advisory lines of a snapshot as if they were one file; pages are decoded as they are met."""
    starts = [0]
    for number in range(len(reader.pages)):
        starts.append(starts[-1] + reader.pages[number].content)

    def read_at(offset: int, length: int) -> bytes:
        number = bisect_right(starts, offset) - 1
        parts: list[bytes] = []
        skip = offset - starts[number]
        while length > 0 and number < len(reader.pages):
            part = reader.page_content(number)[skip : skip + length]
            parts.append(part)
            length, skip, number = length - len(part), 0, number + 1
        return b"".join(parts)

    return read_at
