"""The list of revoked keys: which key, in what way, since when (docs/format.md section 4.6).

``revocations.json`` is a target of the RootPack, so that it cannot be taken back without notice. Whoever holds a key
writes the dates in what it signs, so these never count against a revocation. What does is the reader's own journal, and
what others vouch for: the time that an authority or a witness saw the signature, the place that a log gave it.
"""

import re
from collections.abc import Iterable

import msgspec

from kit.bytes import canonical, digest
from kit.bytes.strict_json import MAX_INTEGER
from kit.errors import MalformedDocument, StellaError, UnsupportedVersion
from kit.trust.keyring import check_time

SCHEMA_VERSION = "1.0"
FILE = "revocations.json"
MAX_BYTES = 1 << 20
MAX_KEYS = 1024

RETIRED = "retired"
"""The key was put aside in good order: what it signed before, and was taken in before, stays good."""
COMPROMISED = "compromised"
"""Somebody else may sign with the key: nothing by it counts but what was taken in before that day."""
STATES = (COMPROMISED, RETIRED)

_REASON = re.compile(r"[ -~]{0,160}")
_ORIGIN = re.compile(r"[ -~]{1,160}")


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the list's records."""


class LastGood(_Document, frozen=True, kw_only=True):
    """The last entry of a log, by its origin, that a compromised key's true holder is answerable for."""

    origin: str
    index: int


class Revocation(_Document, frozen=True, kw_only=True):
    """One revoked key. ``since`` is the first moment at which nothing that it signs counts.

    ``last_good`` is for a compromised key: what a trusted log has no later than there counts.
    """

    fingerprint: str
    state: str
    since: str
    reason: str = ""
    last_good: LastGood | None = None

    def allows(self, taken_in: str | None) -> bool:
        """Tell whether the reader's own record of when it took the thing in lies before the revocation."""
        return taken_in is not None and taken_in < self.since

    def reaches(self, origin: str, index: int) -> bool:
        """Tell whether a log's entry stands no later than the last one that counts."""
        good = self.last_good
        return good is not None and origin == good.origin and index <= good.index


class Revocations(_Document, frozen=True, kw_only=True):
    """``revocations.json``: keys ascend by fingerprint, each once."""

    schema_version: str
    keys: tuple[Revocation, ...]


def make(entries: Iterable[Revocation]) -> Revocations:
    """Return the list in the order that it is written in, held against its rules."""
    keys = tuple(sorted(entries, key=lambda entry: entry.fingerprint))
    listed = Revocations(schema_version=SCHEMA_VERSION, keys=keys)
    _check(listed)
    return listed


def parse(data: bytes) -> tuple[Revocation, ...]:
    """Read ``revocations.json``; raises the reading errors, and :class:`MalformedDocument` for a rule broken."""
    listed = canonical.decode_record(data, Revocations, max_bytes=MAX_BYTES)
    _check(listed)
    return listed.keys


def strictest(one: Iterable[Revocation], other: Iterable[Revocation]) -> tuple[Revocation, ...]:
    """Return what both lists say together.

    Compromised before retired, then the earlier moment and the earlier last good entry; none where one list has none.
    """
    found: dict[str, Revocation] = {}
    for entry in (*one, *other):
        known = found.get(entry.fingerprint)
        found[entry.fingerprint] = entry if known is None else _stricter(known, entry)
    return tuple(entry for _, entry in sorted(found.items()))


def softens(before: Revocation, after: Revocation) -> bool:
    """Tell whether a revocation would leave more standing than the one before it."""
    told = msgspec.structs.replace(after, reason="")
    return _stricter(msgspec.structs.replace(before, reason=""), told) != told


def _stricter(one: Revocation, other: Revocation) -> Revocation:
    first, second = (other, one) if (other.state, other.since) < (one.state, one.since) else (one, other)
    if first.state != second.state:
        return first
    good, also = first.last_good, second.last_good
    if good is None or also is None or good.origin != also.origin:
        good = None
    elif also.index < good.index:
        good = also
    return msgspec.structs.replace(first, last_good=good)


def _check(listed: Revocations) -> None:
    if listed.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=FILE, expected=SCHEMA_VERSION, found=ascii(listed.schema_version)[:64])
    names = [entry.fingerprint for entry in listed.keys]
    if len(names) > MAX_KEYS or names != sorted(set(names)):
        raise MalformedDocument(
            path=FILE, pointer="/keys", detail=f"at most {MAX_KEYS} keys, ascending by fingerprint, each once"
        )
    for at, entry in enumerate(listed.keys):
        _check_entry(entry, f"/keys/{at}")


def _check_entry(entry: Revocation, pointer: str) -> None:
    try:
        digest.check(entry.fingerprint)
        check_time(entry.since, f"{pointer}/since")
    except StellaError as fault:
        raise MalformedDocument(path=FILE, pointer=pointer, detail=str(fault)) from fault
    if entry.state not in STATES:
        raise MalformedDocument(path=FILE, pointer=f"{pointer}/state", detail=f"must be one of {', '.join(STATES)}")
    if entry.last_good is not None:
        _check_last_good(entry, entry.last_good, f"{pointer}/lastGood")
    if not _REASON.fullmatch(entry.reason):
        raise MalformedDocument(
            path=FILE, pointer=f"{pointer}/reason", detail="must be at most 160 printable ASCII characters"
        )


def _check_last_good(entry: Revocation, good: LastGood, pointer: str) -> None:
    if entry.state != COMPROMISED:
        raise MalformedDocument(path=FILE, pointer=pointer, detail="only a compromised key has a last good entry")
    if not _ORIGIN.fullmatch(good.origin) or not 0 <= good.index <= MAX_INTEGER:
        raise MalformedDocument(
            path=FILE, pointer=pointer, detail="origin: 1 to 160 printable ASCII characters; index: 0 or more"
        )
