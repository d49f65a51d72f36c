"""The members of the outputs, each with its differences and their causes (docs/matching.md section 9)."""

from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import TypeVar

import msgspec

from kit.bytes import canonical, digest
from kit.bytes.canonical import JsonValue
from kit.errors import StellaError
from scanner import difference, outputs
from scanner.difference import (
    METADATA,
    Cause,
    Entry,
    MemberDifference,
    entry,
    kind_of,
    pairs,
    pointer,
    same_but_for_order,
    walk,
)
from scanner.explain import vex
from scanner.explain.causes import Causes
from scanner.explain.findings import FindingChanges, concerned
from scanner.explain.inputs import Inputs
from scanner.explain.verdicts import verdict_cause
from scanner.outputs import FindingsDocument, VexOutput

T = TypeVar("T", bound=msgspec.Struct)

_Keyed = tuple[str, JsonValue]
_KEYED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    outputs.SBOM: {"components": ("ref",), "dependencies": ("ref",), "skipped": ("pointer",)},
    outputs.VERDICT: {"grounds": ("action", "kind", "name")},
    outputs.FINDING_TREE: {"leaves": ("id", "purl")},
    outputs.VERDICT_TREE: {"leaves": ("path",)},
    outputs.TRACE: {"feeds": ("name",), "graphs": ("casUri",)},
}
"""Lists whose items correspond by content rather than by position, and the members that identify the items."""

_IDENTITIES = {
    "scan": "scan",
    "inputs/feeds": "feeds",
    "inputs/policy": "policy",
    "inputs/reachability": "reachability",
    "inputs/sbom": "sbom",
    "inputs/vex": "vex",
}
"""Parts of the verdict that name an input, and the input they name."""


class Explanation:
    """One explanation under way: the outputs and inputs of both sides, and the causes found so far."""

    def __init__(self, recorded: Mapping[str, bytes], replayed: Mapping[str, bytes], inputs: Inputs) -> None:
        self._recorded = recorded
        self._replayed = replayed
        self._inputs = inputs
        self._old = typed(recorded.get(outputs.FINDINGS), FindingsDocument)
        self._new = typed(replayed.get(outputs.FINDINGS), FindingsDocument)
        packages = set()
        if self._old and self._new:
            inputs.contract_changed = self._old.contract != self._new.contract
            packages = concerned(self._old, self._new)
        self._old_vex = typed(recorded.get(outputs.VEX), VexOutput)
        self._new_vex = typed(replayed.get(outputs.VEX), VexOutput)
        if self._old_vex and self._new_vex:
            packages |= vex.concerned(self._old_vex, self._new_vex)
        self._causes = Causes(inputs, packages)

    def members(self) -> Iterator[MemberDifference]:
        """Yield every member, those that others follow from first."""
        paths = self._recorded.keys() | self._replayed.keys()
        first = [path for path in (outputs.SBOM, outputs.FINDINGS, outputs.VEX) if path in paths]
        for path in first + sorted(paths.difference(first)):
            yield self._member(path)

    def _member(self, path: str) -> MemberDifference:
        before, after = self._recorded.get(path), self._replayed.get(path)
        entries: list[Entry] = []
        if before is None or after is None:
            state = "added" if before is None else "removed"
            entries = [entry("", METADATA, path, self._inputs.otherwise())]
        elif before == after:
            state = "equal"
        else:
            state = "changed"
            entries = sorted(self._entries(path, before, after), key=_place) or [self._same_values(path, before, after)]
        return MemberDifference(
            path=path,
            state=state,
            recorded_digest=None if before is None else digest.of_bytes(before),
            replayed_digest=None if after is None else digest.of_bytes(after),
            entries=tuple(entries),
        )

    def _entries(self, path: str, before: bytes, after: bytes) -> Iterator[Entry]:
        """Yield the differences of one member that both sides have."""
        if path == outputs.LOG:
            yield from self._lines(before, after)
            return
        if path == outputs.FINDINGS and self._old and self._new:
            yield from FindingChanges(self._old, self._new, self._causes).entries()
            return
        if path == outputs.VEX and self._old_vex and self._new_vex:
            yield from vex.VexChanges(self._old_vex, self._new_vex, self._causes, self._old, self._new).entries()
            return
        old, new = _value(before), _value(after)
        if old is None or new is None:
            yield entry("", METADATA, path, self._inputs.otherwise())
        else:
            yield from self._values(path, old, new)

    def _values(self, path: str, old: JsonValue, new: JsonValue) -> Iterator[Entry]:
        """Explain any JSON member: its known lists by what identifies their items, everything else by place."""
        if isinstance(old, dict) and isinstance(new, dict):
            lists = _KEYED.get(path, {})
            for name, members in lists.items():
                yield from self._items(path, name, _keyed(old.get(name), members), _keyed(new.get(name), members))
            old, new = ({name: value for name, value in one.items() if name not in lists} for one in (old, new))
        for place, before, after in walk(old, new):
            yield entry(place, METADATA, path, self._cause(path, place, before, after), before, after)

    def _items(self, path: str, name: str, old: list[_Keyed], new: list[_Keyed]) -> Iterator[Entry]:
        """Explain one list of a JSON member."""
        for left, right in pairs(old, new, itemgetter(0)):
            key, before = ("", None) if left is None else old[left]
            key, after = (key, None) if right is None else new[right]
            if before != after:
                place = pointer(name, right if right is not None else left or 0)
                yield entry(place, kind_of(before, after), key, self._cause(path, place, before, after), before, after)

    def _lines(self, before: bytes, after: bytes) -> Iterator[Entry]:
        """Explain the log, its lines paired by step and, where a step is repeated, by what it is about."""
        old, new = (data.decode("utf-8", "backslashreplace").splitlines() for data in (before, after))
        for left, right in pairs(old, new, _step):
            one = None if left is None else old[left]
            other = None if right is None else new[right]
            if one != other:
                number = right if right is not None else left or 0
                cause = self._following(outputs.LOG, one, other)
                yield entry(f"line {number + 1}", kind_of(one, other), outputs.LOG, cause, one, other)

    def _cause(self, path: str, place: str, before: JsonValue, after: JsonValue) -> Cause:
        """Return the cause of a value in a member other than findings, VEX decisions and log."""
        if path == outputs.SBOM:
            sbom = (
                Cause(difference.SBOM_COMPONENT, "the SBOM differs")
                if self._inputs.given and self._inputs.sbom
                else None
            )
            return sbom or self._inputs.otherwise(before, after)
        if path == outputs.VERDICT:
            for part, name in _IDENTITIES.items():
                if place.startswith(f"/{part}") and getattr(self._inputs, name):
                    return Cause(difference.INPUT_IDENTITY, "names an input that differs")
            if place == "/contract":
                return self._inputs.otherwise()
            found = self._inputs.sides and verdict_cause(self._inputs.sides, place, before, after)
            if found:
                return found
        return self._following(path, before, after)

    def _following(self, path: str, before: object, after: object) -> Cause:
        """Return the cause of what is computed from other outputs and from inputs."""
        if path == outputs.FINDING_TREE:
            follows = self._differs(outputs.FINDINGS)
        elif path == outputs.VERDICT_TREE:
            follows = any(
                self._differs(other) for other in self._recorded.keys() | self._replayed.keys() if other != path
            )
        else:
            follows = self._inputs.differ or any(map(self._differs, (outputs.SBOM, outputs.FINDINGS, outputs.VEX)))
        if follows:
            return Cause(difference.CONSEQUENCE, "follows from differences elsewhere")
        return self._inputs.otherwise(before, after)

    def _same_values(self, path: str, before: bytes, after: bytes) -> Entry:
        """Explain bytes that differ although no value does."""
        if path == outputs.LOG:
            reordered = sorted(before.splitlines()) == sorted(after.splitlines())
        else:
            # Members in another order, or values in another spelling, are no values in another order.
            old, new = _value(before), _value(after)
            reordered = old != new and same_but_for_order(old, new)
        cause = Cause(difference.ORDERING, "the same values in another order")
        return entry("", METADATA, path, cause if reordered else self._inputs.otherwise())

    def _differs(self, path: str) -> bool:
        return self._recorded.get(path) != self._replayed.get(path)


def typed(data: bytes | None, cls: type[T]) -> T | None:
    """Return a member as a record, ``None`` where it is absent or no such record."""
    try:
        return None if data is None else canonical.decode_record(data, cls, canonical=False)
    except StellaError:
        return None


def _value(data: bytes) -> JsonValue:
    try:
        return canonical.decode(data, canonical=False)
    except StellaError:
        return None


def _keyed(value: JsonValue, members: tuple[str, ...]) -> list[_Keyed]:
    """Return the items of a list, each with what identifies it."""
    items = value if isinstance(value, list) else []
    return [
        (" ".join(str(one[name]) for name in members if name in one) if isinstance(one, dict) else "", one)
        for one in items
    ]


def _step(line: str) -> str:
    words = line.split(" ", 2)
    return " ".join(words[:2]) if words[0] in {"feed", "vex"} else words[0]


def _place(one: Entry) -> tuple[list[tuple[int, str]], str, str]:
    """Return the sort key of an entry: its place, numbers by value, what vanished before what appeared."""
    parts = one.pointer.replace("line ", "").split("/")
    ordered = [
        (int(part), "") if part.isascii() and part.isdecimal() and len(part) < 10 else (-1, part) for part in parts
    ]
    return ordered, one.kind, one.subject
