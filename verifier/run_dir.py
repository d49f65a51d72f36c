"""The directory that a run leaves behind: journal first, finished files by rename, everything fsynced.

Nothing here looks finished before it is: a file appears under its name only when all its bytes are on the medium, and
the journal's last line is ``run-finished`` only when everything else is in place.
"""

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from kit import journal
from kit.bytes import digest
from kit.errors import MalformedDocument, StellaError

JOURNAL_FILE = "journal.ndjson"
LAST_LINE = 4096
"""More than the last line of a finished journal can be long, in bytes."""
Clock = Callable[[], datetime]


def stamp(moment: datetime) -> str:
    """Return a moment as ``YYYY-MM-DDTHH:MM:SSZ``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def write_atomic(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file so that it exists whole under its name, or not at all, whatever happens."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
        with os.fdopen(descriptor, "wb") as target:
            target.write(data)
            target.flush()
            os.fsync(target.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


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
        path.mkdir(parents=True, exist_ok=False)
        sync_directory(path.parent)
        self.path = path
        self._clock = clock
        self._seq = 0
        self._prev = journal.GENESIS
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        self._journal = os.open(path / JOURNAL_FILE, flags, 0o644)
        sync_directory(path)

    def log(self, event: str, data: Mapping[str, object]) -> str:
        """Append one line to the journal, wait until it is durable, and return its digest."""
        text = journal.line(self._seq, self._prev, stamp(self._clock()), event, data)
        remaining = memoryview(text + b"\n")
        while remaining:
            remaining = remaining[os.write(self._journal, remaining) :]
        os.fsync(self._journal)
        self._seq += 1
        self._prev = digest.of_bytes(text)
        return self._prev

    def write(self, name: str, data: bytes) -> Path:
        """Write one finished file and return its path."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
        return path

    def close(self) -> None:
        """Close the journal."""
        os.close(self._journal)


def unfinished(scan_directory: Path) -> list[str]:
    """Return the names of earlier runs of a scan whose journal shows that they were cut off.

    Only the end of each journal is read, so that the cost does not grow with what the runs did.
    """
    if not scan_directory.is_dir():
        return []
    runs = [path for path in sorted(scan_directory.iterdir()) if (path / JOURNAL_FILE).is_file()]
    return [path.name for path in runs if not _ends_finished(path / JOURNAL_FILE)]


def _ends_finished(path: Path) -> bool:
    """Tell whether a journal's last line is whole and is ``run-finished``."""
    with path.open("rb") as source:
        size = source.seek(0, os.SEEK_END)
        source.seek(max(0, size - LAST_LINE))
        tail = source.read(LAST_LINE)
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
