"""Files that are whole or not there: written beside their place, flushed, renamed, and the directory flushed."""

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kit.errors import NoSpace, NotWritable, UsageError
from verifier import durable


def write_atomic(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put bytes in a file; at any moment it has its old content or all of the new.

    Raises :class:`NoSpace` or :class:`NotWritable`; nothing half-written stays behind.
    """
    with _typed_errors(path):
        with _staged(path, data, mode) as staged:
            staged.replace(path)
        _flush(path.parent)


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put bytes in a file that must not exist yet; :class:`UsageError` if it does."""
    with _typed_errors(path):
        with _staged(path, data, mode) as staged:
            try:
                # A link, unlike a rename, never replaces what is there.
                os.link(staged, path)
            except FileExistsError as fault:
                raise UsageError(path=path.name, detail="is already there and is not overwritten") from fault
        _flush(path.parent)


@contextmanager
def whole_directory(path: Path, *, stem: str | None = None) -> Iterator[Path]:
    """Yield an empty directory that becomes ``path`` when the block ends; after an error it is gone.

    Until then it has a hidden name beside ``path`` with the stem, which is the last part of ``path`` by default. What
    killed makers left behind there under that stem is removed.
    """
    with _typed_errors(path):
        durable.make_directory(path.parent)
    named = path.with_name(stem or path.name)
    working = durable.part_of(named)
    with _typed_errors(path), _undisturbed(path.parent):
        durable.remove_leftovers(named)
        working.mkdir()
        descriptor = os.open(working, os.O_RDONLY | os.O_DIRECTORY)
        durable.claim(descriptor)
    try:
        yield working
        sync_tree(working)
        with _typed_errors(path):
            working.rename(path)
    except BaseException:
        shutil.rmtree(working, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)
    sync_tree(path.parent, recurse=False)


def sync_tree(path: Path, *, recurse: bool = True) -> None:
    """Flush a directory's entries to the disk, and with ``recurse`` all files and directories below it."""
    with _typed_errors(path):
        for entry in sorted(path.rglob("*")) if recurse else []:
            if not entry.is_symlink():
                _flush(entry)
        _flush(path)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Make a directory and its parents, durably, unless they are there."""
    with _typed_errors(path):
        durable.make_directory(path, mode=mode)


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


@contextmanager
def _undisturbed(directory: Path) -> Iterator[None]:
    """Let nobody else remove leftovers from a directory meanwhile: what is made there is not claimed at once."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks has no claims either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _staged(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """Yield a flushed file beside ``path`` that is gone after the block, unless the block renamed it."""
    durable.remove_leftovers(path)
    staged = durable.part_of(path)
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            durable.claim(descriptor)
            os.fchmod(descriptor, mode)
            file.write(data)
            file.flush()
            os.fsync(descriptor)
            yield staged
    finally:
        staged.unlink(missing_ok=True)


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
        raise kind(path=str(path), detail=fault.strerror or "") from fault
