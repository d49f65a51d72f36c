"""The feed store: the same inputs give the same snapshot, a crash leaves nothing that counts, the pointer follows."""

import fcntl
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builder import feeds
from kit.bytes import digest
from kit.errors import FileMissing, LockerConflict, UsageError
from kit.snapshot.records import RECORD
from scanner.match import MATCH_CONTRACT

ROOT = Path(__file__).parents[2]
TIME = "2026-02-03T04:05:06Z"


def osv(identity: str, name: str, **more: object) -> bytes:
    package = {"ecosystem": "PyPI", "name": name}
    return json.dumps({"id": identity, "modified": TIME, "affected": [{"package": package}]} | more).encode()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a directory of three records and one that is refused."""
    place = tmp_path / "advisories"
    place.mkdir()
    for identity, name in (("T-1", "Alpha"), ("T-2", "beta"), ("T-3", "beta")):
        (place / f"{identity}.json").write_bytes(osv(identity, name))
    (place / "broken.json").write_bytes(b"{")
    return place


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "feeds"


def places(store: Path, name: str = "demo") -> list[str]:
    return sorted(entry.name for entry in (store / name).iterdir())


def test_snapshot_lies_under_its_digest_and_is_the_current_one(store: Path, source: Path) -> None:
    added = feeds.add(store, "demo", source, snapshot_time=TIME)
    found, _ = digest.of_file(added.directory / RECORD)
    assert added.digest == found
    assert added.directory == store / "demo" / digest.hex_of(found)[:16]
    assert added.created
    assert (added.info.advisories, added.info.packages, added.info.refused_count) == (3, 2, 1)
    assert (added.info.source, added.info.source_digest) == ("advisories", None)
    assert added.info.match_contract == MATCH_CONTRACT
    assert feeds.current_snapshot(store, "demo") == added.directory
    assert places(store) == sorted(["current", added.directory.name])


def test_adding_again_changes_nothing(store: Path, source: Path) -> None:
    first = feeds.add(store, "demo", source, snapshot_time=TIME)
    before = {path: path.stat().st_mtime_ns for path in first.directory.iterdir()}
    second = feeds.add(store, "demo", source, snapshot_time=TIME)
    assert (second.digest, second.created) == (first.digest, False)
    assert {path: path.stat().st_mtime_ns for path in first.directory.iterdir()} == before
    assert len(places(store)) == 2


def test_zip_and_directory_of_the_same_records_have_the_same_content(store: Path, source: Path, tmp_path: Path) -> None:
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(source.iterdir(), reverse=True):
            out.write(path, path.name)
    one = feeds.add(store, "demo", source, snapshot_time=TIME)
    two = feeds.add(store, "demo", archive, snapshot_time=TIME)
    assert one.info.content_root == two.info.content_root
    assert one.digest != two.digest
    assert two.info.source_digest == digest.of_file(archive)[0]
    assert feeds.current_snapshot(store, "demo") == two.directory
    assert feeds.add(store, "demo", source, snapshot_time=TIME).created is False
    assert feeds.current_snapshot(store, "demo") == one.directory


def test_time_of_the_records_is_the_default(store: Path, source: Path) -> None:
    first = feeds.add(store, "demo", source)
    assert (first.info.snapshot_time, first.time_from_records) == (TIME, True)
    for path in source.iterdir():
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert feeds.add(store, "demo", source, now=TIME).digest == first.digest
    assert not feeds.add(store, "demo", source, snapshot_time=TIME).time_from_records


def test_origin_is_recorded_instead_of_the_file_name(store: Path, source: Path) -> None:
    added = feeds.add(store, "demo", source, snapshot_time=TIME, origin="mirror of the example feed")
    assert added.info.source == "mirror of the example feed"
    assert str(source) not in (added.directory / RECORD).read_text()


@pytest.mark.parametrize(
    ("name", "time"),
    [("Demo", TIME), ("../demo", TIME), ("", TIME), ("demo", "yesterday"), ("demo", "2026-02-30T00:00:00Z")],
)
def test_bad_name_or_time_is_a_usage_error(store: Path, source: Path, name: str, time: str) -> None:
    with pytest.raises(UsageError):
        feeds.add(store, name, source, snapshot_time=time)
    assert not store.exists()


def test_source_without_an_advisory_makes_no_snapshot(store: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "x.json").write_bytes(b"[]")
    with pytest.raises(UsageError):
        feeds.add(store, "demo", tmp_path / "empty", snapshot_time=TIME)
    assert places(store) == []
    assert feeds.list_feeds(store) == []


def test_what_a_crash_left_is_removed_by_the_next_run(store: Path, source: Path) -> None:
    left = store / "demo" / ".building" / "snapshot"
    left.mkdir(parents=True)
    (left / "advisories.ndjson.zst").write_bytes(b"half")
    added = feeds.add(store, "demo", source, snapshot_time=TIME)
    assert places(store) == sorted(["current", added.directory.name])


@pytest.mark.parametrize("moment", ["write", "rename", "point"])
def test_killed_run_leaves_the_current_snapshot_or_none(store: Path, source: Path, moment: str) -> None:
    first = feeds.add(store, "demo", source, snapshot_time=TIME)
    script = f"""
import os, sys
from pathlib import Path
from builder import feeds, files
def die(*_, **__): os._exit(9)
moment = {moment!r}
if moment == "write": feeds.write_snapshot = lambda target, *_, **__: ((target / "pages.bin").write_bytes(b"x"), die())
if moment == "rename": files.sync_tree = die
if moment == "point": files.write_atomic = die
feeds.add(Path(sys.argv[1]), "demo", Path(sys.argv[2]), snapshot_time="2026-02-04T00:00:00Z")
"""
    command = [sys.executable, "-c", script, str(store), str(source)]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 9
    assert feeds.current_snapshot(store, "demo") == first.directory
    for place in (store / "demo").glob("[0-9a-f]*[0-9a-f]"):
        if place.is_dir():
            assert feeds.show(store, "demo", place.name, deep=True).deep
    again = feeds.add(store, "demo", source, snapshot_time="2026-02-04T00:00:00Z")
    assert again.created is (moment != "point")
    assert feeds.current_snapshot(store, "demo") == again.directory
    assert not (store / "demo" / ".building").exists()


def test_two_runs_at_once_on_one_feed_are_refused(store: Path, source: Path) -> None:
    (store / "demo").mkdir(parents=True)
    descriptor = os.open(store / "demo", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(UsageError):
            feeds.add(store, "demo", source, snapshot_time=TIME)
    finally:
        os.close(descriptor)


def test_other_snapshot_under_the_same_name_is_never_replaced(store: Path, source: Path) -> None:
    added = feeds.add(store, "demo", source, snapshot_time=TIME)
    (added.directory / RECORD).write_bytes(b"{}")
    with pytest.raises(LockerConflict):
        feeds.add(store, "demo", source, snapshot_time=TIME)


def test_snapshot_is_found_by_digest_and_by_its_first_digits(store: Path, source: Path) -> None:
    one = feeds.add(store, "demo", source, snapshot_time=TIME)
    two = feeds.add(store, "demo", source, snapshot_time="2026-02-04T00:00:00Z")
    for text in (one.digest, digest.hex_of(one.digest), one.directory.name, one.directory.name[:6]):
        assert feeds.snapshot_directory(store, "demo", text) == one.directory
    assert feeds.snapshot_directory(store, "demo", None) == two.directory
    for text in ("", "sha256:", "zz", "../..", one.directory.name[:-1] + "g"):
        with pytest.raises(UsageError):
            feeds.snapshot_directory(store, "demo", text)


@pytest.mark.parametrize("name", ["absent", "../feeds", "De mo"])
def test_unknown_feed_is_a_usage_error(store: Path, source: Path, name: str) -> None:
    feeds.add(store, "demo", source, snapshot_time=TIME)
    with pytest.raises(UsageError):
        feeds.current_snapshot(store, name)


@pytest.mark.parametrize("pointer", ["0123456789abcdef\n", "../../x\n", "\n"])
def test_pointer_to_nothing_is_named(store: Path, source: Path, pointer: str) -> None:
    feeds.add(store, "demo", source, snapshot_time=TIME)
    (store / "demo" / "current").write_text(pointer)
    with pytest.raises(FileMissing):
        feeds.current_snapshot(store, "demo")


def test_list_shows_every_feed_with_its_current_snapshot(store: Path, source: Path) -> None:
    for name in ("zulu", "alpha"):
        feeds.add(store, name, source, snapshot_time=TIME)
    added = feeds.add(store, "zulu", source, snapshot_time="2026-02-04T00:00:00Z")
    alpha, zulu = feeds.list_feeds(store)
    assert (alpha.name, alpha.snapshots, alpha.refused) == ("alpha", 1, 1)
    assert (zulu.name, zulu.snapshots, zulu.snapshot) == ("zulu", 2, added.digest)


def test_dictionary_of_another_snapshot_is_used_or_its_absence_named(store: Path, source: Path) -> None:
    small = feeds.add(store, "demo", source, snapshot_time=TIME)
    with pytest.raises(UsageError):
        feeds.add(store, "demo", source, snapshot_time=TIME, dictionary_from=small.directory)
    with pytest.raises(UsageError, match="--dictionary-from"):
        feeds.add(store, "demo", source, snapshot_time=TIME, dictionary_from=source)
