"""The matching contract ``osv-match/1``: does a record affect a version of a package (docs/matching.md section 4).

Union of version list and ranges, each range on its own, as the OSV schema's section on evaluation has it. Where that
text is silent the contract decides: order of events at one version, versions that cannot be parsed, ranges that cannot
be judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from scanner.advisory import Extent, Range
from scanner.ranges import NO_VERSIONS, Interval, OrderedRange, Unordered
from scanner.schemes import Subject, VersionKeys

MATCH_CONTRACT = "osv-match/1"

_FIRST_NUMBERED = "0.0.1"
_NUMBERED = frozenset({"SEMVER", "ECOSYSTEM"})
_ORNAMENT = "=vV \t"
"""What some sources write before a version in a list, in schemes that do not know it."""


class State(Enum):
    """What a record says about a version."""

    AFFECTED = "affected"
    NOT_AFFECTED = "not-affected"
    UNDECIDABLE = "undecidable"
    NOT_EVALUATED = "not-evaluated"


class Evidence(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True, gc=False
):
    """What matched: positions count from 0 in the record; ``index`` is that of the list entry or of the range.

    A list hit has ``listed``, the entry as the record spells it. A range hit has the bounds of the interval that holds
    the version. ``comparator`` is the version scheme that compared, ``text`` where the spelling was equal.
    """

    affected: int
    by: str
    index: int
    comparator: str
    listed: str | None = None
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None


class Doubt(msgspec.Struct, frozen=True):
    """Why an affected entry cannot be judged: reason, position of the range where it is about one, offending text."""

    reason: str
    range: int | None = None
    value: str | None = None


class Outcome(msgspec.Struct, frozen=True):
    """What one affected entry says about one version."""

    state: State
    evidence: Evidence | None = None
    doubt: Doubt | None = None


_NOT_AFFECTED = Outcome(State.NOT_AFFECTED)
_NOT_EVALUATED = Outcome(State.NOT_EVALUATED)


class Entry:
    """One affected entry of a record, ready to be held against many versions of its package.

    What is put in order for one version serves the next: all versions of a package are of one ecosystem.
    """

    __slots__ = ("_custom", "_equal", "_extent", "_ordered", "_texts", "position")

    def __init__(self, extent: Extent, position: int) -> None:
        self._extent = extent
        self.position = position
        self._texts: Mapping[str, int] | None = None
        self._equal: Mapping[Any, int] | None = None
        self._ordered: dict[int, OrderedRange | Doubt] = {}
        self._custom: tuple[OrderedRange, ...] | None = None

    @property
    def weight(self) -> int:
        """How many comparisons one version takes: one for the list, one for each range."""
        return 1 + len(self._extent.ranges) + len(self._extent.custom_ranges)

    @property
    def git_ranges(self) -> int:
        """How many ranges of commits the entry has; they are counted, never evaluated."""
        return sum(item.type == "GIT" for item in self._extent.ranges)

    def match(self, subject: Subject) -> Outcome:
        """Judge the entry, whose package is the component's.

        The evidence of a hit is the first that holds of: a list entry of the same text, a range in the record's order,
        a custom range, a list entry of an equal version.
        """
        listed = self._extent.versions
        if listed and (place := self._place_of_text(subject.version)) is not None:
            return self._listed(place, "text")
        found, doubt, unread = self._walk(subject)
        if found is not None:
            return Outcome(State.AFFECTED, found)
        if listed and subject.native is not None and subject.native_key is not None:
            place = self._place_of_equal(subject.native, subject.native_key)
            if place is not None:
                return self._listed(place, subject.native.scheme)
        elif listed:
            unread = True
        if doubt is None and not listed and self._extent.ranges and self.git_ranges == len(self._extent.ranges):
            doubt = Doubt("git-only")
        if not listed and not self._extent.ranges and not self._custom_ranges(subject):
            doubt = Doubt(NO_VERSIONS)
        if doubt is not None:
            return Outcome(State.UNDECIDABLE, doubt=doubt)
        return _NOT_EVALUATED if unread else _NOT_AFFECTED

    def fixed(self, subject: Subject) -> Iterator[tuple[str, Any, str]]:
        """Yield (scheme, key, text) of the lowest fixed version above the component's, for each judged range."""
        for index, item in enumerate(self._extent.ranges):
            ordered = self._in_order(item, index, subject)
            if isinstance(ordered, OrderedRange) and (above := ordered.fixed_above(_own_key(item, subject))):
                yield ordered.scheme, *above
        for ordered in self._custom_ranges(subject):
            if above := ordered.fixed_above(subject.native_key):
                yield ordered.scheme, *above

    def _walk(self, subject: Subject) -> tuple[Evidence | None, Doubt | None, bool]:
        """Return what the ranges say: a hit, or the first doubt and whether a range could not be held against it.

        Where there are custom ranges, a range without an end does not settle anything: it only says that no version in
        Go's own numbering has the fix. What it holds is affected if a custom range holds it too.
        """
        doubt: Doubt | None = None
        unread = is_open = waits = False
        custom = self._custom_ranges(subject)
        for index, item in enumerate(self._extent.ranges):
            if item.type == "GIT":
                continue
            ordered = self._in_order(item, index, subject)
            if ordered is None:
                unread = True
            elif isinstance(ordered, Doubt):
                doubt = doubt or ordered
            else:
                found = ordered.find(_own_key(item, subject))
                if found is not None and not (custom and ordered.is_open and found.is_open):
                    return self._in_range("range", index, ordered.scheme, found), None, False
                is_open = is_open or ordered.is_open
                waits = waits or found is not None
        if waits or not is_open:
            for index, ordered in enumerate(custom):
                if found := ordered.find(subject.native_key):
                    return self._in_range("custom-range", index, ordered.scheme, found), None, False
        return None, doubt, unread

    def _in_order(self, item: Range, index: int, subject: Subject) -> OrderedRange | Doubt | None:
        """Return a range ready for a version, or why it cannot be judged; ``None`` where the version has no key."""
        if item.type == "SEMVER":
            if subject.strict_key is None:
                return Doubt("version-not-semver", index, subject.version) if subject.native_key is not None else None
            keys = subject.strict
        elif item.type == "ECOSYSTEM":
            if subject.native is None or subject.native_key is None:
                return None
            keys = subject.native
        else:
            return None if item.type == "GIT" else Doubt("unknown-range-type", index, item.type)
        found = self._ordered.get(index)
        if found is None:
            try:
                found = OrderedRange(item.events, keys)
            except Unordered as fault:
                found = Doubt(fault.reason, index, fault.value)
            self._ordered[index] = found
        return found

    def _custom_ranges(self, subject: Subject) -> tuple[OrderedRange, ...]:
        """Return the custom ranges where they count: all can be read, and the version belongs to a numbering.

        A version below 0.0.1 is the pseudo-version of a commit without a tag; no numbering says where it stands.
        """
        if not self._extent.custom_ranges or subject.native is None or subject.native_key is None:
            return ()
        if self._custom is None:
            custom = self._extent.custom_ranges
            try:
                known = all(item.type in _NUMBERED for item in custom)
                self._custom = tuple(OrderedRange(item.events, subject.native) for item in custom) if known else ()
            except Unordered:
                self._custom = ()
        return self._custom if subject.native_key >= subject.native.of(_FIRST_NUMBERED) else ()

    def _in_range(self, by: str, index: int, scheme: str, interval: Interval) -> Evidence:
        return Evidence(
            affected=self.position,
            by=by,
            index=index,
            comparator=scheme,
            introduced=interval.introduced,
            fixed=interval.fixed,
            last_affected=interval.last_affected,
        )

    def _listed(self, index: int, comparator: str) -> Outcome:
        text = self._extent.versions[index]
        found = Evidence(affected=self.position, by="list", index=index, comparator=comparator, listed=text)
        return Outcome(State.AFFECTED, found)

    def _place_of_text(self, version: str) -> int | None:
        if self._texts is None:
            self._texts = _first_places(self._extent.versions)
        return self._texts.get(version)

    def _place_of_equal(self, keys: VersionKeys, own: Any) -> int | None:
        if self._equal is None:
            self._equal = _first_places([_listed_key(text, keys) for text in self._extent.versions])
        return self._equal.get(own)


def _own_key(item: Range, subject: Subject) -> Any:
    return subject.strict_key if item.type == "SEMVER" else subject.native_key


def _listed_key(text: str, keys: VersionKeys) -> Any:
    """Return the key of a listed version; one that has none may be ornamented, as ``v1.0`` is for npm."""
    key = keys.of(text)
    bare = text.strip().lstrip(_ORNAMENT) if key is None else text
    return key if bare == text else keys.of(bare)


def _first_places(values: Sequence[Any]) -> dict[Any, int]:
    """Return the position of the first of each value."""
    return dict(zip(reversed(values), range(len(values) - 1, -1, -1), strict=True))
