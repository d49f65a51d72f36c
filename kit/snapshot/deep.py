"""Deep verification of a feed snapshot: every leaf, every root, the order of the lines, the index derived once more.

docs/format.md, section Feed snapshot. Pages can be checked in several processes: each opens a reader of its own and
runs ``check_pages`` over a range of pages; ``conclude`` joins the parts.
"""

import itertools
from array import array
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from kit.bytes import digest, merkle, sha256
from kit.errors import MalformedDocument, MerkleRootMismatch
from kit.snapshot.index import count_ecosystems, index_lines
from kit.snapshot.intake import Advisory, Normalise, judge
from kit.snapshot.layout import Page, is_cut_rightly
from kit.snapshot.records import ADVISORIES, INDEX, INDEX_PAGE_SIZE, PAGE_SIZE, PAGES, RECORD

if TYPE_CHECKING:
    from kit.snapshot.reader import SnapshotReader

_LEAF = b"\x00"


class DeepCheck(msgspec.Struct, frozen=True):
    """What deep verification covered. ``index_not_derived`` is the reason why the index was not derived, or None."""

    advisories: int
    pages: int
    index_entries: int
    index_not_derived: str | None


class PagesChecked(msgspec.Struct):
    """What ``check_pages`` found in a range of pages: their leaf hashes, joined, and the index derived from them."""

    start: int
    stop: int
    leaves: bytes
    derived: bool
    index: dict[bytes, "array[int]"] = msgspec.field(default_factory=dict)
    withdrawn: int = 0
    first: tuple[bytes, bytes, bytes] | None = None
    last: tuple[bytes, bytes, bytes] | None = None


def verify(reader: "SnapshotReader", normalise: Normalise | None) -> DeepCheck:
    """Check the whole snapshot in this process."""
    return conclude(reader, [check_pages(reader, 0, len(reader.pages), normalise)])


def check_pages(reader: "SnapshotReader", start: int, stop: int, normalise: Normalise | None) -> PagesChecked:
    """Check pages start to stop - 1: digest, decoding, cut, sub-root; to derive the index, also each line's form."""
    derivation = None if normalise is None else _Derivation(normalise)
    leaves = bytearray()
    for number in range(start, stop):
        page = reader.pages[number]
        content = reader.page_content(number)
        hashes, last_line = _hash_lines(content, page)
        if merkle.root_of_joined(hashes) != page.root:
            raise MerkleRootMismatch(path=PAGES, pointer=f"/{number}", expected=page.root.hex())
        following = reader.pages[number + 1] if number + 1 < len(reader.pages) else None
        _check_cut(ADVISORIES, number, page, last_line, following, PAGE_SIZE)
        leaves += hashes
        if derivation is not None:
            derivation.add(page.first, content.split(b"\n")[:-1])
    part = PagesChecked(start, stop, bytes(leaves), derivation is not None)
    if derivation is not None:
        part.index, part.withdrawn = derivation.index, derivation.withdrawn
        part.first, part.last = derivation.first, derivation.last
    return part


def conclude(reader: "SnapshotReader", parts: Sequence[PagesChecked]) -> DeepCheck:
    """Join the parts of all pages, in order, and check the roots, the index and the counts of ``snapshot.json``."""
    bounds = [0, *(part.stop for part in parts)]
    if [part.start for part in parts] != bounds[:-1] or bounds[-1] != len(reader.pages):
        raise MalformedDocument(path=PAGES, detail="the parts do not cover the pages")
    info = reader.info
    _check_root(ADVISORIES, merkle.root(part.leaves for part in parts), info.content_root)
    entries = (merkle.leaf_hash(reader.pages.entry(number)) for number in range(len(reader.pages)))
    _check_root(PAGES, merkle.root(entries), info.page_root)
    stored = _check_index(reader)
    _check_root(INDEX, merkle.root(merkle.leaf_hash(line) for line in stored), info.index_root)
    if not all(part.derived for part in parts):
        return DeepCheck(info.advisories, info.pages, info.packages, "no name normalisation was given")
    _compare_derived(reader, parts, stored)
    return DeepCheck(info.advisories, info.pages, info.packages, None)


def _hash_lines(content: bytes, page: Page) -> tuple[bytes, int]:
    """Return the leaf hashes of a page's lines, joined, and the length of the last line; no line is copied."""
    hashes: list[bytes] = []
    view = memoryview(content)
    start = length = 0
    for _ in range(page.count):
        end = content.find(b"\n", start)
        if end < 0:
            break
        hasher = sha256.new()
        hasher.update(_LEAF)
        hasher.update(view[start:end])
        hashes.append(hasher.digest())
        length = end - start
        start = end + 1
    if start != len(content) or len(hashes) != page.count:
        raise MalformedDocument(
            path=ADVISORIES, pointer=f"/{page.first}", detail="number of lines", expected=page.count
        )
    return b"".join(hashes), length


class _Derivation:
    """Reads lines as the writer read them and collects what the index must hold."""

    def __init__(self, normalise: Normalise) -> None:
        self.index: dict[bytes, array[int]] = {}
        self.withdrawn = 0
        self.first: tuple[bytes, bytes, bytes] | None = None
        self.last: tuple[bytes, bytes, bytes] | None = None
        self._normalise = normalise

    def add(self, first: int, lines: Iterable[bytes]) -> None:
        for ordinal, line in enumerate(lines, first):
            advisory = judge(None, line, self._normalise)
            if not isinstance(advisory, Advisory):
                raise MalformedDocument(path=ADVISORIES, pointer=f"/{ordinal}", detail=advisory.reason)
            if advisory.line != line:
                raise MalformedDocument(path=ADVISORIES, pointer=f"/{ordinal}", detail="not in canonical form")
            order = advisory.order
            _check_order(self.last, order, ordinal)
            self.first = self.first or order
            self.last = order
            self.withdrawn += advisory.withdrawn
            for key in advisory.keys:
                self.index.setdefault(key, array("I")).append(ordinal)


def _check_order(before: tuple[bytes, bytes, bytes] | None, after: tuple[bytes, bytes, bytes], ordinal: int) -> None:
    if before is not None and before >= after:
        raise MalformedDocument(path=ADVISORIES, pointer=f"/{ordinal}", detail="lines out of order")


def _check_index(reader: "SnapshotReader") -> list[bytes]:
    """Return all entries of the index after checking their order, the cut of the pages and the listed first keys."""
    directory = reader.index_pages
    lines: list[bytes] = []
    source = reader.index_lines()
    for number in range(len(directory)):
        page = directory[number]
        content = [next(source) for _ in range(page.count)]
        following = directory[number + 1] if number + 1 < len(directory) else None
        _check_cut(INDEX, number, page, len(content[-1]), following, INDEX_PAGE_SIZE)
        if content[0].rpartition(b"\t")[0] != directory.first_key(number):
            raise MalformedDocument(path=INDEX, pointer=f"/{number}", detail="another first key than listed")
        lines += content
    keys = [line.rpartition(b"\t")[0] for line in lines]
    if any(low >= high for low, high in itertools.pairwise(keys)):
        raise MalformedDocument(path=INDEX, detail="entries out of order")
    return lines


def _compare_derived(reader: "SnapshotReader", parts: Sequence[PagesChecked], stored: Sequence[bytes]) -> None:
    """Check the index and the counts against what the lines say."""
    derived: dict[bytes, array[int]] = {}
    last: tuple[bytes, bytes, bytes] | None = None
    for part in parts:
        if part.first is not None:
            _check_order(last, part.first, reader.pages[part.start].first)
        last = part.last or last
        for key, ordinals in part.index.items():
            derived.setdefault(key, array("I")).extend(ordinals)
    expected = index_lines(derived)
    for number, line in enumerate(stored):
        if number >= len(expected) or expected[number] != line:
            raise MalformedDocument(path=INDEX, pointer=f"/{number}", detail="not what the advisories say")
    if len(expected) != len(stored):
        raise MalformedDocument(path=INDEX, detail="entries are missing", expected=len(expected), found=len(stored))
    if sum(part.withdrawn for part in parts) != reader.info.withdrawn:
        raise MalformedDocument(path=RECORD, pointer="/withdrawn", found=reader.info.withdrawn)
    if count_ecosystems(derived) != reader.info.ecosystems:
        raise MalformedDocument(path=RECORD, pointer="/ecosystems", detail="not what the advisories say")


def _check_cut(path: str, number: int, page: Page, last_line: int, following: Page | None, page_size: int) -> None:
    if not is_cut_rightly(page, last_line, following, page_size):
        raise MalformedDocument(path=path, pointer=f"/{number}", detail="page cut at another place")


def _check_root(path: str, found: bytes, expected: str) -> None:
    if digest.of_raw(found) != expected:
        raise MerkleRootMismatch(path=path, expected=expected, found=digest.of_raw(found))
