"""The matching contract ``osv-match/1``: does a record affect a version of a package (docs/matching.md section 4).

Union of version list and ranges, each range on its own, as the OSV schema's section on evaluation has it. Where that
text is silent the contract decides: order of events at one version, versions that cannot be parsed, ranges that cannot
be judged.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeAlias

import msgspec

from scanner import versions
from scanner.advisory import Event, Extent, Range
from scanner.versions import semver

MATCH_CONTRACT = "osv-match/1"

ZERO = "0"
"""``introduced: "0"`` comes before every version."""
INFINITY = "*"
"""``limit: "*"`` comes after every version."""

_FIXED, _LAST_AFFECTED, _INTRODUCED, _LIMIT = range(4)
"""Kinds of events in their order at one version: fixed < last_affected < introduced. A limit stands apart."""
_NO_EVENT = Event()
_Mark: TypeAlias = tuple[Any, int, str]
"""An event as (key, kind, text); the key of ``introduced: "0"`` is ``None``."""


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


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why an affected entry cannot be judged: reason, position of the range where it is about one, offending text."""

    reason: str
    range: int | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one affected entry says about one version."""

    state: State
    evidence: Evidence | None = None
    doubt: Doubt | None = None


_NOT_AFFECTED = Outcome(State.NOT_AFFECTED)
_NOT_EVALUATED = Outcome(State.NOT_EVALUATED)


class VersionKeys:
    """The sortable keys of one scheme, each text parsed once; ``None`` stands for a text that cannot be parsed."""

    __slots__ = ("_keys", "_parse", "_spellings", "scheme")

    def __init__(self, scheme: str, parse: Callable[[str], Any]) -> None:
        self.scheme = scheme
        self._parse = parse
        self._keys: dict[str, Any] = {}
        self._spellings: dict[Any, set[str]] = {}

    def of(self, text: str) -> Any:
        """Return the key of a version, ``None`` where it has none."""
        try:
            return self._keys[text]
        except KeyError:
            pass
        try:
            key = self._parse(text)
        except versions.Unparsable:
            key = None
        else:
            self._spellings.setdefault(key, set()).add(text)
        self._keys[text] = key
        return key

    def listed(self, key: Any, texts: tuple[str, ...]) -> int | None:
        """Return the position of the first text that is a version equal to the key.

        Lists are long and repeat: new texts are parsed, then one set of all spellings of the version answers.
        """
        for text in set(texts).difference(self._keys):
            self.of(text)
        spellings = self._spellings.get(key)
        if spellings is None or spellings.isdisjoint(texts):
            return None
        return next(index for index, text in enumerate(texts) if text in spellings)


class Schemes:
    """The version schemes of one evaluation."""

    def __init__(self) -> None:
        self._semver = VersionKeys("semver", semver.key)
        self._native: dict[str, VersionKeys] = {}

    def native(self, ecosystem: str) -> VersionKeys | None:
        """Return the keys of an ecosystem's own scheme, ``None`` where there is none."""
        scheme = versions.comparator_name(ecosystem)
        if scheme is None:
            return None
        found = self._native.get(scheme)
        if found is None:
            found = self._native[scheme] = VersionKeys(scheme, lambda text: versions.key(ecosystem, text))
        return found

    def subject(self, ecosystem: str, version: str) -> "Subject":
        """Return a component's version, ready to be compared."""
        native = self.native(ecosystem)
        strict = native if native is not None and native.scheme in versions.SEMVER_SCHEMES else self._semver
        return Subject(
            version=version,
            native=native,
            native_key=native.of(version) if native else None,
            strict=strict,
            strict_key=strict.of(version),
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """A component's version: its ``native`` key is for ``ECOSYSTEM`` ranges and lists, ``strict`` for ``SEMVER``."""

    version: str
    native: VersionKeys | None
    native_key: Any
    strict: VersionKeys
    strict_key: Any


def match(extent: Extent, position: int, subject: Subject) -> Outcome:
    """Judge one affected entry of a record, whose package is the component's.

    The evidence of a hit is the first that holds of: a list entry of the same text, a range in the record's order, a
    list entry of an equal version.
    """
    listed = extent.versions
    if subject.version in listed:
        index = listed.index(subject.version)
        return _listed(position, index, "text", subject.version)
    doubt: Doubt | None = None
    unread = False
    judged = bool(listed)
    for index, item in enumerate(extent.ranges):
        if item.type == "GIT":
            continue
        judged = True
        found = _match_range(item, index, position, subject)
        if isinstance(found, Evidence):
            return Outcome(State.AFFECTED, found)
        if isinstance(found, Doubt):
            doubt = doubt or found
        unread = unread or found is State.NOT_EVALUATED
    if subject.native is not None and subject.native_key is not None:
        place = subject.native.listed(subject.native_key, listed)
        if place is not None:
            return _listed(position, place, subject.native.scheme, listed[place])
    elif listed:
        unread = True
    if doubt is None and not judged and extent.ranges:
        doubt = Doubt("git-only")
    if doubt is not None:
        return Outcome(State.UNDECIDABLE, doubt=doubt)
    return _NOT_EVALUATED if unread else _NOT_AFFECTED


def _listed(position: int, index: int, comparator: str, text: str) -> Outcome:
    return Outcome(
        State.AFFECTED, Evidence(affected=position, by="list", index=index, comparator=comparator, listed=text)
    )


def fixed_versions(extent: Extent, subject: Subject) -> Iterator[tuple[str, Any, str]]:
    """Yield (scheme, key, text) of the lowest fixed version above the component's, for each judged range."""
    for item in extent.ranges:
        chosen = _scheme_of(item, subject)
        if chosen is None:
            continue
        keys, own = chosen
        found = [(keys.of(event.fixed), event.fixed) for event in item.events if event.fixed is not None]
        above = [pair for pair in found if pair[0] is not None and pair[0] > own]
        if above:
            yield keys.scheme, *min(above)


def git_ranges(extent: Extent) -> int:
    """Return how many ranges of commits an entry has; they are counted, never evaluated."""
    return sum(item.type == "GIT" for item in extent.ranges)


def _scheme_of(item: Range, subject: Subject) -> tuple[VersionKeys, Any] | None:
    """Return the keys that order a range's versions and the component's key among them."""
    if item.type == "SEMVER" and subject.strict_key is not None:
        return subject.strict, subject.strict_key
    if item.type == "ECOSYSTEM" and subject.native is not None and subject.native_key is not None:
        return subject.native, subject.native_key
    return None


def _match_range(item: Range, index: int, position: int, subject: Subject) -> Evidence | Doubt | State:
    """Judge one range of versions."""
    if item.type not in {"SEMVER", "ECOSYSTEM"}:
        return Doubt("unknown-range-type", index, item.type)
    chosen = _scheme_of(item, subject)
    if chosen is None:
        if item.type == "SEMVER" and subject.native_key is not None:
            return Doubt("version-not-semver", index, subject.version)
        return State.NOT_EVALUATED
    keys, own = chosen
    marks: list[_Mark] = []
    limits: list[str] = []
    for kind, text in _events(item.events):
        if kind is None:
            return Doubt("unknown-event", index)
        everywhere = text == (INFINITY if kind == _LIMIT else ZERO if kind == _INTRODUCED else None)
        key = None if everywhere else keys.of(text)
        if key is None and not everywhere:
            return Doubt("unparsable-event", index, text)
        if kind == _LIMIT:
            limits.append(text)
        else:
            marks.append((key, kind, text))
    last, bound = _walk(marks, own)
    if last is None or last[1] != _INTRODUCED:
        return State.NOT_AFFECTED
    if limits and not any(text == INFINITY or own < keys.of(text) for text in limits):
        return State.NOT_AFFECTED
    return Evidence(
        affected=position,
        by="range",
        index=index,
        comparator=keys.scheme,
        introduced=last[2],
        fixed=bound[2] if bound and bound[1] == _FIXED else None,
        last_affected=bound[2] if bound and bound[1] == _LAST_AFFECTED else None,
    )


def _walk(marks: Sequence[_Mark], own: Any) -> tuple[_Mark | None, _Mark | None]:
    """Return the last event in effect at a version, and the first event after it that would end an interval.

    A walk through the sorted events ends in the state of the last event in effect, so the highest of those decides and
    nothing need be sorted. Of equal events the one that stands later in the record counts as higher.
    """
    last: _Mark | None = None
    bound: _Mark | None = None
    for mark in marks:
        key, kind, _ = mark
        if key is None:
            last = last if last and last[0] is not None else mark
        elif own < key or (kind == _LAST_AFFECTED and own == key):
            if kind != _INTRODUCED and (bound is None or (key, kind) < bound[:2]):
                bound = mark
        elif last is None or last[0] is None or last[:2] <= (key, kind):
            last = mark
    return last, bound


def _events(events: tuple[Event, ...]) -> Iterator[tuple[int | None, str]]:
    """Yield (kind, text) of each event in the record's order; ``None`` is a kind that the contract does not know."""
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
            yield None, ""
