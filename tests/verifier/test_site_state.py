"""The site's memory: its checksum, what status says of it, going back, and making it anew from signed results."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit import errors
from kit.bytes import canonical
from tests.attacks import forge
from tests.verifier.conftest import Host
from tests.world import NOW, Replay, World
from verifier import activate, site_rebuild, site_view
from verifier import site as sites
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


def test_a_state_of_old_without_checksum_is_read_and_gets_one(world: World, tmp_path: Path, used_state: bytes) -> None:
    world.new_site(tmp_path)
    old = canonical.decode_record(used_state, State)
    (tmp_path / "state.json").write_bytes(canonical.encode_record(msgspec.structs.replace(old, checksum=None)))
    site = sites.load(tmp_path)
    with site.locked():
        site.update(last_receipt=None)
    assert sites.load(tmp_path).state.checksum is not None


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
    with pytest.raises(errors.DigestMismatch):
        activate.roll_back(host.site, host.store.root, "default", "why", LATER)
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
    assert forge.stella(*words, "remove", entry, cwd=tmp_path).code == 2
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
