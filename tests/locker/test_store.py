"""Making and opening a locker."""

from pathlib import Path

import pytest

from kit.errors import (
    AlreadyAccepted,
    OtherRootPinned,
    RootNotExpected,
    TrustRootRefused,
    UnsuitableFileSystem,
    UnsupportedVersion,
    UsageError,
)
from locker import files, store
from locker.store import open_locker


def entropy(size: int) -> bytes:
    return bytes(size - 1) + b"\x07"


def test_a_locker_has_its_directories_and_its_pinned_root(world, tmp_path: Path) -> None:
    with world.make_locker(tmp_path / "locker") as made:
        assert made.site.pinned_root == world.root
    found = {path.name for path in (tmp_path / "locker").iterdir()}
    assert found == {"cas", "locker.db", "quarantine", "site", "tmp"}
    assert (tmp_path / "locker").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "locker/site/site.key.pem").stat().st_mode & 0o777 == 0o600
    with open_locker(tmp_path / "locker") as opened:
        assert opened.site.pinned_root == world.root


def test_an_existing_locker_is_not_made_again(world, tmp_path: Path) -> None:
    world.make_locker(tmp_path / "locker").close()
    with pytest.raises(AlreadyAccepted):
        world.make_locker(tmp_path / "locker")


def test_an_existing_locker_keeps_its_root(world, present_world, tmp_path: Path) -> None:
    world.make_locker(tmp_path / "locker").close()
    with pytest.raises(OtherRootPinned):
        present_world.make_locker(tmp_path / "locker")


def test_another_root_than_the_expected_one_is_refused(world, tmp_path: Path) -> None:
    with pytest.raises(RootNotExpected):
        store.init(tmp_path / "locker", world.root, "SHA256:" + "0" * 64, now=world.now, entropy=entropy)
    with pytest.raises(UsageError):
        open_locker(tmp_path / "locker")
    world.make_locker(tmp_path / "locker").close()


@pytest.mark.parametrize("name", ["notes.txt", "tmp/theirs", "site/theirs", "cas/theirs"])
def test_a_directory_with_anything_in_it_is_left_alone(world, tmp_path: Path, name: str) -> None:
    theirs = tmp_path / "locker" / name
    theirs.parent.mkdir(parents=True, exist_ok=True)
    theirs.write_bytes(b"theirs")
    with pytest.raises(UsageError):
        world.make_locker(tmp_path / "locker")
    assert theirs.read_bytes() == b"theirs"


def test_the_root_directory_of_a_fresh_disk_will_do(world, tmp_path: Path) -> None:
    (tmp_path / "locker/lost+found").mkdir(parents=True)
    world.make_locker(tmp_path / "locker").close()


@pytest.mark.parametrize(
    ("number", "name"),
    [(0x6969, "nfs"), (0xFF534D42, "cifs"), (0xFE534D42, "smb"), (0x517B, "smb"), (0x01021997, "9p")],
)
def test_a_network_file_system_is_refused(
    world, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, name: str
) -> None:
    monkeypatch.setattr(files, "file_system_type", lambda _: number)
    with pytest.raises(UnsuitableFileSystem) as refusal:
        world.make_locker(tmp_path / "locker")
    assert refusal.value.details == {"found": name}
    assert list((tmp_path / "locker").iterdir()) == []


@pytest.mark.parametrize(("place", "number"), [("/proc", 0x9FA0), ("/sys", 0x62656572)])
def test_the_kernel_is_asked_for_the_file_system(place: str, number: int) -> None:
    assert files.file_system_type(Path(place)) == number


def test_a_missing_place_has_no_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        files.file_system_type(tmp_path / "nowhere")


def test_a_directory_that_is_no_locker_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        open_locker(tmp_path)


def test_a_swapped_root_is_noticed(world, present_world, tmp_path: Path) -> None:
    world.make_locker(tmp_path / "locker").close()
    (tmp_path / "locker/site/pinned.root.json").write_bytes(present_world.root)
    with pytest.raises(TrustRootRefused):
        open_locker(tmp_path / "locker")


def test_a_locker_of_a_later_program_is_refused(world, tmp_path: Path) -> None:
    with world.make_locker(tmp_path / "locker") as made, made.rows.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnsupportedVersion):
        open_locker(tmp_path / "locker")


def test_writers_sweep_what_killed_ones_left(world, tmp_path: Path) -> None:
    with world.make_locker(tmp_path / "locker") as made:
        (made.path / "cas/tmp/dead#1").write_bytes(b"half")
        (made.work / "dead").write_bytes(b"half")
        (made.quarantine / ".new-dead").mkdir()
        (made.quarantine / ".new-dead/file").write_bytes(b"half")
        with made.writing():
            left = [*(made.path / "cas/tmp").iterdir(), *made.work.iterdir(), *made.quarantine.iterdir()]
    assert left == []
