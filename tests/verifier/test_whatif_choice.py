"""Which input a what-if replay takes where several lie at the place of --with, and what it says it varied."""

import json
import shutil
from pathlib import Path

import pytest

from kit import errors
from kit.bytes import digest
from tests.attacks import forge
from tests.world import FEED, NOW, Replay, World
from verifier import whatif
from verifier.run import WHAT_IF, Plan
from verifier.run_dir import stamp

AT = ("--at", stamp(NOW))
NAMES = ("aaaa", "zzzz")


@pytest.fixture
def store(world: World, tmp_path: Path) -> Path:
    """Return a feed's store of two snapshots; none of them is called current yet."""
    place = tmp_path / "store"
    for name, feed in zip(NAMES, (world.later_feed, world.feed), strict=True):
        shutil.copytree(feed, place / name)
    return place


@pytest.fixture
def home(world: World, tmp_path: Path) -> Path:
    world.new_site(tmp_path / "home" / "ops" / "site")
    return tmp_path / "home"


@pytest.mark.parametrize("current", NAMES)
def test_store_of_a_feed_means_its_current_snapshot(world: World, store: Path, home: Path, current: str) -> None:
    (store / "current").write_text(f"{current}\n")
    done = forge.stella("replay", world.kit, "--what-if", "feeds", "--with", store, *AT, cwd=home)
    assert f"note: taken: {store / current}, the feed's current snapshot" in done.err
    (result,) = [json.loads(path.read_bytes()) for path in home.rglob("result.json")]
    varied = next(check["evidence"]["digests"] for check in result["checks"] if check["name"] == "replay")
    assert varied == {FEED: digest.of_bytes((store / current / "snapshot.json").read_bytes())}


def test_several_snapshots_of_one_feed_are_refused(world: World, store: Path, home: Path) -> None:
    done = forge.stella("replay", world.kit, "--what-if", "feeds", "--with", store, *AT, cwd=home)
    assert done.code == errors.UsageError.exit_code
    assert "several snapshots of one feed" in done.err
    assert not list(home.rglob("result.json"))


@pytest.mark.parametrize("named", ["gone", "", ".", "..", "../store/aaaa", "\udcff"])
def test_store_that_names_no_snapshot_of_its_own_is_refused(store: Path, named: str) -> None:
    (store / "current").write_bytes(named.encode("utf-8", "surrogateescape"))
    with pytest.raises(errors.UsageError, match="does not hold"):
        whatif.find("feeds", store)


def test_terminal_says_what_varied_from_what_to_what(world: World, home: Path) -> None:
    done = forge.stella("replay", world.kit, "--what-if", "feeds", "--with", world.later_feed, *AT, cwd=home)
    digests = [
        digest.hex_of(digest.of_bytes((at / "snapshot.json").read_bytes()))[:12]
        for at in (world.feed, world.later_feed)
    ]
    told = f"varied {FEED} 2026-05-29T00:00:00Z {digests[0]} -> 2026-05-31T00:00:00Z {digests[1]}"
    assert told in " ".join(done.out.split())


def test_varying_by_the_recorded_snapshot_is_said(world: World, home: Path) -> None:
    done = forge.stella("replay", world.kit, "--what-if", "feeds", "--with", world.feed, *AT, cwd=home)
    assert "the same as recorded: nothing varies" in " ".join(done.out.split())


def test_older_kit_given_as_the_other_scan_is_named_as_that(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    newer = world.build_kit(tmp_path / "newer", sequence=2)
    replay(newer, site=site)
    result, _ = replay(newer, Plan(WHAT_IF, "feeds", world.kit / forge.SCAN / "manifest.json"), site=site)
    assert result.reason == "OlderThanAccepted"
    assert "the scan given by --with" in result.sentence
    assert result.next_step.startswith("About the scan of --with:")
