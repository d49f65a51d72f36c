"""The list of revoked keys: which key, in what way, since when (docs/format.md section 4.6).

``revocations.json`` is a target of the RootPack, so that it cannot be taken back without notice. Whoever holds a key
writes the dates in what it signs; the one evidence that counts against a revocation is therefore the reader's own: when
the reader itself took the thing in.
"""

import re
from collections.abc import Iterable

import msgspec

from kit.bytes import canonical, digest
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


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the list's records."""


class Revocation(_Document, frozen=True, kw_only=True):
    """One revoked key. ``since`` is the first moment at which nothing that it signs counts."""

    fingerprint: str
    state: str
    since: str
    reason: str = ""

    def allows(self, taken_in: str | None) -> bool:
        """Tell whether the reader's own record of when it took the thing in lies before the revocation."""
        return taken_in is not None and taken_in < self.since


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
    """Return what both lists say together: compromised before retired, and the earlier moment of each state."""
    found: dict[str, Revocation] = {}
    for entry in (*one, *other):
        known = found.get(entry.fingerprint)
        if known is None or (entry.state, entry.since) < (known.state, known.since):
            found[entry.fingerprint] = entry
    return tuple(entry for _, entry in sorted(found.items()))


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
    if not _REASON.fullmatch(entry.reason):
        raise MalformedDocument(
            path=FILE, pointer=f"{pointer}/reason", detail="must be at most 160 printable ASCII characters"
        )
