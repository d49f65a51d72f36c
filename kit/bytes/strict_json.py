"""Reading JSON (RFC 8259) so that two readers cannot see two contents: the common part of docs/format.md section 1.1.

Fast decoding is msgspec's, into types that exclude floats, large integers and deep nesting. What it cannot vouch for is
read again here, slowly, by rules that name the fault.
"""

import json
import math
import re
from collections.abc import Set as AbstractSet
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Annotated, Any, Never, NewType, Union

import msgspec

from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, StellaError

if TYPE_CHECKING:
    JsonValue = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None
else:
    # So that a record may have a field of this type: msgspec knows no recursive aliases.
    JsonValue = Any

MAX_BYTES = 64 << 20
MAX_VALUES = 1_000_000
MAX_INTEGER = (1 << 53) - 1
FAST_DEPTH = 8

_COUNTED_FROM = 1 << 20
_LEAST_BYTES_A_VALUE = 24
_BOM = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


def guard(data: bytes, max_bytes: int) -> None:
    """Refuse, by LimitExceeded, a document of too many bytes or, whatever its size, of too many values.

    Values are counted by their separators, those in text included: a document of 20 MB could otherwise ask for 700 MB
    of memory. What tools write has 27 bytes a value and more, so a large document may have that share.
    """
    if len(data) > max_bytes:
        raise LimitExceeded(detail="document bytes", expected=max_bytes, found=len(data))
    if len(data) > _COUNTED_FROM:
        values = data.count(b",") + data.count(b"[") + data.count(b"{")
        limit = max(MAX_VALUES, len(data) // _LEAST_BYTES_A_VALUE)
        if values > limit:
            raise LimitExceeded(detail="document values", expected=limit, found=values)


class Plain:
    """The JSON that msgspec vouches for: text, booleans, integers within 2^53 - 1, at most FAST_DEPTH levels, no float.

    null: whether null belongs to it too.
    """

    def __init__(self, *, null: bool) -> None:
        integer = Annotated[int, msgspec.Meta(ge=-MAX_INTEGER, le=MAX_INTEGER)]
        scalars: tuple[Any, ...] = (bool, integer, str, type(None)) if null else (bool, integer, str)
        nested: Any = Union[scalars]  # noqa: UP007 - built at run time
        for _ in range(FAST_DEPTH):
            # A named type is hashed by identity; a bare union once for each of its 2^depth parts.
            nested = NewType("_Level", nested)  # type: ignore[misc,no-redef]  # noqa: PLC0132 - made in a loop
            nested = Union[(*scalars, list[nested], dict[str, nested])]
        self._decoder: msgspec.json.Decoder[JsonValue] = msgspec.json.Decoder(nested)
        self._box = msgspec.defstruct("_Box", [("value", nested)])

    def decode(self, data: bytes) -> JsonValue:
        """Return the value of a document; msgspec.DecodeError or UnicodeError when it is not of this kind."""
        return self._decoder.decode(data)

    def contains(self, value: object) -> bool:
        """Tell whether a value that the encoder took is of this kind."""
        try:
            msgspec.convert({"value": value}, self._box)
        except msgspec.ValidationError:
            return False
        return True


@cache
def plain(*, null: bool) -> Plain:
    """Return the one object of a kind, built when first needed: its types take milliseconds to build."""
    return Plain(null=null)


def parse(data: bytes, *, max_depth: int, floats: bool, refusal: type[StellaError]) -> JsonValue:
    """Return the value of a document, duplicate members and nesting checked, every fault named.

    floats: fractions, exponents and integers beyond 2^53 - 1 become floats, else they are refused. refusal: the class
    for what is JSON (or nearly) and yet not allowed; MalformedDocument for what is no JSON at all.
    """
    if data.startswith(_BOM):
        raise refusal(detail="byte order mark")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedDocument(detail="not UTF-8", offset=error.start) from None
    try:
        value: JsonValue = _decoder(floats=floats, refusal=refusal).decode(text)
    except json.JSONDecodeError as error:
        kind = refusal if error.msg == "Extra data" else MalformedDocument
        raise kind(detail=f"not JSON: {error.msg}", offset=error.pos) from None
    except RecursionError:
        raise LimitExceeded(detail="nesting", expected=max_depth) from None
    del text
    if _SURROGATE_ESCAPE.search(data):
        try:
            msgspec.json.encode(value)
        except UnicodeEncodeError:
            raise refusal(detail="lone surrogate") from None
    if data.count(b"[") + data.count(b"{") > max_depth:
        check_depth(value, max_depth)
    return value


def _decoder(*, floats: bool, refusal: type[StellaError]) -> json.JSONDecoder:
    def constant(text: str) -> Never:
        raise refusal(detail="number that is not finite", found=text)

    def fraction(text: str) -> float:
        if not floats:
            raise refusal(detail="floating-point number", found=text[:40])
        number = float(text)
        if math.isinf(number):
            raise refusal(detail="number beyond a double", found=text[:40])
        return number

    def integer(text: str) -> int | float:
        if len(text) <= 17:
            number = int(text)
            if -MAX_INTEGER <= number <= MAX_INTEGER:
                return number
        if not floats:
            raise refusal(detail="integer beyond 2^53 - 1", found=text[:40])
        return fraction(text)

    return json.JSONDecoder(object_pairs_hook=_unique, parse_float=fraction, parse_int=integer, parse_constant=constant)


def _unique(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise DuplicateMember(member=ascii(name)[1:-1][:80])
            seen.add(name)
    return members


def check_depth(value: JsonValue, max_depth: int) -> None:
    """Refuse, by LimitExceeded, a value with more levels of containers than allowed."""
    level = [value] if isinstance(value, dict | list) else []
    depth = 0
    while level:
        depth += 1
        if depth > max_depth:
            raise LimitExceeded(detail="nesting", expected=max_depth)
        inside = chain.from_iterable(item.values() if type(item) is dict else item for item in level)
        level = [item for item in inside if type(item) is dict or type(item) is list]


def members_are_ascii(value: JsonValue) -> bool:
    """Tell whether every member name at every level is ASCII."""
    level = [value]
    while level:
        objects = [item for item in level if type(item) is dict]
        if not all(name.isascii() for item in objects for name in item):
            return False
        level = list(chain.from_iterable(item.values() for item in objects))
        level += chain.from_iterable(item for item in level if type(item) is list)
    return True


def fits(value: object, kinds: AbstractSet[type], *, ascii_members: bool) -> bool:
    """Tell whether every value is exactly of one of the types, integers are within 2^53 - 1 and member names are text.

    The caller has made sure that the value does not contain itself.
    """
    level: list[Any] = [value]
    while level:
        inside: list[Any] = []
        for item in level:
            kind = type(item)
            if kind not in kinds or (kind is int and not -MAX_INTEGER <= item <= MAX_INTEGER):
                return False
            if kind is dict:
                if not all(type(name) is str and (name.isascii() or not ascii_members) for name in item):
                    return False
                inside += item.values()
            elif kind is list or kind is tuple:
                inside += item
        level = inside
    return True
