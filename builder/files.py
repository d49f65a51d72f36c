"""Files that are whole or not there: written beside their place, flushed, renamed, and the directory flushed."""

import errno
import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kit.errors import NoSpace, NotWritable, UsageError


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put bytes in a file; at any moment it has its old content or all of the new.

    Raises :class:`NoSpace` or :class:`NotWritable`; nothing half-written stays behind.
    """
    with _typed_errors(path):
        staged = _stage(path, data, mode)
        try:
            staged.replace(path)
        except OSError:
            staged.unlink()
            raise
        _flush(path.parent)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put bytes in a file that must not exist yet; :class:`UsageError` if it does."""
    with _typed_errors(path):
        staged = _stage(path, data, mode)
        try:
            # A link, unlike a rename, never replaces what is there.
            os.link(staged, path)
        except FileExistsError as fault:
            raise UsageError(path=path.name, detail="is already there and is not overwritten") from fault
        finally:
            staged.unlink()
        _flush(path.parent)


def sync_tree(path: Path, *, recurse: bool = True) -> None:
    """Flush a directory's entries to the disk, and with ``recurse`` all files and directories below it."""
    with _typed_errors(path):
        for entry in sorted(path.rglob("*")) if recurse else []:
            if not entry.is_symlink():
                _flush(entry)
        _flush(path)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Make a directory and its parents unless they are there."""
    with _typed_errors(path):
        path.mkdir(mode=mode, parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    with _typed_errors(path):
        path.unlink(missing_ok=True)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Be the only one to change a directory; :class:`UsageError` while another command does. A crash frees it."""
    with _typed_errors(directory):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as fault:
            raise UsageError(path=directory.name, detail="another command is changing it") from fault
        yield
    finally:
        os.close(descriptor)


def _stage(path: Path, data: bytes, mode: int) -> Path:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    staged = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        staged.unlink()
        raise
    return staged


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _typed_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        kind = NoSpace if fault.errno in {errno.ENOSPC, errno.EDQUOT} else NotWritable
        raise kind(path=path.name, detail=fault.strerror or "") from fault
