"""What surrounds the program has no say in its outputs, and what it writes stays where it was told to write."""

from pathlib import Path

from kit.result import VERIFIED
from tests.attacks import forge
from tests.world import World

ODD = {
    "PYTHONOPTIMIZE": "2",
    "PYTHONHASHSEED": "4711",
    "LC_ALL": "tr_TR.UTF-8",
    "TZ": "Pacific/Kiritimati",
    "LANG": "ja_JP.SJIS",
    "COLUMNS": "20",
    "STELLA_DEBUG": "1",
}


def every_file(place: Path) -> dict[str, str]:
    return {str(path.relative_to(place)): forge.digest_of(path) for path in place.rglob("*") if path.is_file()}


def test_surroundings_change_no_output_and_nothing_is_written_outside(world: World, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "medium" / "kit")
    site = world.new_site(tmp_path / "home" / "site")
    before = every_file(tmp_path / "medium")
    places = ("--site", site.path, "--ops", tmp_path / "home" / "ops", "--at", "2026-06-01T12:00:00Z")
    done = forge.stella("replay", kit / forge.SCAN / "manifest.json", *places, cwd=tmp_path / "medium", env=ODD)
    assert done.code == 0, done.err[-300:]
    assert VERIFIED in done.err.splitlines()[-1]
    assert every_file(tmp_path / "medium") == before
    assert sorted(path.name for path in (tmp_path / "home").iterdir()) == ["ops", "site"]
    assert not list(tmp_path.rglob("*.part"))
