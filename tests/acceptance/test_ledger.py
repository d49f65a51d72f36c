"""T-LEDGER-005: inclusion proofs and envelopes verify offline; every way to cheat is refused with its own reason."""

import base64
import dataclasses
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

import stella
from builder import attest as attesting
from builder import signer, signing, trust
from builder.attest import attest
from builder.record import record
from kit import layout
from kit.errors import LedgerEntryForeign, LedgerProofWrong
from kit.ledger import checkpoint, proof
from kit.ledger.note import NoteKey
from kit.result import INTACT, REFUSED, VERIFIED, Result
from kit.trust.keys import PemSigner
from kit.trust.revocations import Revocation
from tests.world import NOW, SCAN_ID, Replay, World, scan_request
from verifier import site as sites
from verifier.run import VERIFY, Plan
from verifier.run_dir import stamp

ORIGIN = "log.example/stella"
WITNESS = "witness.example/w"
INTACTLY = Plan(VERIFY)
HOUR = timedelta(hours=1)
OTHER_SCANS = [f"5e11a000-0000-4000-8000-0000000000{number:02x}" for number in range(0x10, 0x13)]


@dataclass(frozen=True)
class LedgerWorld:
    """A world whose RootPack trusts a log; records are copied from, never changed."""

    world: World
    home: Path
    rootpack: Path
    log_key: PemSigner

    def copy_record(self, source: Path, place: Path) -> Path:
        target = place / "records" / source.name
        shutil.copytree(source, target)
        return target

    def attest(self, records: list[Path], log: Path, key: PemSigner | None = None, **more: object) -> None:
        pack = signing.own_pack(self.rootpack)
        attest(records, pack, log, key or self.log_key, now=stamp(NOW), **more)  # type: ignore[arg-type]

    def build(self, records: list[Path], place: Path, **changes: object) -> Path:
        return self.world.build_kit(place, records=records, root_pack=self.rootpack, **changes)

    def others(self) -> list[Path]:
        return [self.home / "records" / scan_id for scan_id in OTHER_SCANS]


@pytest.fixture(scope="module")
def ledger(world: World, tmp_path_factory: pytest.TempPathFactory) -> LedgerWorld:
    home = tmp_path_factory.mktemp("ledger")
    rootpack = home / "rootpack"
    shutil.copytree(world.rootpack, rootpack)
    log_key = signer.create(home / "keys", "log-1", "ed25519", entropy=random.Random(7).randbytes)
    now = NOW - timedelta(hours=12)
    trust.add_key(rootpack, world.keys, log_key.public, usage="log", owner=ORIGIN, now=now)
    for scan_id in OTHER_SCANS:
        record(scan_request(world.feed, scan_id=scan_id), [world.kit_signer], home / "records")
    return LedgerWorld(world, home, rootpack, log_key)


@pytest.fixture
def judge(replay: Replay) -> Callable[..., Result]:
    """Return what verifies (or replays) a kit and returns the result."""

    def judge(kit: Path, plan: Plan = INTACTLY, **more: object) -> Result:
        return replay(kit, plan, **more)[0]

    return judge


def check_of(result: Result) -> tuple[str, str | None]:
    check = next(check for check in result.checks if check.name == "ledger")
    return check.state, check.reason


def proofs_of(result: Result) -> list[dict[str, object]]:
    evidence = next(check for check in result.checks if check.name == "ledger").evidence
    return evidence["proofs"] if evidence else []  # type: ignore[return-value]


def evidence_of(scan: Path, ending: str) -> Path:
    return next((scan / layout.EVIDENCE_DIRECTORY).glob(f"*{ending}"))


def change_proof(scan: Path, **changes: object) -> None:
    place = evidence_of(scan, ".tlog-proof")
    read = proof.parse_inclusion(place.read_bytes(), "proof")
    place.write_bytes(proof.encode_inclusion(replace(read, **changes)))  # type: ignore[arg-type]


@pytest.mark.parametrize(("plan", "verdict"), [(INTACTLY, INTACT), (Plan("strict"), VERIFIED)])
def test_t_ledger_005_attested_record_verifies_offline(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path, plan: Plan, verdict: str
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    other = ledger.copy_record(ledger.others()[0], tmp_path)
    ledger.attest([other, own], tmp_path / "log")
    kit = ledger.build([own], tmp_path / "kit")
    listed = {file["path"] for file in json.loads((kit / "KIT.json").read_bytes())["files"]}
    assert len([path for path in listed if "/evidence/log-" in path]) == 2
    result = judge(kit, plan, ledger=True)
    assert (result.verdict, result.reason) == (verdict, "Ok")
    assert check_of(result) == ("passed", None)
    (found,) = proofs_of(result)
    assert found["kind"] == "tlog-proof"
    assert (found["log"], found["index"], found["size"], found["memory"]) == (ORIGIN, 1, 2, "first use")


def test_evidence_is_judged_also_where_nobody_demands_it(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    ledger.attest([own], tmp_path / "log")
    assert check_of(judge(ledger.build([own], tmp_path / "kit"))) == ("passed", None)


@pytest.mark.parametrize(("state", "reason"), [("retired", "SignerRetired"), ("compromised", "SignerRevoked")])
def test_revoked_log_key_proves_nothing_but_what_was_taken_in_before(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path, state: str, reason: str
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    ledger.attest([own], tmp_path / "log")
    kit = ledger.build([own], tmp_path / "kit")
    told, late = (ledger.world.new_site(tmp_path / name) for name in ("told", "late"))
    assert judge(kit, site=told).verdict == INTACT
    revoked = Revocation(fingerprint=ledger.log_key.public.fingerprint, state=state, since=stamp(NOW + HOUR))
    for site in (told, late):
        site.update(revocations=(revoked,))
    result = judge(kit, site=told, now=NOW + 2 * HOUR)
    assert (result.verdict, [state in note for note in result.notes]) == (INTACT, [True])
    refused = judge(kit, site=late, now=NOW + 2 * HOUR)
    assert (refused.verdict, check_of(refused)) == (REFUSED, ("failed", reason))


def test_scan_directory_alone_keeps_its_evidence(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    ledger.attest([own], tmp_path / "log")
    shutil.copytree(ledger.rootpack, own / layout.ROOTPACK_DIRECTORY)
    for stale in ("targets/", "metadata/"):
        shutil.rmtree(own / layout.ROOTPACK_DIRECTORY / stale)
    kit = ledger.build([own], tmp_path / "kit")
    alone = kit / layout.scan_directory(SCAN_ID)
    result = judge(alone, scan_only=True, ledger=True)
    assert (result.verdict, check_of(result)) == (INTACT, ("passed", None))
    (alone / layout.EVIDENCE_DIRECTORY / "note.txt").write_text("hello")
    assert judge(alone, scan_only=True, ledger=True).reason == "FileUndeclared"


def test_kit_without_evidence_is_refused_where_it_is_demanded(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path
) -> None:
    kit = ledger.build([ledger.world.record], tmp_path / "kit")
    result = judge(kit, ledger=True)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "EvidenceMissing", 22)
    assert check_of(judge(kit)) == ("not-made", None)


def test_root_pack_that_trusts_no_log_proves_nothing(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    ledger.attest([own], tmp_path / "log")
    kit = ledger.world.build_kit(tmp_path / "kit", records=[own])
    result = judge(kit, ledger=True)
    assert (result.reason, result.exit_code) == ("LedgerUnknown", 24)
    assert check_of(judge(kit)) == ("not-made", None)


def wrong_proof(ledger: LedgerWorld, own: Path, place: Path) -> None:
    read = proof.parse_inclusion(evidence_of(own, ".tlog-proof").read_bytes(), "proof")
    change_proof(own, hashes=(bytes(32), *read.hashes[1:]))


def proof_for_another_envelope(ledger: LedgerWorld, own: Path, place: Path) -> None:
    other = place / "records" / OTHER_SCANS[0]
    shutil.rmtree(own / layout.EVIDENCE_DIRECTORY)
    shutil.copytree(other / layout.EVIDENCE_DIRECTORY, own / layout.EVIDENCE_DIRECTORY)


def forged_entry(ledger: LedgerWorld, own: Path, place: Path) -> None:
    """Our entry at the place of another: the body is right, the tree does not have it there."""
    read = proof.parse_inclusion(evidence_of(own, ".tlog-proof").read_bytes(), "proof")
    other = proof.parse_inclusion(evidence_of(place / "records" / OTHER_SCANS[0], ".tlog-proof").read_bytes(), "proof")
    change_proof(own, index=other.index, hashes=other.hashes, extra=read.extra)


def log_of_a_stranger(ledger: LedgerWorld, own: Path, place: Path) -> None:
    stranger = PemSigner.from_seed("ed25519", bytes(32))
    read = proof.parse_inclusion(evidence_of(own, ".tlog-proof").read_bytes(), "proof")
    (tree,) = [checkpoint.parse(read.checkpoint.split(b"\n\n")[0] + b"\n", "note")]
    change_proof(own, checkpoint=checkpoint.sign(tree, stranger))


def altered_checkpoint(ledger: LedgerWorld, own: Path, place: Path) -> None:
    read = proof.parse_inclusion(evidence_of(own, ".tlog-proof").read_bytes(), "proof")
    change_proof(own, checkpoint=read.checkpoint.replace(b"\n2\n", b"\n3\n", 1))
    evidence_of(own, ".tlog-consistency").unlink()


def inclusion_taken_away(ledger: LedgerWorld, own: Path, place: Path) -> None:
    evidence_of(own, ".tlog-proof").unlink()


@pytest.mark.parametrize(
    ("cheat", "reason", "exit_code"),
    [
        (wrong_proof, "LedgerProofWrong", 24),
        (proof_for_another_envelope, "LedgerEntryForeign", 24),
        (forged_entry, "LedgerProofWrong", 24),
        (log_of_a_stranger, "LedgerUnknown", 24),
        (altered_checkpoint, "LedgerSignatureInvalid", 24),
        (inclusion_taken_away, "EvidenceMissing", 22),
    ],
)
def test_cheat_is_refused_with_its_own_reason(
    ledger: LedgerWorld,
    judge: Callable[..., Result],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    cheat: Callable[[LedgerWorld, Path, Path], None],
    reason: str,
    exit_code: int,
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    other = ledger.copy_record(ledger.others()[0], tmp_path)
    ledger.attest([other, own], tmp_path / "log")
    cheat(ledger, own, tmp_path)
    # A builder that looks away: ours refuses such a record itself.
    monkeypatch.setattr("builder.assemble._check_proofs", lambda *_: None)
    kit = ledger.build([own], tmp_path / "kit")
    site = ledger.world.new_site(tmp_path / "site")
    result = judge(kit, site=site, ledger=True)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, reason, exit_code)
    assert check_of(result)[0] == "failed"
    assert (site.state.logs, site.state.accepted) == ((), ())


def test_builder_refuses_to_carry_a_proof_that_does_not_hold(ledger: LedgerWorld, tmp_path: Path) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    other = ledger.copy_record(ledger.others()[0], tmp_path)
    ledger.attest([other, own], tmp_path / "log")
    wrong_proof(ledger, own, tmp_path)
    with pytest.raises(LedgerProofWrong):
        ledger.build([own], tmp_path / "kit")
    proof_for_another_envelope(ledger, own, tmp_path)
    with pytest.raises(LedgerEntryForeign):
        ledger.build([own], tmp_path / "kit")
    assert not (tmp_path / "kit").exists()


@dataclass
class Story:
    """Kits of one log in the order of their making, and a site that sees them."""

    ledger: LedgerWorld
    place: Path
    site: sites.Site
    judge: Callable[..., Result]
    sequence: int = 0

    def fresh(self, number: int) -> Path:
        self.sequence += 1
        source = [self.ledger.world.record, *self.ledger.others()][number]
        return self.ledger.copy_record(source, self.place / f"copy-{self.sequence}")

    def kit(self, own: Path) -> Path:
        self.sequence += 1
        return self.ledger.build([own], self.place / f"kit-{self.sequence}", sequence=self.sequence)

    def see(self, own: Path) -> Result:
        return self.judge(self.kit(own), scan_id=own.name, site=self.site, ledger=True)


@pytest.fixture
def story(ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path) -> Story:
    return Story(ledger, tmp_path, ledger.world.new_site(tmp_path / "site"), judge)


def test_log_that_grows_is_followed(story: Story) -> None:
    log = story.place / "log"
    for number in range(4):
        own = story.fresh(number)
        story.ledger.attest([own], log)
        result = story.see(own)
        assert (result.verdict, result.reason) == (INTACT, "Ok")
        assert proofs_of(result)[0]["memory"] == ("grown since remembered" if number else "first use")
    (known,) = sites.load(story.site.path).state.logs
    assert (known.origin, known.first_seen) == (ORIGIN, stamp(NOW))
    assert [tree.size for tree in known.trees] == [1, 2, 3, 4]


def test_same_and_earlier_checkpoints_stay_good(story: Story) -> None:
    log = story.place / "log"
    first, second, third = (story.fresh(number) for number in range(3))
    story.ledger.attest([first], log)
    story.ledger.attest([second], log)
    story.ledger.attest([third], log)
    assert proofs_of(story.see(third))[0]["size"] == 3
    for earlier in (second, first):
        assert proofs_of(story.see(earlier))[0]["memory"] == "remembered"


def test_forked_log_is_refused_and_named(story: Story) -> None:
    one, two, three = (story.fresh(number) for number in range(3))
    story.ledger.attest([one, two], story.place / "log")
    assert story.see(two).verdict == INTACT
    story.ledger.attest([three, story.fresh(0)], story.place / "other-log")
    split = story.see(three)
    assert (split.reason, split.exit_code) == ("LedgerForked", 24)
    assert ORIGIN in split.sentence


def test_fork_under_a_larger_tree_is_proven_by_its_own_consistency_proof(story: Story) -> None:
    one, two, three, four = (story.fresh(number) for number in range(4))
    story.ledger.attest([one], story.place / "log")
    assert story.see(one).verdict == INTACT
    story.ledger.attest([four, three, two], story.place / "other-log")
    result = story.see(two)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "LedgerForked", 24)
    assert [tree.size for tree in story.site.state.logs[0].trees] == [1]


def test_rolled_back_log_is_refused(story: Story) -> None:
    one, two, three = (story.fresh(number) for number in range(3))
    story.ledger.attest([one, two, three], story.place / "log")
    evidence_of(three, ".tlog-consistency").unlink()
    assert story.see(three).verdict == INTACT
    story.ledger.attest([again := story.fresh(1)], story.place / "set-back")
    result = story.see(again)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "LedgerRolledBack", 24)


def test_grown_log_without_a_consistency_proof_is_refused(story: Story) -> None:
    one, two = story.fresh(0), story.fresh(1)
    story.ledger.attest([one], story.place / "log")
    story.ledger.attest([two], story.place / "log")
    assert story.see(one).verdict == INTACT
    evidence_of(two, ".tlog-consistency").unlink()
    result = story.see(two)
    assert (result.reason, result.exit_code) == ("LedgerConsistencyMissing", 22)
    assert "remembered 1" in result.sentence


def test_wrong_consistency_proof_is_no_fork(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two, three = (story.fresh(number) for number in range(3))
    story.ledger.attest([one], story.place / "log")
    assert story.see(one).verdict == INTACT
    story.ledger.attest([two, three], story.place / "log")
    place = evidence_of(three, ".tlog-consistency")
    read = proof.parse_consistency(place.read_bytes(), "proof")
    spoilt = tuple((tree, (bytes(32), *hashes[1:])) for tree, hashes in read.proofs)
    place.write_bytes(proof.encode_consistency(replace(read, proofs=spoilt)))
    monkeypatch.setattr("builder.assemble._check_proofs", lambda *_: None)
    result = story.see(three)
    assert (result.reason, result.exit_code) == ("LedgerProofWrong", 24)


def test_witnesses_must_have_seen_the_checkpoint(
    ledger: LedgerWorld, judge: Callable[..., Result], tmp_path: Path
) -> None:
    rootpack = tmp_path / "rootpack"
    shutil.copytree(ledger.rootpack, rootpack)
    witnesses = [PemSigner.from_seed("ed25519", bytes([number]) * 32) for number in (1, 2, 3)]
    for number, witness in enumerate(witnesses):
        trust.add_key(
            rootpack,
            ledger.world.keys,
            witness.public,
            usage="witness",
            owner=f"{WITNESS}{number}",
            now=NOW - timedelta(hours=6),
            threshold=min(number + 1, 2),
        )
    witnessed = dataclasses.replace(ledger, rootpack=rootpack)
    own = ledger.copy_record(ledger.world.record, tmp_path)
    witnessed.attest([own], tmp_path / "log")
    signed = proof.parse_inclusion(evidence_of(own, ".tlog-proof").read_bytes(), "proof").checkpoint
    time = int(NOW.timestamp()) - 60

    def cosigned(*times: int) -> Result:
        data = signed
        for number, (witness, at) in enumerate(zip(witnesses, times, strict=False)):
            data = checkpoint.cosign(data, f"{WITNESS}{number}", witness, time=at)
        change_proof(own, checkpoint=data)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builder.assemble._check_proofs", lambda *_: None)
            kit = witnessed.build([own], tmp_path / f"kit-{len(list(tmp_path.iterdir()))}")
        return judge(kit, ledger=True)

    assert (cosigned().reason, cosigned().exit_code) == ("LedgerQuorumMissing", 24)
    assert cosigned(time).reason == "LedgerQuorumMissing"
    assert cosigned(time, time + 3 * 86400).reason == "LedgerQuorumMissing"
    good = cosigned(time, time)
    assert good.verdict == INTACT
    assert proofs_of(good)[0]["witnesses"] == [f"{WITNESS}0", f"{WITNESS}1"]


def test_commands_work_as_their_help_says(
    ledger: LedgerWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    own = ledger.copy_record(ledger.world.record, tmp_path)
    monkeypatch.setattr("verifier.session.clock", lambda: NOW)
    monkeypatch.chdir(tmp_path)
    words = ["attest", str(own), "--log", "log", "--rootpack", str(ledger.rootpack), "--json", "--log-key"]
    assert stella.main([*words, str(ledger.home / "keys" / "log-1.key.pem")]) == 0
    out = json.loads(capfd.readouterr().out)
    (told,) = out["logs"]
    assert (told["log"], told["records"][0]["size"], told["records"][0]["index"]) == (ORIGIN, 1, 0)
    assert {path.name for path in (tmp_path / "log").iterdir()} == {"checkpoint", "tile"}
    assert stella.main([*words, str(ledger.world.keys / "kit-1.key.pem")]) == 21
    assert "stella rootpack add-key" in capfd.readouterr().err


def test_attesting_again_changes_nothing_and_refreshes_old_proofs(ledger: LedgerWorld, tmp_path: Path) -> None:
    log = tmp_path / "log"
    one, two = (ledger.copy_record(source, tmp_path) for source in ledger.others()[:2])
    ledger.attest([one], log)
    before = {path: path.read_bytes() for path in sorted(log.rglob("*")) if path.is_file()}
    ledger.attest([one], log)
    assert {path: path.read_bytes() for path in sorted(log.rglob("*")) if path.is_file()} == before
    ledger.attest([two], log)
    ledger.attest([one], log)
    read = proof.parse_inclusion(evidence_of(one, ".tlog-proof").read_bytes(), "proof")
    key = NoteKey(ORIGIN, ledger.log_key.public)
    opened = checkpoint.open_signed(read.checkpoint, checkpoint.Trust((key,)), path="proof")
    assert (read.index, opened.checkpoint.size) == (0, 2)
    assert json.loads(read.extra or b"")["signers"] == [ledger.world.kit_signer.public.fingerprint]


def test_log_that_was_set_back_is_not_written_to(ledger: LedgerWorld, tmp_path: Path) -> None:
    log, copy = tmp_path / "log", tmp_path / "backup"
    one, two = (ledger.copy_record(source, tmp_path) for source in ledger.others()[:2])
    ledger.attest([one], log)
    shutil.copytree(log, copy)
    ledger.attest([one, two], log)
    with pytest.raises(attesting.LedgerRolledBack):
        ledger.attest([one], copy)
    assert base64.b64decode((copy / "checkpoint").read_bytes().split(b"\n")[2])
