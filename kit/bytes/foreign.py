"""Documents of others (SBOM, advisory, VEX): strict reading, writing in RFC 8785 in full (docs/format.md section 1.1).

Floats, null and any member name are allowed here; duplicates, byte order marks, lone surrogates and depth are refused
as in our own documents.
"""

import math
import re

import msgspec

from kit.bytes import strict_json
from kit.bytes.strict_json import MAX_BYTES, MAX_INTEGER, JsonValue
from kit.errors import LimitExceeded, MalformedDocument, NotCanonical

MAX_DEPTH = 64

_ENCODER = msgspec.json.Encoder(order="sorted")
# Only with characters beyond the BMP do UTF-16 units and UTF-8 bytes sort differently.
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")


def decode_foreign(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JsonValue:
    """Return the value of a document of others. Integers beyond 2^53 - 1 become floats, as ECMAScript reads them.

    Errors: MalformedDocument, DuplicateMember, LimitExceeded (bytes, values, nesting).
    """
    strict_json.guard(data, max_bytes)
    plain = _recode_plain(data, max_depth)
    if plain is not None:
        return plain[0]
    return strict_json.parse(data, max_depth=max_depth, floats=True, refusal=MalformedDocument)


def recode_foreign(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> tuple[JsonValue, bytes]:
    """Return (value, RFC 8785 bytes) of a document of others: decode_foreign and encode_foreign for the price of one.

    Errors: those of decode_foreign.
    """
    strict_json.guard(data, max_bytes)
    plain = _recode_plain(data, max_depth)
    if plain is not None and _is_sorted(plain[1]):
        return plain
    value = plain[0] if plain else strict_json.parse(data, max_depth=max_depth, floats=True, refusal=MalformedDocument)
    return value, encode_foreign(value)


def _recode_plain(data: bytes, max_depth: int) -> tuple[JsonValue, bytes] | None:
    """Return the value and its sorted encoding of a document that msgspec can vouch for, None for any other."""
    if max_depth < strict_json.FAST_DEPTH:
        return None
    try:
        value = strict_json.plain(null=True).decode(data)
        encoded = _ENCODER.encode(value)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return (value, encoded) if _has_all_members(data, encoded) else None


def _has_all_members(data: bytes, encoded: bytes) -> bool:
    r"""Tell whether re-encoding lost no member, that is, whether there was no duplicate.

    No token is longer in the encoding than in its source, so equal lengths say so. Otherwise quotes do: each text has
    two around it, those inside it look alike in both as long as the source does not write them as \u0022, and a lost
    member takes at least the quotes of its name with it.
    """
    if len(data) == len(encoded):
        return True
    return data.count(b'"') == encoded.count(b'"') and b"\\u0022" not in data


def _is_sorted(encoded: bytes) -> bool:
    return encoded.isascii() or _BEYOND_BMP.search(encoded) is None


def encode_foreign(value: JsonValue) -> bytes:
    """Return the RFC 8785 bytes of any JSON value; NotCanonical for a number or text that has none."""
    try:
        if strict_json.plain(null=True).contains(value):
            encoded = _ENCODER.encode(value)
            if _is_sorted(encoded):
                return encoded
        parts: list[bytes] = []
        _write(value, parts)
    except UnicodeEncodeError:
        raise NotCanonical(detail="lone surrogate") from None
    except RecursionError:
        raise LimitExceeded(detail="nesting") from None
    return b"".join(parts)


def _write(value: JsonValue, parts: list[bytes]) -> None:
    if isinstance(value, dict):
        separator = b"{"
        for name in sorted(value, key=_utf16):
            parts += (separator, msgspec.json.encode(name), b":")
            _write(value[name], parts)
            separator = b","
        parts.append(b"}" if value else b"{}")
    elif isinstance(value, list | tuple):
        separator = b"["
        for item in value:
            parts.append(separator)
            _write(item, parts)
            separator = b","
        parts.append(b"]" if value else b"[]")
    elif isinstance(value, bool) or value is None or isinstance(value, str):
        parts.append(msgspec.json.encode(value))
    elif isinstance(value, int | float):
        parts.append(_number(value))
    else:
        raise NotCanonical(detail=f"value of type {type(value).__name__}")


def _utf16(name: str) -> bytes:
    if not isinstance(name, str):
        raise NotCanonical(detail="member name is not text")
    return name.encode("utf-16-be")


def _number(number: float) -> bytes:
    if isinstance(number, int):
        if -MAX_INTEGER <= number <= MAX_INTEGER:
            return b"%d" % number
        try:
            number = float(number)
        except OverflowError:
            raise NotCanonical(detail="number beyond a double") from None
    return ecmascript_number(number).encode("ascii")


def ecmascript_number(number: float) -> str:
    """Return a finite double as ECMAScript's Number::toString writes it (RFC 8785 section 3.2.2.3)."""
    if not math.isfinite(number):
        raise NotCanonical(detail="number that is not finite")
    if number == 0:
        return "0"
    shown = repr(number)
    mantissa, _, exponent = shown.partition("e")
    if not exponent:
        return shown.removesuffix(".0")
    sign = "-" if number < 0 else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    digits = (whole + fraction).rstrip("0")
    # The value is 0.<digits> times ten to the power of point. repr takes an exponent below 1e-4 and from 1e16 on.
    point = len(whole) + int(exponent)
    if 0 < point <= 21:
        return sign + digits.ljust(point, "0")
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"
