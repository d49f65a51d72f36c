"""A kit signed under two crypto profiles stands while one of them is broken, and falls without either."""

import base64
import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import stella
from builder import signer, signing, trust
from builder.assemble import KitRequest, assemble
from builder.record import record
from kit import layout, manifest
from kit.bytes import canonical
from kit.errors import ProfileMissing, SignerUnfit
from kit.result import REFUSED, VERIFIED
from kit.trust.keys import ECDSA_P384, ML_DSA_65, PemSigner
from tests.attacks import forge
from tests.world import NOW, SCAN_ID, Replay, World, scan_request
from verifier.run_dir import stamp

FIPS, PQ = "FIPS-140-3", "FIPS-204"
SCAN = layout.scan_directory(SCAN_ID)
ENVELOPES = [layout.KIT_ENVELOPE, f"{SCAN}/{layout.MANIFEST_ENVELOPE}"]


@dataclass
class House:
    """A builder whose RootPack demands two profiles."""

    place: Path
    rootpack: Path
    keys: Path
    feed: Path

    def key(self, name: str) -> PemSigner:
        return signer.load(self.keys / f"{name}.key.pem")

    def signers(self, *names: str) -> list[PemSigner]:
        return [self.key(name) for name in names]

    def record(self, *names: str, **changes: object) -> Path:
        signers = self.signers(*names)
        pack = signing.own_pack(self.rootpack)
        wanted = {"crypto_profile": signing.crypto_profile(pack, [one.public for one in signers])} | changes
        return record(scan_request(self.feed, **wanted), signers, self.place / "-".join(names))[0]

    def kit(self, scan: Path, *names: str) -> Path:
        request = KitRequest(
            records=[scan],
            root_pack=self.rootpack,
            programs=[],
            channel="default",
            sequence=1,
            created_at=stamp(NOW),
            staleness_window_hours=720,
        )
        assemble(request, self.signers(*names), self.place / "kit")
        return self.place / "kit"


def found_house(world: World, place: Path, *, demanded: Sequence[str]) -> House:
    for name in ("rootpack", "keys"):
        shutil.copytree(getattr(world, name), place / name)
    house = House(place, place / "rootpack", place / "keys", world.feed)
    for name, algorithm, profile in (("p384", ECDSA_P384, FIPS), ("spare", ECDSA_P384, FIPS), ("pq", ML_DSA_65, PQ)):
        made = signer.create(house.keys, name, algorithm, entropy=random.Random(name).randbytes)
        trust.add_key(
            house.rootpack,
            house.keys,
            made.public,
            usage="kit",
            owner=name,
            now=NOW - timedelta(hours=1),
            profile=profile,
            demanded=demanded if name == "pq" else (),
        )
    return house


@pytest.fixture
def house(world: World, tmp_path: Path) -> House:
    return found_house(world, tmp_path / "house", demanded=[FIPS, PQ])


@pytest.fixture
def kit(house: House) -> Path:
    return house.kit(house.record("p384", "pq"), "p384", "pq")


def outcome(replay: Replay, kit: Path) -> tuple[str, str, int]:
    result, _ = replay(kit)
    return result.verdict, result.reason, result.exit_code


def change_signatures(path: Path, fingerprint: str, value: bytes | None) -> None:
    """Put another signature in a key's place, or none."""
    envelope = json.loads(path.read_bytes())
    kept = [entry for entry in envelope["signatures"] if entry["keyid"] != fingerprint]
    if value is not None:
        kept.append({"keyid": fingerprint, "sig": base64.b64encode(value).decode()})
    path.write_bytes(json.dumps(envelope | {"signatures": kept}).encode())


def test_a_kit_of_two_profiles_verifies_and_says_so(kit: Path, replay: Replay) -> None:
    result, _ = replay(kit)
    assert result.verdict == VERIFIED
    scan = json.loads((kit / SCAN / layout.MANIFEST_FILE).read_bytes())["scan"]
    assert scan["cryptoProfile"] == f"{FIPS}+{PQ}"
    found = {(one.document, one.profile, one.algorithm) for one in result.signers}
    assert found == {(name, *pair) for name in ENVELOPES for pair in ((FIPS, "ecdsa-p384-sha384"), (PQ, "ml-dsa-65"))}


@pytest.mark.parametrize("envelope", ENVELOPES)
@pytest.mark.parametrize("name", ["p384", "pq"])
@pytest.mark.parametrize(
    ("value", "reason", "code"), [(None, "ProfileMissing", 22), (b"\0" * 64, "SignatureInvalid", 20)]
)
def test_a_kit_without_one_of_them_is_refused(
    house: House, kit: Path, replay: Replay, envelope: str, name: str, value: bytes | None, reason: str, code: int
) -> None:
    change_signatures(kit / envelope, house.key(name).public.fingerprint, value)
    assert outcome(replay, kit) == (REFUSED, reason, code)


def test_many_signers_of_one_profile_are_not_two_profiles(house: House, kit: Path, replay: Replay) -> None:
    scan = kit / SCAN
    document = json.loads((scan / layout.MANIFEST_FILE).read_bytes())
    forge.sign_manifest(scan, document, house.signers("p384", "spare", "kit-1"))
    forge.seal(kit, house.signers("p384", "spare", "kit-1"))
    assert outcome(replay, kit) == (REFUSED, "ProfileMissing", 22)


def test_what_sites_would_refuse_is_not_built(house: House) -> None:
    scan = house.record("p384", "pq")
    with pytest.raises(SignerUnfit):
        house.kit(scan, "p384")
    with pytest.raises(ProfileMissing):
        house.kit(house.record("p384"), "p384", "pq")


def test_claimed_profile_that_nobody_signed_under_is_refused(world: World, tmp_path: Path, replay: Replay) -> None:
    house = found_house(world, tmp_path / "free", demanded=())
    scan = house.record("p384", crypto_profile=f"{FIPS}+{PQ}")
    with pytest.raises(ProfileMissing):
        house.kit(scan, "p384")
    shutil.rmtree(house.place / "kit", ignore_errors=True)
    kit = house.kit(house.record("p384", "pq"), "p384")
    change_signatures(kit / SCAN / layout.MANIFEST_ENVELOPE, house.key("pq").public.fingerprint, None)
    assert outcome(replay, kit) == (REFUSED, "ProfileMissing", 22)


def test_a_claim_is_held_against_signers_by_whoever_reads_a_statement(house: House) -> None:
    scan = house.record("p384", "pq")
    raw = (scan / layout.MANIFEST_FILE).read_bytes()
    payload = base64.b64decode(json.loads((scan / layout.MANIFEST_ENVELOPE).read_bytes())["payload"])
    for signed in ((), (FIPS,), (PQ, "SM2")):
        with pytest.raises(ProfileMissing):
            manifest.check_statement(payload, raw, signed_profiles=signed)
    assert manifest.check_statement(payload, raw, signed_profiles=(FIPS, PQ)).scan.crypto_profile == f"{FIPS}+{PQ}"


def test_a_record_without_profiles_names_none(world: World) -> None:
    document = canonical.decode((world.record / layout.MANIFEST_FILE).read_bytes(), max_bytes=1 << 20)
    assert "cryptoProfile" not in document["scan"]


def test_stella_gives_a_key_a_profile_and_demands_it(
    house: House, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    signer.create(house.keys, "third", "ecdsa-p521-sha512", entropy=random.Random(3).randbytes)
    monkeypatch.chdir(house.place)
    words = [
        "rootpack", "add-key", "keys/third.pub.pem", "--usage", "kit", "--owner", "third", "--profile", "SM2",
        "--demand-profile", "SM2", "--demand-profile", FIPS, "--time", stamp(NOW), "--json",
    ]  # fmt: skip
    assert stella.main([*words, "--propose", "next.draft"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert changes[0].endswith("profile SM2")
    assert f"kit profiles {FIPS}+{PQ} demanded, becomes {FIPS}+SM2" in changes
    assert stella.main(words) == 0
    view = json.loads(capsys.readouterr().out)
    assert view["profiles"] == {"kit": [FIPS, "SM2"]}
    assert {one["owner"]: one.get("profile") for one in view["signers"]}["third"] == "SM2"
