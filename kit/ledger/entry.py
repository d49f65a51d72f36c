"""What an entry of our own log says, and what any entry is held against (docs/format.md section 10.2)."""

from functools import cached_property

import msgspec

from kit.bytes import canonical, digest
from kit.errors import LedgerEntryForeign, MalformedDocument, UnsupportedVersion
from kit.ledger import note
from kit.trust import dsse
from kit.trust.keys import PublicKey

SCHEMA_VERSION = "1.0"
MAX_BYTES = 16 << 10


class LedgerEntry(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """An entry: digests of an envelope's bytes and of its payload, and its signers' fingerprints, ascending.

    The envelope's digest binds every signature in it.
    """

    schema_version: str
    envelope: str
    payload: str
    payload_type: str
    signers: tuple[str, ...]


class Logged(msgspec.Struct, frozen=True, dict=True):
    """The envelope that a log is to have: its bytes, and what enough trusted keys signed in it."""

    envelope: bytes
    verified: dsse.Verified

    @cached_property
    def message(self) -> bytes:
        """Return the bytes that were signed."""
        return dsse.pae(self.verified.payload_type, self.verified.payload)

    @cached_property
    def signatures(self) -> frozenset[str]:
        """Return the signatures of the envelope, in base64 as they stand there."""
        document = canonical.decode_foreign(self.envelope, max_bytes=dsse.MAX_BYTES, max_depth=canonical.MAX_DEPTH)
        entries = document.get("signatures") if isinstance(document, dict) else None
        found = [entry.get("sig") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
        return frozenset(sig for sig in found if isinstance(sig, str))

    def signature(self, key: PublicKey) -> str:
        """Return the signature of a signer that counted, in base64 as it stands in the envelope."""
        for written in sorted(self.signatures):
            value = note.decode_base64(written)
            if value is not None and key.verify(self.message, value):
                return written
        raise LedgerEntryForeign(detail="this key signed nothing in the envelope", signer=key.fingerprint)

    def signer(self, spki: bytes) -> PublicKey | None:
        """Return the signer that counted with this key, if one did."""
        return next((key for key in self.verified.signers if key.spki == spki), None)


def make(logged: Logged) -> bytes:
    """Return the entry of an envelope, in canonical form."""
    return canonical.encode_record(
        LedgerEntry(
            schema_version=SCHEMA_VERSION,
            envelope=digest.of_bytes(logged.envelope),
            payload=digest.of_bytes(logged.verified.payload),
            payload_type=logged.verified.payload_type,
            signers=tuple(sorted(key.fingerprint for key in logged.verified.signers)),
        )
    )


def parse(data: bytes, path: str) -> LedgerEntry:
    """Read an entry of our own log; raises the reading errors, and :class:`UnsupportedVersion`."""
    try:
        entry = canonical.decode_record(data, LedgerEntry, max_bytes=MAX_BYTES)
    except MalformedDocument as fault:
        fault.details.setdefault("path", path)
        raise
    if entry.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=path, expected=SCHEMA_VERSION, found=ascii(entry.schema_version)[1:-1][:64])
    if not entry.signers or list(entry.signers) != sorted(set(entry.signers)):
        raise MalformedDocument(path=path, pointer="/signers", detail="must ascend, at least one")
    return entry


def check(entry: LedgerEntry, logged: Logged, *, path: str) -> None:
    """Raise :class:`LedgerEntryForeign` unless an entry is about this envelope, its payload and all its signers."""
    wanted = (
        ("envelope", entry.envelope, digest.of_bytes(logged.envelope)),
        ("payload", entry.payload, digest.of_bytes(logged.verified.payload)),
        ("payloadType", entry.payload_type, logged.verified.payload_type),
    )
    for name, found, expected in wanted:
        if found != expected:
            raise LedgerEntryForeign(path=path, pointer=f"/{name}", expected=expected, found=ascii(found)[1:-1][:80])
    missing = {key.fingerprint for key in logged.verified.signers} - set(entry.signers)
    if missing:
        raise LedgerEntryForeign(path=path, pointer="/signers", expected=min(missing), found="not named")
