"""Time stamps (RFC 3161) over the signatures of an envelope, verified without a network (docs/format.md 4.9).

What is stamped are the bytes of one signature, as in Sigstore's bundles: who has it knew it at that time. The
authority's certificate is pinned by the RootPack and never taken from the stamp. What is signed is authenticated before
its time is called too early or too late, so that an expired authority and a forgery are never confused.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kit.bytes import digest
from kit.errors import (
    LimitExceeded,
    MalformedDocument,
    TimestampExpired,
    TimestampForeign,
    TimestampInvalid,
    TimestampUnknown,
)
from kit.trust import certificates, der, stamp_signature, stamp_token
from kit.trust.certificates import Chain
from kit.trust.evidence import MAX_STAMP, STAMP, Existence
from kit.trust.keys import PublicKey
from kit.trust.stamp_signature import HASHES
from kit.trust.stamp_token import Token
from kit.trust.trusted_root import Authority

MAX_CERTIFICATES = 8
MAX_ACCURACY = timedelta(hours=1)

_SHA256 = bytes.fromhex("0609608648016503040201")
_VERSION = 1

Signatures = Sequence[tuple[PublicKey, bytes]]
"""The signatures of an envelope that fit, with their keys."""


def request(signature: bytes, nonce: int) -> bytes:
    """Return the request for a stamp over a signature, in DER: SHA-256, and no certificates in the answer."""
    imprint = HASHES["2.16.840.1.101.3.4.2.1"](signature).digest()
    algorithm = der.encode(der.SEQUENCE, _SHA256, der.encode(der.NULL))
    hashed = der.encode(der.SEQUENCE, algorithm, der.encode(der.OCTETS, imprint))
    return der.encode(der.SEQUENCE, der.encode_integer(_VERSION), hashed, der.encode_integer(nonce))


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
    key, _ = _stamped(info, signatures, path)
    own = chain.own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own == key.spki:
        raise TimestampInvalid(path=path, detail="the signer stamped its own signature", signer=key.fingerprint)
    return Existence(
        signer=key.fingerprint,
        time=_text(info.latest),
        earliest=_text(info.earliest),
        source=STAMP,
        by=digest.of_bytes(chain.authority.chain[0]),
        name=_shown(chain),
        file=path,
    )


def subject(data: bytes, signatures: Signatures, *, path: str) -> bytes:
    """Return that of the signatures which a stamp is about, whoever made the stamp and whether or not it holds.

    Raises :class:`MalformedDocument`, :class:`LimitExceeded`, :class:`TimestampInvalid` and :class:`TimestampForeign`.
    """
    return _stamped(_read(data, path), signatures, path)[1]


def _read(data: bytes, path: str) -> Token:
    if len(data) > MAX_STAMP:
        raise LimitExceeded(path=path, expected=MAX_STAMP, found=len(data))
    try:
        with certificates.reading():
            info = stamp_token.read(data)
    except ValueError as fault:
        raise MalformedDocument(path=path, detail="not an RFC 3161 response in DER") from fault
    if isinstance(info, int):
        raise TimestampInvalid(path=path, detail="the authority did not grant the stamp", found=info)
    return info


def _authority(info: Token, authorities: Iterable[Authority], path: str) -> Chain:
    """Return the chain of the authority that the stamp names, by issuer and serial number of its certificate."""
    if len(info.certificates) > MAX_CERTIFICATES:
        raise LimitExceeded(path=path, detail="certificates in a time stamp", expected=MAX_CERTIFICATES)
    if len(info.signers) != 1:
        raise TimestampInvalid(path=path, detail="a time stamp has one signer", found=len(info.signers))
    signer = info.signers[0]
    try:
        with certificates.reading():
            name = stamp_token.issuer_text(signer.issuer)
    except ValueError as fault:
        raise MalformedDocument(path=path, detail="not an RFC 3161 response in DER") from fault
    for authority in authorities:
        chain = certificates.check(authority)
        if (chain.own.issuer.public_bytes(), chain.own.serial_number) == (signer.issuer, signer.serial):
            return chain
    raise TimestampUnknown(path=path, found=ascii(name)[1:-1][:120])


def _check_signed(info: Token, chain: Chain, path: str) -> None:
    if not set(info.certificates) <= set(chain.authority.chain):
        raise TimestampInvalid(path=path, detail="has certificates that are not the authority's", by=_shown(chain))
    signer = info.signers[0]
    if not {signer.digest} <= info.digests <= set(HASHES):
        raise TimestampInvalid(path=path, detail="is not signed with SHA-256, SHA-384 or SHA-512", by=_shown(chain))
    if not signer.certified:
        detail = "does not say which certificate its signer has"
        raise TimestampInvalid(path=path, detail=detail, by=_shown(chain))
    if not stamp_signature.fits(info, signer, chain):
        raise TimestampInvalid(path=path, detail="the signature does not fit", by=_shown(chain))
    if info.name is not None and not _is_named(info.name, chain):
        raise TimestampInvalid(path=path, detail="is by somebody whom the certificate does not name", by=_shown(chain))
    if info.unknown is not None:
        raise TimestampInvalid(
            path=path, detail="has a critical extension that no reader here knows", found=info.unknown
        )
    if info.accuracy > MAX_ACCURACY:
        raise TimestampInvalid(path=path, detail="is too vague", expected="an hour at most", found=str(info.accuracy))


def _stamped(info: Token, signatures: Signatures, path: str) -> tuple[PublicKey, bytes]:
    algorithm, value = info.imprint
    hashed = HASHES.get(algorithm)
    if hashed is None:
        raise TimestampInvalid(path=path, detail="the imprint is weaker than SHA-256", found=algorithm)
    for key, signature in signatures:
        if hashed(signature).digest() == value:
            return key, signature
    raise TimestampForeign(path=path, found=value.hex()[:128])


def _shown(chain: Chain) -> str:
    name = chain.authority.uri or chain.own.subject.rfc4514_string()
    return ascii(name)[1:-1][:120]


def _is_named(name: bytes, chain: Chain) -> bool:
    try:
        with certificates.reading():
            return stamp_signature.is_named(name, chain.own)
    except ValueError:
        return False


def _text(time: datetime) -> str:
    return f"{time.replace(tzinfo=None).isoformat(timespec='seconds')}Z"
