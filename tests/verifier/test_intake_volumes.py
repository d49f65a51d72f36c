"""Importing a kit that comes on volumes: all at once, one after the other, damaged, mixed, and half."""

import random
import shutil
from pathlib import Path

import pytest

from builder import split as splits
from kit import errors, layout, volume
from kit import result as results
from tests.verifier.conftest import Host
from tests.world import NOW, Replay, World
from verifier import inspect, quarantine, volumes

SIZE = 150_000


@pytest.fixture(scope="module")
def cut(world: World, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return the volumes of a kit whose program is cut in parts."""
    home = tmp_path_factory.mktemp("cut")
    program = home / "linux-x86_64"
    program.mkdir()
    (program / "stella").write_bytes(random.Random(8).randbytes(200_000))
    kit = world.build_kit(home / "kit", programs=[program])
    splits.split(kit, SIZE, home / "media", [world.kit_signer], lambda _: None)
    return sorted((home / "media").iterdir())


@pytest.fixture
def kit(cut: list[Path]) -> Path:
    return cut[0].parent.parent / "kit"


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def state_of(result: results.Result, name: str) -> str:
    return next(check.state for check in result.checks if check.name == name)


def test_all_volumes_at_once_in_any_order(host: Host, cut: list[Path], kit: Path, replay: Replay) -> None:
    taken = host.take_in(*random.Random(3).sample(cut, len(cut)))
    assert (taken.last.verdict, state_of(taken.last, "volumes")) == (results.INTACT, "passed")
    assert files(host.current) == files(kit)
    assert list(host.store.incoming.iterdir()) == []
    assert replay(host.current, site=host.site)[0].verdict == results.VERIFIED


def test_a_directory_of_volumes_is_enough(host: Host, cut: list[Path], kit: Path) -> None:
    host.take_in(cut[0].parent)
    assert files(host.current) == files(kit)


def test_one_drive_one_volume_at_a_time(host: Host, cut: list[Path], kit: Path) -> None:
    for number, place in enumerate(cut[:-1], 1):
        taken = host.take_in(place)
        assert (taken.last.reason, taken.last.exit_code, taken.quarantined) == ("VolumeMissing", 40, None)
        others = volume.numbers_text(range(number + 1, len(cut) + 1))
        assert f" {others} of {len(cut)} and run again; what is here stays." in taken.last.next_step
        assert host.site.state.accepted == ()
    again = host.take_in(cut[0])
    assert again.last.reason == "VolumeMissing"
    assert host.take_in(cut[-1]).last.verdict == results.INTACT
    assert files(host.current) == files(kit)


def test_a_damaged_volume_is_refused_and_the_others_stay(
    host: Host, cut: list[Path], kit: Path, tmp_path: Path
) -> None:
    for place in cut[:-1]:
        host.take_in(place)
    damaged = Path(shutil.copytree(cut[-1], tmp_path / "damaged"))
    piece = max((path for path in damaged.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    data = bytearray(piece.read_bytes())
    data[100] ^= 1
    piece.write_bytes(data)
    refused = host.take_in(damaged)
    assert (refused.last.reason, state_of(refused.last, "volumes")) == ("DigestMismatch", "failed")
    assert [entry.id for entry in quarantine.entries(host.store.quarantine)] == [refused.quarantined]
    assert host.take_in(cut[-1]).last.verdict == results.INTACT
    assert files(host.current) == files(kit)


def test_a_staged_piece_that_changed_is_met_and_taken_anew(host: Host, cut: list[Path], kit: Path) -> None:
    for place in cut[:-1]:
        host.take_in(place)
    program = next(host.store.incoming.rglob("stella"))
    data = bytearray(program.read_bytes())
    data[5] ^= 1
    program.write_bytes(data)
    refused = host.take_in(cut[-1])
    assert (refused.last.reason, state_of(refused.last, "files")) == ("DigestMismatch", "failed")
    assert host.take_in(*cut).last.verdict == results.INTACT
    assert files(host.current) == files(kit)


def test_a_volume_of_another_kit_is_foreign(world: World, host: Host, cut: list[Path], tmp_path: Path) -> None:
    splits.split(world.kit, SIZE, tmp_path / "other", [world.kit_signer], lambda _: None)
    taken = host.take_in(*cut, *(tmp_path / "other").iterdir())
    assert (taken.last.reason, taken.last.exit_code, taken.activation) == ("VolumeForeign", 40, None)


def test_an_unsigned_record_is_refused(host: Host, cut: list[Path], tmp_path: Path) -> None:
    media = [Path(shutil.copytree(path, tmp_path / path.name)) for path in cut]
    shutil.copyfile(media[1] / volume.VOLUME_ENVELOPE, media[0] / volume.VOLUME_ENVELOPE)
    (media[0] / layout.SUMS_FILE).write_bytes(b"")
    found = volumes.survey(media[0])
    record = volume.parse((media[0] / volume.VOLUME_FILE).read_bytes())
    parsed = volumes.kitfile.parse((media[0] / layout.KIT_FILE).read_bytes())
    (media[0] / layout.SUMS_FILE).write_bytes(volumes.sums(found, record, parsed))
    taken = host.take_in(*media)
    assert (taken.last.reason, state_of(taken.last, "volumes")) == ("DigestMismatch", "failed")
    assert host.site.state.accepted == ()


def test_volumes_are_not_activated_in_place(host: Host, cut: list[Path]) -> None:
    with pytest.raises(errors.UsageError, match="in one piece"):
        host.take_in(*cut, in_place=True)


def test_a_dry_run_of_volumes_keeps_what_it_copied(host: Host, cut: list[Path], kit: Path) -> None:
    taken = host.take_in(*cut, dry_run=True)
    assert (taken.last.verdict, taken.activation) == (results.INTACT, None)
    assert host.site.state.accepted == ()
    assert host.take_in(cut[0]).last.verdict == results.INTACT
    assert files(host.current) == files(kit)


def test_look_says_which_volume_of_how_many(host: Host, cut: list[Path]) -> None:
    document = inspect.look(cut[1], host.site, NOW, place=host.home / "site")
    claimed = document["claimed"]
    assert isinstance(claimed, dict)
    assert claimed["volume"] == f"2 of {len(cut)}"
    assert inspect.state(document) == inspect.SIGNED
    assert "stella offline import" in str(document["nextStep"])
