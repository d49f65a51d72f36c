"""Ed25519 (RFC 8032, RFC 8410): verified by libsodium, which knows the points that nobody should trust."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from kit.errors import KeyRefused
from kit.trust.keys import ED25519, PREFIXES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_PREFIX = PREFIXES[ED25519]
_PRIVATE = bytes.fromhex("302e020100300506032b657004220420")


def check(algorithm: str, spki: bytes) -> None:
    """Raise :class:`KeyRefused` unless the point may be trusted."""
    from nacl.bindings import crypto_core_ed25519_is_valid_point

    # libsodium says no to points that are off the curve, of small or mixed order, or not canonical.
    if not crypto_core_ed25519_is_valid_point(spki[len(_PREFIX) :]):
        raise KeyRefused(expected=algorithm, detail="not a point of the prime-order group of Ed25519 in canonical form")


def verify(algorithm: str, spki: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ARG001  # one algorithm
    """Tell whether the key made the 64 bytes."""
    from nacl.bindings import crypto_sign_BYTES, crypto_sign_open
    from nacl.exceptions import BadSignatureError

    if len(signature) != crypto_sign_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, spki[len(_PREFIX) :])
    except BadSignatureError:
        return False
    return True


def from_seed(seed: bytes) -> "Ed25519PrivateKey":
    """Return the private key of 32 random bytes."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def own_form(der: bytes) -> "Ed25519PrivateKey | None":
    """Return the private key of the one PKCS#8 encoding that we write, None for any other."""
    if len(der) == len(_PRIVATE) + 32 and der.startswith(_PRIVATE):
        return from_seed(der[-32:])
    return None


def bind(key: object) -> tuple[str, bytes, Callable[[bytes], bytes]] | None:
    """Return algorithm, public half and signing function of a private key, None for one of another kind."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not isinstance(key, Ed25519PrivateKey):
        return None
    return ED25519, _PREFIX + key.public_key().public_bytes_raw(), key.sign
