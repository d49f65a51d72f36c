"""Reading advisories from where a feed is published: an OSV ``all.zip``, a directory of OSV JSON files, or NDJSON.

Every file of the source comes out, as bytes or as a refusal with its reason; nothing is skipped silently but names that
start with a dot.
"""

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kit.bytes import digest
from kit.errors import LimitExceeded, MalformedDocument, UsageError
from kit.manifest import check_time
from kit.snapshot.intake import MAX_RECORD, shown
from kit.snapshot.records import Refused
from kit.snapshot.writer import SourceRecord

MAX_ENTRIES = 5_000_000
MAX_TOTAL = 64 << 30
NO_TIME_BEFORE = "1999-01-01T00:00:00Z"
"""No advisory was modified before there were any: an earlier ``modified`` is the zero of somebody's calendar."""

_BUFFER = 1 << 17
_LINES = (".ndjson", ".jsonl")


@dataclass(frozen=True, slots=True)
class Source:
    """A place that advisories are read from. ``digest`` is that of a source which is one file."""

    path: Path
    name: str
    digest: str | None

    def records(self) -> Iterator[SourceRecord]:
        """Yield the records: in no order that matters, each with its name in the source where it has one."""
        if self.path.is_dir():
            return _from_directory(self.path)
        if self.path.suffix == ".zip":
            return _from_zip(self.path)
        return _from_lines(self.path)


def open_source(path: Path) -> Source:
    """Recognise a source; UsageError when there is none, or nothing that can be read."""
    if path.is_dir():
        return Source(path, path.resolve().name, None)
    if not path.is_file():
        raise UsageError(path=str(path), expected="a file or directory of advisories", found="nothing of that name")
    if path.suffix not in {".zip", *_LINES}:
        kinds = f"a directory, .zip, {' or '.join(_LINES)}"
        raise UsageError(path=str(path), expected=kinds, found=f"a file {path.suffix or 'without ending'}")
    return Source(path, path.name, digest.of_file(path)[0])


def newest_change(source: Source) -> str:
    """Return the newest ``modified`` of a source's records, whole seconds in UTC: what it says of its own age.

    The same records give the same time, wherever and whenever their files were written. Some sources fill in a zero,
    such as ``0001-01-01T00:00:00Z``, which is no time. Raises :class:`UsageError` where no record has one.
    """
    newest, zero = "", ""
    for item in source.records():
        if isinstance(item, Refused):
            continue
        found = _modified(item[1])
        if found < NO_TIME_BEFORE:
            zero = found or zero
        elif found > newest and _is_time(found):
            newest = found
    if not newest:
        said = f"the records say {zero}, which stands for no time" if zero else "no record says when it was modified"
        raise UsageError(path=source.name, detail=f"{said}: say with --time how old the source is").then(
            "Say when the source was downloaded: --time YYYY-MM-DDTHH:MM:SSZ"
        )
    return newest


class _Dated(msgspec.Struct):
    modified: str = ""


def _modified(record: bytes) -> str:
    """Return when a record says it was modified, without fractions; empty where it does not say."""
    try:
        found = _MODIFIED.fullmatch(_DATED.decode(record).modified)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ""
    return f"{found[1]}Z" if found else ""


def _is_time(text: str) -> bool:
    try:
        check_time(text, "/modified")
    except MalformedDocument:
        return False
    return True


_DATED = msgspec.json.Decoder(_Dated)
_MODIFIED = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z", re.ASCII)


def _from_zip(path: Path) -> Iterator[SourceRecord]:
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_ENTRIES:
                raise LimitExceeded(path=path.name, detail="entries", expected=MAX_ENTRIES, found=len(entries))
            for entry in entries:
                if entry.is_dir() or _is_hidden(entry.filename):
                    continue
                record = _zip_entry(archive, entry)
                if not isinstance(record, Refused):
                    total += len(record[1])
                if total > MAX_TOTAL:
                    raise LimitExceeded(path=path.name, detail="bytes", expected=MAX_TOTAL)
                yield record
    # A RuntimeError means an encrypted entry, a NotImplementedError an unknown method.
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as fault:
        raise MalformedDocument(path=path.name, detail=f"damaged or unusual archive: {fault}") from fault


def _zip_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> SourceRecord:
    if not entry.filename.endswith(".json"):
        return Refused(reason="file-type", file=shown(entry.filename))
    if entry.file_size > MAX_RECORD:
        return _too_large(entry.filename, entry.file_size)
    with archive.open(entry) as file:
        data = file.read(MAX_RECORD + 1)
    return (entry.filename, data) if len(data) <= MAX_RECORD else _too_large(entry.filename, len(data))


def _from_directory(root: Path) -> Iterator[SourceRecord]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode) or _is_hidden(name):
            continue
        if not stat.S_ISREG(status.st_mode) or path.suffix != ".json":
            yield Refused(reason="file-type", file=shown(name))
        elif status.st_size > MAX_RECORD:
            yield _too_large(name, status.st_size)
        else:
            yield name, path.read_bytes()


def _from_lines(path: Path) -> Iterator[SourceRecord]:
    with path.open("rb", buffering=_BUFFER) as file:
        while line := file.readline(MAX_RECORD + 2):
            record = line.rstrip(b"\r\n")
            if len(record) > MAX_RECORD:
                size = len(record)
                while not line.endswith(b"\n") and (line := file.readline(_BUFFER)):
                    size += len(line)
                yield _too_large(path.name, size)
            elif record:
                yield None, record


def _too_large(name: str, size: int) -> Refused:
    return Refused(reason="too-large", file=shown(name), detail=f"{size} bytes")


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))
