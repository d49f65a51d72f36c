"""DSSE envelopes (DSSE 1.0.2, protocol.md and envelope.md; docs/format.md section 4.2).

An envelope is read once; the bytes that were verified are the bytes handed on. A key id narrows the search for the
signer and decides nothing; a threshold counts distinct key material; one bad signature never spoils another.
"""

import base64
import binascii
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from kit.bytes import canonical
from kit.errors import (
    EvidenceMissing,
    InternalError,
    LimitExceeded,
    MalformedDocument,
    ProfileMissing,
    SignatureInvalid,
    SignerRetired,
    SignerRevoked,
    SignerUnknown,
    StellaError,
)
from kit.trust.keys import PublicKey, Signer

IN_TOTO = "application/vnd.in-toto+json"

MAX_BYTES = 1 << 20
MAX_SIGNATURES = 32
MAX_TRIALS = 4096
"""How often a signature is held against a key: all of 32 against 128, and a signature that names its key needs one."""


class Verified(msgspec.Struct, frozen=True):
    """What an envelope's threshold of distinct keys signed; signers ascend by fingerprint."""

    payload: bytes
    payload_type: str
    signers: tuple[PublicKey, ...]


class Entry(msgspec.Struct, frozen=True):
    """One signature of an envelope: its claimed key id, its bytes, and which of the keys that were tried made it.

    ``named`` is the key that the key id names, right or wrong. ``value`` is empty where the entry cannot be read.
    """

    keyid: str
    value: bytes
    signer: PublicKey | None
    named: PublicKey | None


class Opened(msgspec.Struct, frozen=True):
    """An envelope whose signers are told apart, and none of them judged: content, and every signature in order."""

    payload: bytes
    payload_type: str
    entries: tuple[Entry, ...]


class _Signature(msgspec.Struct, frozen=True):
    """One signature as read; ``value`` is empty where the entry could not be read."""

    keyid: str
    value: bytes


class _Envelope(msgspec.Struct, frozen=True):
    payload: bytes
    payload_type: str
    signatures: tuple[_Signature, ...]


class _Count(msgspec.Struct, frozen=True):
    """Who signed: by fingerprint, keys that count, keys out of their window, revoked ones, and bad signatures' keys."""

    good: dict[str, PublicKey]
    late: dict[str, PublicKey]
    revoked: dict[str, PublicKey]
    broken: tuple[str, ...]


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding, the bytes that are signed; both lengths count bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, signers: Iterable[Signer]) -> bytes:
    """Return a canonical envelope with one signature a distinct key, in the order of the fingerprints."""
    message = pae(payload_type, payload)
    distinct = {signer.public.fingerprint: signer for signer in signers}
    return seal(payload, payload_type, ((name, signer.sign(message)) for name, signer in distinct.items()))


def seal(payload: bytes, payload_type: str, signatures: Iterable[tuple[str, bytes]]) -> bytes:
    """Return a canonical envelope with signatures that were made already, each with its key id, in that order."""
    return canonical.encode(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [
                {"keyid": keyid, "sig": base64.b64encode(value).decode()} for keyid, value in sorted(signatures)
            ],
        }
    )


def open_unjudged(envelope: bytes, keys: Sequence[PublicKey], *, name: str) -> Opened:
    """Return an envelope with the makers of its signatures among ``keys``; whether they suffice is not asked.

    ``name`` is the file's, for errors. Raises the reading errors of docs/format.md section 1.1.
    """
    read = _read(envelope, name, MAX_BYTES)
    return Opened(read.payload, read.payload_type, _attributed(read, {key.fingerprint: key for key in keys}, name))


def verify(
    envelope: bytes,
    keys: Sequence[PublicKey],
    *,
    threshold: int,
    payload_types: Container[str],
    name: str,
    retired: Sequence[PublicKey] = (),
    compromised: Sequence[PublicKey] = (),
    profiles: Mapping[str, Container[str]] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Verified:
    """Return what at least ``threshold`` distinct ``keys`` signed, or raise the one cause why not.

    ``retired`` are keys of the right use outside of their window, ``compromised`` those in somebody else's hands: never
    counted, but told apart from unknown ones. Of each of the ``profiles``, whose keys are given by fingerprint, one key
    at least must have signed.
    ``name`` is the file's, for errors. Raises :class:`EvidenceMissing` for an envelope without signatures,
    :class:`SignatureInvalid` where a known key's signature does not fit or too few keys signed,
    :class:`SignerRevoked`, :class:`SignerRetired`, :class:`SignerUnknown`, :class:`ProfileMissing`,
    :class:`LimitExceeded`, and the reading errors of docs/format.md section 1.1.
    """
    if threshold < 1:
        raise InternalError(detail="a threshold is at least 1", found=threshold)
    read = _read(envelope, name, max_bytes)
    if not read.signatures:
        raise EvidenceMissing(path=name, detail="the envelope has no signature")
    count = _count(read, keys, retired, compromised, name)
    if len(count.good) < threshold:
        raise _refusal(read, count, threshold, name)
    for profile, members in sorted((profiles or {}).items()):
        if not any(fingerprint in members for fingerprint in count.good):
            raise _profile_refusal(count, profile, members, threshold, name)
    # The type is signed too, so a swapped type has failed above; here it is a genuine envelope of another kind.
    if read.payload_type not in payload_types:
        raise MalformedDocument(path=name, pointer="/payloadType", found=_shown(read.payload_type))
    return Verified(read.payload, read.payload_type, tuple(key for _, key in sorted(count.good.items())))


def signatures(
    envelope: bytes, keys: Sequence[PublicKey], *, name: str
) -> tuple[Verified, list[tuple[PublicKey, bytes]]]:
    """Return what an envelope holds and the signatures in it that fit, with their keys, whatever these count for.

    The payload is that of the envelope whether or not anybody signed it. Raises what :func:`open_unjudged` raises.
    """
    opened = open_unjudged(envelope, keys, name=name)
    found = [(entry.signer, entry.value) for entry in opened.entries if entry.signer is not None]
    signers = {key.fingerprint: key for key, _ in found}
    return Verified(opened.payload, opened.payload_type, tuple(key for _, key in sorted(signers.items()))), found


def _read(envelope: bytes, name: str, max_bytes: int) -> _Envelope:
    try:
        document = canonical.decode_foreign(envelope, max_bytes=max_bytes, max_depth=canonical.MAX_DEPTH)
    except StellaError as fault:
        fault.details.setdefault("path", name)
        raise
    if not isinstance(document, dict):
        raise MalformedDocument(path=name, detail="an envelope is a JSON object")
    kind = document.get("payloadType")
    if not isinstance(kind, str) or not kind:
        raise MalformedDocument(path=name, pointer="/payloadType", detail="must be a text that is not empty")
    payload = _base64(document.get("payload"))
    if payload is None:
        raise MalformedDocument(path=name, pointer="/payload", detail="must be base64")
    entries = document.get("signatures")
    if not isinstance(entries, list):
        raise MalformedDocument(path=name, pointer="/signatures", detail="must be an array")
    if len(entries) > MAX_SIGNATURES:
        raise LimitExceeded(path=name, pointer="/signatures", expected=MAX_SIGNATURES, found=len(entries))
    return _Envelope(payload, kind, tuple(_signature(entry) for entry in entries))


def _signature(entry: object) -> _Signature:
    """Read one entry; one that cannot be read is a signature that fits nothing."""
    if not isinstance(entry, dict):
        return _Signature("", b"")
    keyid = entry.get("keyid")
    return _Signature(keyid if isinstance(keyid, str) else "", _base64(entry.get("sig")) or b"")


def _base64(text: object) -> bytes | None:
    """Decode standard or URL-safe base64 that has exactly one spelling for its bytes; None for anything else."""
    if not isinstance(text, str) or not text.isascii():
        return None
    url_safe = "-" in text or "_" in text
    try:
        data = base64.b64decode(text, altchars=b"-_" if url_safe else None, validate=True)
    except (binascii.Error, ValueError):
        return None
    again = base64.urlsafe_b64encode(data) if url_safe else base64.b64encode(data)
    return data if again == text.encode() else None


def _count(
    envelope: _Envelope,
    keys: Sequence[PublicKey],
    retired: Sequence[PublicKey],
    compromised: Sequence[PublicKey],
    name: str,
) -> _Count:
    count = _Count({}, {}, {}, ())
    # A key that stands in two groups belongs to the last one here that has it.
    groups = [(count.revoked, compromised), (count.late, retired), (count.good, keys)]
    known = {key.fingerprint: key for _, members in reversed(groups) for key in members}
    group_of = {key.fingerprint: found for found, members in groups for key in members}
    if any(known[key.fingerprint].algorithm != key.algorithm for _, members in groups for key in members):
        raise InternalError(detail="one key was given under two algorithms", path=name)
    broken: list[str] = []
    for entry in _attributed(envelope, known, name):
        if entry.signer is not None:
            group_of[entry.signer.fingerprint][entry.signer.fingerprint] = entry.signer
        elif entry.named is not None:
            broken.append(entry.named.fingerprint)
        elif not entry.keyid and len(known) == 1:
            broken.extend(known)
    return replace(count, broken=tuple(sorted(set(broken))))


def _attributed(envelope: _Envelope, known: dict[str, PublicKey], name: str) -> tuple[Entry, ...]:
    """Return every signature with the key that made it, of the ``known`` by fingerprint."""
    message = pae(envelope.payload_type, envelope.payload)
    by_hint = {hint: key for key in known.values() for hint in key.hints}
    found: list[Entry] = []
    trials = 0
    for signature in envelope.signatures:
        named = by_hint.get(signature.keyid)
        signer = None
        for key in _ordered(named, known) if signature.value else ():
            trials += 1
            if trials > MAX_TRIALS:
                raise LimitExceeded(path=name, detail="signatures to be held against keys", expected=MAX_TRIALS)
            if key.verify(message, signature.value):
                signer = key
                break
        found.append(Entry(signature.keyid, signature.value, signer, named))
    return tuple(found)


def _ordered(named: PublicKey | None, known: dict[str, PublicKey]) -> Iterator[PublicKey]:
    """Yield the named key first, then all others: a wrong key id must not hide a good signature."""
    if named is not None:
        yield named
    yield from (key for key in known.values() if key != named)


def _refusal(envelope: _Envelope, count: _Count, threshold: int, name: str) -> StellaError:
    """Return the one cause: a signature that names a known key and fails comes before all others."""
    if (blamed := _blamed(count, threshold, name)) is not None:
        return blamed
    if count.good:
        return SignatureInvalid(
            path=name, expected=threshold, found=len(count.good), detail="too few distinct keys signed"
        )
    claimed = sorted({signature.keyid for signature in envelope.signatures if signature.keyid})
    return SignerUnknown(path=name, found=_shown(", ".join(claimed)) or "no key id")


def _profile_refusal(count: _Count, profile: str, members: Container[str], threshold: int, name: str) -> StellaError:
    """Return why no key of a profile counts: what is wrong with a signature by one of them, or that there is none."""
    mine = replace(
        count,
        late={fingerprint: key for fingerprint, key in count.late.items() if fingerprint in members},
        revoked={fingerprint: key for fingerprint, key in count.revoked.items() if fingerprint in members},
        broken=tuple(fingerprint for fingerprint in count.broken if fingerprint in members),
    )
    missing = ProfileMissing(path=name, expected=profile, detail="no key of this profile signed")
    return _blamed(mine, threshold, name) or missing


def _blamed(count: _Count, threshold: int, name: str) -> StellaError | None:
    """Return the cause that lies with a key that is known, if there is one."""
    found = len(count.good)
    bad = [fingerprint for fingerprint in count.broken if fingerprint not in count.good]
    if bad:
        return SignatureInvalid(path=name, expected=threshold, found=found, signer=bad[0])
    if count.revoked:
        return SignerRevoked(path=name, expected=threshold, found=found, signer=min(count.revoked))
    if count.late:
        return SignerRetired(path=name, expected=threshold, found=found, signer=min(count.late))
    return None


def _shown(text: str) -> str:
    return ascii(text)[1:-1][:160]
