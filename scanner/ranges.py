"""One range of an advisory record, put in order once and then asked about many versions (docs/matching.md 4.3).

The OSV schema walks through the sorted events. What the walk finds at a version is decided by the last event in effect
there, so two searches in the sorted events give the same answer.
"""

from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from scanner.advisory import Event
from scanner.schemes import VersionKeys

ZERO = "0"
"""``introduced: "0"`` comes before every version."""
NO_VERSIONS = "no-versions"
"""Why a range, or a whole entry, says nothing: the schema demands that a range begins somewhere."""
INFINITY = "*"
"""``limit: "*"`` comes after every version."""

_FIXED, _LAST_AFFECTED, _INTRODUCED, _LIMIT = range(4)
"""Kinds of events in their order at one version: fixed < last_affected < introduced. A limit stands apart."""
_NO_EVENT = Event()
_Mark: TypeAlias = tuple[Any, int, str, str]
"""Events of one version and kind: key, kind, the text that stands first in the record, the one that stands last."""


class Unordered(Exception):
    """The events cannot be put in order; ``reason`` and the offending text say why."""

    def __init__(self, reason: str, value: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.value = value


class Interval(msgspec.Struct, frozen=True):
    """The interval that holds a version: where it begins, and the first event above the version that would end it."""

    introduced: str
    fixed: str | None
    last_affected: str | None

    @property
    def is_open(self) -> bool:
        """Whether nothing ends it."""
        return self.fixed is None and self.last_affected is None


class OrderedRange:
    """A range's events in order, for versions of one scheme.

    Raises :class:`Unordered` for an event that the contract does not know or whose text is no version of the scheme,
    and for a range that nothing begins.
    """

    __slots__ = ("_fixes", "_following", "_from_zero", "_is_bounded", "_keys", "_limit", "_marks", "scheme")

    def __init__(self, events: tuple[Event, ...], keys: VersionKeys) -> None:
        self.scheme = keys.scheme
        self._from_zero = False
        self._is_bounded = False
        self._limit: Any = None
        found: dict[tuple[Any, int], tuple[str, str]] = {}
        limits: list[Any] = []
        unlimited = begins = False
        for kind, text in _read(events):
            begins = begins or kind == _INTRODUCED
            if kind == _INTRODUCED and text == ZERO:
                self._from_zero = True
                continue
            if kind == _LIMIT and text == INFINITY:
                unlimited = True
                continue
            key = keys.of(text)
            if key is None:
                raise Unordered("unparsable-event", text)
            if kind == _LIMIT:
                limits.append(key)
            else:
                first, _ = found.get((key, kind), (text, text))
                found[key, kind] = (first, text)
        if not begins:
            raise Unordered(NO_VERSIONS)
        if limits and not unlimited:
            self._is_bounded, self._limit = True, max(limits)
        self._marks: list[_Mark] = [(*place, *found[place]) for place in sorted(found)]
        self._keys = [mark[0] for mark in self._marks]
        self._following = self._ends()
        self._fixes = [(key, text) for key, kind, text, _ in self._marks if kind == _FIXED]

    @property
    def is_open(self) -> bool:
        """Whether the range holds every version from some point on."""
        if self._is_bounded:
            return False
        return self._marks[-1][1] == _INTRODUCED if self._marks else self._from_zero

    def find(self, own: Any) -> Interval | None:
        """Return the interval that holds a version, by its key."""
        if self._is_bounded and not own < self._limit:
            return None
        marks = self._marks
        above = last = bisect_right(self._keys, own)
        for position in range(above - 1, max(above - 4, -1), -1):
            # A version has at most one mark of each kind; `last_affected` at the version itself is still to come.
            if marks[position][0] == own and marks[position][1] == _LAST_AFFECTED:
                above = position
        last -= 1
        if last == above:
            last -= 1
        if not (self._from_zero if last < 0 else marks[last][1] == _INTRODUCED):
            return None
        introduced = ZERO if last < 0 else marks[last][3]
        end = self._following[above]
        if end is None:
            return Interval(introduced, None, None)
        _, kind, text, _ = marks[end]
        return Interval(introduced, text if kind == _FIXED else None, text if kind == _LAST_AFFECTED else None)

    def fixed_above(self, own: Any) -> tuple[Any, str] | None:
        """Return key and text of the lowest fixed version above a version."""
        position = bisect_right(self._fixes, own, key=lambda pair: pair[0])
        return self._fixes[position] if position < len(self._fixes) else None

    def _ends(self) -> list[int | None]:
        """Return, for each position, that of the first mark from there on that would end an interval."""
        following: list[int | None] = [None] * (len(self._marks) + 1)
        for position in range(len(self._marks) - 1, -1, -1):
            ends = self._marks[position][1] != _INTRODUCED
            following[position] = position if ends else following[position + 1]
        return following


def _read(events: tuple[Event, ...]) -> Iterator[tuple[int, str]]:
    """Yield (kind, text) of each event in the record's order."""
    for event in events:
        if event.introduced is not None:
            yield _INTRODUCED, event.introduced
        if event.fixed is not None:
            yield _FIXED, event.fixed
        if event.last_affected is not None:
            yield _LAST_AFFECTED, event.last_affected
        if event.limit is not None:
            yield _LIMIT, event.limit
        if event == _NO_EVENT:
            raise Unordered("unknown-event")
