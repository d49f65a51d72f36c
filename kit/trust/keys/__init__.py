"""Public keys, fingerprints and signers (docs/format.md section 4.1).

A key has one accepted encoding (RFC 5480 for ECDSA, RFC 8410 for Ed25519, RFC 9881 for ML-DSA, RFC 3279 section 2.3.1
for RSA), and so one fingerprint: SHA-256 of its SubjectPublicKeyInfo in DER. All but RSA's are a constant prefix and a
body of fixed size, so no ASN.1 is parsed. Algorithm and signature form belong to the key, never to the document that it
signed. There is a module for each kind of key; it and its library are imported when the first key of that kind is met.
"""

import base64
import binascii
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

import msgspec

from kit.bytes import digest
from kit.errors import KeyRefused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | MLDSA65PrivateKey

    class _Scheme(Protocol):
        """What the module of a kind of key does for its public keys, which are given by algorithm and encoding."""

        def check(self, algorithm: str, spki: bytes) -> None:
            """Raise :class:`KeyRefused` unless the key may be trusted."""

        def verify(self, algorithm: str, spki: bytes, message: bytes, signature: bytes) -> bool:
            """Tell whether the key made the signature."""


ECDSA_P256 = "ecdsa-p256-sha256"
ECDSA_P384 = "ecdsa-p384-sha384"
ECDSA_P521 = "ecdsa-p521-sha512"
ED25519 = "ed25519"
ML_DSA_65 = "ml-dsa-65"
RSA_PSS = "rsa-pss-sha256"
RSA_PKCS1 = "rsa-pkcs1-sha256"

ALGORITHMS = (ECDSA_P256, ECDSA_P384, ECDSA_P521, ED25519, ML_DSA_65, RSA_PKCS1, RSA_PSS)

RSA = "rsa"
"""What is known of an RSA key by itself: it does not tell its padding, and verifies nothing until somebody names it."""

SEED_SIZES = {ECDSA_P256: 48, ECDSA_P384: 64, ECDSA_P521: 82, ED25519: 32, ML_DSA_65: 32}
"""Bytes of randomness a key is made of, where keys are made here; EC keys take 128 bits or more beyond their order
(FIPS 186-5, appendix A.2.1)."""

PREFIXES = {
    ECDSA_P256: bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"),
    ECDSA_P384: bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"),
    ECDSA_P521: bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"),
    ED25519: bytes.fromhex("302a300506032b6570032100"),
    ML_DSA_65: bytes.fromhex("308207b2300b0609608648016503040312038207a100"),
}
BODY_SIZES = {ECDSA_P256: 65, ECDSA_P384: 97, ECDSA_P521: 133, ED25519: 32, ML_DSA_65: 1952}

RSA_IDENTIFIER = bytes.fromhex("300d06092a864886f70d0101010500")
RSA_PREFIX_SIZE = 24
"""Bytes before the RSAPublicKey: of every admitted size each length takes three bytes."""

MAX_PEM = 16 << 10

_PEM = re.compile(rb"\s*-----BEGIN PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")
_PRIVATE_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]{1,400})-----END PRIVATE KEY-----\n")


class PublicKey(msgspec.Struct, frozen=True):
    """A verification key that passed admission; make one with :meth:`from_spki` or :meth:`from_pem`.

    The fingerprint is that of the key material: one RSA key has the same under either padding.
    """

    algorithm: str
    spki: bytes
    fingerprint: str

    @classmethod
    def from_spki(cls, der: bytes, algorithm: str | None = None) -> Self:
        """Return the key of a SubjectPublicKeyInfo in DER; ``algorithm`` is what the keyring calls it.

        Without it an RSA key is of the algorithm ``rsa`` and verifies nothing; every other key tells its own. Raises
        :class:`KeyRefused` for another algorithm, size or curve, for another encoding than the one accepted, and for a
        point off the curve, of small or mixed order, or not in canonical form.
        """
        kind = _kind_of(der)
        if kind is None:
            raise KeyRefused(expected=" or ".join(ALGORITHMS), detail="unknown algorithm or encoding")
        if algorithm not in ((None, RSA, RSA_PKCS1, RSA_PSS) if kind == RSA else (None, kind)):
            raise KeyRefused(detail="the key is of another algorithm", expected=ascii(algorithm)[1:-1][:64], found=kind)
        named = algorithm or kind
        _scheme(named).check(named, bytes(der))
        return cls(named, bytes(der), digest.of_bytes(der))

    @classmethod
    def from_pem(cls, pem: bytes, algorithm: str | None = None) -> Self:
        """Return the key of one ``PUBLIC KEY`` block (RFC 7468); ``algorithm`` as for :meth:`from_spki`."""
        found = _PEM.fullmatch(pem) if len(pem) <= MAX_PEM else None
        if found is None:
            raise KeyRefused(detail="not one PEM block of the type PUBLIC KEY")
        try:
            der = base64.b64decode(b"".join(found[1].split()), validate=True)
        except binascii.Error as fault:
            raise KeyRefused(detail="the PEM block is not base64") from fault
        return cls.from_spki(der, algorithm)

    @classmethod
    def from_ed25519(cls, point: bytes) -> Self:
        """Return the key of a raw 32-byte Ed25519 point, as TUF metadata has it."""
        return cls.from_spki(PREFIXES[ED25519] + point, ED25519)

    @property
    def raw(self) -> bytes:
        """Return what the encoding wraps: the point, the bytes of ML-DSA, or the RSAPublicKey in DER."""
        return self.spki[len(PREFIXES.get(self.algorithm, b"")) or RSA_PREFIX_SIZE :]

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
        """Tell whether this key made the signature, in the one form that its algorithm has here."""
        return _scheme(self.algorithm).verify(self.algorithm, self.spki, message, signature)


class Signer(Protocol):
    """Something that signs: a key file here, a KMS or an HSM elsewhere."""

    @property
    def public(self) -> PublicKey:
        """Return the public half."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature in the form that the key's algorithm has here."""


class PemSigner:
    """A private key in memory. Signatures are deterministic (RFC 6979, RFC 8032) but for those of ML-DSA."""

    __slots__ = ("_key", "_sign", "public")

    def __init__(self, key: "PrivateKey") -> None:
        self._key = key
        self._sign: Callable[[bytes], bytes]
        algorithm, spki, self._sign = _bound(key)
        self.public = PublicKey.from_spki(spki, algorithm)

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
        if algorithm not in SEED_SIZES:
            raise KeyRefused(expected=" or ".join(SEED_SIZES), found=ascii(algorithm)[1:-1][:64])
        if len(seed) != SEED_SIZES[algorithm]:
            raise KeyRefused(detail="wrong number of random bytes", expected=SEED_SIZES[algorithm], found=len(seed))
        from kit.trust.keys import ecdsa, ed25519, mldsa

        if algorithm == ED25519:
            return cls(ed25519.from_seed(seed))
        return cls(mldsa.from_seed(seed) if algorithm == ML_DSA_65 else ecdsa.from_seed(algorithm, seed))

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


def _scheme(algorithm: str) -> "_Scheme":
    if algorithm == ED25519:
        from kit.trust.keys import ed25519

        return ed25519
    if algorithm == ML_DSA_65:
        from kit.trust.keys import mldsa

        return mldsa
    if algorithm in (RSA, RSA_PKCS1, RSA_PSS):
        from kit.trust.keys import rsa

        return rsa
    from kit.trust.keys import ecdsa

    return ecdsa


def _kind_of(spki: bytes) -> str | None:
    """Return the algorithm that an encoding tells, :data:`RSA` where it leaves the padding open, None for no key."""
    for algorithm, prefix in PREFIXES.items():
        if len(spki) == len(prefix) + BODY_SIZES[algorithm] and spki.startswith(prefix):
            return algorithm
    return RSA if spki[4:19] == RSA_IDENTIFIER else None


def _bound(key: object) -> tuple[str, bytes, Callable[[bytes], bytes]]:
    from kit.trust.keys import ecdsa, ed25519, mldsa

    bound = ed25519.bind(key) or ecdsa.bind(key) or mldsa.bind(key)
    if bound is None:
        raise KeyRefused(expected=" or ".join(SEED_SIZES), detail="no private key of an algorithm that signs here")
    return bound


def _own_form(text: bytes) -> "PrivateKey | None":
    """Return the private key of a PEM block in the one encoding that we write, None for any other.

    The general reader takes twice as long to import as everything else that a signature needs.
    """
    from kit.trust.keys import ecdsa, ed25519, mldsa

    try:
        der = base64.b64decode(text)
        return ed25519.own_form(der) or ecdsa.own_form(der) or mldsa.own_form(der)
    except ValueError:
        return None  # the general reader names the fault
