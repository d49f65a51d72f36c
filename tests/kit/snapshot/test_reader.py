"""Reading by package: every named record once, touched pages only, and every spoiled byte met."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit.bundle import BundleReader, DirectorySource, write_bundle
from kit.bytes import digest
from kit.bytes.frames import FrameCodec
from kit.errors import (
    DigestMismatch,
    FileMissing,
    LimitExceeded,
    MalformedDocument,
    MalformedFrame,
    SizeMismatch,
    StellaError,
)
from kit.snapshot import SnapshotInfo, SnapshotReader
from kit.snapshot.layout import PAGE_ENTRY, PageDirectory
from kit.snapshot.records import ADVISORIES, DICTIONARY, INDEX, INDEX_PAGES, IRREGULAR, PAGES, RECORD

Build = Callable[..., tuple[Path, SnapshotInfo]]
Reopen = Callable[[Path], SnapshotReader]
Reseal = Callable[..., None]


def names_in(line: bytes) -> set[tuple[str, str]]:
    """Return the packages of a record as the tests' normalisation spells them."""
    packages = [entry["package"] for entry in json.loads(line)["affected"]]
    return {
        (item["ecosystem"], item["name"].lower() if item["ecosystem"] == "PyPI" else item["name"]) for item in packages
    }


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_records_are_those_that_name_a_package_once_each_and_ascending(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo], data: st.DataObject
) -> None:
    reader = reopen(sound[0])
    lines = [line for number in range(len(reader.pages)) for line in reader.page_lines(number)]
    known = sorted({name for line in lines for name in names_in(line)})
    wanted = data.draw(st.lists(st.sampled_from([*known, ("npm", "absent"), ("", ""), ("Go", "a\tb")]), max_size=30))
    expected = [(number, line) for number, line in enumerate(lines) if names_in(line) & set(wanted)]
    assert list(reader.records(wanted)) == expected
    for ecosystem, package in wanted:
        ordinals = tuple(number for number, line in enumerate(lines) if (ecosystem, package) in names_in(line))
        assert reader.lookup(ecosystem, package) == ordinals


@pytest.mark.parametrize("package", ["a\t1\nGo\tb", "a\t1", "\n", "\ud800", "x" * 5000])
def test_name_that_no_index_can_hold_finds_nothing(
    build: Build, reopen: Reopen, make_record: Callable[..., bytes], package: str
) -> None:
    reader = reopen(build([(None, make_record(f"T-{name}", ("Go", name))) for name in "abc"])[0])
    assert reader.lookup("Go", package) == ()
    assert list(reader.records([("Go", package)])) == []


def test_cost_follows_the_packages_asked_for_and_not_the_feed(
    build: Build, reopen: Reopen, make_record: Callable[..., bytes]
) -> None:
    def feed(others: int) -> list[Any]:
        hits = [(None, make_record(f"H-{number:03}", ("npm", f"hit-{number // 3}"), size=900)) for number in range(60)]
        rng = random.Random(others)
        rest = [
            (None, make_record(f"R-{number:05}", ("Go", f"module-{rng.randrange(others)}"), size=900))
            for number in range(others)
        ]
        return hits + rest

    counters = []
    for others in (400, 4_000):
        place, info = build(feed(others))
        reader = reopen(place)
        assert len(list(reader.records([("npm", f"hit-{number}") for number in range(20)]))) == 60
        assert reader.pages
        counters.append(reader.counters)
        assert info.pages > 15
    small, large = counters
    assert large.pages_touched <= small.pages_touched + 1
    assert large.index_pages_touched == small.index_pages_touched
    assert large.bytes_decompressed <= small.bytes_decompressed * 1.35 + (64 << 10)


def test_snapshot_in_a_bundle_reads_as_in_a_directory(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo], tmp_path: Path
) -> None:
    place, _ = sound
    with (tmp_path / "bundle").open("wb") as target:
        record = write_bundle(target, [(f"feeds/demo/{path.name}", path) for path in place.iterdir()])
    wanted = [("npm", "Package-1"), ("PyPI", "package-2"), ("Go", "absent")]
    with BundleReader(tmp_path / "bundle", record) as source:
        source.verify()
        reader = SnapshotReader(source, "feeds/demo/", digest.of_file(place / RECORD)[0])
        reader.verify_quick()
        found = list(reader.records(wanted))
    assert found == list(reopen(place).records(wanted))
    assert found


def flip(data: bytes, place: int) -> bytes:
    place %= len(data)
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def read_all(reader: SnapshotReader) -> None:
    for number in range(len(reader.pages)):
        reader.page_lines(number)
    list(reader.index_lines())


@pytest.mark.parametrize("path", [ADVISORIES, INDEX, PAGES, INDEX_PAGES])
@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda data: flip(data, 0), DigestMismatch),
        (lambda data: flip(data, len(data) // 2), DigestMismatch),
        (lambda data: flip(data, -1), DigestMismatch),
        (lambda data: data[:-1], SizeMismatch),
        (lambda data: data + b"\x00", (SizeMismatch, LimitExceeded)),
        (lambda data: b"", SizeMismatch),
    ],
)
@pytest.mark.parametrize("use", [SnapshotReader.verify_quick, read_all])
def test_spoiled_member_is_met_by_quick_verification_and_by_reading(
    build: Build,
    reopen: Reopen,
    sources: list[Any],
    path: str,
    spoil: Callable[[bytes], bytes],
    error: type[StellaError],
    use: Callable[[SnapshotReader], None],
) -> None:
    place, _ = build(sources)
    (place / path).write_bytes(spoil((place / path).read_bytes()))
    with pytest.raises(error):
        use(reopen(place))


@pytest.mark.parametrize("path", [RECORD, ADVISORIES, INDEX, PAGES, INDEX_PAGES])
def test_missing_member_is_named(build: Build, reopen: Reopen, sources: list[Any], path: str) -> None:
    place, _ = build(sources)
    reader = reopen(place) if path != RECORD else None
    (place / path).unlink()
    with pytest.raises((FileMissing, FileNotFoundError)):
        (reader or reopen(place)).verify_quick()


def test_other_record_than_the_expected_one_is_refused(build: Build, sources: list[Any]) -> None:
    place, _ = build(sources)
    with DirectorySource(place) as source, pytest.raises(DigestMismatch):
        SnapshotReader(source, "", digest.of_bytes(b"another"))


def test_page_changed_after_quick_verification_is_met_when_it_is_read(
    build: Build, reopen: Reopen, sources: list[Any]
) -> None:
    place, _ = build(sources)
    reader = reopen(place)
    reader.verify_quick()
    page = reader.pages[3]
    with (place / ADVISORIES).open("r+b") as file:
        file.seek(page.offset + page.stored // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    reader.page_lines(2)
    with pytest.raises(DigestMismatch):
        reader.page_lines(3)


def swap_entries(data: bytes, one: int, other: int) -> bytes:
    parts = [data[start : start + PAGE_ENTRY.size] for start in range(0, len(data), PAGE_ENTRY.size)]
    parts[one], parts[other] = parts[other], parts[one]
    return b"".join(parts)


def test_swapped_pages_are_refused_even_when_resealed(
    build: Build, reopen: Reopen, reseal: Reseal, sources: list[Any]
) -> None:
    place, _ = build(sources)
    reseal(place, {PAGES: swap_entries((place / PAGES).read_bytes(), 1, 2)})
    with pytest.raises(MalformedDocument):
        reopen(place).verify_quick()


def repack(data: bytes, number: int, **fields: Any) -> bytes:
    """Return a page directory with fields of one entry replaced."""
    names = ["first", "count", "offset", "stored", "content", "digest", "root"]
    values = dict(zip(names, PAGE_ENTRY.unpack_from(data, number * PAGE_ENTRY.size), strict=True)) | fields
    start = number * PAGE_ENTRY.size
    return data[:start] + PAGE_ENTRY.pack(*values.values()) + data[start + PAGE_ENTRY.size :]


def test_entry_that_claims_another_content_length_is_refused(
    build: Build, reopen: Reopen, reseal: Reseal, sources: list[Any]
) -> None:
    place, info = build(sources)
    directory = PageDirectory((place / PAGES).read_bytes(), info)
    data = repack((place / PAGES).read_bytes(), 0, content=directory[0].content + 5)
    data = repack(data, 1, content=directory[1].content - 5)
    reseal(place, {PAGES: data})
    with pytest.raises(MalformedFrame):
        reopen(place).page_lines(0)


def test_entry_that_claims_another_number_of_lines_is_refused(
    build: Build, reopen: Reopen, reseal: Reseal, sources: list[Any]
) -> None:
    place, info = build(sources)
    directory = PageDirectory((place / PAGES).read_bytes(), info)
    data = repack((place / PAGES).read_bytes(), 0, count=directory[0].count + 1)
    data = repack(data, 1, first=directory[1].first + 1, count=directory[1].count - 1)
    reseal(place, {PAGES: data})
    with pytest.raises(MalformedDocument):
        reopen(place).page_lines(0)
    with pytest.raises(MalformedDocument):
        reopen(place).verify_deep(None)


def test_page_without_its_line_end_is_refused(forge: Callable[..., Path], reopen: Reopen, reseal: Reseal) -> None:
    import hashlib

    place = forge([[b'{"id":"T-1"}']], [[b"Go\ta\t0"]])
    frame = FrameCodec().compress(b'{"id":"T-1"}x')
    data = repack((place / PAGES).read_bytes(), 0, stored=len(frame), digest=hashlib.sha256(frame).digest())
    reseal(place, {PAGES: data, ADVISORIES: frame})
    with pytest.raises(MalformedDocument):
        reopen(place).page_lines(0)


def test_ordinal_beyond_the_feed_is_refused(forge: Callable[..., Path], reopen: Reopen) -> None:
    reader = reopen(forge([[b"{}"]], [[b"Go\ta\t1"]]))
    with pytest.raises(MalformedDocument):
        reader.lookup("Go", "a")


def test_pages_of_another_dictionary_are_refused(
    build: Build, reopen: Reopen, reseal: Reseal, sources: list[Any]
) -> None:
    import zstandard

    samples: list[Any] = [raw for _, raw in sources]
    place, _ = build(sources)
    reseal(place, {DICTIONARY: zstandard.train_dictionary(4096, samples).as_bytes()})
    with pytest.raises(MalformedFrame):
        reopen(place).page_lines(0)


@pytest.mark.parametrize("dictionary", [b"", b"no dictionary", b"\x37\xa4\x30\xec\x01\x00\x00\x00" + b"\xff" * 500])
def test_dictionary_that_is_none_is_refused(
    build: Build, reopen: Reopen, reseal: Reseal, sources: list[Any], dictionary: bytes
) -> None:
    place, _ = build(sources)
    reseal(place, {DICTIONARY: dictionary})
    with pytest.raises(MalformedFrame):
        reopen(place).page_lines(0)


def test_dictionary_beyond_its_limit_is_refused(
    build: Build, reopen: Reopen, reseal: Reseal, sources: list[Any]
) -> None:
    place, _ = build(sources)
    reseal(place, {DICTIONARY: bytes(3 << 20)})
    with pytest.raises(LimitExceeded):
        reopen(place).page_lines(0)


@pytest.mark.parametrize(
    "lines", [b"", b"{}\n", b"x\n", b'{"odd":null}\n', b'{"refused":{"reason":"nonsense"}}\n', b"\xff\n"]
)
def test_irregular_member_that_does_not_fit_its_counts_is_refused(
    build: Build, reopen: Reopen, reseal: Reseal, lines: bytes
) -> None:
    place, _ = build([])
    reseal(place, {IRREGULAR: lines}, refused_count=20_000)
    with pytest.raises(MalformedDocument):
        reopen(place).irregular()
