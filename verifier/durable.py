"""Files and directories that outlive a crash: whole under their name or not there, and fsynced.

Nothing here looks finished before it is: a file appears under its name only when all its bytes are on the medium.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from kit.errors import NotWritable

_END_OF_UNFINISHED = re.compile(r"[0-9a-f]{12}\.part")


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that it exists whole under its name, or not at all, whatever happens."""
    with writing(path, mode=mode) as target:
        target.write(data)


@contextmanager
def writing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yield a file that takes its name, whole and durable, when the block ends; after an error nothing of it is left.

    What killed writers of the same file left behind is removed. Raises :class:`NotWritable` where no file can be.
    """
    if not path.parent.is_dir():
        raise NotWritable(path=str(path.parent), detail="there is no such directory")
    if path.is_dir():
        raise NotWritable(path=str(path), detail="there is a directory of this name")
    remove_leftovers(path)
    temporary = part_of(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as target:
            claim(descriptor)
            yield target
            target.flush()
            os.fsync(descriptor)
            temporary.rename(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        raise
    sync_directory(path.parent)


def part_of(path: Path) -> Path:
    """Return a fresh name beside ``path`` for what is not whole yet."""
    return path.with_name(f".{path.name}.{os.urandom(6).hex()}.part")


def claim(descriptor: int) -> None:
    """Mark an unfinished file or directory as in use for as long as its descriptor is open."""
    with suppress(OSError):  # a file system without locks: nobody can claim there, and nothing is removed
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def remove_leftovers(path: Path) -> None:
    """Remove the unfinished files or directories beside ``path`` that killed makers of it left: those nobody claims."""
    begin = f".{path.name}."
    for entry in sorted(path.parent.iterdir()):
        if entry.name.startswith(begin) and _END_OF_UNFINISHED.fullmatch(entry.name, len(begin)):
            with suppress(OSError), unclaimed(entry, fcntl.LOCK_EX):
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


@contextmanager
def unclaimed(path: Path, lock: int) -> Iterator[None]:
    """Hold what nobody claims; BlockingIOError where somebody does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def make_directory(path: Path, *, mode: int = 0o777) -> None:
    """Make a directory, and its parents where they are missing, durably.

    Raises :class:`NotWritable` where the file system makes none, as that of ``/proc``.
    """
    missing = [place for place in (path, *path.parents) if not place.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
    except FileNotFoundError as error:
        raise NotWritable(path=str(error.filename), detail="no directory can be made here") from None
    for place in missing:
        sync_directory(place.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
