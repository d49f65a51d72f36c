"""The journal of a verifier run: append-only lines of canonical JSON, each carrying the digest of the line before it.

Line format: ``{"data":{...},"event":"...","prev":"sha256:...","seq":n,"time":"..."}``. The first line's ``prev`` is the
digest of no bytes. A journal whose last line is not ``run-finished`` belongs to a run that was cut off (docs/format.md
section 7).
"""

from collections.abc import Iterable, Mapping

import msgspec

from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, MalformedDocument

GENESIS = digest.of_bytes(b"")
FINISHED = "run-finished"
MAX_LINE = 1 << 20


class Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One line of a journal."""

    seq: int
    prev: str
    time: str
    event: str
    data: dict[str, object]


def line(seq: int, prev: str, time: str, event: str, data: Mapping[str, object]) -> bytes:
    """Return one line without its line feed."""
    return canonical.encode({"seq": seq, "prev": prev, "time": time, "event": event, "data": dict(data)})


def read(lines: Iterable[bytes]) -> list[Entry]:
    """Return the entries of a journal whose hash chain holds; lines come without their line feed.

    Raises :class:`MalformedDocument` for a bad line, :class:`DigestMismatch` where the chain breaks.
    """
    entries: list[Entry] = []
    prev = GENESIS
    for number, text in enumerate(lines):
        entry = canonical.decode_record(text, Entry, max_bytes=MAX_LINE)
        if entry.seq != number:
            raise MalformedDocument(
                path="journal.ndjson", pointer=f"line {number + 1}", expected=number, found=entry.seq
            )
        if entry.prev != prev:
            raise DigestMismatch(path="journal.ndjson", pointer=f"line {number + 1}", expected=prev, found=entry.prev)
        prev = digest.of_bytes(text)
        entries.append(entry)
    return entries


def finished(entries: Iterable[Entry]) -> bool:
    """Tell whether the run behind these entries came to its end."""
    last = None
    for last in entries:  # noqa: B007 - the last entry is what is asked for
        pass
    return last is not None and last.event == FINISHED
