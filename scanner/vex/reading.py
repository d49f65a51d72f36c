"""What the readers of all VEX formats share: limits, package URLs, statements, and the list of what was not read."""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from kit.bytes.canonical import JsonValue
from kit.errors import LimitExceeded, MalformedDocument
from scanner.foreign import MalformedPart, Record, Unread, items
from scanner.identity import BadPurl, Purl, parse_purl
from scanner.instant import Instant, parse_instant
from scanner.vex.model import Product, Statement, StatementRef, Status, VexDocument, is_purl

MAX_DOCUMENTS: Final = 10_000
MAX_BYTES: Final = 256 << 20
MAX_STATEMENTS: Final = 500_000
MAX_NAMES: Final = 2_500_000
"""How many items all lists of all documents of a run may have together: statements, products, parts, ids."""

MAX_PURLS: Final = 500_000
MAX_PURLS_EACH: Final = 200_000
"""How many package URLs may be parsed, in all documents and in each; readers parse one that a document repeats once."""


class Allowance(msgspec.Struct):
    """What the VEX documents of one run may still hold."""

    documents: int = MAX_DOCUMENTS
    bytes: int = MAX_BYTES
    statements: int = MAX_STATEMENTS
    names: int = MAX_NAMES
    purls: int = MAX_PURLS
    purls_each: int = MAX_PURLS_EACH
    _purls_here: int = 0

    def document(self, name: str, size: int) -> None:
        """Count a document before it is decoded; LimitExceeded."""
        self.documents -= 1
        self._purls_here = self.purls_each
        self.bytes -= size
        if self.documents < 0:
            raise LimitExceeded(path=name, detail="VEX documents", expected=MAX_DOCUMENTS)
        if self.bytes < 0:
            raise LimitExceeded(path=name, detail="bytes of all VEX documents", expected=MAX_BYTES)

    def list(self, name: str, count: int) -> None:
        """Count the items of a list; LimitExceeded."""
        self.names -= count
        if self.names < 0:
            raise LimitExceeded(path=name, detail="statements and names in VEX documents", expected=MAX_NAMES)

    def purl(self, name: str) -> None:
        """Count a package URL; LimitExceeded."""
        self.purls -= 1
        self._purls_here -= 1
        if self.purls < 0:
            raise LimitExceeded(path=name, detail="package URLs in VEX documents", expected=MAX_PURLS)
        if self._purls_here < 0:
            raise LimitExceeded(path=name, detail="package URLs in a VEX document", expected=MAX_PURLS_EACH)

    def statement(self, name: str) -> None:
        """Count a statement; LimitExceeded."""
        self.statements -= 1
        if self.statements < 0:
            raise LimitExceeded(path=name, detail="statements in VEX documents", expected=MAX_STATEMENTS)


class Reading:
    """One document under way; ``name`` is what references to its statements call it.

    Statements that name none of the ``wanted`` ids (capital letters) are read and counted, but not kept.
    """

    def __init__(self, name: str, digest: str, allowance: Allowance, wanted: AbstractSet[str] | None = None) -> None:
        self.unread = Unread()
        self._name = name
        self._digest = digest
        self._allowance = allowance
        self._wanted = wanted
        self._author = ""
        self._count = 0
        self._statements: list[Statement] = []
        self._fault: MalformedPart | None = None

    def by(self, author: str) -> None:
        """Set the author of the statements that follow."""
        self._author = author

    def items(self, owner: Record, name: str, pointer: str) -> list[JsonValue]:
        """Return a list of the document, within the limit for all lists together."""
        values = items(owner, name, pointer)
        self.count(len(values))
        return values

    def count(self, items: int) -> None:
        """Count work that lists of the document ask for."""
        self._allowance.list(self._name, items)

    def purls(self, pointer: str, *candidates: str | None) -> tuple[Purl, ...]:
        """Parse those candidates that are package URLs; a broken one matches nothing and is noted."""
        found = []
        for candidate in candidates:
            if candidate is not None and is_purl(candidate):
                self._allowance.purl(self._name)
                try:
                    found.append(parse_purl(candidate))
                except BadPurl as fault:
                    self.unread.note(pointer, "bad-purl", str(fault))
        return tuple(found) if len(found) < 2 else tuple(dict.fromkeys(found))

    def fail(self, fault: MalformedPart, reason: str = "malformed") -> None:
        """Note a statement that was not read."""
        self.unread.note(fault.pointer, reason, fault.detail)
        self._fault = self._fault or fault

    def state(
        self,
        pointer: str,
        *,
        index: int | None = None,
        time: Instant | None,
        timestamp: str,
        vulnerabilities: tuple[str, ...],
        status: Status,
        justification: str | None,
        products: Sequence[Product],
    ) -> None:
        """Add a statement; without an ``index`` its position is the number of statements before it."""
        self._allowance.statement(self._name)
        if not any(product.target.matchable for product in products):
            self.unread.note(pointer, "no-purl", "no product has a package URL or BOM-Link")
        at = self._count if index is None else index
        self._count += 1
        if self._wanted is not None and self._wanted.isdisjoint([name.upper() for name in vulnerabilities]):
            return
        self._statements.append(
            Statement(
                ref=StatementRef(self._name, self._digest, at),
                author=self._author,
                time=time,
                timestamp=timestamp,
                vulnerabilities=vulnerabilities,
                status=status,
                justification=justification,
                products=tuple(products),
            )
        )

    def done(self, form: str) -> VexDocument:
        """Return the document; one that lists statements of which none could be read is refused."""
        if self._fault and not self._count:
            detail = f"no statement can be used; the first: {self._fault.detail}"
            raise MalformedDocument(path=self._name, pointer=self._fault.pointer, detail=detail)
        return VexDocument(
            name=self._name,
            digest=self._digest,
            format=form,
            author=self._author,
            statements=tuple(self._statements),
            count=self._count,
            skipped=self.unread.in_order(),
        )


def instant(timestamp: str | None, pointer: str) -> tuple[str, Instant]:
    """Return a time as text and as a value."""
    time = parse_instant(timestamp) if timestamp else None
    if timestamp is None or time is None:
        raise MalformedPart(pointer, "no RFC 3339 time")
    return timestamp, time


def named(first: str, others: Iterable[str]) -> tuple[str, ...]:
    """Return the names of a vulnerability, the first one first, its aliases sorted."""
    return (first, *sorted(set(others) - {first, ""}))


def texts(values: list[JsonValue], pointer: str) -> list[str]:
    """Return the items of a list that has to be one of strings."""
    found = []
    for at, value in enumerate(values):
        if not isinstance(value, str):
            raise MalformedPart(f"{pointer}/{at}", "not a string")
        found.append(value)
    return found
