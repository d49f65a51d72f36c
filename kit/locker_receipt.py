"""What a locker gives in hand of a scan: its events, each proven to be in the locker's audit log (docs/format.md, 7.4).

Plain text. Every block is a C2SP tlog-proof whose ``extra`` is the event; the lines above it are derived from the event
and must be what they are derived to, so that what a person reads is what is proven.
"""

import re
from collections.abc import Sequence
from typing import cast

import msgspec

from kit.bytes import canonical, merkle
from kit.errors import EvidenceMissing, LimitExceeded, MalformedDocument, NotCanonical
from kit.ledger import checkpoint, note, proof
from kit.ledger.checkpoint import Checkpoint, Opened, Trust
from kit.ledger.proof import InclusionProof

HEADER = "stella-ops.org/locker-receipt@v1"
MAX_BYTES = 8 << 20
MAX_EVENTS = 1000
INGESTED = "evidence.ingested"

_SEPARATOR = "== event "
_KIND = re.compile(r"[a-z]{1,32}(\.[a-z-]{1,32}){1,4}")
_MAX_LEAF = 64 << 10


class Proven(msgspec.Struct, frozen=True):
    """A receipt whose every event stands in the audit log of ``opened``, in the order in which they were logged."""

    scan: str
    opened: Opened
    events: tuple[dict[str, object], ...]


def encode(scan: str, proofs: Sequence[InclusionProof]) -> bytes:
    """Return the text of a scan's events, given as proofs with the event as ``extra``."""
    parts = [f"{HEADER}\nscan {scan}\nevents {len(proofs)}\n".encode()]
    for one in proofs:
        event = _event(one.extra or b"", "receipt")
        parts.append(f"\n{_SEPARATOR}{_line(event, 'receipt')}\n".encode() + proof.encode_inclusion(one))
    return b"".join(parts)


def is_one(data: bytes) -> bool:
    """Tell by its first line whether a text is a locker's receipt."""
    return data.startswith(f"{HEADER}\n".encode())


def check(data: bytes, trust: Trust, *, path: str) -> Proven:
    """Return what a receipt proves under the keys of lockers that are trusted.

    Raises :class:`MalformedDocument`, :class:`LimitExceeded`, :class:`NotCanonical` for words that are not those of the
    events, :class:`EvidenceMissing` where the scan was never taken in, and what
    :func:`kit.ledger.checkpoint.open_signed` and :func:`kit.ledger.proof.check_inclusion` raise.
    """
    text = note.read_text(data, path, limit=MAX_BYTES)
    head, *blocks = text.split(f"\n{_SEPARATOR}")
    lines = head.split("\n")
    if len(lines) != 4 or lines[0] != HEADER or not lines[1].startswith("scan ") or lines[3]:
        raise MalformedDocument(path=path, expected=HEADER, found=checkpoint.shown(lines[0])[:64])
    if not blocks or len(blocks) > MAX_EVENTS:
        raise LimitExceeded(path=path, detail="events of a receipt", expected=f"1 to {MAX_EVENTS}", found=len(blocks))
    scan = lines[1].removeprefix("scan ")
    proofs = [proof.parse_inclusion(block.partition("\n")[2].encode(), path) for block in blocks]
    if encode(scan, proofs) != data:
        raise NotCanonical(path=path, detail="the words of the receipt are not those of its events")
    if len({one.checkpoint for one in proofs}) != 1:
        raise MalformedDocument(path=path, detail="the events are proven by more than one checkpoint")
    opened = checkpoint.open_signed(proofs[0].checkpoint, trust, path=path)
    events = tuple(_proven(one, opened.checkpoint, scan, path) for one in proofs)
    places = [one.index for one in proofs]
    if places != sorted(set(places)):
        raise MalformedDocument(path=path, detail="events must stand in the order in which they were logged")
    if not any(event["kind"] == INGESTED for event in events):
        raise EvidenceMissing(path=path, detail=f"no event {INGESTED}")
    return Proven(scan, opened, events)


def _proven(one: InclusionProof, signed: Checkpoint, scan: str, path: str) -> dict[str, object]:
    leaf = one.extra or b""
    proof.check_inclusion(merkle.leaf_hash(leaf), one.index, one.hashes, signed, path=path)
    event = _event(leaf, path)
    details = event.get("details")
    if not isinstance(details, dict) or details.get("scanId") != scan:
        raise MalformedDocument(path=path, detail="an event is about another scan")
    return event


def _event(leaf: bytes, path: str) -> dict[str, object]:
    event = canonical.decode(leaf, max_bytes=_MAX_LEAF)
    if not isinstance(event, dict):
        raise MalformedDocument(path=path, detail="a leaf is no event")
    return cast("dict[str, object]", event)


def _line(event: dict[str, object], path: str) -> str:
    at, kind = event.get("at"), event.get("kind")
    if not isinstance(at, str) or not isinstance(kind, str) or len(at) > 40 or not _KIND.fullmatch(kind):
        raise MalformedDocument(path=path, detail="an event has no time or no kind")
    return f"{checkpoint.shown(at)} {kind}"
