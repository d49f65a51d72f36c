"""The record of a feed snapshot, ``snapshot.json``: docs/format.md, section Feed snapshot."""

import itertools
import re
from typing import Literal

import msgspec

from kit.bundle import Member
from kit.bytes import canonical, digest
from kit.bytes.merkle import EMPTY_ROOT
from kit.bytes.record_types import Size
from kit.errors import MalformedDocument, UnsupportedVersion
from kit.manifest import check_name, check_time

SCHEMA_VERSION = "1.0"
MAX_RECORD_BYTES = 16 << 20

RECORD = "snapshot.json"
ADVISORIES = "advisories.ndjson.zst"
PAGES = "pages.bin"
INDEX = "index.tsv.zst"
INDEX_PAGES = "index-pages.bin"
DICTIONARY = "dict"
IRREGULAR = "irregular.ndjson"

REQUIRED_MEMBERS = (ADVISORIES, INDEX, INDEX_PAGES, PAGES)
OPTIONAL_MEMBERS = (DICTIONARY, IRREGULAR)

PAGE_SIZE = 16 << 10
INDEX_PAGE_SIZE = 64 << 10
MAX_PAGE = 4 << 20
MAX_DICTIONARY = 2 << 20
MAX_ADVISORIES = (1 << 32) - 1
MAX_LISTED = 10_000
"""Irregular records that snapshot.json lists itself; more of them go into a member of their own."""

_ORDINALS = re.compile(rb"(0|[1-9][0-9]{0,9})(,[1-9][0-9]{0,9})*")

RefusedReason = Literal[
    "duplicate-member",
    "file-type",
    "id-characters",
    "malformed",
    "no-id",
    "no-modified",
    "not-an-object",
    "repeated",
    "schema-version",
    "too-large",
]
OddReason = Literal["file-name", "no-package", "package-name", "same-id"]


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the records of this format."""


class EcosystemCount(_Document, frozen=True, kw_only=True):
    """How many advisories and packages of one ecosystem the index names."""

    ecosystem: str
    advisories: Size
    packages: Size


class Compressor(_Document, frozen=True, kw_only=True):
    """What compressed the pages; recorded so that the same bytes can be made again."""

    library: str
    version: str
    level: Size


class Refused(_Document, frozen=True, kw_only=True):
    """A record of the source that is not in the snapshot. ``digest`` is that of its bytes as they were given."""

    reason: RefusedReason
    file: str | None = None
    id: str | None = None
    digest: str | None = None
    detail: str | None = None


class Odd(_Document, frozen=True, kw_only=True):
    """A record that is in the snapshot although something about it is unusual. ``digest`` is its leaf hash."""

    reason: OddReason
    id: str
    digest: str
    file: str | None = None
    detail: str | None = None


class SnapshotInfo(_Document, frozen=True, kw_only=True):
    """``snapshot.json``. Sizes are bytes, counts are of records, roots are RFC 6962 roots as digests."""

    schema_version: str
    name: str
    source: str
    snapshot_time: str
    advisories: Size
    withdrawn: Size
    packages: Size
    ecosystems: tuple[EcosystemCount, ...]
    content_size: Size
    content_root: str
    index_size: Size
    index_root: str
    page_size: Size
    pages: Size
    page_root: str
    index_page_size: Size
    index_pages: Size
    compressor: Compressor
    members: tuple[Member, ...]
    refused_count: Size
    odd_count: Size
    source_digest: str | None = None
    match_contract: str | None = None
    refused: tuple[Refused, ...] = ()
    odd: tuple[Odd, ...] = ()

    def member(self, path: str) -> Member | None:
        """Return the stored member of that path, if the snapshot has it."""
        return next((member for member in self.members if member.path == path), None)


class Irregularity(_Document, frozen=True, kw_only=True):
    """One line of ``irregular.ndjson``: a refused or an odd record, never both."""

    refused: Refused | None = None
    odd: Odd | None = None


def encode(info: SnapshotInfo) -> bytes:
    """Return the canonical bytes of a snapshot record; their SHA-256 is the snapshot's identity."""
    check(info)
    return canonical.encode_record(info)


def encode_line(item: Irregularity) -> bytes:
    """Return one line of ``irregular.ndjson``."""
    return canonical.encode_record(item) + b"\n"


def decode(data: bytes) -> SnapshotInfo:
    """Read ``snapshot.json`` strictly.

    Raises MalformedDocument, NotCanonical, DuplicateMember or LimitExceeded by the rules of section 1.1, and
    UnsupportedVersion for another schema version.
    """
    info = canonical.decode_record(data, SnapshotInfo, max_bytes=MAX_RECORD_BYTES)
    check(info)
    return info


def check(info: SnapshotInfo) -> None:
    """Refuse a record whose fields contradict each other or the format's constants (MalformedDocument)."""
    if info.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=RECORD, expected=SCHEMA_VERSION, found=info.schema_version)
    for pointer, expected, found in (
        ("/pageSize", PAGE_SIZE, info.page_size),
        ("/indexPageSize", INDEX_PAGE_SIZE, info.index_page_size),
    ):
        if expected != found:
            raise MalformedDocument(path=RECORD, pointer=pointer, expected=expected, found=found)
    check_name(info.name, "/name")
    check_time(info.snapshot_time, "/snapshotTime")
    for root in (info.content_root, info.index_root, info.page_root):
        digest.check(root)
    if info.source_digest is not None:
        digest.check(info.source_digest)
    _check_counts(info)
    _check_members(info)
    _check_irregular(info)


def parse_ordinals(text: bytes, advisories: int) -> tuple[int, ...]:
    """Return the ordinals of an index entry; MalformedDocument unless they are plain, ascending and in range."""
    ordinals = tuple(map(int, text.split(b","))) if _ORDINALS.fullmatch(text) else ()
    ascending = all(low < high for low, high in itertools.pairwise(ordinals))
    if not ordinals or not ascending or ordinals[-1] >= advisories:
        raise MalformedDocument(path=INDEX, detail="ordinals of an entry", found=ascii(text[:60]))
    return ordinals


def _check_counts(info: SnapshotInfo) -> None:
    empty = digest.of_raw(EMPTY_ROOT)
    trees = (
        ("/advisories", info.advisories, info.pages, info.content_size, info.content_root),
        ("/packages", info.packages, info.index_pages, info.index_size, info.index_root),
    )
    for pointer, leaves, pages, size, root in trees:
        fits = 1 <= pages <= leaves <= size if leaves else not pages and not size
        if not fits or leaves > MAX_ADVISORIES or (root == empty) != (leaves == 0):
            raise MalformedDocument(path=RECORD, pointer=pointer, detail="counts, size and root contradict each other")
    if info.withdrawn > info.advisories or (info.page_root == empty) != (info.pages == 0):
        raise MalformedDocument(path=RECORD, pointer="/withdrawn", detail="counts, size and root contradict each other")
    names = [item.ecosystem for item in info.ecosystems]
    if names != sorted(set(names)) or sum(item.packages for item in info.ecosystems) != info.packages:
        raise MalformedDocument(path=RECORD, pointer="/ecosystems", detail="not sorted, repeated, or of another sum")
    if any(not 1 <= item.advisories <= info.advisories or item.packages < 1 for item in info.ecosystems):
        raise MalformedDocument(path=RECORD, pointer="/ecosystems", detail="a count is out of range")


def _check_members(info: SnapshotInfo) -> None:
    paths = [member.path for member in info.members]
    if paths != sorted(set(paths)) or not set(REQUIRED_MEMBERS) <= set(paths):
        raise MalformedDocument(path=RECORD, pointer="/members", detail="not sorted, repeated or incomplete")
    if set(paths) - set(REQUIRED_MEMBERS) - set(OPTIONAL_MEMBERS):
        raise MalformedDocument(path=RECORD, pointer="/members", detail="a member that the format does not know")
    for member in info.members:
        digest.check(member.digest)


def _check_irregular(info: SnapshotInfo) -> None:
    total = info.refused_count + info.odd_count
    listed = (info.refused_count, info.odd_count) if total <= MAX_LISTED else (0, 0)
    if (len(info.refused), len(info.odd)) != listed:
        raise MalformedDocument(path=RECORD, pointer="/refused", detail="the lists and their counts differ")
    if (info.member(IRREGULAR) is not None) != (total > MAX_LISTED):
        raise MalformedDocument(path=RECORD, pointer="/members", detail=f"{IRREGULAR} stands for long lists only")
