"""Taking a kit's bytes from a medium, piece by piece, so that a copy that was cut off is gone on with.

A piece is a file or a part of one, known by its digest from a signed list. It is in its place when the bytes there have
that digest, and nothing else needs to be remembered: what a crash has left is read again and kept, or written anew.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kit import layout
from kit.errors import DigestMismatch, NoSpace, SizeMismatch
from kit.volume import Piece
from verifier.durable import make_directory, sync_directory
from verifier.medium import Medium

CHUNK = 1 << 20


class Copied(msgspec.Struct):
    """How many bytes were read from the media, and how many were there already."""

    fresh: int = 0
    kept: int = 0


def check_space(target: Path, pieces: Sequence[Piece]) -> None:
    """Refuse to begin a copy for which there is no room: :class:`NoSpace`."""
    ends: dict[str, int] = {}
    for piece in pieces:
        ends[piece.path] = max(ends.get(piece.path, 0), piece.offset + piece.size)
    needed = sum(ends.values())  # up to the last byte: not every file system leaves out what is not written yet
    there = sum(_allocated(target / path) for path in ends)
    free = shutil.disk_usage(target).free
    if needed - there > free:
        raise NoSpace(detail="the kit does not fit here", expected=f"{needed - there} bytes", found=f"{free} bytes")


def copy(medium: Medium, pieces: Sequence[Piece], target: Path, on_piece: Callable[[Piece], None]) -> Copied:
    """Put pieces in their places below a directory, durably; those that are there stay.

    Raises :class:`DigestMismatch` or :class:`SizeMismatch` for a piece that is not the listed one, and leaves it out.
    """
    done = Copied()
    directories = {target}
    for piece in pieces:
        place = target / piece.path
        make_directory(place.parent)
        directories.add(place.parent)
        on_piece(piece)
        descriptor = os.open(place, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            if is_there(descriptor, piece):
                done.kept += piece.size
            else:
                with _fitting(piece):
                    _fetch(medium, piece, descriptor)
                done.fresh += piece.size
            if piece.path.startswith(f"{layout.PROGRAM_DIRECTORY}/"):
                os.fchmod(descriptor, 0o755)
        finally:
            os.close(descriptor)
    for directory in sorted(directories):
        sync_directory(directory)
    return done


@contextmanager
def _fitting(piece: Piece) -> Iterator[None]:
    """Raise :class:`NoSpace` where the file system holds no file of that size."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EFBIG, errno.EOVERFLOW):
            raise
        detail = "this file system holds no file that large"
        raise NoSpace(path=piece.path, detail=detail, expected=f"{piece.offset + piece.size} bytes").then(
            "Keep the kits on another file system (--kits DIR) and run again."
        ) from None


def is_there(descriptor: int, piece: Piece) -> bool:
    """Tell whether the bytes of a piece are in their place in an open file."""
    if os.fstat(descriptor).st_size < piece.offset + piece.size or not piece.size:
        return False
    found, at, end = hashlib.sha256(), piece.offset, piece.offset + piece.size
    while at < end and (data := os.pread(descriptor, min(CHUNK, end - at), at)):
        found.update(data)
        at += len(data)
    return at == end and f"sha256:{found.hexdigest()}" == piece.digest


def _fetch(medium: Medium, piece: Piece, descriptor: int) -> None:
    if medium.sizes[piece.stored] != piece.size:
        raise SizeMismatch(path=piece.stored, expected=piece.size, found=medium.sizes[piece.stored])
    found, at = hashlib.sha256(), piece.offset
    with medium.open(piece.stored) as source:
        while data := source.read(CHUNK):
            found.update(data)
            rest = memoryview(data)[: piece.offset + piece.size - at]
            while rest:
                written = os.pwrite(descriptor, rest, at)
                at, rest = at + written, rest[written:]
    if f"sha256:{found.hexdigest()}" != piece.digest:
        raise DigestMismatch(path=piece.stored, expected=piece.digest, found=f"sha256:{found.hexdigest()}")
    os.fsync(descriptor)


def _allocated(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0
