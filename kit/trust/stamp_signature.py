"""Whether a key signed a time stamp (RFC 5652 section 5.4): RSA by PKCS #1 or PSS, ECDSA, with SHA-256 or longer."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kit.trust import der
from kit.trust.der import Reader, implicit
from kit.trust.stamp_token import TST_INFO, Algorithm, Certified, Signer, Token

HASHES: Final[Mapping[str, Callable[[bytes], Any]]] = MappingProxyType(
    {
        "2.16.840.1.101.3.4.2.1": hashlib.sha256,
        "2.16.840.1.101.3.4.2.2": hashlib.sha384,
        "2.16.840.1.101.3.4.2.3": hashlib.sha512,
    }
)
"""Hash functions that are strong enough, by object identifier."""

_MADE: Final[dict[str, Callable[[], hashes.HashAlgorithm]]] = dict(
    zip(HASHES, (hashes.SHA256, hashes.SHA384, hashes.SHA512), strict=True)
)
_RSA = "1.2.840.113549.1.1.1"
_RSA_PSS = "1.2.840.113549.1.1.10"
_MGF1 = "1.2.840.113549.1.1.8"
_RSA_WITH = dict(zip((f"1.2.840.113549.1.1.{last}" for last in (11, 12, 13)), HASHES, strict=True))
_ECDSA_WITH = dict(zip((f"1.2.840.10045.4.3.{last}" for last in (2, 3, 4)), HASHES, strict=True))
_MAX_SALT = 512


def fits(token: Token, signer: Signer, certificate: bytes, key: object) -> bool:
    """Tell whether the key of a certificate, given in DER, signed the token as this signer.

    The signed attributes are bound to the content, and to the certificate as far as they name one. What is signed by an
    algorithm that is not among those above is not signed.
    """
    hashed = HASHES.get(signer.digest.oid)
    if hashed is None or signer.content_type != TST_INFO or hashed(token.content).digest() != signer.message_digest:
        return False
    if not all(_names(one, certificate) for one in signer.certified):
        return False
    try:
        return _verified(signer, key)
    except InvalidSignature:
        return False


def _names(certified: Certified, certificate: bytes) -> bool:
    if certified.hash_oid is None:
        # By the form of RFC 2634; what is relied on is the pinned certificate, not this hash.
        return hashlib.sha1(certificate, usedforsecurity=False).digest() == certified.digest
    hashed = HASHES.get(certified.hash_oid)
    return hashed is not None and hashed(certificate).digest() == certified.digest


def _verified(signer: Signer, key: object) -> bool:
    """Tell whether there is a signature of a known kind; raises InvalidSignature where it does not fit."""
    algorithm, oid = signer.algorithm, signer.algorithm.oid
    if isinstance(key, EllipticCurvePublicKey):
        name = _ECDSA_WITH.get(oid)
        if name is None or algorithm.parameters:
            return False
        key.verify(signer.signature, signer.attributes, ECDSA(_MADE[name]()))
        return True
    if not isinstance(key, RSAPublicKey):
        return False
    if oid == _RSA_PSS:
        hashed, salt = _pss(algorithm)
        key.verify(signer.signature, signer.attributes, PSS(MGF1(hashed), salt), hashed)
        return True
    name = signer.digest.oid if oid == _RSA else _RSA_WITH.get(oid)
    if name is None or algorithm.parameters:
        return False
    key.verify(signer.signature, signer.attributes, PKCS1v15(), _MADE[name]())
    return True


def _pss(algorithm: Algorithm) -> tuple[hashes.HashAlgorithm, int]:
    """Return hash and length of the salt from the parameters of RFC 4055 section 3.1; both hashes are the same.

    Raises InvalidSignature for others, and for those left to their defaults, which are SHA-1.
    """
    try:
        given = Reader(algorithm.parameters).inside(der.SEQUENCE)
        hashed = given.inside(implicit(0, constructed=True)).inside(der.SEQUENCE).oid()
        masked = given.inside(implicit(1, constructed=True)).inside(der.SEQUENCE)
        mask = masked.oid(), masked.inside(der.SEQUENCE).oid()
        salt = given.inside(implicit(2, constructed=True)).integer()
        given.finish()
    except ValueError:
        raise InvalidSignature from None
    if hashed not in HASHES or mask != (_MGF1, hashed) or not 0 <= salt <= _MAX_SALT:
        raise InvalidSignature
    return _MADE[hashed](), salt
