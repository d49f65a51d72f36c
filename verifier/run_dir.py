"""The directory that a run leaves behind: journal first, finished files by rename, everything fsynced.

Nothing here looks finished before it is: the journal's last line is ``run-finished`` only when everything else is in
place.
"""

import fcntl
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from kit import journal
from kit.bytes import digest
from kit.errors import MalformedDocument, StellaError
from verifier.durable import claim, make_directory, sync_directory, unclaimed, write_atomic

JOURNAL_FILE = "journal.ndjson"
CUT_OFF_FILE = "cut-off.txt"
LAST_LINE = 4096
"""More than the last line of a finished journal can be long, in bytes."""
Clock = Callable[[], datetime]


def stamp(moment: datetime) -> str:
    """Return a moment as ``YYYY-MM-DDTHH:MM:SSZ``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_claimed(path: Path) -> bool:
    try:
        with unclaimed(path, fcntl.LOCK_SH):
            return False
    except BlockingIOError:
        return True
    except OSError:  # there is none
        return False


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
        except BaseException as error:
            if isinstance(error, OSError):
                error.filename = str(self.path / JOURNAL_FILE)
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

    A run that is still at work is none, and neither is one of which :func:`tell_cut_off` left word. Only the end of
    each journal is read, so that the cost does not grow with what the runs did.
    """
    if not scan_directory.is_dir():
        return []
    runs = [path for path in sorted(scan_directory.iterdir()) if path.is_dir()]
    journals = {path.name: path / JOURNAL_FILE for path in runs}
    return [
        name
        for name, path in journals.items()
        if not path.with_name(CUT_OFF_FILE).exists() and not ends_finished(path) and not _is_claimed(path)
    ]


def tell_cut_off(run_directory: Path, told_by: str) -> None:
    """Leave word in a run's directory that it was cut off, so that it is said once and stays to be seen."""
    text = f"This run was cut off before it had finished, and counts for nothing. Run {told_by} said so.\n"
    write_atomic(run_directory / CUT_OFF_FILE, text.encode())


def ends_finished(path: Path) -> bool:
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
