"""What a locker sent along in a kit: its audit log's checkpoint, and which results came home (docs/format.md 10.8).

The site is a witness: it remembers the log's trees as it does those of any log, and sends the largest home again.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from kit import layout
from kit.bytes import canonical
from kit.errors import LedgerConsistencyMissing, LedgerRolledBack, MalformedDocument, UnsupportedVersion
from kit.trust.keys import PublicKey
from kit.trust.rootpack import TrustedPack
from verifier.medium import Medium

if TYPE_CHECKING:
    from kit.ledger.checkpoint import Trust
    from kit.ledger.known import KnownLog
    from kit.ledger.memory import Seen

USAGE = "locker"
SCHEMA_VERSION = "1.0"
MAX_ACKNOWLEDGED = 8 << 20
MAX_REMEMBERED = 10_000
"""Acknowledged results that a site remembers, the latest ones."""

_LIMITS = {
    layout.LOCKER_CHECKPOINT: 128 << 10,
    layout.LOCKER_GROWTH: 4 << 20,
    layout.LOCKER_ACKNOWLEDGED: MAX_ACKNOWLEDGED,
}


class Acknowledged(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Results that a locker has: by the fingerprint of the site, the digests of their ``result.json``, ascending."""

    schema_version: str
    sites: dict[str, tuple[str, ...]]


class Judged(msgspec.Struct, frozen=True):
    """A locker's checkpoint that holds, for the site's memory, and how it is reported."""

    seen: "Seen"
    described: dict[str, object]


def read(medium: Medium) -> dict[str, bytes]:
    """Return the locker's files of a kit, by their paths."""
    return {path: medium.read(path, limit=limit) for path, limit in _LIMITS.items() if path in medium.sizes}


def log_name(key: PublicKey) -> str:
    """Return the name of the audit log that a key signs; another key is another log."""
    return f"stella-locker/{key.fingerprint.removeprefix('sha256:')[:16]}"


def trust_of(keys: Sequence[PublicKey]) -> "Trust":
    """Return these keys of lockers as those whose checkpoints count."""
    from kit.ledger.checkpoint import Trust
    from kit.ledger.note import NoteKey

    return Trust(tuple(NoteKey(log_name(key), key) for key in keys))


def is_judged(files: Mapping[str, bytes], pack: TrustedPack, *, at: str) -> bool:
    """Tell whether a kit has a locker's checkpoint, and the RootPack a locker's key to hold it against."""
    return layout.LOCKER_CHECKPOINT in files and bool(pack.standing(USAGE, at=at).current)


def judge(files: Mapping[str, bytes], pack: TrustedPack, known: "Sequence[KnownLog]", *, at: str) -> Judged:
    """Return what the locker's checkpoint in a kit says.

    Raises what :func:`kit.ledger.checkpoint.open_signed`, :func:`kit.ledger.proof.check_consistency` and
    :func:`kit.ledger.memory.check` raise.
    """
    try:
        return _judge(files, trust_of(pack.standing(USAGE, at=at).current), known)
    except (LedgerConsistencyMissing, LedgerRolledBack) as fault:
        step = "Ask the sender to build the kit with a fresh checkpoint: stella locker audit checkpoint --out FILE"
        raise fault.then(step) from None


def _judge(files: Mapping[str, bytes], trust: "Trust", known: "Sequence[KnownLog]") -> Judged:
    from kit.ledger import checkpoint, memory, proof

    opened = checkpoint.open_signed(files[layout.LOCKER_CHECKPOINT], trust, path=layout.LOCKER_CHECKPOINT)
    prefixes: tuple[proof.Tree, ...] = ()
    if (grown := files.get(layout.LOCKER_GROWTH)) is not None:
        parsed = proof.parse_consistency(grown, layout.LOCKER_GROWTH)
        prefixes = proof.check_consistency(parsed, opened.checkpoint, path=layout.LOCKER_GROWTH)
    seen = memory.Seen(opened.checkpoint, prefixes)
    standing = memory.check(known, seen, path=layout.LOCKER_CHECKPOINT)
    described: dict[str, object] = {
        "log": opened.checkpoint.origin,
        "size": opened.checkpoint.size,
        "root": opened.checkpoint.root.hex(),
        "memory": standing,
    }
    return Judged(seen, described)


def acknowledged(files: Mapping[str, bytes], site: str) -> tuple[str, ...]:
    """Return the results of a site that the locker says it has; raises the errors of a document that is malformed."""
    data = files.get(layout.LOCKER_ACKNOWLEDGED)
    return parse(data).sites.get(site, ()) if data is not None else ()


def remember(known: Sequence[str], fresh: Sequence[str]) -> tuple[str, ...]:
    """Return acknowledged results with those added that are new, the latest at the end."""
    return (*known, *(one for one in fresh if one not in set(known)))[-MAX_REMEMBERED:]


def parse(data: bytes) -> Acknowledged:
    """Read an acknowledgement."""
    try:
        found = canonical.decode_record(data, Acknowledged, max_bytes=MAX_ACKNOWLEDGED)
    except MalformedDocument as fault:
        fault.details.setdefault("path", layout.LOCKER_ACKNOWLEDGED)
        raise
    if found.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=layout.LOCKER_ACKNOWLEDGED, expected=SCHEMA_VERSION, found=found.schema_version)
    for digests in found.sites.values():
        if list(digests) != sorted(set(digests)):
            raise MalformedDocument(path=layout.LOCKER_ACKNOWLEDGED, detail="digests must ascend and be unique")
    return found
