"""A public key that passed admission (docs/format.md section 4.1)."""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Protocol, Self

from kit.bytes import digest
from kit.errors import KeyRefused
from kit.trust.keys.encodings import (
    ALGORITHMS,
    ED25519,
    ML_DSA_65,
    PREFIXES,
    RSA,
    RSA_PKCS1,
    RSA_PREFIX_SIZE,
    RSA_PSS,
    kind_of,
)

MAX_PEM = 16 << 10

_PEM = re.compile(rb"\s*-----BEGIN PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END PUBLIC KEY-----\s*")


class _Scheme(Protocol):
    """What the module of a kind of key does for its public keys, which are given by algorithm and encoding."""

    def check(self, algorithm: str, spki: bytes) -> None:
        """Raise :class:`KeyRefused` unless the key may be trusted."""

    def verify(self, algorithm: str, spki: bytes, message: bytes, signature: bytes) -> bool:
        """Tell whether the key made the signature."""


@dataclass(frozen=True, slots=True)
class PublicKey:
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
        kind = kind_of(der)
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


def grouped(fingerprint: str) -> str:
    """Return a fingerprint's hex digits in groups of four, to be read aloud and compared."""
    digits = digest.hex_of(fingerprint)
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def _scheme(algorithm: str) -> _Scheme:
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
