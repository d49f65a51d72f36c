"""Paths that an operator, or what lies on the disk, gets wrong: a reason code, never an internal error."""

from pathlib import Path

import pytest

from tests.attacks import forge
from tests.world import SCAN_ID, World


@pytest.mark.parametrize(
    ("name", "kind"),
    [("state.json", "gone"), ("state.json", "directory"), ("site.key.pem", "gone"), ("pinned.root.json", "directory")],
)
def test_damaged_site_is_no_internal_error(world: World, tmp_path: Path, name: str, kind: str) -> None:
    site = world.new_site(tmp_path / "site")
    (site.path / name).unlink()
    if kind == "directory":
        (site.path / name).mkdir()
    done = forge.stella("offline", "status", "--site", site.path, cwd=tmp_path)
    assert done.code not in (0, 1), done.err


TYPOS: dict[str, tuple[str, ...]] = {
    "look at nothing": ("look", "nowhere"),
    "look at a file": ("look", "file"),
    "runs below a file": ("verify", "kit/replay/x/manifest.json", "--ops", "file", "--site", "site"),
    "site is a file": ("offline", "status", "--site", "file"),
    "export into nowhere": ("sync", "export", "--out", "nowhere/out", "--ops", "ops", "--site", "site"),
    "path without end": ("verify", "a/" * 2500 + "manifest.json", "--ops", "ops", "--site", "site"),
}


@pytest.mark.parametrize("typo", TYPOS)
def test_mistaken_path_is_no_internal_error(world: World, tmp_path: Path, typo: str) -> None:
    world.new_site(tmp_path / "site")
    (tmp_path / "ops" / "replay" / "unknown" / "run").mkdir(parents=True)
    (tmp_path / "file").write_bytes(b"")
    done = forge.stella(*TYPOS[typo], cwd=tmp_path)
    assert done.code not in (0, 1), done.err


@pytest.mark.parametrize("manifest", [f"../{SCAN_ID}/manifest.json", "../manifest.json", "manifest.json"])
def test_relative_path_names_the_same_kit_however_it_is_written(world: World, tmp_path: Path, manifest: str) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    site = world.new_site(tmp_path / "home" / "site")
    places = ("--site", site.path, "--ops", tmp_path / "home" / "ops", "--at", "2026-06-01T12:00:00Z")
    cwd = kit / forge.SCAN / ("rootpack" if manifest == "../manifest.json" else "")
    words = ("replay", kit / forge.SCAN / "manifest.json", "--what-if", "--vary=feeds", "--with", manifest)
    done = forge.stella(*words, *places, cwd=cwd)
    assert done.code == 0, done.err[-300:]
