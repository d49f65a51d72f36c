"""The statements of both sides, matched, and the documents in between (docs/matching.md section 9.3)."""

from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from scanner import difference
from scanner.difference import Change, pairs
from scanner.vex import Allowance, Statement, VexDocument, read_vex

_REWRITTEN = "~"
"""Stands for the digest of a document in which a statement was put back."""
_BEHIND = 1 << 40
"""What was removed is put back behind all that is there."""


class Revision(msgspec.Struct, frozen=True):
    """A statement on both sides; one that stayed has no change of its own."""

    old: Statement | None
    new: Statement | None
    change: Change | None

    @property
    def size(self) -> int:
        """How many products and parts the statement has, on the side where it has more."""
        return max(_size(one) for one in (self.old, self.new) if one is not None)

    def undone(self, undone: Collection[str]) -> Statement | None:
        """Return the statement with its own change undone or not, in a document that is not the recorded one."""
        if self.change is None or self.change.id not in undone:
            return self.new
        if self.old is None:
            return None
        if self.new is not None:
            return replace(self.old, ref=self.new.ref)
        return replace(self.old, ref=replace(self.old.ref, index=_BEHIND + self.old.ref.index))


class Statements:
    """The documents of one side, by name, and their statements about wanted ids (letter case does not count)."""

    def __init__(self, given: Iterable[tuple[str, bytes]], wanted: Iterable[str]) -> None:
        self.documents: dict[str, VexDocument] = {}
        self._by_id: dict[str, list[Statement]] = {}
        allowance = Allowance()
        capital = frozenset(name.upper() for name in wanted)
        for name, data in sorted(given, key=lambda one: one[0]):
            document = read_vex(name, data, allowance, wanted=capital)
            self.documents[name] = replace(document, statements=())
            for statement in document.statements:
                for each in {one.upper() for one in statement.vulnerabilities} & capital:
                    self._by_id.setdefault(each, []).append(statement)

    def about(self, names: Iterable[str]) -> list[Statement]:
        """Return the statements about some ids, each once, by document and position."""
        found = (one for name in {one.upper() for one in names} for one in self._by_id.get(name, ()))
        return sorted({one.ref: one for one in found}.values(), key=lambda one: one.ref)

    def count(self, names: Iterable[str]) -> int:
        """Return how many statements there are about some ids at most."""
        return sum(len(self._by_id.get(name, ())) for name in {one.upper() for one in names})


class StatementChanges:
    """What differs between the VEX documents of two sides; ``differ`` tells whether anything does."""

    def __init__(self, recorded: Statements, replayed: Statements) -> None:
        self._sides = recorded, replayed
        old, new = ({name: one.digest for name, one in side.documents.items()} for side in self._sides)
        self.differ = old != new

    def count(self, names: Collection[str]) -> int:
        """Return how many statements of both sides there are about some ids at most."""
        return sum(side.count(names) for side in self._sides)

    def about(self, names: Collection[str]) -> dict[str, list[Revision]]:
        """Return the documents with statements about some ids, those of both sides matched."""
        by_name: dict[str, tuple[list[Statement], list[Statement]]] = {}
        for number, side in enumerate(self._sides):
            for statement in side.about(names):
                by_name.setdefault(statement.ref.document, ([], []))[number].append(statement)
        return {name: list(_revisions(name, *by_name[name])) for name in sorted(by_name)}

    def changes(self, revisions: Mapping[str, list[Revision]]) -> Iterator[Change]:
        """Yield the changes of single statements, then those of authors."""
        yield from (one.change for found in revisions.values() for one in found if one.change is not None)
        yield from filter(None, map(self._author_change, revisions))

    def whole(self, revisions: Iterable[str]) -> Iterator[Change]:
        """Yield the changes of documents as a whole."""
        for name in revisions:
            old, new = (side.documents.get(name) for side in self._sides)
            if old is None or new is None:
                yield document_change(name, "added" if old is None else "removed")
            elif old.digest != new.digest:
                yield document_change(name, "changed")

    def mixed(self, revisions: Mapping[str, list[Revision]], undone: frozenset[str]) -> Iterator[VexDocument]:
        """Yield the documents with some changes undone."""
        for name, found in revisions.items():
            if f"vex/{name}" in undone:
                statements = [one.old for one in found if one.old is not None]
            else:
                statements = list(self._rewritten(name, found, undone))
            yield replace(self._latest(name), statements=tuple(statements))

    def _rewritten(self, name: str, found: Collection[Revision], undone: frozenset[str]) -> Iterator[Statement]:
        """Yield the statements of a document in which some may be put back; then all have another digest."""
        by_other = f"vex/{name}/author" in undone
        touched = by_other or any(one.change is not None and one.change.id in undone for one in found)
        author = (self._sides[0].documents[name] if by_other else self._latest(name)).author
        authors = self._authors(name)
        for one in found:
            statement = one.undone(undone)
            if statement is None:
                continue
            if touched:
                statement = replace(statement, ref=replace(statement.ref, digest=f"{_REWRITTEN}{name}"))
            if statement.author != author and statement.author in authors:
                statement = replace(statement, author=author)
            yield statement

    def _latest(self, name: str) -> VexDocument:
        """Return the replayed document, the recorded one where there is none."""
        return self._sides[1].documents.get(name) or self._sides[0].documents[name]

    def _authors(self, name: str) -> set[str]:
        return {side.documents[name].author for side in self._sides if name in side.documents}

    def _author_change(self, name: str) -> Change | None:
        """Return how the author of a document differs; it is one change for all of its statements."""
        if len(self._authors(name)) < 2:
            return None
        said = f"VEX document {name} has another author"
        return Change(id=f"vex/{name}/author", cause=difference.VEX_STATEMENT, detail=said, members=("author",))


def document_change(name: str, word: str) -> Change:
    """Return the change of a VEX document as a whole."""
    return Change(id=f"vex/{name}", cause=difference.VEX_STATEMENT, detail=f"VEX document {word}: {name}")


def _size(statement: Statement) -> int:
    return sum(1 + len(product.subcomponents) for product in statement.products)


def _revisions(name: str, old: list[Statement], new: list[Statement]) -> Iterator[Revision]:
    """Match the statements of one document: the same ones, then those about the same things, then the rest."""
    left_old: list[Statement] = []
    left_new: list[Statement] = []
    for left, right in pairs(old, new, _content):
        if left is not None and right is not None:
            yield Revision(old[left], new[right], None)
        elif left is not None:
            left_old.append(old[left])
        elif right is not None:
            left_new.append(new[right])
    for left, right in pairs(left_old, left_new, lambda one: (one.vulnerabilities, one.products)):
        before = None if left is None else left_old[left]
        after = None if right is None else left_new[right]
        yield Revision(before, after, _statement_change(name, before, after))


def _content(statement: Statement) -> Hashable:
    """Return what a statement says, its place and its author left aside."""
    one = statement
    return one.vulnerabilities, one.status, one.justification, one.timestamp, one.time, one.products


def _statement_change(name: str, old: Statement | None, new: Statement | None) -> Change:
    word = "added" if old is None else "removed" if new is None else "changed"
    one = new or old
    if one is None:
        raise LookupError(name)
    members = _differing(old, new) if old and new else ()
    said = f"statement {one.ref.index} of VEX document {name} {word}: {one.vulnerabilities[0]} {one.status}"
    return Change(
        id=f"vex/{name}/{word}/{one.ref.index}",
        cause=difference.VEX_STATEMENT,
        detail=said + (f" ({', '.join(members)})" if members else ""),
        members=members,
    )


def _differing(old: Statement, new: Statement) -> tuple[str, ...]:
    names = ("justification", "status", "timestamp")
    return tuple(name for name in names if getattr(old, name) != getattr(new, name))
