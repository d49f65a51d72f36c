"""A receipt as a slip: its signed envelope in as few characters as a QR code takes (docs/format.md section 7.2).

A slip is another spelling of ``receipt.dsse.json``. It is read back into exactly those bytes, so that the site's one
signature covers both, and nothing that cannot be read back is written. Digits and capitals alone are used: QR codes
hold them in 5.5 bits each, and they survive line breaks, spaces, lower case and a telephone.
"""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from kit import receipt as receipts
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import LimitExceeded, MalformedDocument, NotCanonical, StellaError
from kit.manifest import check_time
from kit.result import Receipt
from kit.trust import dsse, statement

PREFIX = "STELLA1:"
MAX_CHARACTERS = 8192

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's: without I, L, O and U."""
_RFC4648 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_TEXT = str.maketrans(_RFC4648, _ALPHABET)
_FROM_TEXT = str.maketrans(_ALPHABET, _RFC4648)
_LOOKALIKES = str.maketrans("OIL", "011")
_TAKEN = frozenset(_ALPHABET + "OIL")

_CHECK = 4
_WORD = 0x80
"""A text is its length and its characters, or one byte from here on: a word of the list."""
WORDS = (
    *("VERIFIED", "INTACT", "DIFFERS", "WHAT-IF", "REFUSED", "Ok"),
    *("verify", "strict", "what-if:feeds", "what-if:tools", "what-if:policy"),
    *("site clock", "--at (audit)", "1.0"),
)
"""Texts that take one byte. It is only ever added to at its end: a place here is what old slips mean by it."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_SECOND = 253_402_300_799
_RETRY = "Scan the code again, or read line by line what was typed: one character is wrong, missing or too many."


def encode(envelope: bytes) -> str:
    """Return the slip of a receipt's envelope, in one line.

    Raises :class:`MalformedDocument` for an envelope that no slip can stand for: not canonical, of other things than
    one receipt, with more than one signature, or with words that are no receipt's.
    """
    try:
        receipt, signature = _opened(envelope)
        text = PREFIX + _to_text(_body(receipt, signature))
        same = decode(text) == envelope
    except StellaError as error:
        raise MalformedDocument(path="receipt.dsse.json", detail=f"has no slip: {error}") from error
    if not same:
        raise MalformedDocument(path="receipt.dsse.json", detail="has no slip: it is not written as a site writes it")
    return text


def find(text: str) -> list[str]:
    """Return the slips in a text, each as it was written: capitals without white space, look-alikes mended.

    A slip reaches from its first letters to the first character that is neither white space nor of a slip.
    """
    found = []
    for rest in text.upper().split(PREFIX)[1:]:
        end = next((at for at, sign in enumerate(rest) if sign not in _TAKEN and not sign.isspace()), len(rest))
        found.append(PREFIX + "".join(rest[:end].split()).translate(_LOOKALIKES))
    return found


def decode(slip: str) -> bytes:
    """Return the envelope that a slip stands for, byte for byte; :func:`find` gives slips in the one accepted form.

    Nothing is verified but that the slip is whole: the envelope is. Raises :class:`MalformedDocument`,
    :class:`NotCanonical` and :class:`LimitExceeded`, each with what to do about it.
    """
    try:
        data = _from_text(slip)
        receipt, signature = _Reader(data).receipt()
        if _body(receipt, signature) != data:
            raise NotCanonical(path="slip", detail="the same could be said in another way")
    except StellaError as error:
        error.details.setdefault("path", "slip")
        raise error.then(_RETRY) from None
    encoded = base64.b64encode(receipts.signed_payload(receipt)).decode()
    signatures = [{"keyid": receipt.site, "sig": base64.b64encode(signature).decode()}]
    return canonical.encode({"payload": encoded, "payloadType": dsse.IN_TOTO, "signatures": signatures})


class _Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    payload: str
    payload_type: str
    signatures: tuple[_Signature, ...]


def _opened(envelope: bytes) -> tuple[Receipt, bytes]:
    """Return the receipt in an envelope that nobody has verified, and its one signature."""
    read = canonical.decode_record(envelope, _Envelope, max_bytes=dsse.MAX_BYTES)
    if len(read.signatures) != 1:
        raise MalformedDocument(pointer="/signatures", expected=1, found=len(read.signatures))
    try:
        payload = base64.b64decode(read.payload, validate=True)
        signature = base64.b64decode(read.signatures[0].sig, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise MalformedDocument(detail="not base64") from fault
    said = statement.parse(payload)
    return results.parse_receipt(canonical.encode(dict(said.predicate))), signature


def _to_text(body: bytes) -> str:
    return base64.b32encode(body + _check(body)).decode().rstrip("=").translate(_TO_TEXT)


def _from_text(slip: str) -> bytes:
    """Return the bytes of a slip whose check holds."""
    characters = slip.removeprefix(PREFIX)
    if len(slip) > MAX_CHARACTERS:
        raise LimitExceeded(expected=MAX_CHARACTERS, found=len(slip))
    if not slip.startswith(PREFIX) or not set(characters) <= set(_ALPHABET):
        raise MalformedDocument(expected=f"{PREFIX} and {_ALPHABET}", found=ascii(slip)[1:-1][:32])
    padded = characters + "=" * (-len(characters) % 8)
    try:
        data = base64.b32decode(padded.translate(_FROM_TEXT))
    except binascii.Error as fault:
        raise MalformedDocument(detail="characters are missing") from fault
    body, check = data[:-_CHECK], data[-_CHECK:]
    if len(data) <= _CHECK or check != _check(body) or _to_text(body) != characters:
        raise MalformedDocument(detail="the last characters do not agree with those before them")
    return body


def _check(body: bytes) -> bytes:
    """Return what tells a slip that was misread from one that was forged."""
    return hashlib.sha256(body).digest()[:_CHECK]


def _number(value: Any) -> bytes:
    """Return seven bits a byte, the lowest first; all bytes but the last have the high bit."""
    if not isinstance(value, int) or not 0 <= value < 1 << 53:
        raise MalformedDocument(expected="a number from 0 to 2^53 - 1", found=ascii(value)[:32])
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def _text(value: str) -> bytes:
    if value in WORDS:
        return bytes([_WORD + WORDS.index(value)])
    if len(value) >= _WORD or not value.isascii() or not value.isprintable():
        raise MalformedDocument(expected="at most 127 printable ASCII characters", found=ascii(value)[1:-1][:64])
    return bytes([len(value)]) + value.encode()


def _time(value: str) -> bytes:
    return int((check_time(value, "/time") - _EPOCH).total_seconds()).to_bytes(5)


def _uuid(value: str) -> bytes:
    try:
        return UUID(value).bytes
    except ValueError as fault:
        raise MalformedDocument(expected="a UUID", found=ascii(value)[1:-1][:64]) from fault


def _judged(value: Mapping[str, str]) -> bytes:
    clock = value.get("clock")
    return _time(value["time"]) + _text(value["source"]) + (b"\x00" if clock is None else b"\x01" + _time(clock))


class _Reader:
    """Takes values from the front of a slip's bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def receipt(self) -> tuple[Receipt, bytes]:
        """Read the whole: members that are always there, which others are, those, and the signature."""
        fields = {name: read(self) for name, _, read in _ALWAYS}
        present = self.take(1)[0]
        fields |= {name: read(self) for bit, (name, _, read) in enumerate(_SOMETIMES) if present >> bit & 1}
        signature = self.take(self.number())
        if self._at != len(self._data):
            raise MalformedDocument(detail="more follows the signature", found=len(self._data) - self._at)
        return results.parse_receipt(canonical.encode(fields)), signature

    def take(self, count: int) -> bytes:
        """Return the next bytes."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        if len(taken) != count:
            raise MalformedDocument(detail="it ends too early")
        return taken

    def number(self) -> int:
        """Return a number below 2^56."""
        value = 0
        for shift in range(0, 56, 7):
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise MalformedDocument(detail="a number is too large")

    def text(self) -> str:
        """Return a word of the list, or a text of printable ASCII."""
        first = self.take(1)[0]
        if first >= _WORD:
            if first - _WORD >= len(WORDS):
                raise MalformedDocument(detail="a word that this program does not know: it may be too old")
            return WORDS[first - _WORD]
        value = self.take(first).decode("latin-1")
        if not value.isascii() or not value.isprintable():
            raise MalformedDocument(expected="printable ASCII", found=ascii(value)[1:-1][:64])
        return value

    def time(self) -> str:
        """Return a time of five bytes, seconds since 1970."""
        seconds = int.from_bytes(self.take(5))
        if seconds > _LAST_SECOND:
            raise MalformedDocument(expected="a time before the year 10000", found=seconds)
        moment = _EPOCH + timedelta(seconds=seconds)
        return moment.replace(tzinfo=None).isoformat() + "Z"

    def digest(self) -> str:
        """Return a SHA-256 digest."""
        return digest.of_raw(self.take(32))

    def uuid(self) -> str:
        """Return a UUID."""
        return str(UUID(bytes=self.take(16)))

    def judged(self) -> dict[str, str]:
        """Return a reference time; a byte tells whether the clock's follows."""
        found = {"time": self.time(), "source": self.text()}
        return found | {"clock": self.time()} if self.take(1) == b"\x01" else found


_Member = tuple[str, Callable[[Any], bytes], Callable[[_Reader], object]]
_ALWAYS: tuple[_Member, ...] = (
    ("schemaVersion", _text, _Reader.text),
    ("site", digest.raw_of, _Reader.digest),
    ("runId", _text, _Reader.text),
    ("mode", _text, _Reader.text),
    ("verdict", _text, _Reader.text),
    ("reason", _text, _Reader.text),
    ("exitCode", _number, _Reader.number),
    ("finishedAt", _time, _Reader.time),
    ("resultDigest", digest.raw_of, _Reader.digest),
)
_SOMETIMES: tuple[_Member, ...] = (
    ("referenceTime", _judged, _Reader.judged),
    ("kitId", _text, _Reader.text),
    ("sequence", _number, _Reader.number),
    ("scanId", _uuid, _Reader.uuid),
    ("manifestDigest", digest.raw_of, _Reader.digest),
    ("previous", digest.raw_of, _Reader.digest),
    ("holds", digest.raw_of, _Reader.digest),
)


def _body(receipt: Receipt, signature: bytes) -> bytes:
    """Return the bytes of a slip, but its check."""
    fields = msgspec.to_builtins(receipt)
    written = [write(fields[name]) for name, write, _ in _ALWAYS]
    written.append(bytes([sum(1 << bit for bit, (name, _, _) in enumerate(_SOMETIMES) if name in fields)]))
    written += [write(fields[name]) for name, write, _ in _SOMETIMES if name in fields]
    return b"".join([*written, _number(len(signature)), signature])
