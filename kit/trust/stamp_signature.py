"""Whether a key signed a time stamp (RFC 5652 section 5.4): RSA by PKCS #1 or PSS, ECDSA, with SHA-256 or longer."""

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from kit.trust import der
from kit.trust.certificates import Chain
from kit.trust.der import Reader, implicit
from kit.trust.stamp_token import (
    NO_PARAMETERS,
    TST_INFO,
    Algorithm,
    Certified,
    Signer,
    Token,
    algorithm_of,
    directory_name,
    name_parts,
)

T = TypeVar("T")

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


def fits(token: Token, signer: Signer, chain: Chain) -> bool:
    """Tell whether the first key of a chain signed the token as this signer.

    The signed attributes are bound to the content and to the chain's certificates. What is signed by an algorithm that
    is not among those above is not signed.
    """
    hashed = HASHES.get(signer.digest)
    if hashed is None or signer.content_type != TST_INFO or hashed(token.content).digest() != signer.message_digest:
        return False
    if not signer.certified or not all(_names_chain(listed, chain) for listed in signer.certified):
        return False
    try:
        return _verified(signer, chain.own.public_key())
    except InvalidSignature:
        return False


def is_named(name: bytes, own: x509.Certificate) -> bool:
    """Tell whether a GeneralName is one of those that a certificate has (RFC 3161 section 2.4.2, field tsa).

    Directory names are compared by their texts, in whatever type they are written; ValueError for what is none.
    """
    directory = directory_name(name)
    if directory is not None and name_parts(directory) == name_parts(own.subject.public_bytes()):
        return True
    try:
        others = own.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.public_bytes()
    except x509.ExtensionNotFound:
        return False
    listed = Reader(others).inside(der.SEQUENCE)
    while not listed.is_done:
        if listed.raw() == name:
            return True
    return False


def _names_chain(listed: tuple[Certified, ...], chain: Chain) -> bool:
    """Tell whether the first is the signer's certificate, and every other one an issuer in the chain (RFC 5035)."""
    own, *issuers = zip(chain.authority.chain, chain.certificates, strict=True)
    if not listed or not _names(listed[0], *own):
        return False
    return all(any(_names(one, *issuer) for issuer in issuers) for one in listed[1:])


def _names(certified: Certified, certificate: bytes, read: x509.Certificate) -> bool:
    if certified.named not in (None, (read.issuer.public_bytes(), read.serial_number)):
        return False
    if certified.hash_oid is None:
        # By the form of RFC 2634; what is relied on is the pinned certificate, not this hash.
        return hashlib.sha1(certificate, usedforsecurity=False).digest() == certified.digest
    hashed = HASHES.get(certified.hash_oid)
    return hashed is not None and hashed(certificate).digest() == certified.digest


def _verified(signer: Signer, key: object) -> bool:
    """Tell whether there is a signature of a known kind; raises InvalidSignature where it does not fit."""
    algorithm, oid = signer.algorithm, signer.algorithm.oid
    if isinstance(key, EllipticCurvePublicKey):
        if _ECDSA_WITH.get(oid) != signer.digest or algorithm.parameters:
            return False
        key.verify(signer.signature, signer.attributes, ECDSA(_MADE[signer.digest]()))
        return True
    if not isinstance(key, RSAPublicKey):
        return False
    if oid == _RSA_PSS:
        hashed = _MADE[signer.digest]()
        key.verify(signer.signature, signer.attributes, PSS(MGF1(hashed), _salt(algorithm, signer.digest)), hashed)
        return True
    name = signer.digest if oid == _RSA else _RSA_WITH.get(oid)
    if name != signer.digest or algorithm.parameters not in NO_PARAMETERS:
        return False
    key.verify(signer.signature, signer.attributes, PKCS1v15(), _MADE[signer.digest]())
    return True


def _salt(algorithm: Algorithm, name: str) -> int:
    """Return the length of the salt from the parameters of RFC 4055 section 3.1, whose hashes both are the one named.

    Raises InvalidSignature for others, and for those left to their defaults, which are SHA-1.
    """
    try:
        given = Reader(algorithm.parameters).inside(der.SEQUENCE)
        hashed = _tagged(given, 0, algorithm_of)
        mask = _tagged(given, 1, algorithm_of)
        salt = _tagged(given, 2, Reader.integer)
        given.finish()
        masked = algorithm_of(Reader(mask.parameters))
    except ValueError:
        raise InvalidSignature from None
    plain = [Algorithm(name, parameters) for parameters in NO_PARAMETERS]
    if hashed not in plain or masked not in plain or mask.oid != _MGF1 or not 0 <= salt <= _MAX_SALT:
        raise InvalidSignature
    return salt


def _tagged(reader: Reader, number: int, read: Callable[[Reader], T]) -> T:
    inner = reader.inside(implicit(number, constructed=True))
    found = read(inner)
    inner.finish()
    return found
