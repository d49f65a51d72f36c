"""Reading a bundle: size and archive digest first, then every frame and member, then random access.

Follows docs/format.md sections 1.4 to 1.6. Nothing is parsed: the reader knows from the signed record each member's
header, where each frame is cut and where the file ends, and compares.
"""

import mmap
import os
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from kit.bundle.record import BundleRecord, Member, check_record
from kit.bytes import digest, frames, names, sha256, tar
from kit.bytes.files import open_regular, page_buffer
from kit.errors import (
    DigestMismatch,
    FileMissing,
    InternalError,
    LimitExceeded,
    MalformedFrame,
    MalformedTar,
    SizeMismatch,
)

_KEPT_CONTENT = 2 * frames.MAX_CONTENT
"""Bytes of decoded frames that are kept for the next read: two of the largest, or very many small ones."""
_ZEROS = bytes(tar.BLOCK)
_AS_STORED = "the bundle as it is stored, before anything in it is read"


class BundleReader:
    """A bundle file and its signed record. Not to be shared between threads.

    Nothing can be read before verify() has passed. The file stays open from construction on, so that replacing it has
    no effect. Bytes that are changed in place after verify() are met by read(), which hashes again, and by whoever
    checks what read_at() returned.
    """

    def __init__(self, path: Path, record: BundleRecord) -> None:
        check_record(record)
        self.record = record
        self.bytes_decompressed = 0
        self._codec = frames.FrameCodec()
        self._members = {member.path: index for index, member in enumerate(record.members)}
        self._frames: _FrameTable | None = None
        self._kept: OrderedDict[int, bytes] = OrderedDict()
        self._kept_content = 0
        self._buffer: mmap.mmap | None = None
        self._file = open_regular(path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; nothing can be read afterwards."""
        self._frames = None
        self._kept.clear()
        self._kept_content = 0
        self._buffer = None
        self._file.close()

    def verify(self) -> None:
        """Check every byte of the file against the record, which was checked in itself at construction.

        In this order: size (SizeMismatch), archive digest (DigestMismatch), then frame by frame its form
        (MalformedFrame), header and padding (MalformedTar) and the member's content (DigestMismatch), then the end
        (MalformedTar).
        """
        self._frames = None
        self._kept.clear()
        self._kept_content = 0
        self._check_archive()
        self._file.seek(0)
        table = _FrameTable()
        walk = _Walk(self._file, self._codec, table)
        for member in self.record.members:
            table.starts.append(len(table.offsets))
            with _named(member.path):
                _check_member(member, walk)
        if walk.next(len(tar.END)) != tar.END:
            raise MalformedTar(detail="no two zero blocks at the end")
        walk.finish()
        self.bytes_decompressed += walk.bytes_decompressed
        self._frames = table

    def names(self) -> tuple[str, ...]:
        """Return the members' paths in ascending order."""
        return tuple(self._members)

    def read(self, path: str, *, limit: int) -> bytes:
        """Return a whole member of at most limit bytes, hashed again; FileMissing, LimitExceeded, DigestMismatch."""
        file = self.open(path)
        if file.size > limit:
            raise LimitExceeded(path=path, expected=limit, found=file.size)
        data = file.read_at(0, file.size)
        found = digest.of_bytes(data)
        expected = self.record.members[self._members[path]].digest
        if found != expected:
            raise DigestMismatch(path=path, expected=expected, found=found)
        return data

    def open(self, path: str) -> "BundleMember":
        """Return a member for random access; FileMissing."""
        if self._frames is None:
            raise InternalError(detail="bundle read before it was verified")
        index = self._members.get(path)
        if index is None:
            raise FileMissing(path=names.shown(path))
        member = self.record.members[index]
        return BundleMember(self, member, self._frames.starts[index])

    def frame(self, number: int, content: int) -> bytes:
        """Return the content of a frame that verify() met, decoded again unless it was used lately."""
        if self._frames is None:
            raise InternalError(detail="bundle read before it was verified, or after it was closed")
        data = self._kept.get(number)
        if data is None:
            while self._kept and self._kept_content + content > _KEPT_CONTENT:
                self._kept_content -= len(self._kept.popitem(last=False)[1])
            data = self._codec.decompress(self._read(self._frames.offsets[number], self._frames.lengths[number]))
            if len(data) != content:
                raise MalformedFrame(detail="frame changed after it was verified", expected=content, found=len(data))
            self.bytes_decompressed += len(data)
            self._kept[number] = data
            self._kept_content += content
        else:
            self._kept.move_to_end(number)
        return data

    def _read(self, offset: int, length: int) -> memoryview:
        """Return stored bytes, valid until the next call."""
        if self._buffer is None:
            self._buffer = page_buffer(frames.MAX_FRAME)
        view = memoryview(self._buffer)
        return view[: os.preadv(self._file.fileno(), [view[:length]], offset)]

    def _check_archive(self) -> None:
        size = os.fstat(self._file.fileno()).st_size
        if size != self.record.archive_size:
            raise SizeMismatch(
                detail="the whole bundle, compressed as it lies there", expected=self.record.archive_size, found=size
            )
        self._file.seek(0)
        found, _ = digest.of_stream(self._file, most=size)
        if found != self.record.archive_digest:
            raise DigestMismatch(
                detail="the whole bundle, compressed as it lies there", expected=self.record.archive_digest, found=found
            )


class BundleMember:
    """One member of a verified bundle, with random access.

    What read_at() returns was right when verify() passed and is not hashed again: whoever must know that it still is
    compares it with a digest of its own, as the pages of a feed snapshot do.
    """

    def __init__(self, reader: BundleReader, member: Member, first_frame: int) -> None:
        self.size = member.size
        self._reader = reader
        self._path = member.path
        self._first = first_frame
        self._header = len(tar.header(member.path, member.size))
        self._total = tar.length(member.path, member.size)

    def read_at(self, offset: int, length: int) -> bytes:
        """Return exactly length bytes from the offset; SizeMismatch when the member does not have them."""
        if not 0 <= offset <= offset + length <= self.size:
            raise SizeMismatch(path=self._path, detail="read past the end", expected=offset + length, found=self.size)
        parts: list[bytes] = []
        position = self._header + offset
        end = position + length
        while position < end:
            number, start = divmod(position, frames.MAX_CONTENT)
            content = min(frames.MAX_CONTENT, self._total - number * frames.MAX_CONTENT)
            with _named(self._path):
                data = self._reader.frame(self._first + number, content)
            part = data[start : start + end - position]
            parts.append(part)
            position += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


class _FrameTable:
    """Where the frames stand in the file, and the number of each member's first one."""

    def __init__(self) -> None:
        self.offsets = array("Q")
        self.lengths = array("L")
        self.starts = array("L")


class _Walk:
    """The frames of a file in order, each demanded with the content length that the record implies."""

    def __init__(self, file: frames.Readable, codec: frames.FrameCodec, table: _FrameTable) -> None:
        self.bytes_decompressed = 0
        self._found = frames.read_frames(file, codec)
        self._codec = codec
        self._table = table

    def next(self, expected: int) -> bytes:
        """Return the content of the next frame, which must be of the expected length."""
        for offset, frame, content in self._found:
            if content != expected:
                raise MalformedFrame(detail="frame is not cut as it must be", expected=expected, found=content)
            self._table.offsets.append(offset)
            self._table.lengths.append(len(frame))
            self.bytes_decompressed += content
            return self._codec.decode(frame, content)
        raise MalformedFrame(detail="truncated: a frame is missing")

    def finish(self) -> None:
        """Demand that there is no further frame."""
        for _ in self._found:
            raise MalformedTar(detail="frame after the end of the archive")


@contextmanager
def _named(path: str) -> Iterator[None]:
    """Name the member whose frame is malformed."""
    try:
        yield
    except MalformedFrame as fault:
        fault.details.setdefault("path", path)
        raise


def _check_member(member: Member, walk: _Walk) -> None:
    """Check a member's frames: header, content, padding."""
    header = tar.header(member.path, member.size)
    content_end = len(header) + member.size
    total = content_end + tar.padding(member.size)
    data = walk.next(min(frames.MAX_CONTENT, total))
    if not data.startswith(header):
        raise MalformedTar(path=member.path, detail="header differs from the one accepted form")
    hasher = sha256.new()
    hasher.update(memoryview(data)[len(header) : content_end])
    position = len(data)
    while position < total:
        data = b""  # let go of one frame before the next is decoded
        data = walk.next(min(frames.MAX_CONTENT, total - position))
        hasher.update(memoryview(data)[: content_end - position])
        position += len(data)
    # Frames are cut at whole blocks, so the padding stands in the frame of the content's last byte.
    if total > content_end and not data.endswith(_ZEROS[: total - content_end]):
        raise MalformedTar(path=member.path, detail="padding is not zero")
    found = digest.of_raw(hasher.digest())
    if found != member.digest:
        raise DigestMismatch(path=member.path, expected=member.digest, found=found)
