"""SEAL.json and sealed files: a medium that only a site's key opens (docs/format.md section 2.5).

Sealing hides, and proves nothing: whose kit it is, and that every byte is the signed one, is judged after opening, as
for any kit. Each file is a libsodium secret stream (XChaCha20-Poly1305) under one key for the whole medium, which a
sealed box (X25519) wraps for each recipient.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import msgspec

from kit import layout
from kit.bytes import canonical, digest
from kit.errors import KeyRefused, LimitExceeded, MalformedDocument, SealBroken, SealKeyMissing, UnsupportedVersion

SCHEMA_VERSION = "1.0"
SEAL_FILE = layout.SEAL_FILE
DIRECTORY = "sealed"
CHUNK = 1 << 18
"""Bytes of a file in one chunk of its stream; the last one has what is left."""
HEADER, OVERHEAD = 24, 17
KEY_BYTES = 32
MAX_RECIPIENTS = 64
MAX_BYTES = 1 << 20

_WRAPPED = 80
_CONTEXT = b"stella-seal/1"
_PUBLIC = bytes.fromhex("302a300506032b656e032100")
_PRIVATE = bytes.fromhex("302e020100300506032b656e04220420")
_PEM = re.compile(rb"\s*-----BEGIN (PUBLIC|PRIVATE) KEY-----\s([A-Za-z0-9+/=\s]{1,200})-----END \1 KEY-----\s*")


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the seal's records."""


class Recipient(_Document, frozen=True):
    """The fingerprint of a key that opens the medium, and the medium's key wrapped for it, in base64."""

    key: str
    wrapped: str


class Seal(_Document, frozen=True):
    """What SEAL.json says: of which kit this is a form, and whose keys open it. Nobody signs it."""

    schema_version: str
    kit_digest: str
    recipients: tuple[Recipient, ...]


@dataclass(frozen=True, slots=True)
class SealingKey:
    """The public half of a site's encryption key; make one with :meth:`from_pem`."""

    point: bytes

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the X25519 key of one ``PUBLIC KEY`` block (RFC 8410); :class:`KeyRefused` for anything else."""
        return cls._checked(_body(pem, b"PUBLIC", _PUBLIC))

    @classmethod
    def _checked(cls, point: bytes) -> Self:
        from nacl.bindings import crypto_scalarmult
        from nacl.exceptions import CryptoError

        try:
            crypto_scalarmult(b"\x01" * KEY_BYTES, point)
        except (CryptoError, RuntimeError) as fault:
            raise KeyRefused(expected="x25519", detail="a point of small order") from fault
        return cls(point)

    @property
    def fingerprint(self) -> str:
        """Return SHA-256 of the SubjectPublicKeyInfo in DER."""
        return digest.of_bytes(_PUBLIC + self.point)

    def to_pem(self) -> bytes:
        """Return the key as a ``PUBLIC KEY`` block."""
        return _pem(b"PUBLIC", _PUBLIC + self.point)


@dataclass(frozen=True, slots=True, repr=False)
class OpeningKey:
    """A site's encryption key. The same 32 bytes make the same key."""

    secret: bytes

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Return the key of one ``PRIVATE KEY`` block (RFC 8410); :class:`KeyRefused` for anything else."""
        return cls(_body(pem, b"PRIVATE", _PRIVATE))

    @property
    def public(self) -> SealingKey:
        """Return the public half."""
        from nacl.bindings import crypto_scalarmult_base

        return SealingKey(crypto_scalarmult_base(self.secret))

    def to_pem(self) -> bytes:
        """Return the key as PKCS#8."""
        return _pem(b"PRIVATE", _PRIVATE + self.secret)

    def unwrap(self, seal: Seal) -> bytes:
        """Return the medium's key.

        Raises :class:`SealKeyMissing` where it is wrapped for others, :class:`SealBroken` where it does not open.
        """
        from nacl.bindings import crypto_box_seal_open
        from nacl.exceptions import CryptoError

        public = self.public
        wrapped = next((one.wrapped for one in seal.recipients if one.key == public.fingerprint), None)
        if wrapped is None:
            raise missing(seal, public.fingerprint)
        try:
            key = crypto_box_seal_open(_decoded(wrapped), public.point, self.secret)
        except CryptoError as fault:
            raise SealBroken(path=SEAL_FILE, detail="the wrapped key does not open") from fault
        if len(key) != KEY_BYTES:
            raise SealBroken(path=SEAL_FILE, detail="the wrapped key is no key")
        return bytes(key)


def missing(seal: Seal, own: str) -> SealKeyMissing:
    """Return the refusal of a medium that is sealed for others; ``own`` is the fingerprint that is here, or none."""
    others = len(seal.recipients) - 1
    more = f" and {others} more" if others else ""
    return SealKeyMissing(path=SEAL_FILE, expected=seal.recipients[0].key + more, found=own or "no key")


def parse(data: bytes) -> Seal:
    """Read SEAL.json and hold it against itself."""
    seal = canonical.decode_record(data, Seal, max_bytes=MAX_BYTES)
    if seal.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=SEAL_FILE, expected=SCHEMA_VERSION, found=seal.schema_version[:32])
    digest.check(seal.kit_digest)
    keys = [digest.check(one.key) for one in seal.recipients]
    if len(keys) > MAX_RECIPIENTS:
        raise LimitExceeded(path=SEAL_FILE, detail="recipients", expected=MAX_RECIPIENTS, found=len(keys))
    if not keys or keys != sorted(set(keys)):
        raise MalformedDocument(path=SEAL_FILE, pointer="/recipients", detail="must ascend, at least one")
    if any(len(_decoded(one.wrapped)) != _WRAPPED for one in seal.recipients):
        raise MalformedDocument(path=SEAL_FILE, pointer="/recipients", detail="a wrapped key of another size")
    return seal


def stored_name(path: str) -> str:
    """Return the name of a sealed file on the medium."""
    return f"{DIRECTORY}/{path}"


def stored_size(size: int) -> int:
    """Return the size of a sealed file."""
    return HEADER + size + OVERHEAD * chunks_of(size)


def chunks_of(size: int) -> int:
    """Return how many chunks a file of a size has; an empty file has one."""
    return max(1, -(-size // CHUNK))


def associated(kit_digest: str, path: str, size: int, index: int) -> bytes:
    """Return what a chunk is bound to: kit, path and size of its file, and its place in it."""
    numbers = size.to_bytes(8, "big") + index.to_bytes(8, "big")
    return b"\x00".join((_CONTEXT, digest.raw_of(kit_digest) + numbers, path.encode()))


def opened(chunks: Iterable[bytes], key: bytes, kit_digest: str, path: str, size: int) -> Iterator[bytes]:
    """Yield the bytes of a sealed file, given as its header and then its chunks, each whole.

    Raises :class:`SealBroken` where one does not authenticate in its place, the last one is not the last, or there are
    more or fewer. What was yielded before is genuine, and is worthless until the end is.
    """
    from nacl import bindings
    from nacl.exceptions import CryptoError

    source = iter(chunks)
    state = bindings.crypto_secretstream_xchacha20poly1305_state()
    last = chunks_of(size) - 1
    index = -1
    try:
        bindings.crypto_secretstream_xchacha20poly1305_init_pull(state, next(source, b""), key)
        for index, chunk in enumerate(source):
            bound = associated(kit_digest, path, size, index)
            data, tag = bindings.crypto_secretstream_xchacha20poly1305_pull(state, chunk, bound)
            if (tag == bindings.crypto_secretstream_xchacha20poly1305_TAG_FINAL) != (index == last):
                raise SealBroken(path=path, detail=f"chunk {index} is not in its place")
            yield data
    except (CryptoError, RuntimeError, ValueError, TypeError) as fault:
        raise SealBroken(path=path, detail=f"chunk {max(index, 0)} does not authenticate here") from fault
    if index != last:
        raise SealBroken(path=path, detail="chunks are missing", expected=last + 1, found=index + 1)


def sorted_recipients(recipients: Sequence[Recipient]) -> tuple[Recipient, ...]:
    """Return recipients in the order in which SEAL.json has them."""
    return tuple(sorted(recipients, key=lambda one: one.key))


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise MalformedDocument(path=SEAL_FILE, pointer="/recipients", detail="not base64") from fault


def _body(pem: bytes, kind: bytes, prefix: bytes) -> bytes:
    found = _PEM.fullmatch(pem) if len(pem) <= 1024 else None
    try:
        der = base64.b64decode(b"".join(found[2].split()), validate=True) if found and found[1] == kind else b""
    except binascii.Error:
        der = b""
    if len(der) != len(prefix) + KEY_BYTES or not der.startswith(prefix):
        raise KeyRefused(expected=f"one X25519 {kind.decode()} KEY in PEM", detail="this is another key, or none")
    return der[len(prefix) :]


def _pem(kind: bytes, der: bytes) -> bytes:
    return b"-----BEGIN %b KEY-----\n%b\n-----END %b KEY-----\n" % (kind, base64.b64encode(der), kind)
