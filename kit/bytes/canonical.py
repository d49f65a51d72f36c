"""Canonical JSON: RFC 8785 in the profile of docs/format.md section 1.1, for the documents that we sign or hash.

Within the profile (ASCII member names, no floats, no null, integers that a double holds exactly) msgspec's sorted
output is RFC 8785 byte for byte. The documents of others, who keep no profile, are kit.bytes.foreign's.
"""

import re
from functools import cache
from typing import Any, TypeVar

import msgspec

from kit.bytes import strict_json
from kit.bytes.foreign import decode_foreign, encode_foreign, recode_foreign
from kit.bytes.record_types import TypeTooWide, record_check
from kit.bytes.strict_json import MAX_BYTES, MAX_INTEGER, JsonValue
from kit.errors import LimitExceeded, MalformedDocument, NotCanonical

__all__ = [
    "MAX_BYTES",
    "MAX_DEPTH",
    "JsonValue",
    "decode",
    "decode_foreign",
    "decode_record",
    "encode",
    "encode_foreign",
    "encode_record",
    "recode_foreign",
]

T = TypeVar("T", bound=msgspec.Struct)

MAX_DEPTH = 32

_SMALL = 1 << 20
_MOST_SHOWN = 200
_ENCODER = msgspec.json.Encoder(order="sorted")
_PROFILE_TYPES: frozenset[type] = frozenset({dict, list, tuple, str, int, bool})


def encode(value: object) -> bytes:
    """Return the canonical bytes of dicts, lists, tuples, text, integers, booleans; NotCanonical for anything else."""
    try:
        data = _ENCODER.encode(value)
    except UnicodeEncodeError:
        raise NotCanonical(detail="lone surrogate") from None
    except RecursionError:
        raise LimitExceeded(detail="nesting") from None
    except (TypeError, ValueError, OverflowError):
        data = b""
    if not data or not _in_profile(value, data):
        pointer, fault = _fault(value)
        raise NotCanonical(pointer=_shown(pointer), detail=fault)
    return data


def encode_record(record: msgspec.Struct) -> bytes:
    """Return the canonical bytes of a record, whose class rules out by its types what the profile refuses.

    NotCanonical when the class may hold a float or null; a class with fields of any JSON value is checked value by
    value.
    """
    try:
        check = record_check(type(record))
    except TypeTooWide:
        return encode(_plain_value(record))
    if check is not None:
        check(record)
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        raise NotCanonical(detail="lone surrogate") from None
    except RecursionError:
        raise LimitExceeded(detail="nesting") from None


def _plain_value(record: msgspec.Struct) -> object:
    try:
        return msgspec.to_builtins(record)
    except RecursionError:
        raise LimitExceeded(detail="nesting") from None
    except TypeError as error:
        raise NotCanonical(record=type(record).__name__, detail=str(error)) from None


def decode(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, canonical: bool = True) -> JsonValue:
    """Return the value of one of our documents, which must be in the profile and, if asked, in canonical form.

    Errors: MalformedDocument (no JSON), DuplicateMember, LimitExceeded (bytes, values, nesting), NotCanonical; without
    canonical form asked for, MalformedDocument stands for NotCanonical too.
    """
    strict_json.guard(data, max_bytes)
    if canonical and max_depth >= strict_json.FAST_DEPTH:
        plain = _decode_plain(data)
        if plain is not None:
            return plain
    return _decode_slowly(data, max_depth, canonical=canonical)


def _decode_plain(data: bytes) -> JsonValue:
    """Return the value of a canonical document that msgspec can vouch for, None (in no document's value) for others."""
    try:
        value = strict_json.plain(null=False).decode(data)
        if _ENCODER.encode(value) == data and (data.isascii() or strict_json.members_are_ascii(value)):
            return value
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass  # the slow way names the fault, or finds only deep nesting
    return None


def _decode_slowly(data: bytes, max_depth: int, *, canonical: bool) -> JsonValue:
    refusal = NotCanonical if canonical else MalformedDocument
    value = strict_json.parse(data, max_depth=max_depth, floats=False, refusal=refusal)
    encoded = _ENCODER.encode(value)
    if not _in_profile(value, encoded):
        pointer, fault = _fault(value)
        raise refusal(pointer=_shown(pointer), detail=fault)
    if canonical and encoded != data:
        raise NotCanonical(detail="order, white space, or spelling of a number or text")
    return value


def decode_record(
    data: bytes, cls: type[T], *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH, canonical: bool = True
) -> T:
    """Return one of our documents as a record of the class, strictly: no unknown member, no coercion.

    Errors: those of decode(), and MalformedDocument with a JSON pointer where the document breaks the class's schema.
    """
    strict_json.guard(data, max_bytes)
    if canonical:
        try:
            record: T = _record_decoder(cls).decode(data)
            if max_depth >= MAX_DEPTH and encode_record(record) == data:
                return record
        except (msgspec.DecodeError, UnicodeError, RecursionError, NotCanonical, LimitExceeded):
            pass  # the slow way names the fault, or finds a default written out
    return convert(decode(data, max_bytes=max_bytes, max_depth=max_depth, canonical=canonical), cls)


def convert(value: object, cls: type[T]) -> T:
    """Return a decoded value as a record of the class; MalformedDocument with a JSON pointer where it does not fit."""
    try:
        return msgspec.convert(value, cls)
    except msgspec.ValidationError as error:
        detail, _, place = str(error).partition(" - at ")
        raise MalformedDocument(pointer=_pointer(place), detail=_shown(detail)) from None


@cache
def _record_decoder(cls: type[Any]) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(cls)


def _in_profile(value: object, encoded: bytes) -> bool:
    """Tell whether a value is in the profile, given what the encoder made of it."""
    # The quick look makes a copy, so that it is for small values only.
    if len(encoded) < _SMALL and encoded.isascii() and strict_json.plain(null=False).contains(value):
        return True
    return strict_json.fits(value, _PROFILE_TYPES, ascii_members=True)


def _fault(value: object) -> tuple[str, str]:
    """Return (JSON pointer, what is wrong) of the first fault in reading order, for a value that has one."""
    pending: list[tuple[str, Any]] = [("", value)]
    while pending:
        pointer, item = pending.pop()
        if type(item) not in _PROFILE_TYPES:
            return pointer, "null" if item is None else f"value of type {type(item).__name__}"
        if type(item) is int and not -MAX_INTEGER <= item <= MAX_INTEGER:
            return pointer, "integer beyond 2^53 - 1"
        if type(item) is dict:
            for name in item:
                if type(name) is not str or not name.isascii():
                    return pointer, f"member name {ascii(name)[:80]} is not ASCII text"
            pending += [(f"{pointer}/{_escape(name)}", inner) for name, inner in reversed(item.items())]
        elif type(item) in {list, tuple}:
            pending += [(f"{pointer}/{index}", inner) for index, inner in reversed(list(enumerate(item)))]
    return "", "not canonical"


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def _shown(text: str) -> str:
    """Return text in which a document may have a say as ASCII of a bounded length, fit for an error's details."""
    return ascii(text)[1:-1][:_MOST_SHOWN]


_PLACE = re.compile(r"\.([^.\[\]`]+)|\[(\d+)\]|\[\.\.\.\]")


def _pointer(place: str) -> str:
    """Return the JSON pointer (RFC 6901) of a place as msgspec writes it, ``$.members[0].path``; ``*`` for any key."""
    steps = (found.group(1) or found.group(2) or "*" for found in _PLACE.finditer(place.partition("`$")[2]))
    return "".join(f"/{_escape(step)}" for step in steps)
