"""Ledger evidence that a site or the RootPack demands, from recording to the verdict behind the gap."""

import json
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from shlex import quote

import pytest

import stella
from builder import attest, signer, signing, trust, trust_change
from builder.trust_publish import Office
from kit.errors import AlreadyAccepted, EvidenceMissing, UsageError
from kit.result import INTACT, REFUSED, VERIFIED, Result
from kit.trust import keyring
from kit.trust.keys import PublicKey
from tests.logs import Rekor, pem, serving
from tests.world import NOW, Replay, World
from verifier.run import VERIFY, Plan
from verifier.run_dir import stamp

ORIGIN = "log.example/stella"
HOUR = timedelta(hours=1)


@pytest.fixture
def pack(world: World, tmp_path: Path) -> Path:
    """Return a RootPack that trusts a log of our own and Rekor v1 and v2."""
    place = tmp_path / "rootpack"
    shutil.copytree(world.rootpack, place)
    own = signer.create(tmp_path / "keys", "log-1", "ed25519", entropy=random.Random(7).randbytes)
    keys = {ORIGIN: own.public}
    for version in (1, 2):
        keys[f"rekor-{version}.example"] = PublicKey.from_pem(pem(Rekor(version).key))
    for name, key in keys.items():
        trust.add_key(place, world.keys, key, usage="log", owner=name, now=NOW - 12 * HOUR)
    return place


@pytest.fixture
def record(world: World, tmp_path: Path) -> Path:
    shutil.copytree(world.record, tmp_path / "records" / world.record.name)
    return tmp_path / "records" / world.record.name


@pytest.fixture
def attested(pack: Path, record: Path, tmp_path: Path) -> Callable[[], None]:
    def carry_out() -> None:
        key = signer.load(tmp_path / "keys" / "log-1.key.pem")
        attest.attest([record], signing.own_pack(pack), tmp_path / "log", key, now=stamp(NOW))

    return carry_out


def demand(world: World, pack: Path, *, required: bool = True) -> None:
    office = Office(pack, world.keys, NOW - 6 * HOUR)
    trust.carry_out(office, trust_change.requiring("log", required=required))


def check_of(result: Result) -> tuple[str, str | None, object]:
    check = next(check for check in result.checks if check.name == "ledger")
    return check.state, check.reason, (check.evidence or {}).get("demandedBy")


def built(world: World, record: Path, pack: Path, place: Path) -> Path:
    return world.build_kit(place, records=[record], root_pack=pack)


def test_rootpack_demands_evidence_of_every_run(
    world: World, pack: Path, record: Path, replay: Replay, attested: Callable[[], None], tmp_path: Path
) -> None:
    demand(world, pack)
    with pytest.raises(EvidenceMissing, match="demanded by the RootPack") as caught:
        built(world, record, pack, tmp_path / "early")
    assert caught.value.exit_code == 22
    assert caught.value.next_step.endswith(f"stella attest {quote(str(record))} --log DIR --log-key FILE")
    assert not (tmp_path / "early").exists()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builder.assemble._check_proofs", lambda *_: None)
        bare = built(world, record, pack, tmp_path / "bare")
    site = world.new_site(tmp_path / "site")
    (site.path / "site.toml").write_text("require-ledger = false\n")
    result, _ = replay(bare, Plan(VERIFY), site=site)
    assert (result.verdict, result.exit_code) == (REFUSED, 22)
    assert check_of(result) == ("failed", "EvidenceMissing", "the RootPack")
    attested()
    result, _ = replay(built(world, record, pack, tmp_path / "kit"), Plan(VERIFY))
    assert result.verdict == INTACT
    assert check_of(result) == ("passed", None, "the RootPack")


def test_site_demands_evidence_of_every_run(
    world: World, pack: Path, record: Path, replay: Replay, attested: Callable[[], None], tmp_path: Path
) -> None:
    from verifier import site as sites

    made = world.new_site(tmp_path / "site")
    (made.path / "site.toml").write_text("require-ledger = true\nclock-skew-hours = 24\n")
    site = sites.load(made.path)
    result, _ = replay(built(world, record, pack, tmp_path / "bare"), Plan(VERIFY), site=site)
    assert (result.reason, result.exit_code) == ("EvidenceMissing", 22)
    assert check_of(result) == ("failed", "EvidenceMissing", "site.toml of this site")
    attested()
    result, _ = replay(built(world, record, pack, tmp_path / "kit"), Plan(VERIFY), site=site)
    assert check_of(result) == ("passed", None, "site.toml of this site")


def test_operator_s_demand_is_told_as_such(
    world: World, pack: Path, record: Path, replay: Replay, tmp_path: Path
) -> None:
    result, _ = replay(built(world, record, pack, tmp_path / "kit"), Plan(VERIFY), ledger=True)
    assert check_of(result) == ("failed", "EvidenceMissing", "--ledger")


@pytest.mark.parametrize("text", ["require-ledger = 1\n", 'require-ledger = "yes"\n', "require_ledger = true\n"])
def test_setting_that_could_be_misread_is_refused(world: World, tmp_path: Path, text: str) -> None:
    from verifier import site as sites

    made = world.new_site(tmp_path / "site")
    (made.path / "site.toml").write_text(text)
    with pytest.raises(UsageError):
        sites.load(made.path)


def test_demand_outlives_other_changes_and_is_taken_back_only_by_the_keepers(world: World, pack: Path) -> None:
    demand(world, pack)
    with pytest.raises(AlreadyAccepted):
        demand(world, pack)
    new = signer.create(pack.parent / "more", "kit-9", "ecdsa-p256-sha256", entropy=random.Random(9).randbytes)
    trust.add_key(pack, world.keys, new.public, usage="kit", owner="late", now=NOW - HOUR)
    assert signing.own_pack(pack).keyring.required == ("log",)
    demand(world, pack, required=False)
    assert signing.own_pack(pack).keyring.required == ()


def test_what_cannot_be_demanded_is_refused(pack: Path) -> None:
    ring = signing.own_pack(pack).keyring
    for required in (["kit"], ["witness"], ["log", "nothing"]):
        with pytest.raises(Exception, match="required"):
            keyring.make(ring.keys, ring.thresholds, required=required)
    without = [key for key in ring.keys if key.usage != "log"]
    with pytest.raises(Exception, match="required"):
        keyring.make(without, {"kit": 1}, required=["log"])


def test_two_logs_of_one_host_are_one(
    world: World, pack: Path, record: Path, tmp_path: Path, attested: Callable[[], None], replay: Replay
) -> None:
    other = signer.create(tmp_path / "keys", "log-2", "ed25519", entropy=random.Random(8).randbytes)
    trust.add_key(pack, world.keys, other.public, usage="log", owner="LOG.example/two", now=NOW - 8 * HOUR, threshold=2)
    demand(world, pack)
    attested()
    attest.attest([record], signing.own_pack(pack), tmp_path / "log-2", other, now=stamp(NOW))
    with pytest.raises(EvidenceMissing) as caught:
        built(world, record, pack, tmp_path / "kit")
    assert (caught.value.details["expected"], caught.value.details["found"]) == (2, 1)
    rekor = Rekor(2, origin="rekor-2.example")
    with serving(rekor), pytest.MonkeyPatch.context() as patch:
        patch.setenv("NO_PROXY", "127.0.0.1")
        from builder.web import Client

        client = Client(rekor.url, option="--rekor")
        attest.attest_at([record], signing.own_pack(pack), client, 2, now=stamp(NOW))
    result, _ = replay(built(world, record, pack, tmp_path / "kit"), Plan(VERIFY))
    assert result.verdict == INTACT


def test_log_key_before_its_window_is_not_called_retired(
    world: World, pack: Path, record: Path, replay: Replay, attested: Callable[[], None], tmp_path: Path
) -> None:
    attested()
    later = tmp_path / "later"
    shutil.copytree(world.rootpack, later)
    key = PublicKey.from_pem((tmp_path / "keys" / "log-1.pub.pem").read_bytes())
    trust.add_key(later, world.keys, key, usage="log", owner=ORIGIN, now=NOW + HOUR)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("builder.assemble._check_proofs", lambda *_: None)
        kit = built(world, record, later, tmp_path / "kit")
    result, _ = replay(kit, Plan(VERIFY), ledger=True)
    assert (result.reason, result.exit_code) == ("SignerNotYetValid", 21)


def run(*words: str | Path) -> int:
    return stella.main([str(word) for word in words])


def test_t_ledger_005_commands_lead_from_the_record_to_the_verdict(
    world: World, pack: Path, record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str], replay: Replay,
) -> None:  # fmt: skip
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("verifier.session.clock", lambda: NOW)
    monkeypatch.chdir(tmp_path)
    trusted = ["--rootpack", pack]
    assert run("rootpack", "require", "log", *trusted, "--keys", world.keys, "--time", stamp(NOW - 2 * HOUR)) == 0
    assert "required    evidence by keys of usage log, of every run" in capfd.readouterr().out
    kit = ["kit", "build", "--record", record, *trusted, "--key", world.keys / "kit-1.key.pem", "--sequence", "1"]
    assert run(*kit, "--out", tmp_path / "kit") == 22
    assert f"stella attest {record}" in capfd.readouterr().err
    logs = [Rekor(version, origin=f"rekor-{version}.example") for version in (1, 2)]
    with serving(*logs):
        for version, log in enumerate(logs, 1):
            words = ["attest", record, *trusted, "--rekor", log.url, "--rekor-version", str(version), "--json"]
            assert run(*words, *(["--receipt"] if version == 1 else [])) == 0
            (told,) = json.loads(capfd.readouterr().out)["logs"]
            assert told["log"].startswith(f"rekor-{version}.example")
    own = ["--log", tmp_path / "log", "--log-key", tmp_path / "keys" / "log-1.key.pem"]
    assert run("attest", record, *trusted, *own) == 0
    assert run(*kit, "--out", tmp_path / "kit") == 0
    result, _ = replay(tmp_path / "kit")
    assert result.verdict == VERIFIED
    (judged,) = (check.evidence for check in result.checks if check.name == "ledger")
    assert judged is not None
    proofs: list[dict[str, object]] = judged["proofs"]  # type: ignore[assignment]
    assert {one["kind"] for one in proofs} == {"tlog-proof", "rekor-v1", "rekor-v2", "rekor-receipt"}


def test_rekor_log_may_be_judged_by_a_key_that_is_named(
    world: World, record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("verifier.session.clock", lambda: NOW)
    log = Rekor(1)
    (tmp_path / "rekor.pub.pem").write_bytes(pem(log.key))
    words = ["attest", record, "--rootpack", world.rootpack]
    monkeypatch.setenv("STELLA_LOG", str(tmp_path / "log"))
    with serving(log):
        assert run(*words, "--rekor", log.url) == 24
        named = f"{log.name}={tmp_path / 'rekor.pub.pem'}"
        assert run(*words, "--rekor", log.url, "--rekor-key", named) == 0
    assert list((record / "evidence").iterdir())


@pytest.mark.parametrize(
    "words",
    [
        [], ["--log", "log"], ["--log-key", "key"], ["--witness", "a=https://b"], ["--receipt"],
        ["--rekor", "https://x", "--log-key", "k"], ["--rekor-key", "a=b"], ["--rekor", "nonsense"],
        ["--rekor", "https://x", "--rekor-version", "3"], ["--rekor", "https://x", "--log", "log"],
    ],
)  # fmt: skip
def test_options_that_do_not_go_together_are_usage_errors(
    record: Path, pack: Path, words: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("attest", record, "--rootpack", pack, *words) == 2


def test_witness_command_cosigns_by_files(
    world: World, pack: Path, record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str], attested: Callable[[], None],
) -> None:  # fmt: skip
    monkeypatch.setattr("verifier.session.clock", lambda: NOW)
    monkeypatch.chdir(tmp_path)
    made = signer.create(tmp_path / "keys", "w", "ed25519", entropy=random.Random(11).randbytes)
    trust.add_key(pack, world.keys, made.public, usage="witness", owner="witness.example/w", now=NOW - 8 * HOUR)
    attested()
    (place,) = record.glob("evidence/*.tlog-proof")
    key = ["--key", tmp_path / "keys" / "w.key.pem"]
    assert run("witness", "cosign", place, *key, "--rootpack", pack, "--out", "w.cosig") == 0
    kit = ["kit", "build", "--record", record, "--rootpack", pack, "--key", world.keys / "kit-1.key.pem"]
    assert run(*kit, "--sequence", "1", "--out", "kit") == 24
    assert run("attest", record, "--rootpack", pack, "--add-cosignature", "w.cosig") == 0
    assert run(*kit, "--sequence", "1", "--out", "kit") == 0
    named = f"{ORIGIN}={tmp_path / 'keys' / 'log-1.pub.pem'}"
    alone = ["--log-key", named, "--name", "other.example/w", "--state", "elsewhere", "--rootpack", "none"]
    assert run("witness", "cosign", tmp_path / "log" / "checkpoint", *key, *alone, "--out", "o.cosig") == 0
    assert (tmp_path / "o.cosig").read_text().startswith("\u2014 other.example/w ")
