"""What the locker asks of a file system: flushes that hold, a lock that dies with its process, no network mount."""

import ctypes
import errno
import fcntl
import os
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from sqlalchemy.exc import DBAPIError, OperationalError

from kit.errors import LockerConflict, MalformedDocument, NoSpace, NotWritable, ServerUnreachable, UnsuitableFileSystem

NETWORK_FILE_SYSTEMS = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFE534D42: "smb",
    0xFF534D42: "cifs",
    0x564C: "ncp",
    0x5346414F: "afs",
    0x73757245: "coda",
    0x01021997: "9p",
    0x00C36400: "ceph",
}
"""Values of ``f_type`` in statfs(2) whose locks and shared memory SQLite cannot rely on."""

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")
_DATABASE_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE}
_DATABASE_DENIED = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY}
_SERVER_FULL = {"53100"}
_SERVER_DENIED = {"25006", "42501", "28000", "28P01"}
_SERVER_DAMAGED = {"XX001", "XX002"}
_DATABASE_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def file_system_type(path: Path) -> int:
    """Return the ``f_type`` of the file system that holds ``path``, by statfs(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(path), answer) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
    return ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF


def refuse_network(path: Path) -> None:
    """Raise :class:`UnsuitableFileSystem` where ``path`` lies on a network file system."""
    if name := NETWORK_FILE_SYSTEMS.get(file_system_type(path)):
        raise UnsuitableFileSystem(found=name)


def sync_file(path: Path) -> None:
    """Force a file's bytes to the disk."""
    _sync(path, os.O_RDONLY)


def sync_directory(path: Path) -> None:
    """Force a directory's entries to the disk."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


@contextmanager
def typed_errors(place: str) -> Iterator[None]:
    """Turn a full or unwritable disk under ``place`` into the error of that cause; let everything else through."""
    try:
        yield
    except (OSError, BaseError, DBAPIError) as fault:
        if isinstance(fault, DBAPIError):
            _raise_for_database(fault, place)
        _raise_for_system(fault, place)
        raise


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold a directory alone; the lock dies with its process."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def writer(lock: Path, sweep: Callable[[], None]) -> Iterator[None]:
    """Be one of the writers; ``sweep`` runs first if there is no other, so that it can only meet leftovers of the dead.

    The lock dies with its process, however that ends.
    """
    with lock.open("ab") as handle:
        if _alone(handle):
            sweep()
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield


@contextmanager
def sole_writer(lock: Path) -> Iterator[None]:
    """Be the only writer; :class:`LockerConflict` while there is another. The lock dies with its process."""
    with lock.open("ab") as handle:
        if not _alone(handle):
            raise LockerConflict(path=lock.name, detail="the locker is being written to").then(
                "Wait until the other commands on this locker have ended, then run again."
            )
        yield


def _alone(handle: BinaryIO) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise_for_system(fault: Exception, place: str) -> None:
    """Raise for an ``errno``, which the object store only has in its text."""
    number = fault.errno if isinstance(fault, OSError) else None
    if number is None and (found := _OS_ERROR.search(str(fault))):
        number = int(found[1])
    if number in _FULL:
        raise NoSpace(path=place) from fault
    if number in _DENIED:
        raise NotWritable(path=place) from fault
    if isinstance(fault, PermissionDeniedError | UnauthenticatedError):
        raise NotWritable(path=place, detail=_first_line(fault)) from fault
    if isinstance(fault, BaseError) and str(fault).startswith("Generic S3 error"):
        raise ServerUnreachable(path=place, detail=_first_line(fault)) from fault


def _raise_for_database(fault: DBAPIError, place: str) -> None:
    code = getattr(fault.orig, "sqlite_errorcode", None)
    if code is None:
        _raise_for_server(fault, place)
        return
    if code in _DATABASE_FULL:
        raise NoSpace(path=place) from fault
    if code & 0xFF in _DATABASE_DENIED:
        raise NotWritable(path=place, detail=str(fault.orig)) from fault
    if code & 0xFF in _DATABASE_DAMAGED:
        raise MalformedDocument(path=place, detail=str(fault.orig)) from fault


def _raise_for_server(fault: DBAPIError, place: str) -> None:
    """Raise for PostgreSQL's SQLSTATE; a connection that broke or never was has none, or one of class 08 or 57."""
    state = getattr(fault.orig, "sqlstate", None) or ""
    if state in _SERVER_FULL:
        raise NoSpace(path=place) from fault
    if state in _SERVER_DENIED:
        raise NotWritable(path=place, detail=_first_line(fault.orig)) from fault
    if state in _SERVER_DAMAGED:
        raise MalformedDocument(path=place, detail=_first_line(fault.orig)) from fault
    if isinstance(fault, OperationalError) and (not state or state[:2] in ("08", "57")):
        raise ServerUnreachable(path=place, detail=_first_line(fault.orig)) from fault


def _first_line(fault: BaseException | None) -> str:
    return str(fault).strip().partition("\n")[0][:200]
