"""What changed in ``vex.json``, and why: documents, and what they had to say about findings."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from scanner.difference import Entry, entry, kind_of, pairs, pointer
from scanner.explain.causes import Causes, Gone, named
from scanner.explain.pairing import PackageKey, RecordKey, package_key, record_keys
from scanner.explain.statements import document_change
from scanner.findings import Assembled
from scanner.outputs import (
    FindingsDocument,
    VexConflictEntry,
    VexDecisionEntry,
    VexOutput,
    VexPartialEntry,
    VexStatementEntry,
)

Weighed: TypeAlias = VexDecisionEntry | VexConflictEntry | VexPartialEntry
_Key: TypeAlias = tuple[PackageKey, str]
_LISTS = ("decisions", "conflicts", "partial")
_WORDS = {"appeared": "added", "vanished": "removed", "changed": "changed"}


class VexChanges:
    """The differences between two VEX outputs; the findings tell which records a decision is about."""

    def __init__(
        self,
        old: VexOutput,
        new: VexOutput,
        causes: Causes,
        *findings: FindingsDocument | None,
    ) -> None:
        self._old = old
        self._new = new
        self._causes = causes
        self._records: dict[_Key, list[RecordKey]] = {}
        for document in findings:
            for one in document.findings if document else ():
                self._records.setdefault((package_key(one.component), one.id), []).extend(record_keys(one))

    def entries(self) -> Iterator[Entry]:
        """Yield every difference."""
        yield from self._documents()
        for name in _LISTS:
            yield from self._weighed(name, getattr(self._old, name), getattr(self._new, name))

    def _documents(self) -> Iterator[Entry]:
        inputs = self._causes.inputs
        for left, right in pairs(self._old.documents, self._new.documents, lambda one: one.name):
            before = None if left is None else self._old.documents[left]
            after = None if right is None else self._new.documents[right]
            one = after or before
            if one is None or before == after:
                continue
            kind = kind_of(before, after)
            known = inputs.given is not None and one.name in inputs.vex
            cause = named([document_change(one.name, _WORDS[kind])]) if known else None
            place = pointer("documents", right if right is not None else left or 0)
            yield entry(place, kind, one.name, cause or inputs.otherwise(before, after), before, after)

    def _weighed(self, name: str, old: Sequence[Weighed], new: Sequence[Weighed]) -> Iterator[Entry]:
        """Explain what VEX had to say about findings."""
        recorded, replayed = _by_key(old), _by_key(new)
        for left, right in pairs(old, new, _key):
            before = None if left is None else old[left]
            after = None if right is None else new[right]
            one = after or before
            if one is None or before == after:
                continue
            key = _key(one)
            cluster = self._causes.cluster(key[0], self._records.get(key, ()))
            cause = self._causes.of(cluster, _as_before(name, key, recorded.get(key, []), replayed.get(key, [])))
            place = pointer(name, right if right is not None else left or 0)
            subject = f"{one.id} {one.component.purl}"
            found = cause or self._causes.inputs.otherwise(before, after)
            yield entry(place, kind_of(before, after), subject, found, before, after)


def concerned(old: VexOutput, new: VexOutput) -> set[PackageKey]:
    """Return the packages about which something else was said."""
    found: set[PackageKey] = set()
    for name in _LISTS:
        before, after = (_by_key(getattr(one, name)) for one in (old, new))
        found |= {key[0] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return found


def _as_before(name: str, key: _Key, recorded: Sequence[Weighed], replayed: Sequence[Weighed]) -> Gone:
    """Return the test that what is said about a finding is as recorded, its place left aside where more differs."""
    plain = [_meaning(one) for one in recorded] != [_meaning(one) for one in replayed]

    def gone(world: Assembled) -> bool:
        found: list[Weighed] = [one for one in getattr(world, name) if _key(one) == key]
        return [_meaning(one) for one in found] == [_meaning(one) for one in recorded] if plain else found == recorded

    return gone


def _key(one: Weighed) -> _Key:
    return package_key(one.component), one.id


def _by_key(items: Iterable[Weighed]) -> dict[_Key, list[Weighed]]:
    found: dict[_Key, list[Weighed]] = {}
    for one in items:
        found.setdefault(_key(one), []).append(one)
    return found


def _meaning(one: Weighed) -> list[tuple[str, str, str, str, str | None]]:
    """Return what was said, about which component on the way, and by whom."""
    statements: Sequence[tuple[str, VexStatementEntry]]
    match one:
        case VexDecisionEntry():
            statements = (("", one.decided), *((block.ref, block.statement) for block in one.blocks))
        case VexPartialEntry():
            statements = (("", one.statement),)
        case VexConflictEntry():
            statements = [("", each) for each in one.statements]
    return [(ref, each.author, each.timestamp, each.status, each.justification) for ref, each in statements]
