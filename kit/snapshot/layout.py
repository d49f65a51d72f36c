"""The two page directories of a snapshot, ``pages.bin`` and ``index-pages.bin``: docs/format.md, section Feed snapshot.

Both are kept as the bytes they are; a page is unpacked when it is touched.
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import TypeVar

import msgspec

from kit.errors import MalformedDocument
from kit.snapshot.records import ADVISORIES, INDEX, INDEX_PAGES, MAX_PAGE, PAGES, SnapshotInfo

T = TypeVar("T")

PAGE_ENTRY = struct.Struct(">IIQII32s32s")
INDEX_ENTRY = struct.Struct(">IIQIIII32s")
MAX_INDEX_PAGES = 1 << 18

_PAGE_HEAD = struct.Struct(">IIQII64x")
_INDEX_HEAD = struct.Struct(">IIQIIII32x")


class Page(msgspec.Struct, frozen=True, gc=False):
    """One page: ``first`` leaf number, ``count`` of leaves, place and sizes, SHA-256 of the stored frame.

    ``root`` is the RFC 6962 root over the page's leaves; a page of the index has none.
    """

    first: int
    count: int
    offset: int
    stored: int
    content: int
    digest: bytes
    root: bytes = b""

    def pack(self) -> bytes:
        """Return the entry of ``pages.bin``."""
        return PAGE_ENTRY.pack(self.first, self.count, self.offset, self.stored, self.content, self.digest, self.root)


class PageDirectory:
    """``pages.bin``: one entry of 88 bytes a page, in order of pages."""

    def __init__(self, data: bytes, info: SnapshotInfo) -> None:
        if len(data) != info.pages * PAGE_ENTRY.size:
            raise MalformedDocument(path=PAGES, expected=info.pages * PAGE_ENTRY.size, found=len(data))
        self._data = data
        stored = info.member(ADVISORIES)
        self._first = _check_heads(
            PAGES,
            _PAGE_HEAD.iter_unpack(data),
            (info.advisories, stored.size if stored else 0, info.content_size),
        )

    def __len__(self) -> int:
        return len(self._first)

    def __getitem__(self, number: int) -> Page:
        return Page(*PAGE_ENTRY.unpack_from(self._data, number * PAGE_ENTRY.size))

    def entry(self, number: int) -> bytes:
        """Return the bytes of one entry, a leaf of the page tree."""
        return self._data[number * PAGE_ENTRY.size : (number + 1) * PAGE_ENTRY.size]

    def number_of(self, ordinal: int) -> int:
        """Return the number of the page that holds the advisory of that ordinal."""
        return bisect_right(self._first, ordinal) - 1


class IndexDirectory:
    """``index-pages.bin``: one entry of 64 bytes a page of the index, then the first keys of all pages."""

    def __init__(self, data: bytes, info: SnapshotInfo) -> None:
        self._count = info.index_pages
        self._data = data
        self._keys = self._count * INDEX_ENTRY.size
        if self._count > MAX_INDEX_PAGES or len(data) < self._keys:
            raise MalformedDocument(path=INDEX_PAGES, detail="too short for its entries", found=len(data))
        stored = info.member(INDEX)
        heads = list(_INDEX_HEAD.iter_unpack(data[: self._keys]))
        _check_heads(
            INDEX_PAGES, (head[:5] for head in heads), (info.packages, stored.size if stored else 0, info.index_size)
        )
        self._check_keys(heads)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Page:
        first, count, offset, stored, content, _, _, digest = INDEX_ENTRY.unpack_from(
            self._data, number * INDEX_ENTRY.size
        )
        return Page(first, count, offset, stored, content, digest)

    def first_key(self, number: int) -> bytes:
        """Return the first index key of a page."""
        start, length = INDEX_ENTRY.unpack_from(self._data, number * INDEX_ENTRY.size)[5:7]
        return self._data[self._keys + start : self._keys + start + length]

    def number_of(self, key: bytes) -> int:
        """Return the number of the only page that can hold the key; -1 when it sorts before all."""
        return bisect_right(range(self._count), key, key=self.first_key) - 1

    def _check_keys(self, heads: list[tuple[int, ...]]) -> None:
        end = 0
        previous = b""
        for number, head in enumerate(heads):
            start, length = head[5:7]
            key = self.first_key(number)
            if start != end or len(key) != length or key <= previous:
                raise MalformedDocument(path=INDEX_PAGES, pointer=f"/{number}", detail="keys out of order or place")
            end += length
            previous = key
        if self._keys + end != len(self._data):
            raise MalformedDocument(path=INDEX_PAGES, detail="bytes after the keys", found=len(self._data))


def pack_index(pages: Iterable[tuple[Page, bytes]]) -> bytes:
    """Return ``index-pages.bin`` of pages with their first keys."""
    entries, keys = bytearray(), bytearray()
    for page, key in pages:
        entries += INDEX_ENTRY.pack(
            page.first, page.count, page.offset, page.stored, page.content, len(keys), len(key), page.digest
        )
        keys += key
    return bytes(entries + keys)


def cut(lines: Iterable[tuple[bytes, T]], page_size: int) -> Iterator[list[tuple[bytes, T]]]:
    """Gather lines, each with something of the caller's, into pages.

    A page ends with the line that brings it to the page size, line ends counted, or before a line that would bring it
    over 4 MiB.
    """
    page: list[tuple[bytes, T]] = []
    size = 0
    for item in lines:
        taken = len(item[0]) + 1
        if size + taken > MAX_PAGE and page:
            yield page
            page, size = [], 0
        page.append(item)
        size += taken
        if size >= page_size:
            yield page
            page, size = [], 0
    if page:
        yield page


def is_cut_rightly(page: Page, last_line: int, following: Page | None, page_size: int) -> bool:
    """Tell whether ``cut`` would have ended a page where it ends; ``last_line`` is the length of its last line."""
    if page.content - last_line - 1 >= page_size:
        return False
    if page.content >= page_size or following is None:
        return True
    return following.count == 1 and page.content + following.content > MAX_PAGE


def _check_heads(path: str, heads: Iterable[tuple[int, ...]], totals: tuple[int, int, int]) -> "array[int]":
    """Check that pages follow each other without gap up to the totals of leaves, stored bytes and content bytes.

    Returns the first leaf number of each page.
    """
    firsts = array("I")
    leaves = place = size = 0
    for first, count, offset, stored, content in heads:
        if first != leaves or offset != place or not count or not stored or not count <= content <= MAX_PAGE:
            raise MalformedDocument(path=path, pointer=f"/{len(firsts)}", detail="page out of order, place or range")
        firsts.append(first)
        leaves += count
        place += stored
        size += content
    if (leaves, place, size) != totals:
        raise MalformedDocument(path=path, detail="pages and totals differ", expected=str(totals), found=leaves)
    return firsts
