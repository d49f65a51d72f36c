"""The site: pinning, memory, and the order of kits."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from kit import errors
from kit.bytes import digest
from kit.result import INTACT, REFUSED, VERIFIED
from kit.trust.keys import grouped
from tests.attacks import forge
from tests.world import NOW, Replay, World
from verifier import site as sites
from verifier.run import VERIFY, Plan
from verifier.run_dir import stamp

ENTROPY = random.Random(5).randbytes


def fingerprint(world: World) -> str:
    return "SHA256:" + digest.hex_of(digest.of_bytes(world.root)).upper()


def test_root_with_the_expected_fingerprint_is_pinned(world: World, tmp_path: Path) -> None:
    made = sites.init(tmp_path / "site", world.root, fingerprint(world), entropy=ENTROPY)
    assert sites.load(tmp_path / "site").fingerprint == made.fingerprint
    assert (tmp_path / "site" / "site.key.pem").stat().st_mode & 0o777 == 0o600


def test_root_with_another_fingerprint_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(errors.RootNotExpected):
        sites.init(tmp_path / "site", world.root, "SHA256:" + "0" * 64, entropy=ENTROPY)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("text", ["", "SHA256:12", "sha256:" + "g" * 64, "md5:" + "0" * 32])
def test_malformed_fingerprint_is_refused(world: World, tmp_path: Path, text: str) -> None:
    with pytest.raises(errors.UsageError, match="--expect-root"):
        sites.init(tmp_path / "site", world.root, text, entropy=ENTROPY)


def test_file_that_is_no_root_is_refused(world: World, tmp_path: Path) -> None:
    other = (world.rootpack / "metadata" / "timestamp.json").read_bytes()
    with pytest.raises(errors.TrustRootRefused):
        sites.init(tmp_path / "site", other, digest.of_bytes(other), entropy=ENTROPY)


def test_same_root_again_is_said_to_be_there(world: World, tmp_path: Path) -> None:
    sites.init(tmp_path / "site", world.root, fingerprint(world), entropy=ENTROPY)
    with pytest.raises(errors.AlreadyAccepted):
        sites.init(tmp_path / "site", world.root, fingerprint(world), entropy=ENTROPY)


def test_another_root_is_refused_as_another_one(world: World, tmp_path: Path) -> None:
    pinned = sites.init(tmp_path / "site", world.root, fingerprint(world), entropy=ENTROPY)
    other = forge.stranger(tmp_path / "stranger").rootpack / "metadata" / "1.root.json"
    with pytest.raises(errors.OtherRootPinned) as refused:
        sites.init(tmp_path / "site", other.read_bytes(), forge.digest_of(other), entropy=ENTROPY)
    assert (refused.value.exit_code, refused.value.details["expected"]) == (
        71,
        f"SHA256: {grouped(digest.of_bytes(world.root))}",
    )
    assert sites.load(tmp_path / "site").pinned_root == pinned.pinned_root


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_site_whose_key_others_can_read_is_refused(world: World, tmp_path: Path, mode: int) -> None:
    world.new_site(tmp_path / "site")
    (tmp_path / "site" / "site.key.pem").chmod(mode)
    with pytest.raises(errors.KeyRefused) as refused:
        sites.load(tmp_path / "site")
    assert "chmod 600" in refused.value.next_step


def test_directory_without_root_is_no_site(tmp_path: Path) -> None:
    with pytest.raises(errors.TrustRootNotPinned):
        sites.load(tmp_path)


DAMAGES = {"missing": None, "empty": b"", "garbled": b"x\n"}


@pytest.mark.parametrize("name", ["state.json", "site.key.pem", "pinned.root.json"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_of_the_sites_own_files_is_not_blamed_on_the_kit(
    world: World, tmp_path: Path, name: str, damage: str
) -> None:
    world.new_site(tmp_path / "site")
    place, change = tmp_path / "site" / name, DAMAGES[damage]
    if change is None:
        place.unlink()
    else:
        place.write_bytes(change)
    if (name, damage) == ("pinned.root.json", "missing"):  # a directory without it is no site
        with pytest.raises(errors.TrustRootNotPinned):
            sites.load(tmp_path / "site")
        return
    done = forge.stella("replay", world.kit, "--site", tmp_path / "site", "--at", stamp(NOW), cwd=tmp_path)
    assert done.code == 60
    assert "VERDICT  SiteDamaged (60)  next: Restore this file from the site's backup." in done.err
    assert str(place) in done.err
    assert "sender" not in done.err


@pytest.mark.parametrize("given", [(), ("--site", "mine"), ("--site", "KIT/ops/site")])
def test_site_inside_a_kit_is_refused(world: World, tmp_path: Path, given: tuple[str, ...]) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    root = kit / "rootpack" / "metadata" / "1.root.json"
    words = ("--root", root, "--expect-root", fingerprint(world), *(word.replace("KIT", str(kit)) for word in given))
    done = forge.stella("offline", "init", *words, cwd=kit / "replay")
    assert done.code == errors.UsageError.exit_code
    assert "lies inside the kit" in done.err
    assert ("--site lies" in done.err) == bool(given)
    assert not list(kit.rglob("site*"))


def test_site_beside_the_kit_is_made(world: World, tmp_path: Path) -> None:
    root = world.copy_kit(tmp_path / "kit") / "rootpack" / "metadata" / "1.root.json"
    done = forge.stella("offline", "init", "--root", root, "--expect-root", fingerprint(world), cwd=tmp_path)
    assert done.code == 0, done.err
    assert sites.load(tmp_path / "ops" / "site").pinned_root == world.root


def test_older_kit_is_refused_after_a_newer_one(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    newer = world.build_kit(tmp_path / "kit-5", sequence=5)
    older = world.build_kit(tmp_path / "kit-4", sequence=4)
    assert replay(newer, site=site)[0].verdict == VERIFIED
    result, _ = replay(older, site=site)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "OlderThanAccepted", 50)


def test_other_kit_with_an_accepted_number_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    assert replay(world.kit, site=site)[0].verdict == VERIFIED
    other = world.build_kit(tmp_path / "other", created_at=stamp(NOW - timedelta(hours=1)))
    assert replay(other, site=site)[0].reason == "OlderThanAccepted"


def test_accepted_kit_stays_replayable_after_a_newer_one(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    newer = world.build_kit(tmp_path / "kit-2", sequence=2)
    verdicts = [replay(kit, site=site)[0].verdict for kit in (world.kit, newer, world.kit)]
    assert verdicts == [VERIFIED] * 3
    assert [kit.sequence for kit in site.state.accepted] == [1, 2]


def test_channels_are_counted_apart(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    first = world.build_kit(tmp_path / "a", sequence=9, channel="a")
    second = world.build_kit(tmp_path / "b", sequence=1, channel="b")
    assert [replay(kit, site=site)[0].verdict for kit in (first, second)] == [VERIFIED, VERIFIED]


def test_refused_kit_leaves_no_trace_in_the_memory(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    kit = world.copy_kit(tmp_path / "kit")
    (kit / "README.txt").write_bytes(b"changed")
    assert replay(kit, site=site)[0].verdict == REFUSED
    assert (site.state.accepted, site.state.floors) == ((), None)


def test_verify_says_intact_and_makes_no_replay(world: World, replay: Replay) -> None:
    result, run = replay(world.kit, Plan(VERIFY))
    assert (result.verdict, result.exit_code) == (INTACT, 0)
    states = {check.name: check.state for check in result.checks}
    assert (states["replay"], states["comparison"], states["input-bundle"]) == ("not-made", "not-made", "passed")
    assert not (run / "outputs").exists()


def test_stale_kit_is_refused_as_stale_not_as_forged(world: World, replay: Replay) -> None:
    result, _ = replay(world.kit, now=NOW + timedelta(hours=24 * 30 + 1))
    assert (result.reason, result.exit_code) == ("KitStale", 52)
    assert "not forged" in result.sentence


def test_expired_rootpack_is_refused_as_expired(world: World, replay: Replay) -> None:
    result, _ = replay(world.kit, now=NOW + timedelta(days=500))
    assert (result.reason, result.exit_code) == ("TrustExpired", 52)
    assert "not forged" in result.sentence


def test_scan_without_its_kit_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    for name in ("KIT.json", "kit.dsse.json", "SHA256SUMS"):
        (kit / name).unlink()
    result, _ = replay(kit)
    assert (result.reason, result.exit_code) == ("EvidenceMissing", 22)


def test_scan_alone_is_verified_on_request_and_says_what_it_left_out(world: World, replay: Replay) -> None:
    scan = next((world.kit / "replay").iterdir())
    result, _ = replay(scan, scan_only=True)
    assert result.verdict == VERIFIED
    left_out = {check.name for check in result.checks if check.state == "not-made"}
    assert left_out == {"kit-envelope", "kit-content", "order", "staleness", "volumes", "ledger"}
    assert result.kit is None


def test_receipts_are_chained(world: World, replay: Replay, tmp_path: Path) -> None:
    import json

    site = world.new_site(tmp_path / "site")
    runs = [replay(world.kit, site=site)[1] for _ in range(2)]
    first, second = ((run / "receipt.json").read_bytes() for run in runs)
    assert "previous" not in json.loads(first)
    assert json.loads(second)["previous"] == digest.of_bytes(first)
