"""What every VEX reader yields, whatever the format (docs/matching.md section 6)."""

from dataclasses import dataclass
from typing import Literal

from scanner.foreign import Skipped
from scanner.identity import Purl

# "unknown" is any word that a format does not define; it never suppresses a finding.
Status = Literal["affected", "under_investigation", "unknown", "fixed", "not_affected"]

# Seconds since 1970 and nanoseconds; documents carry nanoseconds and any offset.
Instant = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """A product or a part of one, as a statement names it: a text, and the package URLs that are in it."""

    id: str
    purls: tuple[Purl, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A product of a statement; where it has parts, the statement is about those parts inside this product."""

    target: Target
    subcomponents: tuple[Target, ...]


@dataclass(frozen=True, slots=True, order=True)
class StatementRef:
    """Where a statement stands: name and digest of its document, and its position there."""

    document: str
    digest: str
    index: int


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim of one author: these vulnerabilities have this status in these products since this time."""

    ref: StatementRef
    author: str
    time: Instant
    timestamp: str
    vulnerabilities: tuple[str, ...]
    status: Status
    justification: str | None
    products: tuple[Product, ...]


@dataclass(frozen=True, slots=True)
class VexDocument:
    """A document, read: its statements in the order of the file, and what was not read."""

    name: str
    digest: str
    format: str
    author: str
    statements: tuple[Statement, ...]
    skipped: tuple[Skipped, ...]
