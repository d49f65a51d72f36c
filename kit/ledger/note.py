"""Signed notes (C2SP signed-note): a text and signature lines, each naming its key by name and key id.

A key id narrows, as a key id of an envelope does: only a line whose name and id are those of a trusted key is judged,
and then its signature must fit.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kit.errors import LimitExceeded, MalformedDocument
from kit.trust.keys import ED25519, PublicKey, Signer

MAX_BYTES = 128 << 10
MAX_SIGNATURES = 64
KEY_ID_SIZE = 4

TYPE_ED25519 = 1
TYPE_ECDSA = 2
TYPE_COSIGNATURE = 4

_DASH = "\u2014 "


class SignatureLine(msgspec.Struct, frozen=True):
    """One signature as read: the key's name and id, and the bytes that its type gives a meaning to."""

    name: str
    key_id: bytes
    value: bytes


class Note(msgspec.Struct, frozen=True):
    """A note as read; ``text`` is what is signed, with its final newline. Nothing is verified yet."""

    text: bytes
    signatures: tuple[SignatureLine, ...]


class NoteKey(msgspec.Struct, frozen=True):
    """A trusted key under its name."""

    name: str
    public: PublicKey

    def key_hash(self, kind: int) -> bytes:
        """Return the hash that names the key for a type of signature: of name and key, for ECDSA of the key alone."""
        if kind == TYPE_ECDSA:
            return hashlib.sha256(self.public.spki).digest()
        return hashlib.sha256(self.name.encode() + b"\n" + bytes((kind,)) + self.public.raw).digest()

    def key_id(self, kind: int) -> bytes:
        """Return the key id that a signature of a type has: the first bytes of the hash."""
        return self.key_hash(kind)[:KEY_ID_SIZE]

    @property
    def kind(self) -> int:
        """Return the type of the signatures that this key makes of notes."""
        return TYPE_ED25519 if self.public.algorithm == ED25519 else TYPE_ECDSA


def is_name(name: str) -> bool:
    """Tell whether a text may name a key: not empty, no white space, no plus sign, no control character."""
    return bool(name) and not any(sign.isspace() or sign == "+" or sign < " " for sign in name)


def parse(data: bytes, path: str) -> Note:
    """Read a note; ``path`` is for errors.

    Raises :class:`LimitExceeded`, and :class:`MalformedDocument` for what is not UTF-8, has a control character (a
    carriage return is one), no blank line before its signatures, no signature, or a line that is none, and for two
    signatures under one name and key id.
    """
    text, lines = _split(data, path)
    return Note(text, _signatures(lines, path))


def parse_signatures(data: bytes, path: str) -> tuple[SignatureLine, ...]:
    """Read signature lines that stand alone, as a witness answers with them; raises as :func:`parse` does."""
    whole = read_text(data, path, limit=MAX_BYTES)
    if not whole.endswith("\n"):
        raise MalformedDocument(path=path, detail="signature lines end with a newline")
    return _signatures(whole[:-1].split("\n"), path)


def encode(text: bytes, signatures: Iterable[SignatureLine]) -> bytes:
    """Return the bytes of a note."""
    return text + b"\n" + encode_signatures(signatures)


def encode_signatures(signatures: Iterable[SignatureLine]) -> bytes:
    """Return the lines of signatures."""
    return b"".join(
        f"{_DASH}{line.name} {base64.b64encode(line.key_id + line.value).decode()}\n".encode() for line in signatures
    )


def sign(text: bytes, name: str, signer: Signer) -> SignatureLine:
    """Return a key's signature line for a text that ends with a newline."""
    key = NoteKey(name, signer.public)
    if not is_name(name) or not text.endswith(b"\n"):
        raise MalformedDocument(detail="not the name of a key, or a text without its final newline")
    return SignatureLine(name, key.key_id(key.kind), signer.sign(text))


def by_key(note: Note, keys: Iterable[NoteKey], kind: int | None = None) -> Mapping[NoteKey, SignatureLine]:
    """Return the signature line of each key that one names, by name and key id together; nothing is verified.

    ``kind`` is the type of signature looked for; that of each key's notes by default.
    """
    lines = {(line.name, line.key_id): line for line in note.signatures}
    named = ((key, lines.get((key.name, key.key_id(kind or key.kind)))) for key in keys)
    return {key: line for key, line in named if line is not None}


def decode_base64(text: str) -> bytes | None:
    """Decode standard base64 that has exactly one spelling for its bytes; None for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def read_text(data: bytes, path: str, *, limit: int) -> str:
    """Return a text in UTF-8 without control characters but newlines, of a limited size."""
    if len(data) > limit:
        raise LimitExceeded(path=path, expected=limit, found=len(data))
    try:
        text = data.decode()
    except UnicodeDecodeError as fault:
        raise MalformedDocument(path=path, detail="not UTF-8", offset=fault.start) from None
    if any(sign < " " and sign != "\n" for sign in text):
        raise MalformedDocument(path=path, detail="a control character")
    return text


def read_number(text: str, limit: int) -> int | None:
    """Return an unsigned decimal number without leading zeros that is at most ``limit``; None for anything else."""
    if not text.isascii() or not text.isdigit() or len(text) > len(str(limit)) or (text[0] == "0" and text != "0"):
        return None
    number = int(text)
    return number if number <= limit else None


def _split(data: bytes, path: str) -> tuple[bytes, list[str]]:
    """Return a note's text, and its signature lines without their newlines; the last blank line parts them."""
    whole = read_text(data, path, limit=MAX_BYTES)
    text, blank, signatures = whole.rpartition("\n\n")
    if not blank or not text or not signatures.endswith("\n"):
        raise MalformedDocument(path=path, detail="a note is a text, a blank line and signature lines")
    return text.encode() + b"\n", signatures[:-1].split("\n")


def _signatures(lines: Sequence[str], path: str) -> tuple[SignatureLine, ...]:
    if len(lines) > MAX_SIGNATURES:
        raise LimitExceeded(path=path, detail="signatures of a note", expected=MAX_SIGNATURES, found=len(lines))
    signatures = tuple(_signature(line, path) for line in lines)
    if len({(line.name, line.key_id) for line in signatures}) != len(signatures):
        raise MalformedDocument(path=path, detail="two signatures under one key name and key id")
    return signatures


def _signature(line: str, path: str) -> SignatureLine:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    value = decode_base64(encoded)
    if not line.startswith(_DASH) or not space or not is_name(name) or value is None or len(value) <= KEY_ID_SIZE:
        raise MalformedDocument(path=path, detail="not a signature line", found=ascii(line)[1:-1][:80])
    return SignatureLine(name, value[:KEY_ID_SIZE], value[KEY_ID_SIZE:])
