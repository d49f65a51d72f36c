"""Reading a source: every file comes out, as bytes or with the reason against it."""

import json
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder import feed_sources
from kit.errors import LimitExceeded, MalformedDocument, UsageError
from kit.snapshot.intake import MAX_RECORD
from kit.snapshot.records import Refused


def read(path: Path) -> dict[str | None, bytes | str]:
    """Return what comes out of a source by name: bytes, or the reason of the refusal."""
    found: dict[str | None, bytes | str] = {}
    for item in feed_sources.open_source(path).records():
        if isinstance(item, Refused):
            found[item.file] = item.reason
        else:
            found[item[0]] = item[1]
    return found


def make_zip(path: Path, entries: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


FILES = {"T-1.json": b"{}", "deep/er/T-2.json": b"[]", "README.md": b"text", ".hidden/T-3.json": b"{}", ".git": b""}
SEEN = {"T-1.json": b"{}", "deep/er/T-2.json": b"[]", "README.md": "file-type"}


def test_zip_gives_its_json_files_and_refuses_others(tmp_path: Path) -> None:
    assert read(make_zip(tmp_path / "all.zip", FILES)) == SEEN


def test_directory_gives_the_same_as_a_zip(tmp_path: Path) -> None:
    for name, data in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "link.json").symlink_to(tmp_path / "T-1.json")
    assert read(tmp_path) == SEEN | {"link.json": "file-type"}


@pytest.mark.parametrize("data", [b'{"a":1}\n{"b":2}\n', b'{"a":1}\r\n\n{"b":2}', b'\n{"a":1}\n{"b":2}\n\n'])
def test_lines_come_out_without_their_ends_and_without_names(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "feed.ndjson"
    path.write_bytes(data)
    assert list(feed_sources.open_source(path).records()) == [(None, b'{"a":1}'), (None, b'{"b":2}')]


def test_line_of_the_largest_size_is_read_and_a_longer_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "feed.jsonl"
    path.write_bytes(b"x" * MAX_RECORD + b"\n" + b"y" * (3 * MAX_RECORD) + b"\n{}\n" + b"z" * (MAX_RECORD + 1))
    found = list(feed_sources.open_source(path).records())
    assert found[0] == (None, b"x" * MAX_RECORD)
    assert [item.reason for item in found if isinstance(item, Refused)] == ["too-large", "too-large"]
    assert found[2] == (None, b"{}")


def test_oversized_file_is_refused_in_a_directory_and_in_a_zip(tmp_path: Path) -> None:
    data = b"x" * (MAX_RECORD + 1)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "big.json").write_bytes(data)
    assert read(tmp_path / "in") == {"big.json": "too-large"}
    assert read(make_zip(tmp_path / "all.zip", {"big.json": data})) == {"big.json": "too-large"}


def test_entry_that_holds_more_than_it_declares_is_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "all.zip", {"T-1.json": b"x" * (MAX_RECORD + 10)})
    data = bytearray(path.read_bytes())
    declared = struct.pack("<I", MAX_RECORD + 10)
    while (at := data.find(declared)) >= 0:
        data[at : at + 4] = struct.pack("<I", 100)
    path.write_bytes(data)
    with pytest.raises(MalformedDocument):
        read(path)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: b"",
        lambda data: b"PK\x03\x04",
        lambda data: data[:-30],
        lambda data: data[:40] + bytes([data[40] ^ 0xFF]) + data[41:],
    ],
)
def test_damaged_archive_is_refused_as_a_whole(tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = make_zip(tmp_path / "all.zip", {"T-1.json": bytes(range(200))})
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(MalformedDocument):
        read(path)


def test_encrypted_archive_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "all.zip", {"T-1.json": b"{}"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.find(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(MalformedDocument):
        read(path)


@pytest.mark.parametrize(("name", "limit"), [("MAX_ENTRIES", 1), ("MAX_TOTAL", 3)])
def test_archive_beyond_a_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, limit: int
) -> None:
    monkeypatch.setattr(feed_sources, name, limit)
    with pytest.raises(LimitExceeded):
        read(make_zip(tmp_path / "all.zip", {"T-1.json": b"{}", "T-2.json": b"{}"}))


def test_source_that_is_not_there_or_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        feed_sources.open_source(tmp_path / "all.zip")
    (tmp_path / "feed.tar").write_bytes(b"")
    with pytest.raises(UsageError):
        feed_sources.open_source(tmp_path / "feed.tar")


def dated(*times: object) -> bytes:
    return b"".join(json.dumps({"id": f"T-{at}", "modified": time}).encode() + b"\n" for at, time in enumerate(times))


def test_the_newest_change_is_that_of_the_records_whenever_their_files_were_written(tmp_path: Path) -> None:
    records = dated("2024-05-01T00:00:00Z", "2024-06-01T10:20:30.999999Z", "2023-01-01T00:00:00Z")
    (tmp_path / "feed").mkdir()
    for at, line in enumerate(records.splitlines()):
        (tmp_path / "feed" / f"{at}.json").write_bytes(line)
    (tmp_path / "lines.ndjson").write_bytes(records)
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for at, line in enumerate(records.splitlines()):
            archive.writestr(f"{at}.json", line)
    for name in ("feed", "lines.ndjson", "all.zip"):
        os.utime(tmp_path / name, (1, 1))
        assert feed_sources.newest_change(feed_sources.open_source(tmp_path / name)) == "2024-06-01T10:20:30Z"


@pytest.mark.parametrize(
    "time",
    ["", "now", "2024-13-01T00:00:00Z", "2024-06-01", "2024-06-01T00:00:00", "2024-06-01T00:00:00+02:00", 7, None, {}],
)
def test_what_is_no_time_says_nothing_of_the_newest_change(tmp_path: Path, time: object) -> None:
    path = tmp_path / "feed.ndjson"
    path.write_bytes(dated(time, "2020-01-01T00:00:00Z", time) + b"[]\nnothing\n\xff\n")
    assert feed_sources.newest_change(feed_sources.open_source(path)) == "2020-01-01T00:00:00Z"
    path.write_bytes(dated(time))
    with pytest.raises(UsageError, match="--time"):
        feed_sources.newest_change(feed_sources.open_source(path))


@given(st.binary(max_size=300))
def test_no_record_breaks_the_search_for_the_newest_change(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("feed") / "feed.ndjson"
    path.write_bytes(data.replace(b"\n", b" ") + b"\n" + dated("2020-01-01T00:00:00Z"))
    assert feed_sources.newest_change(feed_sources.open_source(path)) >= "2020-01-01T00:00:00Z"
