"""A run whose last line was never written counts for nothing: receipt, report and export say so alike; and where."""

import errno
from pathlib import Path

import pytest

from kit import errors
from tests.attacks import forge
from tests.world import NOW, World
from verifier.durable import make_directory, write_atomic, writing
from verifier.run_dir import stamp

AT = ("--at", stamp(NOW))


@pytest.fixture
def home(world: World, tmp_path: Path) -> Path:
    """Return a place with a run that gave its verdict, but whose journal has no last line."""
    world.new_site(tmp_path / "ops" / "site")
    forge.stella("replay", world.kit, *AT, cwd=tmp_path)
    (run,) = (tmp_path / "ops" / "offline" / "replay").glob("*/*")
    journal = run / "journal.ndjson"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    return tmp_path


@pytest.mark.parametrize("command", ["receipt", "report"])
def test_receipt_and_report_refuse_it(home: Path, command: str) -> None:
    (run,) = (home / "ops" / "offline" / "replay").glob("*/*")
    done = forge.stella(command, run, cwd=home)
    assert done.code == errors.UsageError.exit_code
    assert "this run did not end" in done.err
    assert "VERIFIED" not in done.out + done.err


def test_export_leaves_it_out(home: Path) -> None:
    done = forge.stella("sync", "export", "--out", "file", cwd=home)
    assert done.code != 0
    assert not (home / "file").exists()
    assert "Copy the medium again" not in done.err


def test_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full") as full, writing(tmp_path / "result.json"):
        raise OSError(errno.ENOSPC, "full")
    assert full.value.filename == str(tmp_path / "result.json")


def test_place_where_no_directory_can_be_made_is_not_writable(world: World, tmp_path: Path) -> None:
    world.new_site(tmp_path / "site")
    done = forge.stella("replay", world.kit, "--ops", "/proc/x", "--site", tmp_path / "site", *AT, cwd=tmp_path)
    assert done.code == errors.NotWritable.exit_code
    assert "path /proc/x" in done.err
    with pytest.raises(errors.NotWritable, match="/proc/x"):
        make_directory(Path("/proc/x/y"))
    with pytest.raises(errors.NotWritable, match=str(tmp_path / "gone")):
        write_atomic(tmp_path / "gone" / "file", b"")
