"""stella look: what the verdict line says of a kit, and the next step that fits it. It judges nothing: exit code 0."""

import base64
import json
from datetime import timedelta
from pathlib import Path

import pytest

from kit import layout
from kit.trust import dsse
from tests.attacks import forge
from tests.world import NOW, SCAN_ID, World
from verifier import inspect
from verifier.run_dir import stamp

ROOT_FILE = "rootpack/metadata/1.root.json"


def look(kit: Path, home: Path, *more: str | Path, at: str = stamp(NOW)) -> forge.Done:
    done = forge.stella("look", kit, "--at", at, *more, cwd=home)
    assert done.code == 0, done.err
    return done


def verdict(done: forge.Done) -> str:
    return done.err.splitlines()[-1]


@pytest.fixture
def home(world: World, tmp_path: Path) -> Path:
    world.new_site(tmp_path / "home" / "ops" / "site")
    return tmp_path / "home"


def test_signed_kit_leads_to_the_replay_of_the_real_path(world: World, home: Path) -> None:
    line = verdict(look(world.kit, home))
    assert line.startswith("VERDICT  LOOKED: signed by a trusted key, files not checked (0)")
    assert line.endswith(f"stella replay {world.kit / forge.SCAN}/manifest.json --strict --offline")


def test_genuine_rootpack_is_told_with_thresholds_windows_and_both_forms_of_a_fingerprint(
    world: World, home: Path
) -> None:
    pack = json.loads(look(world.kit, home, "--json").out)["trust"]["rootPack"]
    root = forge.digest_of(world.kit / ROOT_FILE)
    assert (pack["pinned"], pack["newest"]) == (root, root)
    assert pack["pinnedGroups"].replace(" ", "") == root.removeprefix("sha256:")
    assert pack["versions"] == {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 1}
    assert pack["needed"] == ["root: 1 of 1", "targets: 1 of 1", "snapshot: 1 of 1", "timestamp: 1 of 1", "kit: 1 of 1"]
    [key] = pack["keys"]
    assert key["fingerprint"] == world.kit_signer.public.fingerprint
    assert f"sha256:{key['groups'].replace(' ', '')}" == key["fingerprint"]
    assert (key["usage"], key["state"], key["validUntil"]) == ("kit", "valid", "open")
    early = json.loads(look(world.kit, home, "--json", at="2026-05-31T11:00:00Z").out)["trust"]["rootPack"]
    assert early["keys"][0]["state"] == "not yet valid"


def test_site_elsewhere_is_named_in_the_next_step(world: World, home: Path) -> None:
    site = world.new_site(home / "my site").path
    assert verdict(look(world.kit, home, "--site", site)).endswith(f"--offline --site '{site}'")


def test_unpinned_site_is_told_how_to_pin_but_not_what(world: World, tmp_path: Path) -> None:
    done = look(world.kit, tmp_path / "nowhere", "--json")
    said = verdict(done)
    assert "LOOKED: no root pinned here, nothing checked (0)" in said
    assert f"stella offline init --root {world.kit / ROOT_FILE} --expect-root SHA256:<the one you received>" in said
    fingerprint = forge.digest_of(world.kit / ROOT_FILE)
    document = json.loads(done.out)
    assert document["claimed"]["firstRoot"] == fingerprint
    # The kit must not dictate the value that it is compared with.
    assert fingerprint.removeprefix("sha256:") not in document["nextStep"]


@pytest.mark.parametrize(
    ("days", "state", "reason"),
    [
        (31, "STALE", "KitStale"),
        (500, "ROOTPACK EXPIRED", "TrustExpired"),
        (-365, "SIGNER'S KEY NOT YET VALID", "SignerNotYetValid"),
    ],
)
def test_time_is_said(world: World, home: Path, days: int, state: str, reason: str) -> None:
    done = look(world.kit, home, "--json", at=stamp(NOW + timedelta(days=days)))
    assert f"LOOKED: {state} (0)" in verdict(done)
    assert json.loads(done.out)["trust"]["reason"] == reason


def test_strangers_kit_is_not_of_the_pinned_root(world: World, home: Path, tmp_path: Path) -> None:
    kit = forge.stranger(tmp_path / "stranger").make_kit(world, tmp_path / "kit")
    assert "LOOKED: NOT OF THE PINNED ROOT (0)" in verdict(look(kit, home))


def test_strangers_signature_is_a_signer_not_known_here(world: World, home: Path, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    forge.seal(kit, [forge.stranger(tmp_path / "stranger").signer])
    assert "LOOKED: SIGNER NOT KNOWN HERE (0)" in verdict(look(kit, home))


def test_kit_older_than_an_accepted_one_is_said_to_be(world: World, home: Path, tmp_path: Path) -> None:
    newer = world.build_kit(tmp_path / "newer", sequence=5)
    words = ("verify", newer / forge.SCAN, "--at", stamp(NOW))
    assert forge.stella(*words, cwd=home).code == 0
    assert "LOOKED: OLDER THAN ACCEPTED (0)" in verdict(look(world.kit, home))


def test_changed_kit_list_is_damaged(world: World, home: Path, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    listed = (kit / layout.KIT_FILE).read_bytes()
    (kit / layout.KIT_FILE).write_bytes(listed.replace(b'"stalenessWindowHours":720', b'"stalenessWindowHours":721'))
    assert "LOOKED: damaged (0)" in verdict(look(kit, home))


def test_each_scan_is_named_with_its_own_signers(world: World, home: Path, tmp_path: Path) -> None:
    signers = json.loads(look(world.kit, home, "--json").out)["trust"]["scans"]
    own = f"{world.kit_signer.public.fingerprint} (release engineering)"
    assert signers == [{"id": SCAN_ID, "signers": [own]}]
    kit = world.copy_kit(tmp_path / "kit")
    envelope = kit / forge.SCAN / layout.MANIFEST_ENVELOPE
    stranger = forge.stranger(tmp_path / "stranger").signer
    payload = base64.b64decode(json.loads(envelope.read_bytes())["payload"])
    envelope.write_bytes(dsse.sign(payload, dsse.IN_TOTO, [stranger]))
    (found,) = json.loads(look(kit, home, "--json").out)["trust"]["scans"]
    assert found == {"id": SCAN_ID, "state": "SIGNER NOT KNOWN HERE", "reason": "SignerUnknown"}


def test_no_state_reads_like_the_verdict_of_a_replay() -> None:
    assert not [state for state in (inspect.SIGNED, *inspect.STATES.values()) if "verified" in state.lower()]
