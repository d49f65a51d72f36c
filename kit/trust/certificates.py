"""The certificates of a time-stamping authority (RFC 3161 section 2.3, RFC 5280), as the RootPack pins them.

The authority's own certificate is pinned with its chain, so nothing is searched for: each certificate is signed by the
next, the last by itself, and what a certificate may be used for is held against one fixed profile.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, SECP521R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, PublicKeyAlgorithmOID

from kit.errors import TrustRootRefused
from kit.trust import trusted_root
from kit.trust.trusted_root import Authority

T = TypeVar("T", bound=x509.ExtensionType)

MIN_RSA, MAX_RSA = 2048, 8192
_KNOWN_CRITICAL = (x509.BasicConstraints, x509.ExtendedKeyUsage, x509.KeyUsage)
_HASHES = ("sha256", "sha384", "sha512")
_UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    NotImplementedError,
    InvalidSignature,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_PANIC = "PanicException"


class Chain(msgspec.Struct, frozen=True):
    """An authority's chain that keeps the rules: its own certificate first, the root last."""

    authority: Authority
    certificates: tuple[x509.Certificate, ...]

    @property
    def own(self) -> x509.Certificate:
        """Return the certificate whose key signs the time stamps."""
        return self.certificates[0]

    @property
    def valid(self) -> tuple[datetime, datetime]:
        """Return the moments, both included, between which all certificates are valid."""
        certificates = self.certificates
        return max(one.not_valid_before_utc for one in certificates), min(
            one.not_valid_after_utc for one in certificates
        )

    @property
    def window(self) -> tuple[datetime, datetime]:
        """Return the moments, both included, between which the authority and all certificates are valid."""
        first, last = self.valid
        until = self.authority.valid_until
        return max(first, self.authority.valid_from), last if until is None else min(last, until)


@contextmanager
def reading() -> Iterator[None]:
    """Turn whatever the libraries raise on hostile DER into one ValueError, and keep their warnings from the screen."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BaseException as fault:
        # A panic of Rust code is no Exception, and its class cannot be imported.
        if isinstance(fault, _UNREADABLE) or type(fault).__name__ == _PANIC:
            raise ValueError(type(fault).__name__) from fault
        raise


@lru_cache(maxsize=trusted_root.MAX_AUTHORITIES)
def check(authority: Authority) -> Chain:
    """Return an authority's chain after holding it against its rules; raises :class:`TrustRootRefused`."""
    try:
        with reading():
            certificates = tuple(x509.load_der_x509_certificate(data) for data in authority.chain)
            _check_chain(certificates)
            chain = Chain(authority, certificates)
            valid, window = chain.valid, chain.window
    except TrustRootRefused as fault:
        raise TrustRootRefused(path=trusted_root.FILE, found=authority.uri, **fault.details) from None
    except ValueError as fault:
        detail = f"a certificate cannot be read or is not signed by the next one: {fault}"
        raise TrustRootRefused(path=trusted_root.FILE, found=authority.uri, detail=detail) from fault
    if valid[0] >= valid[1] or window[0] > window[1]:
        detail = "the windows of the authority and its certificates have no moment in common"
        raise TrustRootRefused(path=trusted_root.FILE, found=authority.uri, detail=detail)
    return chain


def subject_of(chain: Chain) -> dict[str, str]:
    """Return common name and organization of an authority's certificate, as ``trusted_root.json`` writes them."""
    wanted = {"commonName": NameOID.COMMON_NAME, "organization": NameOID.ORGANIZATION_NAME}
    found = {name: chain.own.subject.get_attributes_for_oid(oid) for name, oid in wanted.items()}
    # Both are always there: sigstore-python reads no authority without them.
    return {name: ascii(str(values[0].value))[1:-1][:128] if values else "" for name, values in found.items()}


def _check_chain(certificates: Sequence[x509.Certificate]) -> None:
    for certificate in certificates:
        _check_form(certificate)
    for issued, issuer in pairwise((*certificates, certificates[-1])):
        issued.verify_directly_issued_by(issuer)
    own, *issuers = certificates
    _check_own(own)
    for below, issuer in enumerate(issuers):
        _check_issuer(issuer, below)


def _check_form(certificate: x509.Certificate) -> None:
    # Names are decoded when they are asked for: what is wrong in them is found here.
    for name in (certificate.subject, certificate.issuer):
        name.rfc4514_string()
    for extension in certificate.extensions:
        if extension.critical and not isinstance(extension.value, _KNOWN_CRITICAL):
            raise TrustRootRefused(detail="unknown critical extension", extension=extension.oid.dotted_string)
    if certificate.public_key_algorithm_oid == PublicKeyAlgorithmOID.RSASSA_PSS:
        # Such a key may be bound to hashes and salts of its own, which the library does not tell.
        raise TrustRootRefused(detail="a key is for RSA-PSS alone, which is not read here")
    key = certificate.public_key()
    strong = (isinstance(key, RSAPublicKey) and MIN_RSA <= key.key_size <= MAX_RSA) or (
        isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1 | SECP384R1 | SECP521R1)
    )
    if not strong:
        raise TrustRootRefused(detail=f"a key is neither RSA of {MIN_RSA} to {MAX_RSA} bits nor ECDSA on a NIST curve")
    algorithm = certificate.signature_hash_algorithm
    if algorithm is None or algorithm.name not in _HASHES:
        raise TrustRootRefused(detail="a certificate is not signed with SHA-256, SHA-384 or SHA-512")


def _check_own(own: x509.Certificate) -> None:
    """Hold the authority's own certificate against RFC 3161 section 2.3: for time stamps, and for nothing else."""
    usage = _extension(own, x509.ExtendedKeyUsage)
    if usage is None or not usage.critical or list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise TrustRootRefused(detail="the extended key usage must be timeStamping alone, and critical")
    basic, key_usage = _extension(own, x509.BasicConstraints), _extension(own, x509.KeyUsage)
    if basic is not None and basic.value.ca:
        raise TrustRootRefused(detail="the authority's own certificate is one that issues others")
    if key_usage is None:
        return
    usages = key_usage.value
    if not (usages.digital_signature or usages.content_commitment):
        raise TrustRootRefused(detail="the authority's own certificate may not sign")
    others = (usages.key_encipherment, usages.data_encipherment, usages.key_agreement, usages.key_cert_sign)
    if any(others) or usages.crl_sign:
        raise TrustRootRefused(detail="the authority's own key is for something else than signatures, too")


def _check_issuer(issuer: x509.Certificate, below: int) -> None:
    basic, key_usage = _extension(issuer, x509.BasicConstraints), _extension(issuer, x509.KeyUsage)
    if basic is None or not basic.value.ca:
        raise TrustRootRefused(detail="an issuer's certificate is not one that may issue others")
    if basic.value.path_length is not None and below > basic.value.path_length:
        raise TrustRootRefused(detail="the chain is longer than an issuer allows")
    if key_usage is not None and not key_usage.value.key_cert_sign:
        raise TrustRootRefused(detail="an issuer's key may not sign certificates")


def _extension(certificate: x509.Certificate, kind: type[T]) -> x509.Extension[T] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
