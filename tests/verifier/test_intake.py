"""stella offline import: what it takes, what it refuses, and what it leaves behind."""

import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from builder import signer
from builder.record import record
from kit import errors, layout
from kit import result as results
from kit.bytes import digest
from tests.attacks import forge
from tests.verifier.conftest import Host
from tests.world import NOW, SCAN_ID, Replay, World, scan_request
from verifier import evidence, intake, quarantine
from verifier.run_dir import stamp

AT = stamp(NOW)
OTHER_SCAN = "5e11a000-0000-4000-8000-00000000000b"


def kit_digest(kit: Path) -> str:
    return digest.of_bytes((kit / layout.KIT_FILE).read_bytes())


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }


def test_a_kit_is_kept_accepted_and_activated(world: World, host: Host) -> None:
    taken = host.take_in(world.kit)
    assert (taken.last.verdict, taken.last.mode, taken.quarantined) == (results.INTACT, "import", None)
    assert files(host.current) == files(world.kit)
    state = host.site.state
    assert [entry.digest for entry in state.accepted] == [kit_digest(world.kit)]
    (entry,) = state.activations
    assert (entry.digest, entry.how, entry.at) == (kit_digest(world.kit), "import", stamp(NOW))
    signed = results.parse_result(evidence.read_run(taken.runs[-1], host.site.signer.public))
    assert signed.activation == results.ActivationEntry(kit=kit_digest(world.kit))
    assert list(host.store.incoming.iterdir()) == []


def test_the_active_kit_replays_through_its_link(world: World, host: Host, replay: Replay) -> None:
    host.take_in(world.kit)
    assert replay(host.current, site=host.site)[0].verdict == results.VERIFIED


def test_the_command_under_its_guard(world: World, tmp_path: Path) -> None:
    world.new_site(tmp_path / "ops/site")
    done = forge.stella("offline", "import", world.kit, "--at", AT, cwd=tmp_path)
    assert done.code == 0, done.err
    assert "VERDICT  ACTIVATED (0)  next: stella replay ops/kits/current/default/replay/" in done.err
    next_step = done.err.rpartition("next: stella ")[2].split()
    assert forge.stella(*next_step, "--at", AT, cwd=tmp_path).code == 0
    again = forge.stella("offline", "import", world.kit, "--at", AT, cwd=tmp_path)
    assert again.code == 51
    assert "this is the active kit since" in again.err


def test_a_newer_kit_takes_the_place_and_the_older_one_stays(world: World, host: Host, tmp_path: Path) -> None:
    host.take_in(world.kit)
    newer = world.build_kit(tmp_path / "newer", sequence=2)
    taken = host.take_in(newer)
    assert taken.previous is not None
    assert files(host.current) == files(newer)
    assert files(host.store.kits / taken.previous) == files(world.kit)


def test_channels_have_active_kits_of_their_own(world: World, host: Host, tmp_path: Path) -> None:
    host.take_in(world.kit)
    other = world.build_kit(tmp_path / "other", channel="lab")
    host.take_in(other)
    assert files(host.store.current / "default") == files(world.kit)
    assert files(host.store.current / "lab") == files(other)


@pytest.mark.parametrize("known", [False, True], ids=["never seen", "accepted before"])
def test_an_older_kit_is_refused_and_activated_with_a_reason(
    world: World, host: Host, replay: Replay, tmp_path: Path, *, known: bool
) -> None:
    if known:
        assert replay(world.kit, site=host.site)[0].verdict == results.VERIFIED
    newer = world.build_kit(tmp_path / "newer", sequence=2)
    host.take_in(newer)
    refused = host.take_in(world.kit)
    assert (refused.last.reason, refused.last.exit_code) == ("OlderThanAccepted", 50)
    assert files(host.current) == files(newer)
    forced = host.take_in(world.kit, reason="kit 2 names a wrong feed")
    assert forced.last.verdict == results.INTACT
    assert files(host.current) == files(world.kit)
    assert any("overruled" in note and "kit 2 names a wrong feed" in note for note in forced.last.notes)
    assert forced.last.activation is not None
    assert forced.last.activation.reason == "kit 2 names a wrong feed"
    assert host.site.state.activations[-1].reason == "kit 2 names a wrong feed"


def test_force_overrules_the_order_and_nothing_else(host: Host, tampered: Path) -> None:
    refused = host.take_in(tampered, reason="I want it")
    assert refused.last.reason == "DigestMismatch"
    assert host.site.state.activations == ()


@pytest.mark.parametrize(("force", "reason"), [(True, None), (False, "why"), (True, " ")])
def test_force_and_its_reason_belong_together(*, force: bool, reason: str | None) -> None:
    with pytest.raises(errors.UsageError, match="--force-reason"):
        intake.check_reason(force=force, reason=reason)


def test_a_dry_run_changes_neither_kits_nor_memory(world: World, host: Host) -> None:
    taken = host.take_in(world.kit, dry_run=True)
    assert (taken.last.verdict, taken.activation) == (results.INTACT, None)
    assert (host.site.state.accepted, host.site.state.activations) == ((), ())
    assert [list(place.iterdir()) for place in (host.store.kits, host.store.current, host.store.incoming)] == [[]] * 3


def test_a_kit_is_activated_in_place_without_a_copy(world: World, host: Host, replay: Replay, tmp_path: Path) -> None:
    medium = world.copy_kit(tmp_path / "medium")
    for path in [medium, *medium.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = {path: path.stat().st_mtime_ns for path in medium.rglob("*")}
    host.take_in(medium, in_place=True)
    assert host.current.resolve() == medium
    assert list(host.store.kits.iterdir()) == []
    assert replay(host.current, site=host.site)[0].verdict == results.VERIFIED
    assert {path: path.stat().st_mtime_ns for path in medium.rglob("*")} == before
    for path in [medium, *medium.rglob("*")]:
        path.chmod(0o755)


def two_scans(world: World, place: Path) -> Path:
    key = signer.load(world.keys / "kit-1.key.pem")
    other, _ = record(scan_request(world.feed, scan_id=OTHER_SCAN), [key], place / "records")
    return world.build_kit(place / "kit", records=[world.record, other])


def test_every_scan_of_a_kit_is_examined_before_it_is_accepted(world: World, host: Host, tmp_path: Path) -> None:
    kit = two_scans(world, tmp_path)
    taken = host.take_in(kit)
    assert [run.parent.name for run in taken.runs] == [SCAN_ID, OTHER_SCAN]
    assert [result.activation is not None for result in taken.results] == [False, True]
    assert files(host.current) == files(kit)


def test_a_fault_in_the_last_scan_refuses_the_whole_kit(world: World, host: Host, tmp_path: Path) -> None:
    kit = two_scans(world, tmp_path)
    (kit / layout.scan_directory(OTHER_SCAN) / layout.MANIFEST_ENVELOPE).write_bytes(b"{}")
    forge.seal(kit, [world.kit_signer])
    taken = host.take_in(kit)
    assert [result.verdict for result in taken.results] == [results.INTACT, results.REFUSED]
    assert (host.site.state.accepted, host.site.state.activations) == ((), ())
    assert not host.current.exists()


def test_what_is_refused_lies_untouched_in_quarantine(host: Host, tampered: Path) -> None:
    taken = host.take_in(tampered)
    assert (taken.last.reason, taken.activation) == ("DigestMismatch", None)
    (entry,) = quarantine.entries(host.store.quarantine)
    place = host.store.quarantine / entry.id
    assert {path.name for path in place.iterdir()} == {
        "bundle.tar.zst", "failure-reason.txt", "manifest.json", "quarantine.json", "verification.log",
    }  # fmt: skip
    assert (entry.id, entry.kept) == (taken.quarantined, quarantine.WHOLE)
    assert {oct(path.stat().st_mode & 0o777) for path in place.iterdir()} == {"0o400"}
    assert (place / "failure-reason.txt").read_text().startswith("DigestMismatch\n")
    assert "failed    9 files: A file's bytes are not the signed ones." in (place / "verification.log").read_text()


def test_a_copy_that_is_damaged_is_mended_by_importing_again(world: World, host: Host) -> None:
    host.take_in(world.kit)
    (host.current / "README.txt").write_bytes(b"changed")
    host.take_in(world.kit)
    assert files(host.current) == files(world.kit)


def test_a_copy_that_was_cut_off_is_gone_on_with(world: World, host: Host) -> None:
    staged = host.store.staging(kit_digest(world.kit)) / "kit"
    bundle = layout.scan_directory(SCAN_ID) + "/" + layout.INPUT_BUNDLE
    (staged / bundle).parent.mkdir(parents=True)
    (staged / bundle).write_bytes((world.kit / bundle).read_bytes())
    (staged / "README.txt").write_bytes(b"half")
    taken = host.take_in(world.kit)
    proof = next(check.evidence for check in taken.last.checks if check.name == "files")
    assert proof is not None
    assert proof["keptBytes"] == (world.kit / bundle).stat().st_size
    assert files(host.current) == files(world.kit)


def test_two_imports_at_once_are_one(world: World, host: Host) -> None:
    host.store.prepare()
    with host.store.locked(), pytest.raises(errors.NotWritable, match="another command"):
        host.take_in(world.kit)


def test_stale_kit_is_refused_as_stale(world: World, host: Host) -> None:
    assert host.take_in(world.kit, now=NOW + timedelta(days=31)).last.reason == "KitStale"


def test_no_room_is_told_before_anything_is_copied(world: World, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    with pytest.raises(errors.NoSpace):
        host.take_in(world.kit)
    assert not list(host.store.incoming.rglob("*.zst"))


def test_the_link_follows_the_state_after_a_death_between_the_two(world: World, host: Host, tmp_path: Path) -> None:
    host.take_in(world.kit)
    newer = world.build_kit(tmp_path / "newer", sequence=2)
    host.take_in(newer)
    host.current.unlink()
    host.current.symlink_to("../store/" + host.site.state.activations[0].kit_id)
    with pytest.raises(errors.AlreadyAccepted):
        host.take_in(newer)
    assert files(host.current) == files(newer)
