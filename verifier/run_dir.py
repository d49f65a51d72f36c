"""The directory that a run leaves behind: journal first, finished files by rename, everything fsynced.

Nothing here looks finished before it is: a file appears under its name only when all its bytes are on the medium, and
the journal's last line is ``run-finished`` only when everything else is in place.
"""

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from kit import journal
from kit.bytes import digest
from kit.errors import MalformedDocument, NotWritable, StellaError

JOURNAL_FILE = "journal.ndjson"
LAST_LINE = 4096
"""More than the last line of a finished journal can be long, in bytes."""
Clock = Callable[[], datetime]


def stamp(moment: datetime) -> str:
    """Return a moment as ``YYYY-MM-DDTHH:MM:SSZ``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


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
        raise NotWritable(path=path.parent.name, detail="there is no such directory")
    if path.is_dir():
        raise NotWritable(path=path.name, detail="there is a directory of this name")
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
    except BaseException:
        temporary.unlink(missing_ok=True)
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
    unfinished = re.compile(re.escape(f".{path.name}.") + r"[0-9a-f]{12}\.part")
    for entry in sorted(path.parent.iterdir()):
        if unfinished.fullmatch(entry.name):
            with suppress(OSError), _unclaimed(entry, fcntl.LOCK_EX):
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()


@contextmanager
def _unclaimed(path: Path, lock: int) -> Iterator[None]:
    """Hold what nobody claims; BlockingIOError where somebody does."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, lock | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _is_claimed(path: Path) -> bool:
    try:
        with _unclaimed(path, fcntl.LOCK_SH):
            return False
    except BlockingIOError:
        return True
    except OSError:  # there is none
        return False


def make_directory(path: Path, *, mode: int = 0o777) -> None:
    """Make a directory, and its parents where they are missing, durably."""
    missing = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True, mode=mode)
    for place in missing:
        sync_directory(place.parent)


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RunDirectory:
    """One run's directory, with its journal open for appending."""

    def __init__(self, path: Path, clock: Clock) -> None:
        make_directory(path.parent)
        path.mkdir()
        sync_directory(path.parent)
        self.path = path
        self._clock = clock
        self._seq = 0
        self._size = 0
        self._prev = journal.GENESIS
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._journal = os.open(path / JOURNAL_FILE, flags, 0o644)
        claim(self._journal)
        sync_directory(path)

    def log(self, event: str, data: Mapping[str, object]) -> str:
        """Append one line to the journal, wait until it is durable, and return its digest."""
        text = journal.line(self._seq, self._prev, stamp(self._clock()), event, data)
        remaining = memoryview(text + b"\n")
        try:
            while remaining:
                remaining = remaining[os.write(self._journal, remaining) :]
            os.fsync(self._journal)
        except BaseException:
            # A line that the run did not get past must not be read as said: the last one is what makes a run count.
            with suppress(OSError):
                os.ftruncate(self._journal, self._size)
            raise
        self._size += len(text) + 1
        self._seq += 1
        self._prev = digest.of_bytes(text)
        return self._prev

    def write(self, name: str, data: bytes) -> Path:
        """Write one finished file and return its path."""
        path = self.path / name
        make_directory(path.parent)
        write_atomic(path, data)
        return path

    def close(self) -> None:
        """Close the journal."""
        os.close(self._journal)


def unfinished(scan_directory: Path) -> list[str]:
    """Return the names of earlier runs of a scan that were cut off: their journal says so, or they never had one.

    A run that is still at work is none. Only the end of each journal is read, so that the cost does not grow with what
    the runs did.
    """
    if not scan_directory.is_dir():
        return []
    runs = [path for path in sorted(scan_directory.iterdir()) if path.is_dir()]
    journals = {path.name: path / JOURNAL_FILE for path in runs}
    return [name for name, path in journals.items() if not _ends_finished(path) and not _is_claimed(path)]


def _ends_finished(path: Path) -> bool:
    """Tell whether there is a journal whose last line is whole and is ``run-finished``."""
    try:
        with path.open("rb") as source:
            size = source.seek(0, os.SEEK_END)
            source.seek(max(0, size - LAST_LINE))
            tail = source.read(LAST_LINE)
    except FileNotFoundError:
        return False
    lines = tail.split(b"\n")
    return len(lines) > 1 and lines[-1] == b"" and f'"event":"{journal.FINISHED}"'.encode() in lines[-2]


def is_finished(run_directory: Path) -> bool:
    """Tell whether a run's journal is whole and ends with ``run-finished``."""
    try:
        return journal.finished(read_journal(run_directory))
    except (StellaError, OSError):
        return False


def read_journal(run_directory: Path) -> list[journal.Entry]:
    """Return the entries of a run's journal; a last line without line feed is a torn write and refused."""
    data = (run_directory / JOURNAL_FILE).read_bytes()
    if data and not data.endswith(b"\n"):
        raise MalformedDocument(path=JOURNAL_FILE, detail="the last line is torn: the run was cut off")
    return journal.read(data.splitlines())
