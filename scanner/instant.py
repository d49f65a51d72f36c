"""RFC 3339 times as foreign documents write them: any offset, fractions to the nanosecond and beyond."""

from datetime import UTC, datetime
from functools import lru_cache

Instant = tuple[int, int]
"""Seconds since 1970 and nanoseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = "0123456789"


@lru_cache(maxsize=1 << 10)
def parse_instant(text: str) -> Instant | None:
    """Return seconds since 1970 and nanoseconds (further digits are cut), ``None`` for a text of another form."""
    head, rest = text[:19].upper(), text[19:].upper()
    parts = [head[:4], head[5:7], head[8:10], head[11:13], head[14:16], head[17:]]
    if head[4:17:3] != "--T::" or not all(_digits(part, 2) for part in parts[1:]) or not _digits(parts[0], 4):
        return None
    fraction = ""
    if rest.startswith("."):
        tail = rest[1:].lstrip(_DIGITS)
        fraction, rest = rest[1 : len(rest) - len(tail)], tail
        if not fraction:
            return None
    offset = _offset(rest)
    year, month, day, hour, minute, second = map(int, parts)
    if offset is None or second > 60:
        return None
    try:
        # A leap second is the last second of its minute, once more.
        whole = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC) - _EPOCH
    except ValueError:
        return None
    seconds = whole.days * 86_400 + whole.seconds + (second == 60) - offset
    return seconds, int(fraction[:9].ljust(9, "0"))


def _offset(text: str) -> int | None:
    """Return the offset from UTC in seconds."""
    if text == "Z":
        return 0
    sign, hours, colon, minutes = text[:1], text[1:3], text[3:4], text[4:]
    if sign not in {"+", "-"} or colon != ":" or not _digits(hours, 2) or not _digits(minutes, 2):
        return None
    if int(hours) > 23 or int(minutes) > 59:
        return None
    seconds = int(hours) * 3_600 + int(minutes) * 60
    return -seconds if sign == "-" else seconds


def _digits(text: str, length: int) -> bool:
    return len(text) == length and text.isascii() and text.isdigit()
