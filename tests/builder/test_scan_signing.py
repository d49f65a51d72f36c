"""stella scan sign: more signatures for a recorded scan, none lost, and none for a record that was changed."""

import base64
import json
import shutil
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

import stella
from builder import attest, files, scan_signing, signer, signing, trust
from builder.record import record
from builder.scan_signing import Addition
from builder.trust_change import revoking
from builder.trust_publish import Office
from kit import layout
from kit.errors import (
    DigestMismatch,
    LimitExceeded,
    MalformedDocument,
    NoSpace,
    SignatureInvalid,
    SignerRevoked,
    SignerUnfit,
    SignerUnknown,
    StellaError,
    UsageError,
)
from kit.trust import dsse, sigstore
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner
from tests.world import NOW, SCAN_ID, World, scan_request
from verifier import session
from verifier.run_dir import stamp

MOMENT = stamp(NOW)


@dataclass
class Desk:
    """A RootPack with more keys, and a copy of the recorded scan."""

    place: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def rootpack(self) -> Path:
        return self.place / "rootpack"

    @property
    def record(self) -> Path:
        return self.place / "records" / SCAN_ID

    @property
    def envelope(self) -> bytes:
        return (self.record / layout.MANIFEST_ENVELOPE).read_bytes()

    def key(self, name: str) -> PemSigner:
        return signer.load(self.place / "keys" / f"{name}.key.pem")

    def add(self, name: str, usage: str = "kit", algorithm: str = ECDSA_P256, **more: object) -> None:
        made = signer.create(self.place / "keys", name, algorithm, entropy=Random(name).randbytes)
        known = {"owner": name, "now": NOW - timedelta(hours=1)} | more
        trust.add_key(self.rootpack, self.place / "keys", made.public, usage=usage, **known)

    def revoke(self, name: str, state: str) -> None:
        office = Office(self.rootpack, self.place / "keys", NOW - timedelta(minutes=30))
        since = stamp(NOW - timedelta(hours=1))
        trust.carry_out(office, revoking([self.key(name).public.fingerprint], state=state, since=since, reason="test"))

    def sign(self, *names: str, dry_run: bool = False, **more: object) -> scan_signing.Signed:
        addition = Addition(signers=[self.key(name) for name in names], **more)
        return scan_signing.sign(self.record, signing.own_pack(self.rootpack), addition, now=MOMENT, dry_run=dry_run)

    def run(self, *words: object) -> tuple[int, dict[str, object]]:
        code = stella.main([*map(str, words), "--rootpack", str(self.rootpack), "--json"])
        return code, json.loads(self.capsys.readouterr().out)

    def build(self, *names: str, to: str = "kit") -> tuple[int, dict[str, object]]:
        keys = [word for name in names for word in ("--key", self.place / "keys" / f"{name}.key.pem")]
        return self.run("kit", "build", "--record", self.record, *keys, "--sequence", "1", "--out", self.place / to)


@pytest.fixture
def desk(world: World, tmp_path: Path, capsys, monkeypatch) -> Desk:
    for name in ("rootpack", "keys"):
        shutil.copytree(getattr(world, name), tmp_path / name)
    shutil.copytree(world.record, tmp_path / "records" / SCAN_ID)
    monkeypatch.setattr(session, "clock", lambda: NOW)
    made = Desk(tmp_path, capsys)
    made.add("two", algorithm=ED25519)
    return made


def signers_of(envelope: bytes) -> list[str]:
    return [entry["keyid"] for entry in json.loads(envelope)["signatures"]]


def test_a_second_signature_is_over_the_same_bytes_and_others_verify_both(desk: Desk) -> None:
    before = json.loads(desk.envelope)
    signed = desk.sign("two")
    after = json.loads(desk.envelope)
    assert (after["payload"], after["payloadType"]) == (before["payload"], before["payloadType"])
    assert before["signatures"][0] in after["signatures"]
    assert signers_of(desk.envelope) == sorted(desk.key(name).public.fingerprint for name in ("kit-1", "two"))
    assert (signed.changed, signed.counting, signed.needed) == (True, 2, 1)
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    publics = [desk.key(name).public for name in ("kit-1", "two")]
    keys = [SSlibKey.from_crypto(load_der_public_key(key.spki), keyid=key.fingerprint) for key in publics]
    found = Envelope.from_dict(json.loads(desk.envelope))
    assert len(found.verify(keys, 2)) == 2
    assert found.payload == base64.b64decode(before["payload"])


def test_signing_again_changes_nothing(desk: Desk) -> None:
    desk.sign("two")
    once = desk.envelope
    assert desk.sign("two", "kit-1").changed is False
    assert desk.envelope == once


def test_a_record_of_a_retired_key_is_carried_once_a_current_key_signed_it(desk: Desk) -> None:
    desk.revoke("kit-1", "retired")
    code, refusal = desk.build("two")
    assert (code, refusal["reason"]) == (21, "SignerUnfit")
    assert "stella scan sign" in refusal["nextStep"]
    signed = desk.sign("two")
    assert {(view.standing, view.action) for view in signed.signatures} == {("retired", "kept"), ("counts", "added")}
    assert desk.build("two")[0] == 0
    bundles = sorted(path.name for path in (desk.place / "kit").rglob("*.sigstore.json"))
    assert bundles == [sigstore.file_name(desk.key("two").public)]


def test_replacing_leaves_out_what_does_not_count(desk: Desk) -> None:
    desk.revoke("kit-1", "retired")
    desk.sign("two", replace=True)
    assert signers_of(desk.envelope) == [desk.key("two").public.fingerprint]


def test_a_record_that_only_a_stolen_key_signed_needs_somebody_who_knows_it(desk: Desk) -> None:
    desk.revoke("kit-1", "compromised")
    before = desk.envelope
    with pytest.raises(SignerRevoked) as refusal:
        desk.sign("two")
    assert "--expect sha256:" in refusal.value.next_step
    with pytest.raises(DigestMismatch):
        desk.sign("two", expected="sha256:" + "0" * 64)
    assert desk.envelope == before
    signed = desk.sign("two", expected=refusal.value.next_step.split()[-1])
    assert (signed.changed, signed.counting) == (True, 1)


def test_a_record_by_a_stranger_is_not_taken_for_ours(desk: Desk, world: World) -> None:
    stranger = PemSigner.from_seed(ECDSA_P256, bytes(range(48)))
    shutil.rmtree(desk.record)
    record(scan_request(world.feed), [stranger], desk.place / "records")
    with pytest.raises(SignerUnknown):
        desk.sign("two")


def test_below_the_threshold_a_scan_is_recorded_but_in_no_kit(desk: Desk, world: World) -> None:
    desk.add("three", threshold=2)
    code, refusal = desk.build("two", "three")
    assert (code, refusal["reason"], "2 such keys" in refusal["details"]["detail"]) == (21, "SignerUnfit", True)
    assert desk.sign("three").counting == 2
    assert desk.build("two", "three")[0] == 0


def test_two_who_sign_copies_are_joined_by_the_file_alone(desk: Desk) -> None:
    desk.add("three")
    other = desk.place / "bob"
    shutil.copytree(desk.record, other)
    addition = Addition(signers=[desk.key("three")])
    scan_signing.sign(other, signing.own_pack(desk.rootpack), addition, now=MOMENT)
    desk.sign("two")
    code, document = desk.run("scan", "sign", desk.record, "--envelope", other / layout.MANIFEST_ENVELOPE)
    assert (code, document["counting"]) == (0, 3)
    assert len(signers_of(desk.envelope)) == 3


def test_a_copy_of_another_scan_or_without_a_counting_signature_adds_nothing(desk: Desk) -> None:
    before = desk.envelope
    other = dsse.sign(b"{}", dsse.IN_TOTO, [desk.key("two")])
    with pytest.raises(DigestMismatch):
        desk.sign(copies=[("other", other)])
    stranger = PemSigner.from_seed(ECDSA_P256, bytes(range(48)))
    same = dsse.sign(base64.b64decode(json.loads(before)["payload"]), dsse.IN_TOTO, [stranger])
    with pytest.raises(SignerUnfit):
        desk.sign(copies=[("same", same)])
    assert desk.envelope == before


UNFIT = {"stranger": "is not in", "site-7": "usage site", "gone": "is revoked"}


@pytest.mark.parametrize("name", UNFIT)
def test_a_key_that_sites_would_refuse_adds_nothing(desk: Desk, name: str) -> None:
    before = desk.envelope
    if name == "stranger":
        signer.create(desk.place / "keys", name, ED25519, entropy=Random(name).randbytes)
    else:
        desk.add(name, "site" if name == "site-7" else "kit")
    if name == "gone":
        desk.revoke(name, "retired")
    with pytest.raises(SignerUnfit, match=UNFIT[name]):
        desk.sign(name)
    assert desk.envelope == before


def flipped(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", [layout.MANIFEST_FILE, layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE])
@pytest.mark.parametrize("at", [40, -40])
def test_a_record_that_was_changed_is_not_signed(desk: Desk, name: str, at: int) -> None:
    before = desk.envelope
    flipped(desk.record / name, at)
    with pytest.raises(StellaError) as refusal:
        desk.sign("two")
    assert 30 <= refusal.value.exit_code < 33
    assert "Nothing was signed" in refusal.value.next_step
    assert desk.envelope == before


def changed_envelope(desk: Desk, change) -> None:
    document = json.loads(desk.envelope)
    change(document)
    (desk.record / layout.MANIFEST_ENVELOPE).write_text(json.dumps(document))


def test_a_broken_or_misattributed_signature_of_a_known_key_stops_it(desk: Desk) -> None:
    good = desk.envelope
    changed_envelope(desk, lambda document: document["signatures"][0].update(sig="AAAA"))
    with pytest.raises(SignatureInvalid):
        desk.sign("two")
    (desk.record / layout.MANIFEST_ENVELOPE).write_bytes(good)
    claimed = {"keyid": desk.key("two").public.fingerprint, "sig": "AAAA"}
    changed_envelope(desk, lambda document: document["signatures"].append(claimed))
    with pytest.raises(SignatureInvalid):
        desk.sign("two")


def test_a_swapped_type_is_not_signed(desk: Desk) -> None:
    changed_envelope(desk, lambda document: document.update(payloadType="application/json"))
    with pytest.raises((MalformedDocument, SignatureInvalid)):
        desk.sign("two")


def test_unknown_signatures_stay_and_are_told(desk: Desk) -> None:
    strange = {"keyid": "\u202egpj\x1b[2J", "sig": "AAAA"}
    changed_envelope(desk, lambda document: document["signatures"].append(strange))
    code, document = desk.run("scan", "sign", desk.record, "--key", desk.place / "keys/two.key.pem")
    assert code == 0
    told = [view for view in document["signatures"] if view["standing"] == "unknown"]
    assert [(view["action"], view["key"].isprintable(), view["key"].isascii()) for view in told] == [
        ("kept", True, True)
    ]
    assert strange in json.loads(desk.envelope)["signatures"]
    desk.add("three")
    assert desk.sign("three", replace=True).counting == 3
    assert strange not in json.loads(desk.envelope)["signatures"]


def test_too_many_signatures_are_refused_and_the_file_stays(desk: Desk) -> None:
    more = [{"keyid": "", "sig": base64.b64encode(b"%d" % at).decode()} for at in range(31)]
    changed_envelope(desk, lambda document: document["signatures"].extend(more))
    before = desk.envelope
    with pytest.raises(LimitExceeded):
        desk.sign("two")
    assert desk.envelope == before


def test_a_proof_of_the_old_envelope_is_not_left_to_lie(desk: Desk) -> None:
    desk.add("log-1", "log", ED25519, owner="log.example/1")
    pack = signing.own_pack(desk.rootpack)
    attest.attest([desk.record], pack, desk.place / "log", desk.key("log-1"), now=MOMENT)
    beside = sorted(path.name for path in (desk.record / "evidence").iterdir())
    before = desk.envelope
    with pytest.raises(UsageError, match="would be void") as refusal:
        desk.sign("two")
    assert "--drop-proofs" in refusal.value.next_step
    with pytest.raises(UsageError):
        desk.sign("two", dry_run=True)
    assert desk.sign("kit-1").changed is False
    assert (desk.envelope, len(beside)) == (before, 2)
    (desk.record / "evidence" / "other.rekor.json").write_bytes(b"{}")
    signed = desk.sign("two", drop_proofs=True)
    assert [name.removeprefix("evidence/") for name in signed.removed] == beside
    assert [path.name for path in (desk.record / "evidence").iterdir()] == ["other.rekor.json"]
    (desk.record / "evidence" / "other.rekor.json").unlink()
    (done,) = attest.attest([desk.record], pack, desk.place / "log", desk.key("log-1"), now=MOMENT)
    assert (done.index, done.size) == (1, 2)
    assert desk.build("two")[0] == 0


def test_a_proof_goes_before_the_envelope_that_it_would_not_fit(desk: Desk, monkeypatch) -> None:
    place = desk.record / "evidence"
    place.mkdir()
    for name in ("log-0.tlog-consistency", "log-0.tlog-proof"):
        (place / name).write_bytes(b"about the envelope before")
    before = desk.envelope

    def fail(path: Path, data: bytes) -> None:
        raise NoSpace(path=path.name)

    with monkeypatch.context() as full:
        full.setattr(files, "write_atomic", fail)
        with pytest.raises(NoSpace):
            desk.sign("two", drop_proofs=True)
    assert (desk.envelope, list(place.iterdir())) == (before, [])
    assert desk.sign("two").counting == 2


def test_a_dry_run_reads_everything_and_signs_nothing(desk: Desk) -> None:
    class Watched:
        public = desk.key("two").public

        def sign(self, message: bytes) -> bytes:
            raise AssertionError("signed in a dry run")

    before = desk.envelope
    addition = Addition(signers=[Watched()])
    pack = signing.own_pack(desk.rootpack)
    assert scan_signing.sign(desk.record, pack, addition, now=MOMENT, dry_run=True).counting == 2
    words = ("scan", "sign", desk.record, "--key", desk.place / "keys/two.key.pem", "--dry-run")
    assert desk.run(*words)[1]["changed"] is True
    flipped(desk.record / layout.INPUT_BUNDLE, 40)
    assert desk.run(*words)[0] == 30
    assert desk.envelope == before


def test_two_commands_do_not_sign_a_record_at_once(desk: Desk) -> None:
    with files.locked(desk.record), pytest.raises(UsageError, match="another command"):
        desk.sign("two")


def test_what_is_no_record_and_nothing_to_add_are_told(desk: Desk) -> None:
    key = desk.place / "keys/two.key.pem"
    assert desk.run("scan", "sign", desk.place, "--key", key)[1]["details"]["detail"] == "manifest.json is missing"
    assert desk.run("scan", "sign", desk.record)[0] == 2
    assert desk.run("scan", "sign", desk.record, "--key", key, "--expect", "1234")[0] == 2


def test_the_next_step_is_another_signer_or_the_kit(desk: Desk) -> None:
    key = str(desk.place / "keys/two.key.pem")
    words = ["scan", "sign", str(desk.record), "--rootpack", str(desk.rootpack), "--key", key]
    assert stella.main(words) == 0
    assert "VERDICT  SIGNED (0)  next: stella kit build --record" in desk.capsys.readouterr().err
    desk.add("three", threshold=3)
    assert stella.main(words) == 0
    assert "VERDICT  NOTHING TO SIGN (0)  next: stella scan sign" in desk.capsys.readouterr().err
