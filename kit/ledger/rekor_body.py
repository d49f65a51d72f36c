"""Bodies of Rekor's entries, held against our envelope: digest, signature and key, all three.

Kinds: ``dsse`` and ``hashedrekord`` in the versions 0.0.1 (Rekor v1) and 0.0.2 (Rekor v2). The digest of a
``hashedrekord`` is that of the signed bytes (the PAE), that of a ``dsse`` the payload's.
"""

import hashlib
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from kit.bytes import canonical
from kit.errors import KeyRefused, LedgerEntryForeign, MalformedDocument, StellaError, UnsupportedVersion
from kit.ledger import note
from kit.ledger.entry import Logged
from kit.trust.keys import PublicKey

MAX_BYTES = 256 << 10
SHA256_V1, SHA256_V2 = "sha256", "SHA2_256"

T = TypeVar("T", bound=msgspec.Struct)


class _Foreign(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Base of what others write: no member that we do not know."""


class _Kind(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every body begins with; the rest is read by kind."""

    kind: str
    api_version: str


class _Hash(_Foreign, frozen=True):
    algorithm: str
    value: str


class _Data(_Foreign, frozen=True):
    hash: _Hash


class _Pem(_Foreign, frozen=True):
    content: str


class _PemSignature(_Foreign, frozen=True):
    content: str
    public_key: _Pem


class _HashedV1(_Foreign, frozen=True):
    data: _Data
    signature: _PemSignature


class _VerifiedSignature(_Foreign, frozen=True):
    signature: str
    verifier: str


class _DsseV1(_Foreign, frozen=True):
    envelope_hash: _Hash
    payload_hash: _Hash
    signatures: tuple[_VerifiedSignature, ...]


class _Raw(_Foreign, frozen=True):
    raw_bytes: str


class _Verifier(_Foreign, frozen=True):
    """A key; what it says of the algorithm is not asked, for that belongs to the key in the keyring."""

    key_details: str = ""
    public_key: _Raw | None = None
    x509_certificate: _Raw | None = msgspec.field(name="x509Certificate", default=None)


class _SignatureV2(_Foreign, frozen=True):
    content: str
    verifier: _Verifier


class _Digest(_Foreign, frozen=True):
    algorithm: str
    digest: str


class _HashedV2(_Foreign, frozen=True):
    data: _Digest
    signature: _SignatureV2


class _DsseV2(_Foreign, frozen=True):
    payload_hash: _Digest
    signatures: tuple[_SignatureV2, ...]


class _HashedSpecV2(_Foreign, frozen=True):
    hashed_rekord_v002: _HashedV2 = msgspec.field(name="hashedRekordV002")


class _DsseSpecV2(_Foreign, frozen=True):
    dsse_v002: _DsseV2 = msgspec.field(name="dsseV002")


class _HashedBodyV1(_Foreign, frozen=True):
    api_version: str
    kind: str
    spec: _HashedV1


class _DsseBodyV1(_Foreign, frozen=True):
    api_version: str
    kind: str
    spec: _DsseV1


class _HashedBodyV2(_Foreign, frozen=True):
    api_version: str
    kind: str
    spec: _HashedSpecV2


class _DsseBodyV2(_Foreign, frozen=True):
    api_version: str
    kind: str
    spec: _DsseSpecV2


def kind_of(body: bytes, path: str) -> tuple[str, str]:
    """Return the kind and the version that a body claims."""
    read = _read(body, _Kind, path)
    return read.kind, read.api_version


def check(body: bytes, kind: tuple[str, str], logged: Logged, *, path: str) -> tuple[PublicKey, ...]:
    """Return the signers whose signatures of our envelope a body holds.

    Raises :class:`LedgerEntryForeign` for a body about other bytes or by another key or signature,
    :class:`UnsupportedVersion` for an unknown kind, :class:`MalformedDocument` for one that is not ``kind``.
    """
    if kind_of(body, path) != kind:
        raise MalformedDocument(path=path, detail="the body is of another kind", expected=" ".join(kind)[:64])
    payload, message = hashlib.sha256(logged.verified.payload), hashlib.sha256(logged.message)
    if kind == ("dsse", "0.0.1"):
        one = _read(body, _DsseBodyV1, path).spec
        _check_hash(one.payload_hash.algorithm, one.payload_hash.value, (SHA256_V1, payload.hexdigest()), path)
        return _signers(((each.signature, _pem(each.verifier)) for each in one.signatures), logged, path)
    if kind == ("hashedrekord", "0.0.1"):
        two = _read(body, _HashedBodyV1, path).spec
        _check_hash(two.data.hash.algorithm, two.data.hash.value, (SHA256_V1, message.hexdigest()), path)
        return _signers([(two.signature.content, _pem(two.signature.public_key.content))], logged, path)
    if kind == ("dsse", "0.0.2"):
        three = _read(body, _DsseBodyV2, path).spec.dsse_v002
        _check_digest(three.payload_hash, payload.digest(), path)
        return _signers(((each.content, _der(each.verifier)) for each in three.signatures), logged, path)
    if kind == ("hashedrekord", "0.0.2"):
        four = _read(body, _HashedBodyV2, path).spec.hashed_rekord_v002
        _check_digest(four.data, message.digest(), path)
        return _signers([(four.signature.content, _der(four.signature.verifier))], logged, path)
    raise UnsupportedVersion(
        path=path, expected="dsse or hashedrekord, 0.0.1 or 0.0.2", found=ascii(" ".join(kind))[1:-1][:64]
    )


def _check_hash(algorithm: str, value: str, expected: tuple[str, str], path: str) -> None:
    if (algorithm, value) != expected:
        found = ascii(f"{algorithm}:{value}")[1:-1][:96]
        raise LedgerEntryForeign(path=path, detail="another digest", expected=":".join(expected), found=found)


def _check_digest(found: _Digest, expected: bytes, path: str) -> None:
    value = note.decode_base64(found.digest)
    _check_hash(found.algorithm, value.hex() if value is not None else "", (SHA256_V2, expected.hex()), path)


def _signers(found: Iterable[tuple[str, bytes | None]], logged: Logged, path: str) -> tuple[PublicKey, ...]:
    """Demand signatures of our envelope only, by signers that counted, each of which fits what was signed."""
    signers: list[PublicKey] = []
    for written, spki in found:
        value, key = note.decode_base64(written), None if spki is None else logged.signer(spki)
        if key is None:
            raise LedgerEntryForeign(path=path, detail="the key is none of our envelope's signers")
        if value is None or written not in logged.signatures or not key.verify(logged.message, value):
            raise LedgerEntryForeign(path=path, detail="the signature is not our envelope's", signer=key.fingerprint)
        signers.append(key)
    if not signers:
        raise LedgerEntryForeign(path=path, detail="the body has no signature")
    return tuple(signers)


def _pem(content: str) -> bytes | None:
    """Return the SubjectPublicKeyInfo of a PEM key in base64; None for anything else, a certificate included."""
    pem = note.decode_base64(content)
    try:
        return None if pem is None else PublicKey.from_pem(pem).spki
    except KeyRefused:
        return None


def _der(verifier: _Verifier) -> bytes | None:
    if verifier.public_key is None or verifier.x509_certificate is not None:
        return None
    return note.decode_base64(verifier.public_key.raw_bytes)


def _read(data: bytes, kind: type[T], path: str) -> T:
    try:
        return canonical.convert(canonical.decode_foreign(data, max_bytes=MAX_BYTES), kind)
    except StellaError as fault:
        fault.details.setdefault("path", path)
        raise
