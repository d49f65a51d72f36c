"""The acceptance cases of the replay specification that this version meets, by their ids."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace as with_changes

from builder import signer
from builder.record import record
from kit import journal, layout
from kit.bytes import digest
from kit.result import DIFFERS, REFUSED, VERIFIED, WHAT_IF
from kit.trust import dsse
from scanner import engine
from tests.world import SCAN_ID, Replay, World, forge_outputs, scan_request
from verifier.run import WHAT_IF as VARY
from verifier.run import Plan

FEED_CAUSES = {"feed-record-added", "feed-record-changed", "feed-record-withdrawn", "feed-record-removed"}
CONSEQUENCES = {"input-identity", "consequence"}
ALTERNATE_POLICY = b"""
schemaVersion = "1.0"
name = "stricter"
default = "fail"
unevaluated = "fail"
"""


def test_t_strict_001_golden_replay(world: World, replay: Replay) -> None:
    result, run = replay(world.kit)
    assert (result.verdict, result.reason, result.exit_code) == (VERIFIED, "Ok", 0)
    assert {check.name for check in result.checks if check.state != "passed"} == {"volumes", "ledger"}
    assert [entry.path for entry in result.outputs if not entry.equal] == []
    assert {entry.path for entry in result.outputs} >= set(layout.OUTPUT_MEMBERS.values())
    entries = journal.read((run / "journal.ndjson").read_bytes().splitlines())
    assert journal.finished(entries)
    made = [entry.data["name"] for entry in entries if entry.event == "check"]
    assert made == [check.name for check in result.checks]


def test_t_strict_001_is_the_same_everywhere(world: World, replay: Replay) -> None:
    golden = json.loads((Path(__file__).parent / "data" / "example-outputs.json").read_bytes())
    result, _ = replay(world.kit)
    assert {entry.path: entry.replayed for entry in result.outputs} == golden


def test_t_feed_002_only_feed_caused_differences(world: World, replay: Replay) -> None:
    result, run = replay(world.kit, Plan(VARY, "feeds", world.later_feed))
    assert (result.verdict, result.exit_code) == (WHAT_IF, 0)
    difference = json.loads((run / "diff.json").read_bytes())
    causes = {entry["cause"] for member in difference["members"] for entry in member.get("entries", [])}
    assert causes & FEED_CAUSES
    assert causes <= FEED_CAUSES | CONSEQUENCES
    findings = next(member for member in difference["members"] if member["path"] == "findings.json")
    kinds = {entry["kind"] for entry in findings["entries"] if entry["cause"] in FEED_CAUSES}
    assert {"appeared", "vanished"} <= kinds


def test_t_feed_002_with_the_same_feed_has_no_difference(world: World, replay: Replay) -> None:
    result, run = replay(world.kit, Plan(VARY, "feeds", world.feed))
    assert (result.verdict, result.causes) == (WHAT_IF, {})
    assert json.loads((run / "diff.json").read_bytes())["equal"] is True


def test_t_feed_002_takes_the_feeds_of_another_signed_scan(world: World, replay: Replay, tmp_path: Path) -> None:
    later = "5e11a000-0000-4000-8000-00000000000b"
    request = scan_request(world.later_feed, scan_id=later)
    recorded, _ = record(request, [world.kit_signer], tmp_path / "records")
    kit = world.build_kit(tmp_path / "kit-2", records=[recorded], sequence=2)
    place = kit / layout.scan_directory(later) / layout.MANIFEST_FILE
    result, run = replay(world.kit, Plan(VARY, "feeds", place))
    assert result.verdict == WHAT_IF
    assert next(check for check in result.checks if check.name == "replay").evidence["signed"] is True
    direct, other = replay(world.kit, Plan(VARY, "feeds", world.later_feed))
    assert (run / "diff.json").read_bytes() == (other / "diff.json").read_bytes()
    assert direct.causes == result.causes


def test_t_tool_003_other_engine_is_refused(world: World, replay: Replay) -> None:
    other = with_changes(engine.current(), digest=digest.of_bytes(b"another engine"))
    result, _ = replay(world.kit, running=other)
    assert (result.verdict, result.reason, result.exit_code) == (REFUSED, "ToolHashMismatch", 33)
    assert {check.name: check.state for check in result.checks}["replay"] == "not-made"


def test_t_tool_003_other_engine_may_be_asked_what_if(world: World, replay: Replay) -> None:
    other = with_changes(engine.current(), digest=digest.of_bytes(b"another engine"))
    result, _ = replay(world.kit, Plan(VARY, "tools"), running=other)
    assert (result.verdict, result.exit_code) == (WHAT_IF, 0)
    assert all(entry.equal for entry in result.outputs)


def test_t_policy_004_other_policy_gives_a_deterministic_diff(world: World, replay: Replay, tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_bytes(ALTERNATE_POLICY)
    runs = [replay(world.kit, Plan(VARY, "policy", policy)) for _ in range(2)]
    assert {(result.verdict, result.exit_code) for result, _ in runs} == {(WHAT_IF, 0)}
    first, second = ((run / "diff.json").read_bytes() for _, run in runs)
    assert first == second
    causes = {entry["cause"] for member in json.loads(first)["members"] for entry in member.get("entries", [])}
    assert "policy-rule" in causes
    assert causes <= {"policy-rule"} | CONSEQUENCES


def test_outputs_that_differ_are_told_with_their_cause(world: World, replay: Replay, tmp_path: Path) -> None:
    """A record whose outputs the inputs do not give: the bytes hold, the replay does not."""
    recorded = tmp_path / "records" / SCAN_ID
    shutil.copytree(world.record, recorded)
    forge_outputs(world.kit_signer, recorded)
    kit = world.build_kit(tmp_path / "kit", records=[recorded])
    result, run = replay(kit)
    assert (result.verdict, result.reason, result.exit_code) == (DIFFERS, "ReplayDiffers", 10)
    assert [entry.path for entry in result.outputs if not entry.equal] == ["verdict.json"]
    difference = json.loads((run / "diff.json").read_bytes())
    changed = next(member for member in difference["members"] if member["state"] == "changed")
    assert [entry["cause"] for entry in changed["entries"]] == ["unexplained"]
    assert (run / "outputs" / "verdict.json").is_file()


def test_two_builds_are_byte_identical(world: World, tmp_path: Path) -> None:
    again, _ = record(scan_request(world.feed), [world.kit_signer], tmp_path / "records")
    kit = world.build_kit(tmp_path / "kit", records=[again])
    found = {path.relative_to(kit): path.read_bytes() for path in kit.rglob("*") if path.is_file()}
    expected = {path.relative_to(world.kit): path.read_bytes() for path in world.kit.rglob("*") if path.is_file()}
    assert found == expected


@pytest.mark.parametrize("command", [["sha256sum"], ["busybox", "sha256sum"]])
def test_sums_pass_with_other_peoples_tools(world: World, command: list[str]) -> None:
    done = subprocess.run([*command, "-c", "SHA256SUMS"], cwd=world.kit, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": OK") == len([path for path in world.kit.rglob("*") if path.is_file()]) - 1


def test_independent_implementation_accepts_our_envelopes(world: World) -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import SSlibKey

    pem = (world.keys / "kit-1.pub.pem").read_bytes().decode()
    public = signer.load_public(world.keys / "kit-1.pub.pem")
    key = SSlibKey(public.fingerprint, "ecdsa", "ecdsa-sha2-nistp256", {"public": pem})
    for path in (world.kit / "kit.dsse.json", world.kit / "replay" / SCAN_ID / "manifest.dsse.json"):
        envelope = Envelope.from_dict(json.loads(path.read_bytes()))
        assert list(envelope.verify([key], 1)) == [public.fingerprint]


def test_we_accept_an_independent_implementations_envelope() -> None:
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner

    from kit.trust.keys import PublicKey

    theirs = CryptoSigner.generate_ecdsa()
    envelope = Envelope(b'{"hello":1}', dsse.IN_TOTO, {})
    envelope.sign(theirs)
    public = PublicKey.from_pem(theirs.public_key.keyval["public"].encode())
    encoded = json.dumps(envelope.to_dict()).encode()
    verified = dsse.verify(encoded, [public], threshold=1, payload_types=(dsse.IN_TOTO,), name="theirs")
    assert verified.payload == b'{"hello":1}'
