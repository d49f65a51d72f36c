"""Entries of Sigstore's logs: Rekor v1 and v2, and upstream's receipt (docs/format.md section 10.3).

An entry comes as the ``TransparencyLogEntry`` of Sigstore's bundles, in JSON. Its body is bound to what we verified:
digest, signature and key. Size and root come from the signed checkpoint; the entry's copies must equal them.
"""

from typing import TypeVar

import msgspec

from kit.bytes import canonical, merkle
from kit.errors import (
    EvidenceMissing,
    LedgerEntryForeign,
    LedgerProofWrong,
    LedgerSignatureInvalid,
    LimitExceeded,
    MalformedDocument,
    StellaError,
)
from kit.ledger import note, rekor_body
from kit.ledger.checkpoint import MAX_SIZE, Opened, Trust, open_signed, shown
from kit.ledger.entry import Logged
from kit.ledger.proof import MAX_HASHES, check_inclusion
from kit.trust.keys import PublicKey

MAX_BYTES = 512 << 10
FIRST_GENERATION = "0.0.1"
"""Version of the kinds that Rekor v1 has."""

T = TypeVar("T", bound=msgspec.Struct)


class _Foreign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of what others write: no member that we do not know."""


class _KeyId(_Foreign, frozen=True):
    key_id: str


class _KindVersion(_Foreign, frozen=True):
    kind: str
    version: str


class _Promise(_Foreign, frozen=True):
    signed_entry_timestamp: str


class _Note(_Foreign, frozen=True):
    envelope: str


class _InclusionProof(_Foreign, frozen=True):
    """Members of the value zero are left out where Protocol Buffers are written as JSON."""

    checkpoint: _Note
    log_index: str = "0"
    root_hash: str = ""
    tree_size: str = "0"
    hashes: tuple[str, ...] = ()


class _Entry(_Foreign, frozen=True):
    kind_version: _KindVersion
    canonicalized_body: str
    log_id: _KeyId | None = None
    log_index: str = "0"
    integrated_time: str = "0"
    inclusion_promise: _Promise | None = None
    inclusion_proof: _InclusionProof | None = None


class _Receipt(_Foreign, frozen=True):
    """Upstream's ``rekor-receipt.json``."""

    uuid: str
    log_index: int
    root_hash: str
    hashes: tuple[str, ...]
    checkpoint: str


class Entry(msgspec.Struct, frozen=True):
    """An entry of a trusted log that is about our envelope, as these signers signed it.

    ``time`` (Unix seconds) is the log's signed promise's.
    """

    kind: str
    opened: Opened
    index: int
    signers: tuple[PublicKey, ...]
    time: int | None = None


def verify(data: bytes, logged: Logged, trust: Trust, *, path: str) -> Entry:
    """Return what an entry proves; the body first, then checkpoint, inclusion, and the promise where there is one.

    Raises :class:`LedgerEntryForeign`, what :func:`kit.ledger.checkpoint.open_signed` raises,
    :class:`LedgerProofWrong`, :class:`LedgerSignatureInvalid` for a promise, :class:`EvidenceMissing` for an entry
    with nothing but a promise, and the reading errors.
    """
    entry = _read(data, _Entry, path)
    if entry.inclusion_proof is None:
        raise EvidenceMissing(path=path, detail="the entry has no inclusion proof; a promise alone proves nothing")
    body = _bytes(entry.canonicalized_body, path, "/canonicalizedBody")
    kind = (entry.kind_version.kind, entry.kind_version.version)
    signers = rekor_body.check(body, kind, logged, path=path)
    generation = 1 if kind[1] == FIRST_GENERATION else 2
    proof = entry.inclusion_proof
    opened = open_signed(proof.checkpoint.envelope.encode(), trust, path=path)
    index = _number(proof.log_index, path, "/inclusionProof/logIndex")
    root = _bytes(proof.root_hash, path, "/inclusionProof/rootHash")
    _check_copies(opened, _number(proof.tree_size, path, "/inclusionProof/treeSize"), root, path)
    hashes = [_bytes(item, path, "/inclusionProof/hashes") for item in _few(proof.hashes, path)]
    check_inclusion(merkle.leaf_hash(body), index, hashes, opened.checkpoint, path=path)
    time = _check_log(entry, opened, generation, path)
    return Entry(f"rekor-v{generation}", opened, index, signers, time)


def verify_receipt(
    data: bytes, body: bytes, checkpoint: bytes | None, logged: Logged, trust: Trust, *, path: str
) -> Entry:
    """Return what upstream's receipt proves of an entry's body, which the receipt itself does not hold.

    ``checkpoint`` is the note where the receipt names a file instead of holding one. Raises as :func:`verify` does.
    """
    receipt = _receipt(data, path)
    kind = rekor_body.kind_of(body, path)
    signers = rekor_body.check(body, kind, logged, path=path)
    signed = checkpoint if checkpoint is not None else receipt.checkpoint.encode()
    opened = open_signed(signed, trust, path=path)
    leaf = merkle.leaf_hash(body)
    if receipt.uuid[-64:] != leaf.hex() or len(receipt.uuid) not in {64, 80}:
        raise LedgerEntryForeign(path=path, pointer="/uuid", expected=leaf.hex(), found=shown(receipt.uuid)[:96])
    root = _hex(receipt.root_hash, path, "/rootHash")
    _check_copies(opened, opened.checkpoint.size, root, path)
    hashes = [_hex(item, path, "/hashes") for item in _few(receipt.hashes, path)]
    check_inclusion(leaf, receipt.log_index, hashes, opened.checkpoint, path=path)
    return Entry("rekor-receipt", opened, receipt.log_index, signers)


def body_of(data: bytes, path: str) -> bytes:
    """Return the body of an entry, which nobody has verified; raises the reading errors."""
    return _bytes(_read(data, _Entry, path).canonicalized_body, path, "/canonicalizedBody")


def receipt_names(data: bytes, path: str) -> str | None:
    """Return the name of the file in which a receipt has its checkpoint; None for one that holds it itself."""
    checkpoint = _receipt(data, path).checkpoint
    return None if "\n" in checkpoint else checkpoint


def _receipt(data: bytes, path: str) -> _Receipt:
    receipt = _read(data, _Receipt, path)
    if not 0 <= receipt.log_index <= MAX_SIZE:
        raise MalformedDocument(path=path, pointer="/logIndex", detail="not an index of a log")
    return receipt


def _check_copies(opened: Opened, size: int, root: bytes, path: str) -> None:
    signed = opened.checkpoint
    if (size, root) != (signed.size, signed.root):
        raise LedgerProofWrong(
            path=path,
            detail="size or root is not the signed checkpoint's",
            expected=f"{signed.size} {signed.root.hex()}",
            found=f"{size} {root.hex()[:64]}",
        )


def _check_log(entry: _Entry, opened: Opened, generation: int, path: str) -> int | None:
    """Hold the log's id, and a promise, against the key that signed the checkpoint; return the promise's time."""
    key = opened.log.public
    whole = bytes.fromhex(key.hints[1])
    named = _bytes(entry.log_id.key_id, path, "/logId/keyId") if entry.log_id else None
    if named not in ({None, whole} if generation == 1 else {None, whole, opened.log.key_hash(opened.log.kind)}):
        raise LedgerProofWrong(path=path, pointer="/logId", detail="is not the checkpoint's log", expected=whole.hex())
    if entry.inclusion_promise is None:
        return None
    if generation != 1:
        raise MalformedDocument(path=path, pointer="/inclusionPromise", detail="this kind of log makes no promises")
    time = _number(entry.integrated_time, path, "/integratedTime")
    promised = {
        "body": entry.canonicalized_body,
        "integratedTime": time,
        "logID": whole.hex(),
        "logIndex": _number(entry.log_index, path, "/logIndex"),
    }
    signature = _bytes(entry.inclusion_promise.signed_entry_timestamp, path, "/inclusionPromise/signedEntryTimestamp")
    if not key.verify(canonical.encode(promised), signature):
        raise LedgerSignatureInvalid(path=path, pointer="/inclusionPromise", signer=key.fingerprint)
    return time


def _read(data: bytes, kind: type[T], path: str) -> T:
    try:
        return canonical.convert(canonical.decode_foreign(data, max_bytes=MAX_BYTES), kind)
    except StellaError as fault:
        fault.details.setdefault("path", path)
        raise


def _few(hashes: tuple[str, ...], path: str) -> tuple[str, ...]:
    if len(hashes) > MAX_HASHES:
        raise LimitExceeded(path=path, detail="hashes of a proof", expected=MAX_HASHES, found=len(hashes))
    return hashes


def _bytes(text: str, path: str, pointer: str) -> bytes:
    data = note.decode_base64(text)
    if data is None:
        raise MalformedDocument(path=path, pointer=pointer, detail="not base64")
    return data


def _hex(text: str, path: str, pointer: str) -> bytes:
    if len(text) != 2 * merkle.HASH_SIZE or not set(text) <= set("0123456789abcdef"):
        raise MalformedDocument(path=path, pointer=pointer, detail="not 64 lowercase hexadecimal digits")
    return bytes.fromhex(text)


def _number(text: str, path: str, pointer: str) -> int:
    number = note.read_number(text, MAX_SIZE) if text else None
    if number is None:
        raise MalformedDocument(path=path, pointer=pointer, detail="not a number")
    return number
