"""Submitting envelopes to a Rekor log: the v1 and the v2 interface (docs/format.md section 10.6).

v1: one ``dsse`` entry, whatever the number of signers. v2: a ``hashedrekord`` entry a signer, over the digest of what
was signed. An entry that the log has already is fetched with a fresh proof. Answers are brought into the form of
``TransparencyLogEntry``; kit.ledger judges them, nothing here does.
"""

import base64
import hashlib
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from builder.web import Answer, Client, shown
from kit.bytes import canonical, merkle
from kit.errors import LedgerRefused, MalformedDocument, SignerUnfit, StellaError
from kit.ledger import checkpoint, note, rekor, rekor_body, tiles
from kit.ledger.checkpoint import MAX_SIZE, Opened, Trust
from kit.ledger.entry import Logged
from kit.ledger.tiles import TileTree
from kit.trust.keys import ECDSA_P256, PublicKey

V1, V2 = 1, 2
VERSIONS = (V1, V2)
JSON = "application/json"
KEY_DETAILS = {ECDSA_P256: "PKIX_ECDSA_P256_SHA_256"}
"""Names that Rekor v2 has for the algorithms of ours that it takes; pure Ed25519 is none of them."""

_ENTRIES_V1, _API_V2 = "/api/v1/log/entries", "/api/v2"
_CREATED, _KNOWN, _ABSENT = (200, 201), 409, (404, 405)
_UUID_DIGITS = (64, 80)
_HEX = frozenset("0123456789abcdef")
_INDEX_HEADERS = ("x-log-index", "grpc-metadata-x-log-index")
_WAITS = (1, 2, 4, 8)
"""Seconds before asking again for what the log has not published yet."""

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Submitted:
    """An entry as the log answered: ``document`` is a ``TransparencyLogEntry``; ``signer`` where it is of one only."""

    document: bytes
    body: bytes
    uuid: str
    signer: PublicKey | None = None


class _Lenient(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of answers: what we do not know of them is left out."""


class _ProofV1(_Lenient, frozen=True):
    checkpoint: str
    hashes: tuple[str, ...]
    log_index: int
    root_hash: str
    tree_size: int


class _VerificationV1(_Lenient, frozen=True):
    inclusion_proof: _ProofV1 | None = None
    signed_entry_timestamp: str | None = None


class _EntryV1(_Lenient, frozen=True):
    body: str
    integrated_time: int
    log_index: int
    log_id: str = msgspec.field(name="logID")
    verification: _VerificationV1 | None = None


class _Text(_Lenient, frozen=True):
    envelope: str


class _ProofV2(_Lenient, frozen=True):
    checkpoint: _Text
    hashes: tuple[str, ...] = ()
    log_index: str = "0"
    root_hash: str = ""
    tree_size: str = "0"


class _Kind(_Lenient, frozen=True):
    kind: str
    version: str


class _LogId(_Lenient, frozen=True):
    key_id: str


class _EntryV2(_Lenient, frozen=True):
    canonicalized_body: str
    inclusion_proof: _ProofV2
    kind_version: _Kind
    log_id: _LogId | None = None
    log_index: str = "0"


def check_signers(logged: Logged, version: int) -> None:
    """Raise :class:`SignerUnfit` for a signer whose signature a log of this version cannot take."""
    for key in logged.verified.signers:
        if version == V2 and key.algorithm not in KEY_DETAILS:
            raise SignerUnfit(
                path="--rekor", found=key.fingerprint, detail=f"Rekor v2 takes no signatures of {key.algorithm}"
            ).then("Record the scan with an ECDSA P-256 key, use a log of Rekor v1, or a log of your own (--log).")


def submit(client: Client, logged: Logged, version: int, trust: Trust) -> list[Submitted]:
    """Return the entries of an envelope in a log, made now or there before; each is what the log says, unjudged.

    Raises :class:`SignerUnfit` before anything is sent, :class:`LedgerRefused` for an answer that is no entry, the
    reading errors, and what :meth:`builder.web.Client.post` raises. ``trust`` is needed for the checkpoint of an entry
    that a v2 log had before: :func:`kit.ledger.checkpoint.open_signed`.
    """
    check_signers(logged, version)
    if version == V1:
        return [_submit_v1(client, logged)]
    return [_submit_v2(client, logged, key, trust) for key in logged.verified.signers]


def receipt(submitted: Submitted) -> bytes:
    """Return upstream's ``rekor-receipt.json`` of an entry."""
    proof = canonical.convert(canonical.decode(submitted.document), _EntryV2).inclusion_proof
    document = {
        "uuid": submitted.uuid,
        "logIndex": int(proof.log_index),
        "rootHash": base64.b64decode(proof.root_hash).hex(),
        "hashes": [base64.b64decode(each).hex() for each in proof.hashes],
        "checkpoint": proof.checkpoint.envelope,
    }
    return canonical.encode(document)


def _submit_v1(client: Client, logged: Logged) -> Submitted:
    # A signature by a key that did not count has no verifier, and the log wants one for each.
    envelope = {
        "payload": _base64(logged.verified.payload),
        "payloadType": logged.verified.payload_type,
        "signatures": [{"keyid": key.fingerprint, "sig": logged.signature(key)} for key in logged.verified.signers],
    }
    content = {
        "envelope": canonical.encode(envelope).decode(),
        "verifiers": [_base64(key.to_pem()) for key in logged.verified.signers],
    }
    request = {"apiVersion": "0.0.1", "kind": "dsse", "spec": {"proposedContent": content}}
    answer = client.post(_ENTRIES_V1, canonical.encode(request), kind=JSON, limit=rekor.MAX_BYTES)
    if answer.status == _KNOWN:
        uuid = answer.headers.get("Location", "").rpartition("/")[2]
        return _fetched(client, _uuid(uuid, client))
    if answer.status in _ABSENT:
        raise _refused(client, answer).then("If it is a log of Rekor v2, add --rekor-version 2.")
    uuid, entry = _read_v1(client, answer)
    return _from_v1(uuid, entry, client) or _fetched(client, uuid)


def _fetched(client: Client, uuid: str) -> Submitted:
    """Return an entry that the log has, once it has an inclusion proof for it."""
    for wait in (*_WAITS, None):
        found, entry = _read_v1(client, client.get(f"{_ENTRIES_V1}/{uuid}", limit=rekor.MAX_BYTES))
        made = _from_v1(found, entry, client)
        if made is not None:
            return made
        if wait is not None:
            client.pause(wait)
    raise LedgerRefused(path=client.prefix, detail="the log gives no inclusion proof for its entry", found=uuid)


def _read_v1(client: Client, answer: Answer) -> tuple[str, _EntryV1]:
    document = _json(client, answer)
    if not isinstance(document, dict) or len(document) != 1:
        raise MalformedDocument(path=client.prefix, detail="the answer is not one entry")
    ((uuid, entry),) = document.items()
    return _uuid(uuid, client), _converted(entry, _EntryV1, client)


def _from_v1(uuid: str, entry: _EntryV1, client: Client) -> Submitted | None:
    """Return an entry in the form of bundles; None while it has no inclusion proof."""
    verification = entry.verification
    proof = verification.inclusion_proof if verification is not None else None
    if verification is None or proof is None:
        return None
    body = _bytes(entry.body, client)
    kind, version = rekor_body.kind_of(body, client.prefix)
    document: dict[str, object] = {
        "canonicalizedBody": entry.body,
        "inclusionProof": {
            "checkpoint": {"envelope": proof.checkpoint},
            "hashes": [_base64(_hex(each, client)) for each in proof.hashes],
            "logIndex": str(proof.log_index),
            "rootHash": _base64(_hex(proof.root_hash, client)),
            "treeSize": str(proof.tree_size),
        },
        "integratedTime": str(entry.integrated_time),
        "kindVersion": {"kind": kind, "version": version},
        "logId": {"keyId": _base64(_hex(entry.log_id, client))},
        "logIndex": str(entry.log_index),
    }
    if verification.signed_entry_timestamp is not None:
        document["inclusionPromise"] = {"signedEntryTimestamp": verification.signed_entry_timestamp}
    return Submitted(canonical.encode(document), body, uuid)


def _submit_v2(client: Client, logged: Logged, key: PublicKey, trust: Trust) -> Submitted:
    verifier = {"keyDetails": KEY_DETAILS[key.algorithm], "publicKey": {"rawBytes": _base64(key.spki)}}
    signature = {"content": logged.signature(key), "verifier": verifier}
    digest = _base64(hashlib.sha256(logged.message).digest())
    request = {"hashedRekordRequestV002": {"digest": digest, "signature": signature}}
    answer = client.post(f"{_API_V2}/log/entries", canonical.encode(request), kind=JSON, limit=rekor.MAX_BYTES)
    if answer.status == _KNOWN:
        spec = {"data": {"algorithm": rekor_body.SHA256_V2, "digest": digest}, "signature": signature}
        body = canonical.encode({"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": spec}})
        return _known_v2(client, answer, body, key, trust)
    if answer.status in _ABSENT:
        raise _refused(client, answer).then("If it is a log of Rekor v1, use --rekor-version 1.")
    entry = _converted(_json(client, answer), _EntryV2, client)
    body = _bytes(entry.canonicalized_body, client)
    document = {name: value for name, value in msgspec.to_builtins(entry).items() if value is not None}
    return _of_signer(canonical.encode(document), body, key)


def _known_v2(client: Client, answer: Answer, body: bytes, key: PublicKey, trust: Trust) -> Submitted:
    """Return an entry that the log had before: its place is in the answer's header, its proof in the log's tiles."""
    written = next((value for name in _INDEX_HEADERS if (value := answer.headers.get(name))), "")
    index = note.read_number(written, MAX_SIZE) if written else None
    if index is None:
        raise _refused(client, answer).then("The log has this entry and does not say where; ask whoever runs it.")
    signed, opened = _covering(client, index, trust)
    tree = TileTree(opened.checkpoint.size, lambda path: _tile(client, path))
    try:
        hashes = tree.inclusion(index)
    except StellaError as fault:
        fault.details.setdefault("path", client.prefix)
        raise
    document = {
        "canonicalizedBody": _base64(body),
        "inclusionProof": {
            "checkpoint": {"envelope": signed.decode()},
            "hashes": [_base64(each) for each in hashes],
            "logIndex": str(index),
            "rootHash": _base64(opened.checkpoint.root),
            "treeSize": str(opened.checkpoint.size),
        },
        "kindVersion": {"kind": "hashedrekord", "version": "0.0.2"},
        "logId": {"keyId": _base64(opened.log.key_hash(opened.log.kind))},
        "logIndex": str(index),
    }
    return _of_signer(canonical.encode(document), body, key)


def _covering(client: Client, index: int, trust: Trust) -> tuple[bytes, Opened]:
    """Return a checkpoint of the log that covers an index."""
    for wait in (*_WAITS, None):
        answer = client.get(f"{_API_V2}/checkpoint", limit=note.MAX_BYTES)
        if answer.status not in _CREATED:
            raise _refused(client, answer)
        opened = checkpoint.open_signed(answer.body, trust, path=client.prefix)
        if index < opened.checkpoint.size:
            return answer.body, opened
        if wait is not None:
            client.pause(wait)
    raise LedgerRefused(path=client.prefix, detail="no checkpoint covers the entry", index=index)


def _tile(client: Client, path: str) -> bytes:
    """Return a tile; a partial one may have been replaced by the full one of its name."""
    answer = client.get(f"{_API_V2}/{path}", limit=tiles.WIDTH * merkle.HASH_SIZE)
    whole, partial, width = path.partition(".p/")
    if partial and answer.status in _ABSENT:
        answer = client.get(f"{_API_V2}/{whole}", limit=tiles.WIDTH * merkle.HASH_SIZE)
        return _accepted(client, answer).body[: int(width) * merkle.HASH_SIZE]
    return _accepted(client, answer).body


def _of_signer(document: bytes, body: bytes, key: PublicKey) -> Submitted:
    return Submitted(document, body, merkle.leaf_hash(body).hex(), key)


def _accepted(client: Client, answer: Answer) -> Answer:
    if answer.status not in _CREATED:
        raise _refused(client, answer)
    return answer


def _refused(client: Client, answer: Answer) -> LedgerRefused:
    return LedgerRefused(path=client.prefix, status=answer.status, found=shown(answer.body))


def _json(client: Client, answer: Answer) -> object:
    body = _accepted(client, answer).body
    try:
        return canonical.decode_foreign(body, max_bytes=rekor.MAX_BYTES)
    except StellaError as fault:
        fault.details.setdefault("path", client.prefix)
        raise


def _converted(value: object, kind: type[T], client: Client) -> T:
    try:
        return canonical.convert(value, kind)
    except StellaError as fault:
        fault.details.setdefault("path", client.prefix)
        raise


def _uuid(text: str, client: Client) -> str:
    if len(text) not in _UUID_DIGITS or not set(text) <= _HEX:
        raise MalformedDocument(path=client.prefix, detail="not an entry's UUID", found=shown(text.encode()))
    return text


def _bytes(text: str, client: Client) -> bytes:
    data = note.decode_base64(text)
    if data is None:
        raise MalformedDocument(path=client.prefix, detail="not base64")
    return data


def _hex(text: str, client: Client) -> bytes:
    if len(text) != 2 * merkle.HASH_SIZE or not set(text) <= _HEX:
        raise MalformedDocument(path=client.prefix, detail="not 64 hexadecimal digits")
    return bytes.fromhex(text)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
