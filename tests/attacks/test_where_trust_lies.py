"""Where a site's trust comes from: not from the medium, not from a clock that was set back, not from a stranger."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from kit import layout
from kit.bytes import digest
from kit.result import REFUSED, VERIFIED
from tests.attacks import forge
from tests.world import NOW, Replay, World
from verifier.run_dir import stamp


@pytest.fixture
def stranger(tmp_path: Path) -> forge.Stranger:
    return forge.stranger(tmp_path / "stranger")


def pin(stranger: forge.Stranger, place: Path) -> None:
    root = stranger.rootpack / "metadata" / "1.root.json"
    words = ("offline", "init", "--root", root, "--expect-root", digest.of_bytes(root.read_bytes()))
    assert forge.stella(*words, cwd=place).code == 0


def test_site_that_came_with_the_medium_is_not_trusted_silently(
    world: World, stranger: forge.Stranger, tmp_path: Path
) -> None:
    # The operator stands on the medium, where the attacker has put a kit of his own, and a pin for it beside it.
    medium = tmp_path / "medium"
    stranger.make_kit(world, medium / "offline")
    pin(stranger, medium)
    manifest = f"offline/{forge.SCAN}/{layout.MANIFEST_FILE}"
    done = forge.stella("replay", manifest, "--strict", "--offline", "--at", stamp(NOW), cwd=medium)
    pinned = digest.hex_of(forge.digest_of(stranger.rootpack / "metadata" / "1.root.json"))
    # Either it is refused, or the operator can at least see whose root he relies on.
    assert done.code != 0 or pinned[:16] in done.out.replace(" ", "").lower()


def test_site_inside_the_kit_is_refused(world: World, stranger: forge.Stranger, tmp_path: Path) -> None:
    # The runbook's working directory is the scan's, and the site is looked for below the working directory.
    kit = stranger.make_kit(world, tmp_path / "medium")
    pin(stranger, tmp_path)
    shutil.move(tmp_path / "ops", kit / forge.SCAN / "ops")
    forge.seal(kit, [stranger.signer])
    places = ("--ops", tmp_path / "ops", "--at", stamp(NOW))
    done = forge.stella("replay", layout.MANIFEST_FILE, "--strict", "--offline", *places, cwd=kit / forge.SCAN)
    assert done.code != 0


def test_path_shorter_than_any_kit_is_a_mistake(tmp_path: Path) -> None:
    done = forge.stella("replay", f"/{layout.MANIFEST_FILE}", "--strict", "--offline", cwd=tmp_path)
    assert done.code == 2


def test_kit_from_the_future_does_not_outwit_its_own_age(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = forge.hostile_kit(world, tmp_path / "kit", createdAt="2999-01-01T00:00:00Z", stalenessWindowHours=1)
    assert replay(kit)[0].verdict == REFUSED


def test_kit_of_a_stranger_is_refused(world: World, replay: Replay, stranger: forge.Stranger, tmp_path: Path) -> None:
    result, _ = replay(stranger.make_kit(world, tmp_path / "kit"))
    assert (result.verdict, result.reason) == (REFUSED, "TrustRootRefused")


def test_kit_of_a_stranger_under_the_genuine_rootpack_is_refused(
    world: World, replay: Replay, stranger: forge.Stranger, tmp_path: Path
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    forge.seal(kit, [stranger.signer])
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (REFUSED, "SignerUnknown")


def test_manifest_of_a_stranger_in_a_genuinely_signed_kit_is_refused(
    world: World, replay: Replay, stranger: forge.Stranger, tmp_path: Path
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    envelope = stranger.make_kit(world, tmp_path / "other") / forge.SCAN / layout.MANIFEST_ENVELOPE
    shutil.copyfile(envelope, kit / forge.SCAN / layout.MANIFEST_ENVELOPE)
    forge.seal(kit, [world.kit_signer])
    result, _ = replay(kit)
    assert (result.verdict, result.reason) == (REFUSED, "SignerUnknown")


def test_site_key_signs_no_kit(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    kit = world.copy_kit(tmp_path / "kit")
    forge.seal(kit, [site.signer])
    result, _ = replay(kit, site=site)
    assert (result.verdict, result.reason) == (REFUSED, "SignerUnknown")


def test_expired_rootpack_passes_at_another_time_only_on_record(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    assert replay(kit, now=NOW + timedelta(days=500))[0].reason == "TrustExpired"
    site = world.new_site(tmp_path / "home" / "site")
    places = ("--site", site.path, "--ops", tmp_path / "home" / "ops", "--at", stamp(NOW))
    done = forge.stella("verify", kit / forge.SCAN / layout.MANIFEST_FILE, *places, "--json", cwd=tmp_path)
    assert '"referenceTime":{"source":"--at (audit)","time":"2026-06-01T12:00:00Z"}' in done.out


def test_receipt_says_that_the_time_was_chosen(world: World, tmp_path: Path) -> None:
    # The slip is what is read over the telephone and what the locker counts.
    done = forge.replay_under_caps(world, world.copy_kit(tmp_path / "kit"), tmp_path / "home")
    assert done.code == 0
    [slip] = (tmp_path / "home" / "ops").rglob("receipt.json")
    assert stamp(NOW) in slip.read_text()


def test_lone_scan_does_not_claim_that_every_check_held(world: World, replay: Replay, tmp_path: Path) -> None:
    whole, _ = replay(world.copy_kit(tmp_path / "kit"))
    scan = shutil.copytree(world.kit / forge.SCAN, tmp_path / "scan")
    alone, _ = replay(scan, scan_only=True)
    assert (alone.verdict, alone.mode, alone.sentence) != (whole.verdict, whole.mode, whole.sentence)


def test_kit_relabelled_to_another_channel_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    newer = world.build_kit(tmp_path / "newer", sequence=5)
    assert replay(newer, site=site)[0].verdict == VERIFIED
    kit = world.copy_kit(tmp_path / "kit")
    listed = (kit / layout.KIT_FILE).read_bytes()
    (kit / layout.KIT_FILE).write_bytes(listed.replace(b'"channel":"default"', b'"channel":"another"'))
    assert replay(kit, site=site)[0].reason == "DigestMismatch"


def test_other_kit_of_the_same_number_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    assert replay(world.copy_kit(tmp_path / "kit"), site=site)[0].verdict == VERIFIED
    other = world.build_kit(tmp_path / "other", created_at=stamp(NOW - timedelta(hours=1)))
    assert replay(other, site=site)[0].reason == "OlderThanAccepted"
