"""The difference tree: output members, then JSON pointers, each with its cause (docs/matching.md section 9).

Built once, rendered many times: text, JSON and HTML are made of these records and of nothing else.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from kit.bytes import canonical, digest
from kit.bytes.canonical import JsonValue

SCHEMA_VERSION = "1.0"

FEED_RECORD_ADDED = "feed-record-added"
FEED_RECORD_CHANGED = "feed-record-changed"
FEED_RECORD_WITHDRAWN = "feed-record-withdrawn"
FEED_RECORD_REMOVED = "feed-record-removed"
ALIAS_MERGE = "alias-merge"
ALIAS_SPLIT = "alias-split"
VEX_STATEMENT = "vex-statement"
POLICY_RULE = "policy-rule"
SBOM_COMPONENT = "sbom-component"
REACHABILITY_EVIDENCE = "reachability-evidence"
TOOL = "tool"
ENGINE_CONTRACT = "engine-contract"
ORDERING = "ordering"
INPUT = "input"
INPUT_IDENTITY = "input-identity"
CONSEQUENCE = "consequence"
UNEXPLAINED = "unexplained"

LEADING = (FEED_RECORD_WITHDRAWN, FEED_RECORD_REMOVED, FEED_RECORD_ADDED, FEED_RECORD_CHANGED)
"""Causes in feeds, the one first that is named where there are several."""

APPEARED = "appeared"
VANISHED = "vanished"
CHANGED = "changed"
METADATA = "metadata"

_MAX_SHOWN = 400

T = TypeVar("T")


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the tree's records."""


class Change(_Document, frozen=True):
    """One change of an input that can be undone by itself.

    ``id`` is a path of input, name and part, such as ``feeds/pypi/PYSEC-1``; ``members`` are the members of a record or
    statement that differ.
    """

    id: str
    cause: str
    detail: str
    members: tuple[str, ...] = ()


class Cause(NamedTuple):
    """A cause class, what exactly it was, and the changes that have to be undone, all of them, to undo it."""

    name: str
    detail: str
    changes: tuple[Change, ...] = ()


class Entry(_Document, frozen=True):
    """One difference.

    ``pointer`` is an RFC 6901 pointer into the replayed member, or into the recorded one where ``kind`` is
    ``vanished`` or the value is not in the replayed one; in a text member it is ``line N``. ``subject`` says what the
    difference is about, ``detail`` what exactly caused it. With all of ``changes`` undone the difference is gone, with
    any fewer of them it is not.
    """

    pointer: str
    kind: str
    subject: str
    cause: str
    detail: str
    before: str | None = None
    after: str | None = None
    changes: tuple[Change, ...] = ()


class MemberDifference(_Document, frozen=True):
    """One output member: ``equal``, ``changed``, ``added`` or ``removed``, with its digests and differences."""

    path: str
    state: str
    recorded_digest: str | None = None
    replayed_digest: str | None = None
    entries: tuple[Entry, ...] = ()


class Difference(_Document, frozen=True):
    """The whole tree; ``causes`` counts the entries of each cause."""

    schema_version: str
    equal: bool
    members: tuple[MemberDifference, ...]
    causes: dict[str, int]


def entry(place: str, kind: str, subject: str, cause: Cause, before: object = None, after: object = None) -> Entry:
    """Return a difference; ``before`` and ``after`` are any values of a document."""
    return Entry(
        pointer=place,
        kind=kind,
        subject=subject,
        cause=cause.name,
        detail=cause.detail,
        before=None if before is None else shown(before),
        after=None if after is None else shown(after),
        changes=cause.changes,
    )


def shown(value: object) -> str:
    """Return a value as text: a text itself, anything else as canonical JSON, by its digest where that is long."""
    text = value if isinstance(value, str) else canonical.encode(msgspec.to_builtins(value)).decode()
    return text if len(text) <= _MAX_SHOWN else digest.of_bytes(text.encode())


def pointer(*parts: str | int) -> str:
    """Return the JSON pointer of a place."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def walk(before: JsonValue, after: JsonValue, place: str = "") -> Iterator[tuple[str, JsonValue, JsonValue]]:
    """Yield (pointer, before, after) of each value that differs, arrays by position; what is absent is ``None``."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from walk(before.get(name), after.get(name), place + pointer(name))
    elif isinstance(before, list) and isinstance(after, list):
        for position in range(max(len(before), len(after))):
            left = before[position] if position < len(before) else None
            right = after[position] if position < len(after) else None
            yield from walk(left, right, place + pointer(position))
    elif type(before) is not type(after) or before != after:
        yield place, before, after


def pairs(old: Sequence[T], new: Sequence[T], key: Callable[[T], Hashable]) -> Iterator[tuple[int | None, int | None]]:
    """Yield the positions of things that correspond by key, ``None`` where one side has none.

    Things of one key correspond in their order.
    """
    waiting: dict[Hashable, list[int]] = {}
    for position in reversed(range(len(new))):
        waiting.setdefault(key(new[position]), []).append(position)
    for position, item in enumerate(old):
        places = waiting.get(key(item))
        yield position, places.pop() if places else None
    for places in waiting.values():
        yield from ((None, position) for position in reversed(places))


def kind_of(before: object, after: object) -> str:
    """Return whether a thing appeared, vanished or changed; ``None`` is absence."""
    return CHANGED if before is not None and after is not None else APPEARED if before is None else VANISHED


def same_but_for_order(before: object, after: object) -> bool:
    """Tell whether two values are equal once every array is sorted."""
    return _sorted(msgspec.to_builtins(before)) == _sorted(msgspec.to_builtins(after))


def _sorted(value: object) -> object:
    if isinstance(value, dict):
        return {name: _sorted(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return sorted((_sorted(inner) for inner in value), key=lambda inner: (type(inner).__name__, shown(inner)))
    return value
