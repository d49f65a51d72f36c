"""Private keys as PKCS#8 PEM, and what signs (docs/format.md section 4.1)."""

import base64
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, Self

from kit.errors import KeyRefused
from kit.trust.keys.encodings import ED25519, ML_DSA_65, SEED_SIZES
from kit.trust.keys.public import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    PrivateKey = EllipticCurvePrivateKey | Ed25519PrivateKey | MLDSA65PrivateKey

_PRIVATE_PEM = re.compile(rb"-----BEGIN PRIVATE KEY-----\n([A-Za-z0-9+/=\n]{1,400})-----END PRIVATE KEY-----\n")


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
