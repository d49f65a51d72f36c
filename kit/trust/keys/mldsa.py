"""ML-DSA-65 (FIPS 204, RFC 9881), pure, with an empty context.

Its signatures are hedged: made with fresh randomness, so the same message has another one each time.
"""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from kit.errors import KeyRefused
from kit.trust.keys import ML_DSA_65, PREFIXES

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey, MLDSA65PublicKey

_PREFIX = PREFIXES[ML_DSA_65]
_PRIVATE = bytes.fromhex("3034020100300b060960864801650304031204228020")


def check(algorithm: str, spki: bytes) -> None:  # noqa: ARG001  # one algorithm
    """Raise :class:`KeyRefused` unless this program's library knows the algorithm."""
    _public(spki)


def verify(algorithm: str, spki: bytes, message: bytes, signature: bytes) -> bool:  # noqa: ARG001  # one algorithm
    """Tell whether the key made the 3309 bytes."""
    from cryptography.exceptions import InvalidSignature

    try:
        _public(spki).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def from_seed(seed: bytes) -> "MLDSA65PrivateKey":
    """Return the private key of 32 random bytes."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    try:
        return MLDSA65PrivateKey.from_seed_bytes(seed)
    except UnsupportedAlgorithm as fault:
        raise KeyRefused(found=ML_DSA_65, detail="this program's library does not know the algorithm") from fault


def own_form(der: bytes) -> "MLDSA65PrivateKey | None":
    """Return the private key of the one PKCS#8 encoding that we write, None for any other."""
    if len(der) == len(_PRIVATE) + 32 and der.startswith(_PRIVATE):
        return from_seed(der[-32:])
    return None


def bind(key: object) -> tuple[str, bytes, Callable[[bytes], bytes]] | None:
    """Return algorithm, public half and signing function of a private key, None for one of another kind."""
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

    if not isinstance(key, MLDSA65PrivateKey):
        return None
    return ML_DSA_65, _PREFIX + key.public_key().public_bytes_raw(), key.sign


@lru_cache(maxsize=1024)
def _public(spki: bytes) -> "MLDSA65PublicKey":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

    try:
        return MLDSA65PublicKey.from_public_bytes(spki[len(_PREFIX) :])
    except (UnsupportedAlgorithm, ValueError) as fault:
        raise KeyRefused(found=ML_DSA_65, detail="this program's library does not take the key") from fault
