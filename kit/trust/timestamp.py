"""Time stamps (RFC 3161) over the signatures of an envelope, verified without a network (docs/format.md 4.9).

What is stamped are the bytes of one signature, as in Sigstore's bundles: who has it knew it at that time. The
authority's certificate is pinned by the RootPack and never taken from the stamp. What is signed is authenticated before
its time is called too early or too late, so that an expired authority and a forgery are never confused.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from rfc3161_client import PKIStatus, TimestampRequestBuilder, TimeStampResponse, decode_timestamp_response
from rfc3161_client._rust import verify as _cms  # the public verifier cannot tell a forgery from an expired certificate
from rfc3161_client.base import HashAlgorithm

from kit.bytes import digest
from kit.errors import (
    LimitExceeded,
    MalformedDocument,
    TimestampExpired,
    TimestampForeign,
    TimestampInvalid,
    TimestampUnknown,
)
from kit.trust import certificates
from kit.trust.certificates import Chain
from kit.trust.evidence import MAX_STAMP, STAMP, Existence
from kit.trust.keys import PublicKey
from kit.trust.trusted_root import Authority

MAX_CERTIFICATES = 8
MAX_ACCURACY = timedelta(hours=1)

_HASHES = {
    "2.16.840.1.101.3.4.2.1": hashlib.sha256,
    "2.16.840.1.101.3.4.2.2": hashlib.sha384,
    "2.16.840.1.101.3.4.2.3": hashlib.sha512,
}
_VERSION = 1
_UNREADABLE = (ValueError, TypeError, OverflowError, AttributeError, NotImplementedError)

Signatures = Sequence[tuple[PublicKey, bytes]]
"""The signatures of an envelope that fit, with their keys."""


@dataclass(frozen=True, slots=True)
class _Info:
    """What a stamp says, in plain types; ``token`` is its CMS structure, of which it was read."""

    token: bytes
    imprint: tuple[str, bytes]
    time: datetime
    accuracy: timedelta
    certificates: frozenset[bytes]
    signers: tuple[tuple[x509.Name, int], ...]
    digests: frozenset[str]


def request(signature: bytes) -> bytes:
    """Return the request for a stamp over a signature, in DER: SHA-256, a nonce, and no certificates in the answer."""
    builder = TimestampRequestBuilder().data(signature).hash_algorithm(HashAlgorithm.SHA256)
    return builder.cert_request(cert_request=False).build().as_bytes()


def verify(data: bytes, signatures: Signatures, authorities: Iterable[Authority], *, path: str) -> Existence:
    """Return which of the signatures existed when, by an authority's word.

    ``data`` is a TimeStampResp in DER. Raises :class:`MalformedDocument` and :class:`LimitExceeded` for what cannot be
    read, :class:`TimestampUnknown`, :class:`TimestampInvalid`, :class:`TimestampExpired`, :class:`TimestampForeign` in
    this order, and :class:`kit.errors.TrustRootRefused` for an authority whose certificates break a rule.
    """
    info = _read(data, path)
    chain = _authority(info, authorities, path)
    # 1. Authentic: the pinned key signed it. When is asked afterwards, so any moment at which the chain holds will do.
    _check_signed(info, chain, path)
    # 2. In time: window of the authority, and validity of every certificate.
    first, last = chain.window
    if not first <= info.time <= last:
        raise TimestampExpired(
            path=path, expected=f"{_text(first)} to {_text(last)}", found=_text(info.time), authority=_shown(chain)
        )
    # 3. About one of our signatures, and by somebody else than its signer.
    key = _stamped(info, signatures, path)
    own = chain.own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own == key.spki:
        raise TimestampInvalid(path=path, detail="the signer stamped its own signature", signer=key.fingerprint)
    return Existence(
        signer=key.fingerprint,
        time=_text(_rounded_up(info.time + info.accuracy)),
        earliest=_text(info.time - info.accuracy),
        source=STAMP,
        by=digest.of_bytes(chain.authority.chain[0]),
        name=_shown(chain),
        file=path,
    )


def _read(data: bytes, path: str) -> _Info:
    if len(data) > MAX_STAMP:
        raise LimitExceeded(path=path, expected=MAX_STAMP, found=len(data))
    try:
        response = decode_timestamp_response(data)
        granted = response.status in {PKIStatus.GRANTED, PKIStatus.GRANTED_WITH_MODS}
        info = _info(response) if granted else None
    except _UNREADABLE as fault:
        raise MalformedDocument(path=path, detail="not an RFC 3161 response in DER") from fault
    if info is None:
        raise TimestampInvalid(path=path, detail="the authority did not grant the stamp", found=response.status)
    return info


def _info(response: TimeStampResponse) -> _Info:
    told, signed = response.tst_info, response.signed_data
    if told.version != _VERSION:
        raise ValueError
    imprint = told.message_imprint
    accuracy = told.accuracy
    units = (accuracy.seconds or 0, accuracy.millis or 0, accuracy.micros or 0) if accuracy is not None else (0, 0, 0)
    return _Info(
        token=response.time_stamp_token(),
        imprint=(imprint.hash_algorithm.dotted_string, imprint.message),
        time=told.gen_time.astimezone(UTC),
        accuracy=timedelta(seconds=units[0], milliseconds=units[1], microseconds=units[2]),
        certificates=frozenset(signed.certificates),
        signers=tuple((signer.issuer, signer.serial_number) for signer in signed.signer_infos),
        digests=frozenset(algorithm.dotted_string for algorithm in signed.digest_algorithms),
    )


def _authority(info: _Info, authorities: Iterable[Authority], path: str) -> Chain:
    """Return the chain of the authority that the stamp names, by issuer and serial number of its certificate."""
    if len(info.certificates) > MAX_CERTIFICATES:
        raise LimitExceeded(path=path, detail="certificates in a time stamp", expected=MAX_CERTIFICATES)
    if len(info.signers) != 1:
        raise TimestampInvalid(path=path, detail="a time stamp has one signer", found=len(info.signers))
    issuer, serial = info.signers[0]
    for authority in authorities:
        chain = certificates.check(authority)
        if (chain.own.issuer, chain.own.serial_number) == (issuer, serial):
            return chain
    raise TimestampUnknown(path=path, found=ascii(issuer.rfc4514_string())[1:-1][:120])


def _check_signed(info: _Info, chain: Chain, path: str) -> None:
    if not info.certificates <= set(chain.authority.chain):
        raise TimestampInvalid(path=path, detail="has certificates that are not the authority's", by=_shown(chain))
    if not info.digests or not info.digests <= set(_HASHES):
        raise TimestampInvalid(path=path, detail="is not signed with SHA-256, SHA-384 or SHA-512", by=_shown(chain))
    try:
        _cms.pkcs7_verify(info.token, chain.valid[0], list(chain.authority.chain))
    except _UNREADABLE as fault:
        raise TimestampInvalid(path=path, detail="the signature does not fit", by=_shown(chain)) from fault
    if info.accuracy > MAX_ACCURACY:
        raise TimestampInvalid(path=path, detail="is too vague", expected="an hour at most", found=str(info.accuracy))


def _stamped(info: _Info, signatures: Signatures, path: str) -> PublicKey:
    algorithm, value = info.imprint
    hashed = _HASHES.get(algorithm)
    if hashed is None:
        raise TimestampInvalid(path=path, detail="the imprint is weaker than SHA-256", found=algorithm)
    for key, signature in signatures:
        if hashed(signature).digest() == value:
            return key
    raise TimestampForeign(path=path, found=value.hex()[:128])


def _shown(chain: Chain) -> str:
    name = chain.authority.uri or chain.own.subject.rfc4514_string()
    return ascii(name)[1:-1][:120]


def _rounded_up(time: datetime) -> datetime:
    return time if not time.microsecond else time.replace(microsecond=0) + timedelta(seconds=1)


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
