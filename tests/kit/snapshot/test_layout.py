"""Where pages are cut, and the two page directories, sound and hostile."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.errors import MalformedDocument
from kit.snapshot import records
from kit.snapshot.layout import (
    INDEX_ENTRY,
    PAGE_ENTRY,
    IndexDirectory,
    Page,
    PageDirectory,
    cut,
    is_cut_rightly,
)
from kit.snapshot.records import INDEX_PAGES, MAX_PAGE, PAGES, RECORD, SnapshotInfo

SIZE = 100
LINES = st.lists(st.integers(1, 250).map(lambda length: b"x" * length), max_size=60)


def pages_of(lines: list[bytes], page_size: int = SIZE) -> list[list[bytes]]:
    return [[line for line, _ in page] for page in cut(((line, None) for line in lines), page_size)]


def heads(pages: list[list[bytes]]) -> list[Page]:
    return [Page(0, len(page), 0, 1, sum(len(line) + 1 for line in page), b"") for page in pages]


@settings(deadline=None)
@given(LINES)
def test_pages_hold_all_lines_in_order_and_end_with_the_line_that_fills_them(lines: list[bytes]) -> None:
    pages = pages_of(lines)
    assert [line for page in pages for line in page] == lines
    for page in pages[:-1]:
        assert sum(len(line) + 1 for line in page) >= SIZE
    for page in pages:
        assert sum(len(line) + 1 for line in page[:-1]) < SIZE


@settings(deadline=None)
@given(LINES, st.data())
def test_only_the_one_cut_is_called_right(lines: list[bytes], data: st.DataObject) -> None:
    places = data.draw(st.sets(st.integers(1, len(lines) - 1))) if len(lines) > 1 else set()
    bounds = [0, *sorted(places), len(lines)]
    drawn = [lines[start:end] for start, end in itertools.pairwise(bounds)] if lines else []
    found = heads(drawn)
    right = all(
        is_cut_rightly(page, len(drawn[number][-1]), (found[number + 1 :] or [None])[0], SIZE)
        for number, page in enumerate(found)
    )
    assert right == (drawn == pages_of(lines))


def test_no_page_exceeds_the_largest_frame() -> None:
    lines = [b"x" * 50, b"y" * (MAX_PAGE - 1), b"z"]
    pages = pages_of(lines)
    assert [len(page) for page in pages] == [1, 1, 1]
    found = heads(pages)
    assert is_cut_rightly(found[0], 50, found[1], SIZE)
    assert not is_cut_rightly(found[0], 50, found[2], SIZE)


@pytest.fixture
def snapshot(build: Callable[..., tuple[Path, SnapshotInfo]], sources: list[Any]) -> tuple[Path, SnapshotInfo]:
    return build(sources)


def test_page_directory_finds_the_page_of_every_ordinal(snapshot: tuple[Path, SnapshotInfo]) -> None:
    place, info = snapshot
    directory = PageDirectory((place / PAGES).read_bytes(), info)
    assert len(directory) == info.pages > 3
    for ordinal in range(info.advisories):
        page = directory[directory.number_of(ordinal)]
        assert page.first <= ordinal < page.first + page.count


def changed(data: bytes, number: int, field: int, by: int) -> bytes:
    """Return a page directory with one field of one entry changed."""
    values = list(PAGE_ENTRY.unpack_from(data, number * PAGE_ENTRY.size))
    values[field] += by
    start = number * PAGE_ENTRY.size
    return data[:start] + PAGE_ENTRY.pack(*values) + data[start + PAGE_ENTRY.size :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + data[-PAGE_ENTRY.size :],
        lambda data: data[PAGE_ENTRY.size :] + data[: PAGE_ENTRY.size],
        *(
            lambda data, field=field, number=number, by=by: changed(data, number, field, by)
            for field in range(5)
            for number in (0, 2, -1)
            for by in (1, -1)
            if not (number == 0 and by == -1 and field in {0, 2})
        ),
        lambda data: changed(data, 1, 4, MAX_PAGE),
    ],
)
def test_page_directory_that_does_not_add_up_is_refused(
    snapshot: tuple[Path, SnapshotInfo], spoil: Callable[[bytes], bytes]
) -> None:
    place, info = snapshot
    data = (place / PAGES).read_bytes()
    number = len(data) // PAGE_ENTRY.size
    with pytest.raises(MalformedDocument):
        PageDirectory(spoil(data) if number else data, info)


def test_index_directory_finds_the_only_page_that_can_hold_a_key(
    build: Callable[..., tuple[Path, SnapshotInfo]], make_record: Callable[..., bytes]
) -> None:
    source = [(None, make_record(f"T-{number}", ("npm", f"p{'x' * 400}{number:05}"))) for number in range(400)]
    place, info = build(source)
    directory = IndexDirectory((place / INDEX_PAGES).read_bytes(), info)
    assert len(directory) == info.index_pages > 2
    keys = [f"npm\tp{'x' * 400}{number:05}".encode() for number in range(400)]
    for position, key in enumerate(keys):
        page = directory[directory.number_of(key)]
        assert page.first <= position < page.first + page.count
    assert directory.number_of(b"npm\to") == -1
    assert directory.number_of(b"npm\tz") == len(directory) - 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data + b"x",
        lambda data: data[: INDEX_ENTRY.size] + data[-1:] * (len(data) - INDEX_ENTRY.size),
        lambda data: data[: 3 * INDEX_ENTRY.size] + b"\xff" + data[3 * INDEX_ENTRY.size + 1 :],
        lambda data: (
            data[INDEX_ENTRY.size : 2 * INDEX_ENTRY.size] + data[: INDEX_ENTRY.size] + data[2 * INDEX_ENTRY.size :]
        ),
        *(lambda data, at=at: data[:at] + b"\x01" + data[at + 1 :] for at in (0, 4, 8, 16, 20, 24, 28)),
    ],
)
def test_index_directory_that_does_not_add_up_is_refused(
    build: Callable[..., tuple[Path, SnapshotInfo]], make_record: Callable[..., bytes], spoil: Callable[[bytes], bytes]
) -> None:
    source = [(None, make_record(f"T-{number}", ("npm", f"p{'x' * 400}{number:05}"))) for number in range(400)]
    place, info = build(source)
    assert info.index_pages == 3
    with pytest.raises(MalformedDocument):
        IndexDirectory(spoil((place / INDEX_PAGES).read_bytes()), info)


def test_record_is_the_canonical_form_of_itself(snapshot: tuple[Path, SnapshotInfo]) -> None:
    place, info = snapshot
    data = (place / RECORD).read_bytes()
    assert records.decode(data) == info
    assert records.encode(info) == data
