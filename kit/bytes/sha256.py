"""SHA-256 at the speed of OpenSSL, wherever this runs.

The interpreter that releases are frozen with has no OpenSSL of its own, and its plain C takes six times as long. The
signature library brings an OpenSSL in any case, so long inputs are hashed with that one. Short inputs stay with
``hashlib``: making an object of the signature library costs more than they do.
"""

import hashlib
from collections.abc import Callable
from typing import Protocol

_SHORT = 384
"""Up to how many bytes the plain C is the faster one."""


class Hasher(Protocol):
    """What takes data piece by piece and then gives the 32 bytes."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Add a piece."""

    def digest(self) -> bytes:
        """Return the 32 bytes; called once, after the last piece."""


class _BySignatureLibrary:
    __slots__ = ("_hash",)

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.hashes import SHA256, Hash

        self._hash = Hash(SHA256())

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        self._hash.update(data)

    def digest(self) -> bytes:
        return self._hash.finalize()


def _of_plain(data: bytes | bytearray | memoryview) -> bytes:
    if len(data) <= _SHORT:
        return hashlib.sha256(data).digest()
    hasher = _BySignatureLibrary()
    hasher.update(data)
    return hasher.digest()


def _of_openssl(data: bytes | bytearray | memoryview) -> bytes:
    return hashlib.sha256(data).digest()


def has_openssl() -> bool:
    """Tell whether the interpreter's own ``hashlib`` is that of OpenSSL."""
    return hashlib.sha256.__module__ != "_sha256"


new: Callable[[], Hasher] = hashlib.sha256 if has_openssl() else _BySignatureLibrary
"""Return a hasher for what comes in long pieces."""

of: Callable[[bytes | bytearray | memoryview], bytes] = _of_openssl if has_openssl() else _of_plain
"""Return the 32 bytes of what is in memory."""
