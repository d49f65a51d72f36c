"""SHA-256 digests as our documents write them, ``sha256:<64 lowercase hex digits>``: docs/format.md section 1.2."""

import re
from io import FileIO
from pathlib import Path

from kit.bytes import sha256
from kit.bytes.files import open_regular, page_buffer
from kit.errors import MalformedDocument

_READ_SIZE = 1 << 20
_PREFIX = "sha256:"
_FORM = re.compile(r"sha256:[0-9a-f]{64}")


def of_bytes(data: bytes | bytearray | memoryview) -> str:
    """Return the digest of bytes in memory."""
    return _PREFIX + sha256.of(data).hex()


def of_file(path: Path) -> tuple[str, int]:
    """Return the digest and the number of bytes of a file, read once in pieces of 1 MiB.

    The size is what was hashed, never what the directory entry claims. FileMissing for what is no regular file; other
    OSErrors pass through.
    """
    with open_regular(path) as file:
        return of_stream(file)


def of_stream(stream: FileIO, most: int | None = None) -> tuple[str, int]:
    """Return the digest and the number of bytes of the rest of an unbuffered binary stream.

    most: how many bytes to read at the least before the rest is left alone, for a file that might grow without end.
    """
    hasher = sha256.new()
    size = 0
    view = memoryview(page_buffer(_READ_SIZE))
    while (most is None or size < most) and (count := stream.readinto(view)):
        hasher.update(view[:count])
        size += count
    return _PREFIX + hasher.digest().hex(), size


def of_raw(raw: bytes) -> str:
    """Return the written form of a raw 32-byte SHA-256 value."""
    if len(raw) != 32:
        raise MalformedDocument(detail="a SHA-256 value has 32 bytes", found=len(raw))
    return _PREFIX + raw.hex()


def check(digest: str) -> str:
    """Return the digest unchanged when it has the written form; MalformedDocument otherwise."""
    if not isinstance(digest, str) or _FORM.fullmatch(digest) is None:
        raise MalformedDocument(
            detail="not a digest of the form sha256:<64 lowercase hex digits>", found=ascii(digest)[:90]
        )
    return digest


def hex_of(digest: str) -> str:
    """Return the 64 hex digits of a digest; MalformedDocument when it is not one."""
    return check(digest)[len(_PREFIX) :]


def raw_of(digest: str) -> bytes:
    """Return the 32 bytes of a digest; MalformedDocument when it is not one."""
    return bytes.fromhex(hex_of(digest))
