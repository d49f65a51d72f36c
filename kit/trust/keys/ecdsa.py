"""ECDSA over P-256, P-384 and P-521, each with its own hash (FIPS 186-5, RFC 5480, RFC 6979).

A signature is the strict DER of (r, s), both between 1 and the order; low and high s are the standard's and accepted.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import TYPE_CHECKING

import msgspec

from kit.errors import KeyRefused
from kit.trust.keys import ECDSA_P256, ECDSA_P384, ECDSA_P521, PREFIXES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import (
        ECDSA,
        EllipticCurve,
        EllipticCurvePrivateKey,
        EllipticCurvePublicKey,
    )


class _Curve(msgspec.Struct, frozen=True):
    """A curve: names in the library, bytes of a coordinate, and what stands around a private key's scalar."""

    name: str
    hash: str
    size: int
    before: bytes
    between: bytes


_CURVES = {
    ECDSA_P256: _Curve(
        "SECP256R1",
        "SHA256",
        32,
        bytes.fromhex("308187020100301306072a8648ce3d020106082a8648ce3d030107046d306b0201010420"),
        bytes.fromhex("a144034200"),
    ),
    ECDSA_P384: _Curve(
        "SECP384R1",
        "SHA384",
        48,
        bytes.fromhex("3081b6020100301006072a8648ce3d020106052b8104002204819e30819b0201010430"),
        bytes.fromhex("a164036200"),
    ),
    ECDSA_P521: _Curve(
        "SECP521R1",
        "SHA512",
        66,
        bytes.fromhex("3081ee020100301006072a8648ce3d020106052b810400230481d63081d30201010442"),
        bytes.fromhex("a1818903818600"),
    ),
}


def check(algorithm: str, spki: bytes) -> None:
    """Raise :class:`KeyRefused` unless the key is an uncompressed point of the curve."""
    _public(algorithm, spki)


def verify(algorithm: str, spki: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether the key made the DER signature."""
    from cryptography.exceptions import InvalidSignature

    try:
        _public(algorithm, spki).verify(signature, message, _scheme(algorithm))
    except InvalidSignature:
        return False
    return True


def from_seed(algorithm: str, seed: bytes) -> "EllipticCurvePrivateKey":
    """Return the private key of random bytes, many enough that no scalar is likelier than another."""
    return _private(algorithm, int.from_bytes(seed) % (_curve(algorithm).group_order - 1) + 1)


def own_form(der: bytes) -> "EllipticCurvePrivateKey | None":
    """Return the private key of the one PKCS#8 encoding that we write, None for any other."""
    for algorithm, curve in _CURVES.items():
        start, end = len(curve.before), len(curve.before) + curve.size
        if der.startswith(curve.before) and der[end:].startswith(curve.between):
            key = _private(algorithm, int.from_bytes(der[start:end]))
            return key if der[end + len(curve.between) :] == _point(key, curve.size) else None
    return None


def bind(key: object) -> tuple[str, bytes, Callable[[bytes], bytes]] | None:
    """Return algorithm, public half and signing function of a private key, None for one of another kind."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    if not isinstance(key, EllipticCurvePrivateKey):
        return None
    for algorithm, curve in _CURVES.items():
        if key.curve.name == curve.name.lower():
            sign = partial(key.sign, signature_algorithm=_scheme(algorithm))
            return algorithm, PREFIXES[algorithm] + _point(key, curve.size), sign
    return None


def _private(algorithm: str, scalar: int) -> "EllipticCurvePrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ec import derive_private_key

    return derive_private_key(scalar, _curve(algorithm))


def _point(key: "EllipticCurvePrivateKey", size: int) -> bytes:
    point = key.public_key().public_numbers()
    return b"\x04" + point.x.to_bytes(size) + point.y.to_bytes(size)


@lru_cache(maxsize=1024)
def _public(algorithm: str, spki: bytes) -> "EllipticCurvePublicKey":
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

    try:
        return EllipticCurvePublicKey.from_encoded_point(_curve(algorithm), spki[len(PREFIXES[algorithm]) :])
    except ValueError as fault:
        raise KeyRefused(expected=algorithm, detail="not an uncompressed point of the curve") from fault


def _curve(algorithm: str) -> "EllipticCurve":
    from cryptography.hazmat.primitives.asymmetric import ec

    curve: type[EllipticCurve] = getattr(ec, _CURVES[algorithm].name)
    return curve()


@lru_cache
def _scheme(algorithm: str) -> "ECDSA":
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA

    return ECDSA(getattr(hashes, _CURVES[algorithm].hash)(), deterministic_signing=True)
