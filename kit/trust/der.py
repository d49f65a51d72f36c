"""A strict reader of DER (X.690): definite lengths in their shortest form, low tag numbers, nothing left over.

A reader walks one level at a time and asks for the tags that it expects; there is no recursion, so nesting costs
nothing. Whatever is wrong is one ValueError, which the caller turns into an error about its document.
"""

from itertools import pairwise
from typing import Final

BOOLEAN: Final = 0x01
INTEGER: Final = 0x02
OCTETS: Final = 0x04
NULL: Final = 0x05
UTC_TIME: Final = 0x17
OID: Final = 0x06
GENERALIZED_TIME: Final = 0x18
SEQUENCE: Final = 0x30
SET: Final = 0x31

_HIGH_TAG = 0x1F
_LONG = 0x80
_MAX_LENGTH_BYTES = 4
_MAX_INTEGER = 64
_MAX_ARC_BYTES = 19
"""Arcs of object identifiers may be UUIDs (X.667), which have 128 bits."""


def implicit(number: int, *, constructed: bool) -> int:
    """Return the context-specific tag of a number."""
    return (0xA0 if constructed else 0x80) | number


class Reader:
    """Reads the elements in a range of bytes, in order."""

    __slots__ = ("_at", "_data", "_end")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self._data = data
        self._at = start
        self._end = len(data) if end is None else end

    @property
    def is_done(self) -> bool:
        """Tell whether nothing is left."""
        return self._at == self._end

    def finish(self) -> None:
        """Refuse what is left over."""
        if not self.is_done:
            raise ValueError("something is left over")

    def starts(self, tag: int) -> bool:
        """Tell whether the next element has a tag."""
        return self._at < self._end and self._data[self._at] == tag

    def raw(self, tag: int | None = None) -> bytes:
        """Return the next element with its tag and length; it must have the tag, if one is given."""
        start = self._at
        self._next(tag)
        return self._data[start : self._at]

    def content(self, tag: int) -> bytes:
        """Return what is in the next element."""
        first, last = self._next(tag)
        return self._data[first:last]

    def inside(self, tag: int) -> "Reader":
        """Return a reader of what is in the next element."""
        first, last = self._next(tag)
        return Reader(self._data, first, last)

    def integer(self, tag: int = INTEGER) -> int:
        """Return an integer, in its shortest form."""
        octets = self.content(tag)
        if not 1 <= len(octets) <= _MAX_INTEGER:
            raise ValueError("an integer without bytes, or with too many")
        if len(octets) > 1 and octets[0] in (0x00, 0xFF) and (octets[0] ^ octets[1]) < 0x80:
            raise ValueError("an integer in more bytes than it needs")
        return int.from_bytes(octets, signed=True)

    def flag(self) -> bool:
        """Tell whether a boolean comes next that is true; one that is false by default is not written in DER."""
        if not self.starts(BOOLEAN):
            return False
        if self.content(BOOLEAN) != b"\xff":
            raise ValueError("a boolean that is not 255")
        return True

    def oid(self) -> str:
        """Return an object identifier with dots."""
        octets = self.content(OID)
        if not octets or octets[-1] & _LONG:
            raise ValueError("an object identifier that ends within an arc")
        arcs: list[int] = []
        arc = size = 0
        for octet in octets:
            if (size == 0 and octet == _LONG) or size == _MAX_ARC_BYTES:
                raise ValueError("an arc in more bytes than it needs, or too large")
            arc, size = arc << 7 | octet & 0x7F, size + 1
            if not octet & _LONG:
                arcs.append(arc)
                arc = size = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))

    def elements(self, tag: int) -> list[bytes]:
        """Return the elements of a SET OF, which ascend and are all different, each with its tag and length."""
        inner = self.inside(tag)
        found = []
        while not inner.is_done:
            found.append(inner.raw())
        if any(one >= other for one, other in pairwise(found)):
            raise ValueError("the elements of a set do not ascend")
        return found

    def _next(self, tag: int | None) -> tuple[int, int]:
        """Step over the next element and return where its content begins and ends."""
        data, at, end = self._data, self._at, self._end
        if end - at < 2 or (data[at] & _HIGH_TAG) == _HIGH_TAG or (tag is not None and data[at] != tag):
            raise ValueError("another element than is expected here")
        length, at = data[at + 1], at + 2
        if length >= _LONG:
            size = length - _LONG
            if not 1 <= size <= min(_MAX_LENGTH_BYTES, end - at):
                raise ValueError("a length that is not definite, or too large")
            length, at = int.from_bytes(data[at : at + size]), at + size
            if length < _LONG or length >> 8 * (size - 1) == 0:
                raise ValueError("a length in more bytes than it needs")
        if length > end - at:
            raise ValueError("an element that is cut off")
        self._at = at + length
        return at, self._at


def encode(tag: int, *parts: bytes) -> bytes:
    """Return one element made of parts."""
    body = b"".join(parts)
    if len(body) < _LONG:
        return bytes([tag, len(body)]) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag, _LONG | len(length)]) + length + body


def encode_integer(value: int) -> bytes:
    """Return an integer that is not negative."""
    return encode(INTEGER, value.to_bytes(value.bit_length() // 8 + 1))
