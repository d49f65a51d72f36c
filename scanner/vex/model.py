"""What every VEX reader yields, whatever the format (docs/matching.md section 6)."""

from typing import Final, Literal

import msgspec

from scanner.foreign import Skipped
from scanner.identity import Purl
from scanner.instant import Instant
from scanner.vex.vers import Range

# "unknown" is any word that a format does not define; it never suppresses a finding.
Status = Literal["affected", "under_investigation", "unknown", "fixed", "not_affected"]

CAUTION: Final[dict[Status, int]] = {
    "affected": 0,
    "under_investigation": 1,
    "unknown": 2,
    "fixed": 3,
    "not_affected": 4,
}
"""Statuses, the most cautious first."""

SUPPRESSING: Final[frozenset[Status]] = frozenset({"fixed", "not_affected"})
"""Statuses that say of a product that it has no such vulnerability (any more)."""


class Target(msgspec.Struct, frozen=True):
    """A product or a part of one, as a statement names it.

    ``id`` is a text that may be the very text of a component's package URL, ``links`` are BOM-Links
    (``serial/version#ref``); one of ``id``, ``purls`` and ``links`` is enough. Where there are ``versions`` (single
    versions as text, ranges), the component's version is also in one of them.
    """

    id: str = ""
    purls: tuple[Purl, ...] = ()
    links: tuple[str, ...] = ()
    versions: tuple[str | Range, ...] = ()

    @property
    def matchable(self) -> bool:
        """Tell whether any component can be this target."""
        return bool(self.purls or self.links or is_purl(self.id))


class Product(msgspec.Struct, frozen=True):
    """A product of a statement; where it has parts, the statement is about those parts inside this product."""

    target: Target
    subcomponents: tuple[Target, ...]


class StatementRef(msgspec.Struct, frozen=True, order=True):
    """Where a statement stands: name and digest of its document, and its position there."""

    document: str
    digest: str
    index: int


class Statement(msgspec.Struct, frozen=True):
    """One claim of one author: these vulnerabilities have this status in these products since this time.

    An empty ``author`` is one of whom nothing is known, not even whether two documents are by the same; no ``time`` is
    an unknown one.
    """

    ref: StatementRef
    author: str
    time: Instant | None
    timestamp: str
    vulnerabilities: tuple[str, ...]
    status: Status
    justification: str | None
    products: tuple[Product, ...]


class VexDocument(msgspec.Struct, frozen=True):
    """A document, read: its statements in the order of the file, and what was not read.

    ``count`` is the number of statements read, whether or not ``statements`` still holds them.
    """

    name: str
    digest: str
    format: str
    author: str
    statements: tuple[Statement, ...]
    count: int
    skipped: tuple[Skipped, ...]


def is_purl(text: str) -> bool:
    """Tell whether a text means to be a package URL."""
    return text[:4].lower() == "pkg:"
