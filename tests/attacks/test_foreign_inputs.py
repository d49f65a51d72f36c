"""What a third party makes and an honest site takes: snapshots of feeds, kits with links."""

from pathlib import Path

import pytest

from builder import feeds, requests, signer
from builder.record import record
from kit import layout
from kit.bundle import BundleReader
from kit.errors import FileMissing, MalformedDocument
from kit.manifest import parse
from kit.result import REFUSED
from tests import world as worlds
from tests.attacks import forge
from tests.world import INPUTS, SCAN_ID, World


def copied_snapshot(world: World, place: Path) -> Path:
    place.mkdir()
    for path in world.feed.iterdir():
        (place / path.name).write_bytes(path.read_bytes())
    return place


def test_nothing_but_the_snapshot_travels_with_a_snapshot(world: World, tmp_path: Path) -> None:
    key = world.keys / "kit-1.key.pem"
    snapshot = copied_snapshot(world, tmp_path / "foreign")
    (snapshot / "readme").symlink_to(key)
    (snapshot / "notes.txt").write_text("not the snapshot's")
    directory, manifest = record(worlds.scan_request(snapshot), [signer.load(key)], tmp_path / "records")
    with BundleReader(directory / layout.INPUT_BUNDLE, manifest.bundles.input) as reader:
        names = [path.rpartition("/")[2] for path in reader.names() if path.startswith("feeds/")]
    assert sorted(names) == sorted(path.name for path in world.feed.iterdir())
    assert parse((directory / layout.MANIFEST_FILE).read_bytes()) == manifest


def test_member_of_a_snapshot_that_is_a_link_is_refused(world: World, tmp_path: Path) -> None:
    snapshot = copied_snapshot(world, tmp_path / "foreign")
    moved = (snapshot / "pages.bin").rename(tmp_path / "pages.bin")
    (snapshot / "pages.bin").symlink_to(moved)
    with pytest.raises(FileMissing):
        record(worlds.scan_request(snapshot), [signer.load(world.keys / "kit-1.key.pem")], tmp_path / "records")


def test_foreign_snapshot_whose_index_hides_advisories_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genuine = feeds.normalise
    monkeypatch.setattr(feeds, "normalise", lambda ecosystem, name: genuine(ecosystem, name) + "~")
    made = feeds.add(tmp_path, worlds.FEED, INPUTS / "advisories", snapshot_time="2026-05-29T00:00:00Z").directory
    monkeypatch.undo()
    with pytest.raises(MalformedDocument):
        requests.feed_directories(tmp_path, [f"{worlds.FEED}={made}"])


def test_foreign_member_beside_a_snapshot_in_a_signed_bundle_is_refused(world: World, tmp_path: Path) -> None:
    prefix = layout.feed_prefix(worlds.FEED)
    kit = forge.hostile_kit(world, tmp_path / "kit", members={f"{prefix}more.bin": b"x"})
    done = forge.replay_under_caps(world, kit, tmp_path / "home")
    assert done.code == 32
    assert "FileUndeclared" in done.out


@pytest.mark.parametrize("linked", [layout.SCANS_DIRECTORY, f"{layout.SCANS_DIRECTORY}/{SCAN_ID}"])
@pytest.mark.parametrize("named", ["manifest", "kit"])
def test_link_inside_a_kit_leads_to_no_other_kit(world: World, tmp_path: Path, linked: str, named: str) -> None:
    genuine = world.copy_kit(tmp_path / "genuine")
    kit = tmp_path / "kit"
    (kit / linked).parent.mkdir(parents=True)
    for name in (layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE):
        (kit / name).write_text("junk that nobody signed")
    (kit / linked).symlink_to(genuine / linked)
    place = kit / forge.SCAN / layout.MANIFEST_FILE if named == "manifest" else kit
    site = world.new_site(tmp_path / "site")
    places = ("--site", site.path, "--ops", tmp_path / "ops", "--at", worlds.stamp(worlds.NOW))
    done = forge.stella("replay", place, "--strict", *places, cwd=tmp_path)
    assert done.code == 32
    assert REFUSED in done.out


def test_links_in_a_circle_are_a_mistake_of_the_caller(world: World, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    site = world.new_site(tmp_path / "site")
    kit = world.kit / forge.SCAN / layout.MANIFEST_FILE
    done = forge.stella("replay", kit, "--site", site.path, "--ops", tmp_path / "loop", cwd=tmp_path)
    assert done.code == 2
