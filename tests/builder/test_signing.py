"""Who may sign records and kits is asked of the RootPack first: what sites would refuse is not made."""

import json
import random
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import stella
from builder import rehearse as rehearsals
from builder import signer, signing, trust
from builder.assemble import KitRequest, assemble
from builder.record import record
from kit.errors import SignatureInvalid, SignerUnfit, UsageError
from tests.world import FEED, INPUTS, NOW, SCAN_ID, World, scan_request
from verifier import session
from verifier.run_dir import stamp

MOMENT = stamp(NOW)


@dataclass
class Desk:
    """A release engineer's desk: a RootPack with keys of all kinds, and the commands."""

    place: Path
    world: World
    capsys: pytest.CaptureFixture[str]

    @property
    def rootpack(self) -> Path:
        return self.place / "rootpack"

    def key(self, name: str) -> Path:
        return self.place / "keys" / f"{name}.key.pem"

    def add(self, name: str, usage: str, **window: str) -> None:
        """Enrol a key, or let its window end."""
        if not self.key(name).exists():
            entropy = random.Random(name).randbytes
            signer.create(self.place / "keys", name, "ecdsa-p256-sha256", entropy=entropy)
        public = signer.load_public(self.place / "keys" / f"{name}.pub.pem")
        known = {"owner": name, "now": NOW - timedelta(hours=1)} | window
        trust.add_key(self.rootpack, self.place / "keys", public, usage=usage, **known)

    def run(self, *words: object) -> tuple[int, dict[str, object]]:
        code = stella.main([*map(str, words), "--rootpack", str(self.rootpack), "--json"])
        return code, json.loads(self.capsys.readouterr().out)

    def scan(self, key: str, out: str = "records") -> tuple[int, dict[str, object]]:
        return self.run(
            "scan", "--record", "--sbom", INPUTS / "sbom.cdx.json", "--policy", INPUTS / "policy.toml", "--feed",
            f"{FEED}={self.world.feed}", "--scan-id", SCAN_ID, "--key", self.key(key), "--out", self.place / out,
        )  # fmt: skip

    def build(self, key: str, *more: str, scan: Path | None = None) -> tuple[int, dict[str, object]]:
        return self.run(
            "kit", "build", "--record", scan or self.world.record, "--key", self.key(key), "--sequence", "1",
            "--out", self.place / "kit", *more,
        )  # fmt: skip


@pytest.fixture
def desk(world: World, tmp_path: Path, capsys, monkeypatch) -> Desk:
    for name in ("rootpack", "keys"):
        shutil.copytree(getattr(world, name), tmp_path / name)
    monkeypatch.setattr(session, "clock", lambda: NOW)
    made = Desk(tmp_path, world, capsys)
    signer.create(tmp_path / "keys", "stranger", "ed25519", entropy=random.Random(5).randbytes)
    made.add("site-7", "site")
    made.add("old", "kit", valid_until=stamp(NOW - timedelta(seconds=1)))
    made.add("soon", "kit", now=NOW + timedelta(seconds=1))
    made.add("last-day", "kit", valid_until=MOMENT)
    return made


UNFIT = {
    "stranger": "is not in the RootPack's keyring",
    "targets-1": "is not in the RootPack's keyring",
    "site-7": "is a key of usage site, not of usage kit",
    "old": "and not at 2026-06-01T12:00:00Z",
    "soon": "and not at 2026-06-01T12:00:00Z",
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_key_that_sites_would_refuse_records_nothing(desk: Desk, name: str) -> None:
    code, document = desk.scan(name)
    details = document["details"]
    assert (code, document["reason"]) == (21, "SignerUnfit")
    assert UNFIT[name] in details["detail"]
    assert details["found"] == signer.load(desk.key(name)).public.fingerprint
    assert desk.world.kit_signer.public.fingerprint in details["expected"]
    assert signer.load(desk.key("old")).public.fingerprint not in details["expected"]
    assert details["path"].endswith(f"{name}.key.pem")
    assert not (desk.place / "records").exists()


@pytest.mark.parametrize("name", UNFIT)
def test_a_key_that_sites_would_refuse_builds_nothing(desk: Desk, name: str) -> None:
    code, document = desk.build(name)
    assert (code, document["reason"]) == (21, "SignerUnfit")
    assert UNFIT[name] in document["details"]["detail"]
    assert not (desk.place / "kit").exists()
    assert desk.build(name, "--dry-run")[0] == 21


@pytest.mark.parametrize("name", ["kit-1", "last-day"])
def test_a_key_of_usage_kit_in_its_window_records_and_builds(desk: Desk, name: str) -> None:
    assert desk.scan(name)[0] == 0
    assert desk.build(name, scan=desk.place / "records" / SCAN_ID)[0] == 0
    root = desk.rootpack / "metadata/1.root.json"
    assert (desk.place / "kit/KIT.json").is_file()
    assert root.is_file()


def test_a_kit_carries_no_record_whose_signer_sites_would_refuse(desk: Desk) -> None:
    for name in ("stranger", "site-7", "old"):
        scan, _ = record(scan_request(desk.world.feed), [signer.load(desk.key(name))], desk.place / name)
        code, document = desk.build("kit-1", scan=scan)
        assert (code, document["reason"]) == (21, "SignerUnfit")
        assert document["details"]["path"] == f"{SCAN_ID}/manifest.dsse.json"
        assert "stella scan sign RECORD" in document["nextStep"]
    assert not (desk.place / "kit").exists()


def test_a_retired_key_does_not_build_by_dating_the_kit_back(desk: Desk) -> None:
    before = stamp(NOW - timedelta(minutes=30))
    code, document = desk.build("old", "--time", before)
    assert (code, document["reason"]) == (21, "SignerUnfit")
    assert not (desk.place / "kit").exists()


def test_a_record_that_was_changed_after_signing_is_in_no_kit(desk: Desk) -> None:
    scan = desk.place / SCAN_ID
    shutil.copytree(desk.world.record, scan)
    manifest = scan / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"orders-api"', b'"orders-apj"'))
    assert desk.build("kit-1", scan=scan)[1]["reason"] == "DigestMismatch"
    envelope = json.loads((scan / "manifest.dsse.json").read_bytes())
    envelope["signatures"][0]["sig"] = "AAAA"
    (scan / "manifest.dsse.json").write_text(json.dumps(envelope))
    with pytest.raises(SignatureInvalid):
        assemble(KitRequest([scan], desk.rootpack, [], "c", 1, MOMENT, 1), [desk.world.kit_signer], desk.place / "kit")


def test_as_many_keys_sign_as_the_rootpack_demands(desk: Desk) -> None:
    desk.add("second", "kit", threshold=2)
    code, document = desk.build("kit-1")
    assert (code, document["details"]["detail"]) == (21, "2 keys must sign, 1 given")
    both = {name: desk.key(name) for name in ("kit-1", "second")}
    assert len(signing.load(list(both.values()), desk.rootpack, at=MOMENT)) == 2
    twice = {name: signer.load(both["kit-1"]).public for name in both}
    with pytest.raises(SignerUnfit):
        signing.check(signing.own_pack(desk.rootpack), twice, [MOMENT])


def test_a_scan_of_too_few_signers_is_recorded_and_asks_for_another(desk: Desk) -> None:
    desk.add("second", "kit", threshold=2)
    words = [
        "scan", "--record", "--sbom", INPUTS / "sbom.cdx.json", "--policy", INPUTS / "policy.toml", "--feed",
        f"{FEED}={desk.world.feed}", "--scan-id", SCAN_ID, "--key", desk.key("kit-1"), "--out", desk.place / "records",
        "--rootpack", desk.rootpack,
    ]  # fmt: skip
    assert stella.main([str(word) for word in words]) == 0
    said = desk.capsys.readouterr().err.splitlines()
    assert said[-2] == "2 keys must sign before a kit can be built; 1 did"
    assert "next: stella scan sign" in said[-1]


def test_without_a_rootpack_the_option_is_named(desk: Desk) -> None:
    with pytest.raises(UsageError, match="--rootpack"):
        signing.own_pack(desk.place / "nowhere")


def test_a_key_with_a_passphrase_signs_when_it_is_given(desk: Desk) -> None:
    trust.init(
        desk.place / "other",
        desk.place / "locked",
        now=NOW,
        owner="release",
        entropy=random.Random(8).randbytes,
        ceremony=trust.SINGLE_SIGNER,
        password=b"correct horse",
    )
    key = desk.place / "locked/kit-1.key.pem"
    assert len(signing.load([key], desk.place / "other", at=MOMENT, password=b"correct horse")) == 1
    (desk.place / "phrase").write_text("correct horse\n")
    scan = [
        "scan", "--record", "--sbom", INPUTS / "sbom.cdx.json", "--policy", INPUTS / "policy.toml", "--key", key,
        "--feed", f"{FEED}={desk.world.feed}", "--out", desk.place / "r", "--rootpack", desk.place / "other", "--json",
    ]  # fmt: skip
    assert stella.main([str(word) for word in [*scan, "--passphrase-file", desk.place / "phrase"]]) == 0
    assert stella.main([str(word) for word in scan]) != 0


def test_rehearsal_refuses_no_signer_of_a_kit_that_was_built(desk: Desk, monkeypatch) -> None:
    """What kit build accepts by the machine's own clock, the verifier accepts as well."""
    monkeypatch.undo()
    place = desk.place / "present"
    now = session.clock()
    entropy = random.Random(9).randbytes
    trust.init(place / "rootpack", place / "keys", now=now, owner="r", entropy=entropy, ceremony=trust.SINGLE_SIGNER)
    key = signer.load(place / "keys/kit-1.key.pem")
    scan, _ = record(scan_request(desk.world.feed, time=stamp(now)), [key], place / "records")
    request = KitRequest([scan], place / "rootpack", [], "default", 1, stamp(now), 24)
    assemble(request, [key], place / "kit", now=stamp(now))
    (outcome,) = rehearsals.rehearse(
        place / "kit", (place / "rootpack/metadata/1.root.json").read_bytes(), program=None
    )
    assert (outcome.verdict, outcome.reason) == ("VERIFIED", "Ok")
