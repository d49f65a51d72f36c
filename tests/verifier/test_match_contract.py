"""A snapshot that was indexed under other matching rules: never evaluated, whoever made or signed it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.record import record
from kit import errors
from kit.result import REFUSED
from tests.attacks import forge
from tests.world import FEED, Replay, World, scan_request
from verifier import replay as replays
from verifier.run import VERIFY, WHAT_IF, Plan

NAMED = b'"matchContract":"osv-match/1",'
OTHERS = {"another": b'"matchContract":"osv-match/0",', "none": b""}


@pytest.fixture
def other_feed(world: World, tmp_path: Path) -> Callable[[str], Path]:
    """Return what copies the world's feed under another contract."""

    def make(contract: str) -> Path:
        feed = shutil.copytree(world.feed, tmp_path / f"feed-{contract}")
        described = (feed / "snapshot.json").read_bytes()
        assert NAMED in described
        (feed / "snapshot.json").write_bytes(described.replace(NAMED, OTHERS[contract]))
        return feed

    return make


@pytest.mark.parametrize("contract", OTHERS)
def test_scan_against_it_is_not_recorded(
    world: World, tmp_path: Path, other_feed: Callable[[str], Path], contract: str
) -> None:
    with pytest.raises(errors.MatchContractDiffers) as refused:
        record(scan_request(other_feed(contract)), [world.kit_signer], tmp_path / "records")
    assert refused.value.details["path"] == FEED
    assert not list((tmp_path / "records").glob("*/manifest.json"))


@pytest.mark.parametrize("contract", OTHERS)
@pytest.mark.parametrize("mode", ["strict", VERIFY])
def test_signed_scan_against_it_is_refused(
    world: World,
    replay: Replay,
    tmp_path: Path,
    other_feed: Callable[[str], Path],
    monkeypatch: pytest.MonkeyPatch,
    contract: str,
    mode: str,
) -> None:
    with monkeypatch.context() as careless:  # a builder that does not look
        careless.setattr(replays, "check_contract", lambda _: None)
        recorded, _ = record(scan_request(other_feed(contract)), [world.kit_signer], tmp_path / "records")
    kit = world.build_kit(tmp_path / "kit", records=[recorded])
    result, _ = replay(kit, Plan(mode))
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "MatchContractDiffers", 31)
    assert result.outputs == ()


def test_what_if_against_it_is_refused(
    world: World, replay: Replay, tmp_path: Path, other_feed: Callable[[str], Path]
) -> None:
    feed = other_feed("another")
    result, _ = replay(world.kit, Plan(WHAT_IF, "feeds", feed))
    assert (result.verdict, result.reason) == (REFUSED, "MatchContractDiffers")
    site = world.new_site(tmp_path / "site").path
    words = ("replay", world.kit, "--what-if", "feeds", "--with", feed, "--site", site)
    assert forge.stella(*words, cwd=tmp_path).code == errors.UsageError.exit_code
