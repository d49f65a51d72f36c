"""RSA with SHA-256, verified and never made: PSS and PKCS#1 v1.5 (RFC 8017 sections 8.1 and 8.2; RFC 3279).

The modulus has 2048 to 8192 bits, the exponent is 65537, the salt of PSS is as long as the hash.
"""

from functools import lru_cache
from math import gcd, prod
from typing import TYPE_CHECKING

from kit.errors import KeyRefused
from kit.trust.keys import RSA, RSA_IDENTIFIER, RSA_PREFIX_SIZE, RSA_PSS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MIN_BITS, MAX_BITS = 2048, 8192
_EXPONENT = 65537
_BEFORE_MODULUS = RSA_PREFIX_SIZE + 8
_AFTER_MODULUS = bytes.fromhex("0203010001")


def check(algorithm: str, spki: bytes) -> None:  # noqa: ARG001  # the same key under either padding
    """Raise :class:`KeyRefused` unless the modulus has an admitted size and no small factor, and the encoding is ours.

    Small factors are looked for as SP 800-89 section 5.3.3 has it.
    """
    modulus = _modulus(spki)
    bits = modulus.bit_length()
    # What re-encodes to the very bytes has the exponent and the encoding that are accepted.
    if bits > MAX_BITS or encode(modulus) != spki:
        raise KeyRefused(expected=f"RSA, {MIN_BITS} to {MAX_BITS} bits, exponent {_EXPONENT}", detail="another RSA key")
    if bits < MIN_BITS:
        raise KeyRefused(expected=f"{MIN_BITS} to {MAX_BITS} bits", found=bits, detail="the RSA key is too short")
    if modulus % 2 == 0 or gcd(modulus, _small_primes()) != 1:
        raise KeyRefused(detail="the RSA modulus has a small factor")


def encode(modulus: int) -> bytes:
    """Return the SubjectPublicKeyInfo of a modulus of 1016 bits or more with the exponent 65537."""
    number = modulus.to_bytes(modulus.bit_length() // 8 + 1)
    pair = _wrapped(0x30, _wrapped(0x02, number) + _AFTER_MODULUS)
    return _wrapped(0x30, RSA_IDENTIFIER + _wrapped(0x03, b"\0" + pair))


def verify(algorithm: str, spki: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the key made the signature with the padding that its algorithm names."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    if algorithm == RSA:
        return False
    padding = PSS(MGF1(SHA256()), PSS.DIGEST_LENGTH) if algorithm == RSA_PSS else PKCS1v15()
    try:
        _public(spki).verify(signature, message, padding, SHA256())
    except InvalidSignature:
        return False
    return True


def _modulus(spki: bytes) -> int:
    return int.from_bytes(spki[_BEFORE_MODULUS : -len(_AFTER_MODULUS)])


def _wrapped(tag: int, content: bytes) -> bytes:
    """Return content under a tag and a length of two bytes: none here is shorter than 128 or longer than 65535."""
    return bytes((tag, 0x82)) + len(content).to_bytes(2) + content


@lru_cache(maxsize=1)
def _small_primes() -> int:
    return prod(number for number in range(3, 752, 2) if all(number % factor for factor in range(3, number, 2)))


@lru_cache(maxsize=1024)
def _public(spki: bytes) -> "RSAPublicKey":
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicNumbers

    return RSAPublicNumbers(_EXPONENT, _modulus(spki)).public_key()
