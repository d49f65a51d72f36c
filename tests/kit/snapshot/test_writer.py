"""What the writer makes of records: the same bytes whatever their order, every record accounted for."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from shutil import which
from typing import Any

import pytest

from kit.bytes import digest
from kit.errors import LimitExceeded, MalformedDocument, MalformedFrame
from kit.snapshot import SnapshotInfo, SnapshotReader
from kit.snapshot.records import ADVISORIES, DICTIONARY, INDEX, IRREGULAR, MAX_LISTED, MAX_PAGE, RECORD, Refused
from kit.snapshot.writer import About

Build = Callable[..., tuple[Path, SnapshotInfo]]
Reopen = Callable[[Path], SnapshotReader]

needs_zstd = pytest.mark.skipif(which("zstd") is None, reason="the zstd program is not installed")


def contents(place: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in place.iterdir()}


def lines(reader: SnapshotReader) -> list[bytes]:
    return [line for number in range(len(reader.pages)) for line in reader.page_lines(number)]


def test_order_of_the_source_changes_no_byte(build: Build, sources: list[Any]) -> None:
    irregular = [("a.json", b"{}"), ("b.json", b"{}"), ("copy.json", sources[0][1]), ("other.json", sources[5][1])]
    given = [*sources, *irregular, Refused(reason="file-type", file="README")]
    expected = contents(build(given)[0])
    for seed in range(3):
        shuffled = random.Random(seed).sample(given, len(given))
        assert contents(build(shuffled)[0]) == expected


def test_lines_are_sorted_by_first_package_then_id(build: Build, reopen: Reopen, make_record: Any) -> None:
    source = [
        (None, make_record("T-9", ("npm", "a"))),
        (None, make_record("T-1", ("npm", "b"), ("Go", "z"))),
        (None, make_record("T-2", ("Go", "b"))),
        (None, make_record("T-3", ("Debian:12", "b"))),
        (None, make_record("T-4", ("Debian", "c"))),
        (None, make_record("T-5")),
        (None, make_record("T-10", ("npm", "a"))),
        (None, make_record("T-6", ("npm", "a-a"))),
        (None, make_record("T-7", ("Go", "\t"), ("Go", "a"))),
    ]
    reader = reopen(build(source)[0])
    identities = [line.partition(b'"id":"')[2].partition(b'"')[0].decode() for line in lines(reader)]
    assert identities == ["T-5", "T-4", "T-3", "T-7", "T-2", "T-10", "T-9", "T-6", "T-1"]
    assert [line.decode() for line in reader.index_lines()] == [
        "Debian\tc\t1",
        "Debian:12\tb\t2",
        "Go\ta\t3",
        "Go\tb\t4",
        "Go\tz\t8",
        "npm\ta\t5,6",
        "npm\ta-a\t7",
        "npm\tb\t8",
    ]


def test_counts_are_those_of_the_records(build: Build, make_record: Any) -> None:
    source = [
        ("T-1.json", make_record("T-1", ("Go", "a"), ("Go", "b"), ("npm", "a"))),
        ("T-2.json", make_record("T-2", ("Go", "a"), withdrawn="2026-01-01T00:00:00Z")),
        ("T-3.json", make_record("T-3")),
        ("T-4.json", b"[]"),
    ]
    _, info = build(source)
    assert (info.advisories, info.withdrawn, info.packages) == (3, 1, 3)
    assert [(item.ecosystem, item.advisories, item.packages) for item in info.ecosystems] == [
        ("Go", 2, 2),
        ("npm", 1, 1),
    ]
    assert [(item.reason, item.file) for item in info.refused] == [("not-an-object", "T-4.json")]
    assert [(item.reason, item.id, item.file) for item in info.odd] == [("no-package", "T-3", "T-3.json")]


def test_same_bytes_twice_are_kept_once_and_the_second_is_refused(build: Build, make_record: Any) -> None:
    raw = make_record("T-1", ("Go", "a"))
    _, info = build([("b.json", raw), ("T-1.json", raw), ("c.json", raw.replace(b": ", b":"))])
    assert info.advisories == 1
    assert [(item.reason, item.id, item.file) for item in info.refused] == [
        ("repeated", "T-1", "b.json"),
        ("repeated", "T-1", "c.json"),
    ]
    assert info.odd_count == 0


def test_same_id_with_other_bytes_is_kept_and_called_odd(build: Build, reopen: Reopen, make_record: Any) -> None:
    source = [
        ("x/T-1.json", make_record("T-1", ("Go", "a"))),
        ("y/T-1.json", make_record("T-1", ("npm", "a"))),
        ("z/T-1.json", make_record("T-1", ("npm", "a"))),
    ]
    place, info = build(source)
    assert (info.advisories, info.refused_count) == (2, 1)
    leaves = [item.digest for item in info.odd]
    assert [item.reason for item in info.odd] == ["same-id", "same-id"]
    assert leaves == sorted(set(leaves))
    assert len(list(reopen(place).records([("Go", "a"), ("npm", "a")]))) == 2


def test_refusals_of_the_source_reader_are_listed(build: Build) -> None:
    _, info = build(
        [Refused(reason="too-large", file="big.json", detail="9 bytes"), Refused(reason="file-type", file="x")]
    )
    assert [(item.reason, item.file, item.detail) for item in info.refused] == [
        ("file-type", "x", None),
        ("too-large", "big.json", "9 bytes"),
    ]


def test_long_list_of_irregular_records_becomes_a_member(build: Build, reopen: Reopen, make_record: Any) -> None:
    source = [(f"{number}.json", b"[]") for number in range(MAX_LISTED)]
    place, info = build(source)
    assert info.member(IRREGULAR) is None
    assert len(info.refused) == MAX_LISTED
    place, info = build([*source, ("T-1.json", make_record("T-1"))])
    assert (info.refused, info.odd, info.refused_count, info.odd_count) == ((), (), MAX_LISTED, 1)
    refused, odd = reopen(place).irregular()
    assert len(refused) == MAX_LISTED
    assert [item.id for item in odd] == ["T-1"]
    reopen(place).verify_quick()


def test_empty_snapshot_is_sound(build: Build, reopen: Reopen, normalise: Any) -> None:
    place, info = build([])
    reader = reopen(place)
    reader.verify_quick()
    assert reader.verify_deep(normalise).advisories == info.advisories == info.pages == info.index_pages == 0
    assert reader.lookup("Go", "a") == ()
    assert list(reader.records([("Go", "a")])) == []
    assert list(reader.index_lines()) == []


def test_record_of_the_largest_size_has_a_page_of_its_own(build: Build, reopen: Reopen, make_record: Any) -> None:
    def compact(identity: str, size: int) -> bytes:
        return bytes(make_record(identity, ("Go", "a"), size=size).replace(b": ", b":").replace(b", ", b","))

    largest = MAX_PAGE - 1 - len(compact("T-2", 0))
    source = [(None, compact("T-1", 0)), (None, compact("T-2", largest)), (None, compact("T-3", 0))]
    place, info = build(source)
    assert info.advisories == 3
    reader = reopen(place)
    assert [reader.pages[number].count for number in range(info.pages)] == [1, 1, 1]
    assert reader.pages[1].content == MAX_PAGE
    assert reader.verify_deep(lambda _, name: name).pages == 3
    assert build([(None, compact("T-2", largest + 1))])[1].refused_count == 1


def test_index_entry_beyond_a_page_is_refused(build: Build, make_record: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.bytes.frames.MAX_CONTENT", MAX_PAGE)
    source = [(None, make_record(f"T-{number}", ("Go", "a"))) for number in range(50)]
    monkeypatch.setattr("kit.snapshot.writer.index_lines", lambda index: [b"Go\ta\t" + b"1," * MAX_PAGE])
    with pytest.raises(LimitExceeded):
        build(source)


@pytest.mark.parametrize(
    "about",
    [
        About(name="Not allowed", source="s", snapshot_time="2026-01-02T03:04:05Z"),
        About(name="demo", source="s", snapshot_time="yesterday"),
    ],
)
def test_bad_name_or_time_is_refused(build: Build, about: About) -> None:
    with pytest.raises(MalformedDocument):
        build([], about=about)


def test_large_content_has_a_dictionary_that_pays(
    build: Build, reopen: Reopen, normalise: Any, large: tuple[Path, SnapshotInfo], large_sources: list[Any]
) -> None:
    place, info = large
    dictionary = info.member(DICTIONARY)
    assert dictionary is not None
    assert dictionary.size == 112 << 10
    reader = reopen(place)
    reader.verify_quick()
    assert reader.verify_deep(normalise).advisories == len(large_sources)
    shuffled = random.Random(1).sample(large_sources, len(large_sources))
    assert contents(build(shuffled)[0]) == contents(place)


def test_given_dictionary_is_used_where_the_content_is_large(
    build: Build, large: tuple[Path, SnapshotInfo], large_sources: list[Any], sources: list[Any]
) -> None:
    dictionary = (large[0] / DICTIONARY).read_bytes()
    assert build(large_sources[1:], given_dictionary=dictionary)[1].member(DICTIONARY) == large[1].member(DICTIONARY)
    assert build(sources, given_dictionary=dictionary)[1].member(DICTIONARY) is None


@needs_zstd
def test_auditor_reads_pages_with_the_zstd_program_and_the_dictionary(
    reopen: Reopen, large: tuple[Path, SnapshotInfo]
) -> None:
    place, _ = large
    command = ["zstd", "-dc", "-D", str(place / DICTIONARY), str(place / ADVISORIES)]
    assert subprocess.run(command, capture_output=True, check=True).stdout == b"".join(
        line + b"\n" for line in lines(reopen(place))
    )
    without = subprocess.run(["zstd", "-dc", str(place / ADVISORIES)], capture_output=True, check=False)
    assert without.returncode != 0


@needs_zstd
def test_auditor_reads_small_snapshots_and_every_index_without_one(
    reopen: Reopen, sound: tuple[Path, SnapshotInfo]
) -> None:
    place, _ = sound
    for path, expected in (
        (ADVISORIES, lines(reopen(place))),
        (INDEX, list(reopen(place).index_lines())),
    ):
        shown = subprocess.run(["zstd", "-dc", str(place / path)], capture_output=True, check=True).stdout
        assert shown == b"".join(line + b"\n" for line in expected)


@pytest.mark.parametrize(
    ("dictionary", "error"),
    [
        (b"not a dictionary", MalformedFrame),
        (b"\x37\xa4\x30\xec" + bytes(200), MalformedFrame),
        (b"\x37\xa4\x30\xec\x01\x00\x00\x00" + b"\xff" * 500, MalformedFrame),
        (b"\x37\xa4\x30\xec" + bytes(3 << 20), LimitExceeded),
    ],
)
def test_bad_dictionary_is_refused(build: Build, dictionary: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        build([], given_dictionary=dictionary)


def test_identity_is_the_digest_of_the_record(build: Build, reopen: Reopen, sources: list[Any]) -> None:
    place, info = build(sources)
    reader = reopen(place)
    assert reader.snapshot_digest == digest.of_bytes((place / RECORD).read_bytes())
    assert reader.info == info
    assert reader.name == "demo"
