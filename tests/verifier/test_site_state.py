"""The site's memory: its checksum, what status says of it, going back, and making it anew from signed results."""

import json
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builder import signer, trust, trust_change
from builder.trust_publish import Office
from kit import errors
from kit.bytes import canonical, digest
from tests.attacks import forge
from tests.verifier.conftest import Host
from tests.world import NOW, Replay, World
from verifier import activate, site_rebuild, site_view
from verifier import site as sites
from verifier.kit_store import check_copy
from verifier.run_dir import stamp

LATER = NOW + timedelta(hours=1)
State = sites.SiteState


def flip(path: Path, at: int, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(data)


@pytest.fixture(scope="module")
def used_state(world: World, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the state of a site that has accepted a kit."""
    with pytest.MonkeyPatch.context() as patch:
        from verifier import guard

        patch.setattr(guard, "enforce", lambda _: guard.GuardReport(layers=(), probe="none"))
        home = tmp_path_factory.mktemp("used")
        world.new_site(home / "site")
        Host(home).take_in(world.kit)
    return (home / "site" / "state.json").read_bytes()


@given(at=st.integers(0, 5000), bit=st.integers(0, 7))
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_of_the_state_is_noticed(
    world: World, tmp_path_factory: pytest.TempPathFactory, used_state: bytes, at: int, bit: int
) -> None:
    place = tmp_path_factory.getbasetemp() / "flipped"
    if not place.exists():
        world.new_site(place)
    (place / "state.json").write_bytes(used_state)
    sites.load(place)
    flip(place / "state.json", at, bit)
    with pytest.raises(errors.SiteDamaged):
        sites.load(place)


@pytest.mark.parametrize(
    "change",
    [
        {"checksum": None},  # as a state of old, so that what is in it could be anything
        {"checksum": None, "accepted": (), "activations": (), "floors": None},
        {"accepted": ()},
        {"schema_version": "0.9"},
    ],
)
def test_a_state_that_was_stripped_or_made_older_is_refused(
    world: World, tmp_path: Path, used_state: bytes, change: dict[str, object]
) -> None:
    world.new_site(tmp_path)
    forged = msgspec.structs.replace(canonical.decode_record(used_state, State), **change)
    (tmp_path / "state.json").write_bytes(canonical.encode_record(forged))
    with pytest.raises(errors.SiteDamaged) as refused:
        sites.load(tmp_path)
    assert "state rebuild" in refused.value.next_step


def test_a_state_is_damaged_also_for_a_run_that_has_begun(world: World, tmp_path: Path) -> None:
    site = world.new_site(tmp_path)
    bare = msgspec.structs.replace(site.state, checksum=None)
    (tmp_path / "state.json").write_bytes(canonical.encode_record(bare))
    with pytest.raises(errors.SiteDamaged), site.locked():
        pass


def test_status_names_what_is_active_and_how_old_it_is(world: World, host: Host) -> None:
    host.take_in(world.kit)
    document, fault = site_view.status(host.site, host.store, host.home / "ops", LATER)
    (kit,) = document["activeKits"]  # type: ignore[misc]
    assert (kit["ageHours"], kit["windowHours"], kit["state"], kit["activeSince"]) == (1, 720, "ok", stamp(NOW))
    assert fault is None
    assert document["quarantine"] == {"entries": 0, "bytes": 0}
    assert "import  INTACT  Ok" in document["lastRuns"][0]  # type: ignore[index]
    assert str(document["rootGrouped"]).count(" ") == 15


def test_status_ends_as_badly_as_the_worst_active_kit(world: World, host: Host) -> None:
    host.take_in(world.kit)
    stale = site_view.status(host.site, host.store, host.home / "ops", NOW + timedelta(days=31))[1]
    assert stale is not None
    assert stale.reason == "KitStale"
    (host.current / "KIT.json").write_bytes(b"{}")
    changed = site_view.status(host.site, host.store, host.home / "ops", LATER)[1]
    assert changed is not None
    assert changed.reason == "DigestMismatch"
    (host.current / "KIT.json").unlink()
    missing = site_view.status(host.site, host.store, host.home / "ops", LATER)[1]
    assert missing is not None
    assert missing.exit_code == 32


def test_rolling_back_activates_the_kit_before_and_is_recorded(world: World, host: Host, tmp_path: Path) -> None:
    host.take_in(world.kit)
    first = host.current.resolve()
    host.take_in(world.build_kit(tmp_path / "newer", sequence=2))
    entry, left = activate.roll_back(host.site, host.store.root, "default", "lacks a service", LATER)
    assert host.current.resolve() == first
    assert (entry.sequence, left.split("-")[1]) == (1, "000002")
    recorded = host.site.state.activations[-1]
    assert (recorded.how, recorded.reason) == ("rollback", "lacks a service")
    back, _ = activate.roll_back(host.site, host.store.root, "default", "and back", LATER)
    assert back.sequence == 2


def test_rolling_back_to_nothing_or_to_a_damaged_copy_is_refused(world: World, host: Host, tmp_path: Path) -> None:
    host.take_in(world.kit)
    with pytest.raises(errors.UsageError, match="no earlier kit"):
        activate.roll_back(host.site, host.store.root, "default", "why", LATER)
    with pytest.raises(errors.UsageError, match="no kit of this channel"):
        activate.roll_back(host.site, host.store.root, "lab", "why", LATER)
    first = host.current.resolve()
    host.take_in(world.build_kit(tmp_path / "newer", sequence=2))
    flip(first / "README.txt", 3)
    with pytest.raises(errors.DigestMismatch) as refused:
        activate.roll_back(host.site, host.store.root, "default", "why", LATER)
    assert refused.value.next_step.startswith("The active kit stays.")
    assert host.site.state.activations[-1].sequence == 2


@pytest.fixture
def lived(world: World, host: Host, replay: Replay, tmp_path: Path) -> sites.SiteState:
    """Return the state of a site that imported, replayed, refused, and went back."""
    host.take_in(world.kit)
    host.take_in(world.build_kit(tmp_path / "kit-2", sequence=2), now=NOW + timedelta(minutes=1))
    host.take_in(world.kit, now=NOW + timedelta(minutes=2))
    activate.roll_back(host.site, host.store.root, "default", "why", LATER)
    return host.site.state


def rebuilt(host: Host) -> site_rebuild.Rebuilt:
    return site_rebuild.rebuild(host.home / "site", host.home / "ops", host.store)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "flipped": lambda path: flip(path, 40),
    "emptied": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_state_is_made_anew_from_signed_results(
    world: World, host: Host, lived: sites.SiteState, damage: str
) -> None:
    path = host.home / "site" / "state.json"
    DAMAGES[damage](path)
    with pytest.raises(errors.SiteDamaged) as refused:
        host.site  # noqa: B018
    assert "stella offline state rebuild" in refused.value.next_step
    made = rebuilt(host)
    state = host.site.state
    assert (state.floors, state.time_floor, state.last_receipt) == (lived.floors, lived.time_floor, lived.last_receipt)
    assert [entry.digest for entry in state.accepted] == [entry.digest for entry in lived.accepted]
    assert [entry.digest for entry in state.activations] == [entry.digest for entry in lived.activations]
    assert made.runs == 3
    with pytest.raises(errors.AlreadyAccepted):
        host.take_in(world.kit, now=LATER)


def test_a_state_that_is_whole_is_not_rebuilt(host: Host, lived: sites.SiteState) -> None:
    with pytest.raises(errors.UsageError, match="not damaged"):
        rebuilt(host)
    assert host.site.state == lived


def test_what_another_key_signed_counts_for_nothing(
    world: World, host: Host, lived: sites.SiteState, tmp_path: Path
) -> None:
    other = world.new_site(tmp_path / "other")
    (host.home / "site" / "site.key.pem").write_bytes(other.signer.to_pem())
    (host.home / "site" / "state.json").write_bytes(b"")
    with pytest.raises(errors.UsageError, match="no run below"):
        rebuilt(host)


def test_a_changed_result_counts_for_nothing(host: Host, lived: sites.SiteState) -> None:
    first = min((host.home / "ops" / "replay").glob("*/*/result.json"), key=lambda path: path.parent.name)
    document = json.loads(first.read_bytes())
    document["kit"]["sequence"] = 1_000_000
    first.write_bytes(canonical.encode(document))
    (host.home / "site" / "state.json").write_bytes(b"")
    made = rebuilt(host)
    assert (made.runs, len(made.left_out)) == (2, 1)
    assert max(entry.sequence for entry in host.site.state.accepted) == 2
    assert any("is not here" in sentence for sentence in made.lost)


def revoking_pack(world: World, place: Path, since: str) -> Path:
    """Return the world's RootPack with its first kit key compromised."""
    pack = Path(shutil.copytree(world.rootpack, place / "pack"))
    keys = Path(shutil.copytree(world.keys, place / "keys"))
    new = signer.create(keys, "kit-2", "ed25519", entropy=random.Random(7).randbytes).public
    old = world.kit_signer.public
    for change in (
        trust_change.rotating([(old, new)], overlap=timedelta(days=90)),
        trust_change.revoking([old.fingerprint], state="compromised", since=since, reason="stolen"),
    ):
        trust.carry_out(Office(pack, keys, NOW), change)
    return pack


def test_a_rebuilt_state_knows_the_revoked_keys_that_only_a_refused_kit_told_of(
    world: World, host: Host, tmp_path: Path
) -> None:
    host.take_in(world.kit)
    warning = world.copy_kit(tmp_path / "warning")
    shutil.rmtree(warning / "rootpack")
    shutil.copytree(revoking_pack(world, tmp_path, stamp(NOW)), warning / "rootpack")
    forge.seal(warning, [world.kit_signer])
    refused = host.take_in(warning, now=LATER)
    assert refused.last.reason == "SignerRevoked"
    thief = world.build_kit(tmp_path / "thief", sequence=2)
    assert host.take_in(thief, now=LATER).last.reason == "SignerRevoked"
    before = sites.load(host.home / "site").state.revocations
    assert [entry.state for entry in before] == ["compromised"]
    (host.home / "site" / "state.json").write_bytes(b"")
    made = rebuilt(host)
    assert made.state.revocations == before
    assert host.take_in(thief, now=LATER).last.reason == "SignerRevoked"
    assert host.take_in(warning, now=LATER).last.reason == "SignerRevoked"


def test_the_commands(world: World, tmp_path: Path) -> None:
    world.new_site(tmp_path / "ops/site")
    at = ("--at", stamp(NOW))
    newer = world.build_kit(tmp_path / "newer", sequence=2)
    assert forge.stella("offline", "import", world.kit, *at, cwd=tmp_path).code == 0
    assert forge.stella("offline", "import", newer, *at, cwd=tmp_path).code == 0
    refused = forge.stella("offline", "import", world.kit, *at, "--json", cwd=tmp_path)
    document = json.loads(refused.out)
    assert (refused.code, document["reason"]) == (50, "OlderThanAccepted")
    entry = document["quarantined"]
    words = ("offline", "quarantine")
    assert entry in forge.stella(*words, "list", cwd=tmp_path).out
    shown = json.loads(forge.stella(*words, "show", entry, "--json", cwd=tmp_path).out)
    assert (shown["reason"], shown["kept"]) == ("OlderThanAccepted", "every file")
    unexplained = forge.stella(*words, "remove", entry, cwd=tmp_path)
    assert unexplained.code == 2
    assert "remove needs a reason" in unexplained.err
    assert forge.stella(*words, "remove", entry, "--reason", "seen", cwd=tmp_path).code == 0
    assert forge.stella(*words, "show", entry, cwd=tmp_path).code == 2
    removed = tmp_path / "ops/kits/quarantine/.removed" / entry
    assert json.loads((removed / "removed.json").read_bytes())["reason"] == "seen"
    assert not (removed / "bundle.tar.zst").exists()
    back = forge.stella("offline", "rollback", "--reason", "why", "--json", cwd=tmp_path)
    assert (back.code, json.loads(back.out)["sequence"]) == (0, 1)
    status = forge.stella("offline", "status", "--json", cwd=tmp_path)
    assert json.loads(status.out)["activeKits"][0]["sequence"] == 1
    assert status.code in {0, 52}  # by the clock of this host
    (tmp_path / "ops/site/state.json").write_bytes(b"")
    assert forge.stella("offline", "state", cwd=tmp_path).code == 60
    assert forge.stella("offline", "state", "rebuild", "--from", "ops/offline", cwd=tmp_path).code == 0
    state = json.loads(forge.stella("offline", "state", "show", "--json", cwd=tmp_path).out)
    assert [entry["sequence"] for entry in state["accepted"]] == [1, 2]


@pytest.mark.parametrize(("days", "reason"), [(-1, "SignerRevoked"), (1, None)])
def test_status_judges_signers_by_what_the_site_has_learned_since(
    world: World, host: Host, tmp_path: Path, days: int, reason: str | None
) -> None:
    host.take_in(world.kit)
    warning = world.copy_kit(tmp_path / "warning")
    shutil.rmtree(warning / "rootpack")
    shutil.copytree(revoking_pack(world, tmp_path, stamp(NOW + timedelta(days=days))), warning / "rootpack")
    forge.seal(warning, [world.kit_signer])
    host.take_in(warning, now=LATER)
    assert host.site.state.revocations
    fault = site_view.status(host.site, host.store, host.home / "ops", LATER)[1]
    assert (fault.reason if fault is not None else None) == reason


@pytest.mark.parametrize("name", ["setup.sh", "sub/a.tsr"])
def test_a_kept_kit_has_nothing_in_its_evidence_but_stamps(world: World, tmp_path: Path, name: str) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    kit_digest = digest.of_bytes((kit / "KIT.json").read_bytes())
    check_copy(kit, kit_digest)
    (kit / "evidence" / name).parent.mkdir(parents=True)
    (kit / "evidence" / name).write_bytes(b"anything")
    with pytest.raises(errors.FileUndeclared):
        check_copy(kit, kit_digest)
