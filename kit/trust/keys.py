"""Public keys, fingerprints and signers (docs/format.md section 4.1; RFC 5480, RFC 8410, RFC 6979, RFC 8032).

A key has one accepted encoding, and so one fingerprint: SHA-256 of its SubjectPublicKeyInfo in DER. Each encoding is a
constant prefix and a point, so no ASN.1 is parsed. Algorithm and signature form belong to the key, never to the
document that it signed. Every algorithm's library is imported when its first key is met.
"""

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Protocol, Self

from kit.bytes import digest
from kit.errors import KeyRefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ECDSA_P256 = "ecdsa-p256-sha256"
ED25519 = "ed25519"
ALGORITHMS = (ECDSA_P256, ED25519)

SEED_SIZES = {ECDSA_P256: 48, ED25519: 32}
"""Bytes of randomness a key is made of; P-256 takes 128 bits more than its order (FIPS 186-5, appendix A.2.1)."""

MAX_PEM = 16 << 10

_P256_PREFIX = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
_P256_SIZE = len(_P256_PREFIX) + 65
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_ED25519_PREFIX = bytes.fromhex("302a300506032b6570032100")
_ED25519_SIZE = len(_ED25519_PREFIX) + 32
_P256_PRIVATE = (
    bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"),
    bytes.fromhex("a144034200"),
)
_ED25519_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")
_PRIVATE_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]{1,256})-----END PRIVATE KEY-----\n")
_PEM = re.compile(rb"\s*-----BEGIN PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A verification key that passed admission; make one with :meth:`from_spki` or :meth:`from_pem`."""

    algorithm: str
    spki: bytes
    fingerprint: str

    @classmethod
    def from_spki(cls, der: bytes) -> Self:
        """Return the key of a SubjectPublicKeyInfo in DER.

        Raises :class:`KeyRefused` for another algorithm or curve, for another encoding than the one accepted, and for
        a point off the curve, of small or mixed order, or not in canonical form.
        """
        if len(der) == _P256_SIZE and der.startswith(_P256_PREFIX):
            algorithm = ECDSA_P256
            _p256(der[len(_P256_PREFIX) :])
        elif len(der) == _ED25519_SIZE and der.startswith(_ED25519_PREFIX):
            algorithm = ED25519
            _check_ed25519(der[len(_ED25519_PREFIX) :])
        else:
            raise KeyRefused(expected=" or ".join(ALGORITHMS), detail="unknown algorithm or encoding")
        return cls(algorithm, bytes(der), digest.of_bytes(der))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the key of one ``PUBLIC KEY`` block (RFC 7468)."""
        found = _PEM.fullmatch(pem) if len(pem) <= MAX_PEM else None
        if found is None:
            raise KeyRefused(detail="not one PEM block of the type PUBLIC KEY")
        try:
            der = base64.b64decode(b"".join(found[1].split()), validate=True)
        except binascii.Error as fault:
            raise KeyRefused(detail="the PEM block is not base64") from fault
        return cls.from_spki(der)

    @classmethod
    def from_ed25519(cls, point: bytes) -> Self:
        """Return the key of a raw 32-byte Ed25519 point, as TUF metadata has it."""
        return cls.from_spki(_ED25519_PREFIX + point)

    @property
    def raw(self) -> bytes:
        """Return the encoded point: 32 bytes for Ed25519, 65 for P-256."""
        return self.spki[len(_ED25519_PREFIX if self.algorithm == ED25519 else _P256_PREFIX) :]

    @property
    def hints(self) -> tuple[str, ...]:
        """Return the key ids that name this key: fingerprint, its bare hex digits, its base64."""
        digits = digest.hex_of(self.fingerprint)
        return self.fingerprint, digits, base64.b64encode(bytes.fromhex(digits)).decode()

    def to_pem(self) -> bytes:
        """Return the key as a ``PUBLIC KEY`` block, as openssl writes it."""
        text = base64.b64encode(self.spki).decode()
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Tell whether this key made the signature: DER (r, s) for ECDSA, 64 bytes for Ed25519."""
        if self.algorithm == ED25519:
            return _verify_ed25519(self.raw, message, signature)
        return _verify_p256(self.raw, message, signature)


class Signer(Protocol):
    """Something that signs: a key file here, a KMS or an HSM elsewhere."""

    @property
    def public(self) -> PublicKey:
        """Return the public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature in the form that the key's algorithm has here."""


class PemSigner:
    """A private key in memory. Signatures are deterministic: RFC 6979 for ECDSA, RFC 8032 for Ed25519."""

    __slots__ = ("_key", "_sign", "public")

    def __init__(self, key: "EllipticCurvePrivateKey | Ed25519PrivateKey") -> None:
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519

        self._key = key
        self._sign: Callable[[bytes], bytes]
        if isinstance(key, ed25519.Ed25519PrivateKey):
            self._sign = key.sign
            self.public = PublicKey.from_ed25519(key.public_key().public_bytes_raw())
        elif isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            self._sign = _p256_signer(key)
            self.public = PublicKey.from_spki(_P256_PREFIX + _p256_point(key))
        else:
            raise KeyRefused(expected=" or ".join(ALGORITHMS), detail="unknown algorithm")

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> Self:
        """Return the signer of a private key in PEM; :class:`KeyRefused` if it is none or the passphrase is wrong."""
        own = _PRIVATE_PEM.fullmatch(pem) if password is None else None
        known = _own_form(own[1]) if own is not None else None
        if known is not None:
            return cls(known)
        from cryptography.exceptions import InternalError, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(pem, password)
        except TypeError as fault:
            needed = "it needs a passphrase" if password is None else "it has no passphrase, but one was given"
            raise KeyRefused(detail=needed) from fault
        except (ValueError, UnsupportedAlgorithm, InternalError) as fault:
            raise KeyRefused(detail="not a private key in PEM, or the passphrase is wrong") from fault
        return cls(key)  # type: ignore[arg-type]  # the constructor refuses every other kind

    @classmethod
    def from_seed(cls, algorithm: str, seed: bytes) -> Self:
        """Return the key that randomness makes; the same ``SEED_SIZES[algorithm]`` bytes make the same key."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519

        if algorithm not in ALGORITHMS:
            raise KeyRefused(expected=" or ".join(ALGORITHMS), found=ascii(algorithm)[:64])
        if len(seed) != SEED_SIZES[algorithm]:
            raise KeyRefused(detail="wrong number of random bytes", expected=SEED_SIZES[algorithm], found=len(seed))
        if algorithm == ED25519:
            return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))
        scalar = int.from_bytes(seed) % (_P256_ORDER - 1) + 1
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()))

    def to_pem(self, password: bytes | None = None) -> bytes:
        """Return the private key as PKCS#8, encrypted if there is a passphrase."""
        from cryptography.hazmat.primitives import serialization as form

        sealed = form.BestAvailableEncryption(password) if password else form.NoEncryption()
        return self._key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, sealed)

    def sign(self, message: bytes) -> bytes:
        """Return the signature of a message."""
        return self._sign(message)


def grouped(fingerprint: str) -> str:
    """Return a fingerprint's hex digits in groups of four, to be read aloud and compared."""
    digits = digest.hex_of(fingerprint)
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _own_form(text: bytes) -> "EllipticCurvePrivateKey | Ed25519PrivateKey | None":
    """Return the private key of a PEM block in the one encoding that we write, None for any other.

    The general reader takes twice as long to import as everything else that a signature needs.
    """
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    try:
        der = base64.b64decode(text)
        if len(der) == len(_ED25519_PRIVATE) + 32 and der.startswith(_ED25519_PRIVATE):
            return ed25519.Ed25519PrivateKey.from_private_bytes(der[-32:])
        before, between = _P256_PRIVATE
        start = len(before)
        if der.startswith(before) and der[start + 32 :].startswith(between):
            key = ec.derive_private_key(int.from_bytes(der[start : start + 32]), ec.SECP256R1())
            return key if der[start + 32 + len(between) :] == _p256_point(key) else None
    except ValueError:
        pass  # the general reader names the fault
    return None


def _p256_point(key: "EllipticCurvePrivateKey") -> bytes:
    point = key.public_key().public_numbers()
    return b"\x04" + point.x.to_bytes(32) + point.y.to_bytes(32)


@lru_cache(maxsize=256)
def _p256(point: bytes) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey

    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError as fault:
        raise KeyRefused(detail="not an uncompressed point of P-256") from fault


def _p256_signer(key: "EllipticCurvePrivateKey") -> Callable[[bytes], bytes]:
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    scheme = ECDSA(SHA256(), deterministic_signing=True)
    return lambda message: key.sign(message, scheme)


def _verify_p256(point: bytes, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        _p256(point).verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _check_ed25519(point: bytes) -> None:
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    # libsodium says no to points that are off the curve, of small or mixed order, or not canonical.
    if not crypto_core_ed25519_is_valid_point(point):
        raise KeyRefused(detail="not a point of the prime-order group of Ed25519 in canonical form")


def _verify_ed25519(point: bytes, message: bytes, signature: bytes) -> bool:
    from nacl.bindings import crypto_sign_BYTES, crypto_sign_open
    from nacl.exceptions import BadSignatureError

    if len(signature) != crypto_sign_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, point)
    except BadSignatureError:
        return False
    return True
