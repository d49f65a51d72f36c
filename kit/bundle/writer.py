"""Writing a bundle: same members, level and zstd release give the same bytes (docs/format.md sections 1.4 to 1.6)."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from kit.bundle.record import MAX_MEMBERS, BundleRecord, Member, content_root
from kit.bytes import digest, frames, names, tar
from kit.bytes.files import open_regular, page_buffer
from kit.errors import LimitExceeded, SizeMismatch


def write_bundle(
    target: BinaryIO, members: Iterable[tuple[str, bytes | Path]], *, level: int = frames.DEFAULT_LEVEL
) -> BundleRecord:
    """Write members, given as (path, bytes or file) in any order, as a bundle; return what is to be signed.

    Files are streamed: memory does not grow with them. What was written to the target before an error is worthless.
    HostileName, NameCollision, LimitExceeded, FileMissing (no regular file), SizeMismatch (a file changed meanwhile).
    """
    given = list(members)
    if len(given) > MAX_MEMBERS:
        raise LimitExceeded(detail="bundle members", expected=MAX_MEMBERS, found=len(given))
    names.check_names(path for path, _ in given)
    given.sort(key=lambda item: item[0].encode("utf-8"))
    out = _FrameWriter(target, level)
    listed = tuple(_write_member(out, path, content) for path, content in given)
    out.write(tar.END)
    out.cut()
    return BundleRecord(
        members=listed,
        content_root=content_root(listed),
        content_size=out.content_size,
        archive_digest=out.archive_digest(),
        archive_size=out.archive_size,
    )


class _FrameWriter:
    """Cuts a tar stream into frames, and counts and hashes what it writes."""

    def __init__(self, target: BinaryIO, level: int) -> None:
        self.content_size = 0
        self.archive_size = 0
        self._target = target
        self._codec = frames.FrameCodec(level)
        self._hasher = hashlib.sha256()
        self._view = memoryview(page_buffer(frames.MAX_CONTENT))
        self._filled = 0

    def space(self) -> memoryview:
        """Return the free rest of the frame, at least one byte, to be filled and then claimed by advance()."""
        if self._filled == len(self._view):
            self.cut()
        return self._view[self._filled :]

    def advance(self, count: int) -> None:
        self._filled += count
        self.content_size += count

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            space = self.space()
            count = min(len(space), len(rest))
            space[:count] = rest[:count]
            self.advance(count)
            rest = rest[count:]

    def cut(self) -> None:
        """End the frame here, if it holds anything."""
        if self._filled:
            frame = self._codec.compress(self._view[: self._filled])
            self._target.write(frame)
            self._hasher.update(frame)
            self.archive_size += len(frame)
            self._filled = 0

    def archive_digest(self) -> str:
        return digest.of_raw(self._hasher.digest())


def _write_member(out: _FrameWriter, path: str, content: bytes | Path) -> Member:
    if isinstance(content, Path):
        member = _write_file(out, path, content)
    else:
        out.write(tar.header(path, len(content)))
        out.write(content)
        member = Member(path=path, size=len(content), digest=digest.of_bytes(content))
    out.write(bytes(tar.padding(member.size)))
    out.cut()
    return member


def _write_file(out: _FrameWriter, path: str, file_path: Path) -> Member:
    hasher = hashlib.sha256()
    with open_regular(file_path) as file:
        size = file.seek(0, 2)
        file.seek(0)
        out.write(tar.header(path, size))
        left = size
        while left:
            space = out.space()[:left]
            count = file.readinto(space)
            if not count:
                raise SizeMismatch(path=path, detail="shrank while being read", expected=size, found=size - left)
            hasher.update(space[:count])
            out.advance(count)
            left -= count
        if file.read(1):
            raise SizeMismatch(path=path, detail="grew while being read", expected=size)
    return Member(path=path, size=size, digest=digest.of_raw(hasher.digest()))
