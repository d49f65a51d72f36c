"""A stretch of time that an auditor asks about: a year, a quarter, a month, a day, or from one of these to another."""

from datetime import UTC, datetime, timedelta

import msgspec

from kit.errors import UsageError

SEPARATOR = ".."
_FORMS = "2026, 2026-Q3, 2026-07, 2026-07-14, or FROM..TO of these"


class Period(msgspec.Struct, frozen=True):
    """From the first moment to the one that does not belong to it any more, UTC; ``name`` is what was asked for."""

    name: str
    first: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        """Tell whether a moment lies in it."""
        return self.first <= moment < self.end

    @property
    def words(self) -> str:
        """Return its days, both included."""
        return f"{self.first:%Y-%m-%d} to {self.end - timedelta(days=1):%Y-%m-%d}, UTC"


def parse(text: str) -> Period:
    """Return the period that a text names; :class:`UsageError` for anything else."""
    begin, separator, last = text.partition(SEPARATOR)
    try:
        first, end = _span(begin)[0], _span(last if separator else begin)[1]
    except (ValueError, OverflowError):
        raise UsageError(option="--period", found=ascii(text)[1:-1][:40], expected=_FORMS) from None
    if end <= first:
        raise UsageError(option="--period", found=text, detail="it ends before it begins")
    return Period(text, first, end)


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the first moment of a year, quarter, month or day, and that of the next one."""
    year, _, rest = text.partition("-")
    if not all(part.isascii() and part.isalnum() for part in text.split("-")) or len(year) != 4:
        raise ValueError
    if not rest:
        return _months(int(year), 1, 12)
    if rest[0] == "Q":
        quarter = ("Q1", "Q2", "Q3", "Q4").index(rest)
        return _months(int(year), 3 * quarter + 1, 3)
    month, _, day = rest.partition("-")
    if len(month) != 2 or (day and len(day) != 2):
        raise ValueError
    if not day:
        return _months(int(year), int(month), 1)
    first = datetime(int(year), int(month), int(day), tzinfo=UTC)
    return first, first + timedelta(days=1)


def _months(year: int, month: int, count: int) -> tuple[datetime, datetime]:
    after = month - 1 + count
    return datetime(year, month, 1, tzinfo=UTC), datetime(year + after // 12, after % 12 + 1, 1, tzinfo=UTC)
