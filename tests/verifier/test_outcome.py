"""What the end of a run says in the terminal and on the page: policy, causes, places, and what was not looked at."""

import json
import shutil
from pathlib import Path

import pytest

from builder.record import record
from kit.result import VERIFIED
from tests.attacks import forge
from tests.world import NOW, Replay, World, scan_request
from verifier import evidence, render
from verifier.run import VERIFY, WHAT_IF, Plan
from verifier.run_dir import stamp

AT = ("--at", stamp(NOW))


@pytest.fixture
def home(world: World, tmp_path: Path) -> Path:
    world.new_site(tmp_path / "home" / "ops" / "site")
    return tmp_path / "home"


def run_of(home: Path) -> Path:
    return max((home / "ops" / "offline").glob("replay/*/*"))


def test_policy_verdict_stands_beside_the_verdict_of_the_replay(world: World, home: Path) -> None:
    done = forge.stella("replay", world.kit, *AT, cwd=home)
    told = json.loads((run_of(home) / "outputs" / "verdict.json").read_bytes())["verdict"]
    result = json.loads((run_of(home) / "result.json").read_bytes())
    assert (result["verdict"], result["policyVerdict"]) == (VERIFIED, told)
    assert f"\npolicy     {told}: what the policy says of the findings" in done.out
    page = (run_of(home) / "report.html").read_text()
    assert page.index(f'<span class="policy">{told}</span>') < page.index('<dl class="tallies">')


def test_next_steps_name_the_real_places_but_the_signed_result_names_none(world: World, home: Path) -> None:
    done = forge.stella("replay", world.kit, *AT, cwd=home)
    shown = str(run_of(home).relative_to(home))
    assert f"next: stella receipt {shown}, then stella sync export --out FILE" in done.err.splitlines()[-1]
    assert shown in next(line for line in done.out.splitlines() if line.startswith("next "))
    assert "ops" not in json.loads((run_of(home) / "result.json").read_bytes())["nextStep"]
    verified = forge.stella("verify", world.kit / forge.SCAN, *AT, cwd=home)
    assert f"next: stella replay {world.kit / forge.SCAN} --strict --offline" in verified.err


def test_places_that_are_not_the_default_are_repeated(world: World, home: Path) -> None:
    site = world.new_site(home / "s").path
    done = forge.stella("replay", world.kit, *AT, "--site", site, "--ops", "runs", cwd=home)
    assert f"stella receipt --site {site} runs/replay/" in done.err
    assert f"stella sync export --ops runs --site {site} --out FILE" in done.err


def test_what_if_shows_its_causes(world: World, home: Path) -> None:
    done = forge.stella("replay", world.kit, "--what-if", "feeds", "--with", world.later_feed, *AT, cwd=home)
    causes = json.loads((run_of(home) / "diff.json").read_bytes())["causes"]
    for cause, count in causes.items():
        assert any(line.endswith(f" ({cause})") and f" {count} " in line for line in done.out.splitlines()), cause
    first = done.out.index("\nfirst      ")
    assert first > done.out.index("\ncauses     ")


def test_only_a_strict_replay_says_verified(world: World, replay: Replay, home: Path) -> None:
    for plan in (Plan(VERIFY), Plan(WHAT_IF, "tools"), Plan(WHAT_IF, "feeds", world.later_feed)):
        result, _ = replay(world.kit, plan)
        assert result.verdict != VERIFIED
    words = (
        ("look", world.kit, *AT),
        ("verify", world.kit, *AT),
        ("offline", "status"),
        ("look", world.kit, "--site", "x"),
    )
    for command in words:
        done = forge.stella(*command, cwd=home)
        assert "VERIFIED" not in done.out + done.err, command
    done = forge.stella("feed", "show", "example-pypi", "--feeds", world.home / "feeds", cwd=home)
    assert (done.code, "VERIFIED" in done.err) == (0, False)


def test_files_of_other_scans_are_said_not_to_be_hashed(world: World, replay: Replay, tmp_path: Path) -> None:
    request = scan_request(world.feed, scan_id="5e11a000-0000-4000-8000-00000000000c")
    other, _ = record(request, [world.kit_signer], tmp_path / "records")
    kit = world.build_kit(tmp_path / "kit", records=[world.record, other])
    result, run = replay(kit)
    assert result.verdict == VERIFIED
    block = " ".join(
        render.status_block(evidence.as_json((run / "result.json").read_bytes())).replace(" ok\n", "\n").split()
    )
    count = sum(path.is_file() for path in (kit / "replay" / request.scan_id).rglob("*"))
    assert f"{count} of them belong to other scans and were NOT hashed in this run" in block


def test_first_receipt_of_a_site_is_called_that(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    pages = [(replay(world.kit, site=site)[1] / "report.html").read_text() for _ in range(2)]
    assert ["the first receipt of this site" in page for page in pages] == [True, False]


def test_run_that_was_cut_off_is_told_of_once(world: World, home: Path) -> None:
    words = ("verify", world.kit, *AT)
    assert forge.stella(*words, cwd=home).code == 0
    run = run_of(home)
    journal = run / "journal.ndjson"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:4]))
    told = [f"cut off and counts for nothing: {run.name}" in forge.stella(*words, cwd=home).err for _ in range(3)]
    assert told == [True, False, False]
    assert "counts for nothing" in (run / "cut-off.txt").read_text()


def test_run_cut_off_stays_out_of_the_export(world: World, home: Path) -> None:
    assert forge.stella("verify", world.kit, *AT, cwd=home).code == 0
    whole = run_of(home)
    cut = shutil.copytree(whole, whole.with_name("20260101T000000Z-00000000"))
    (cut / "journal.ndjson").write_bytes(b"")
    assert forge.stella("verify", world.kit, *AT, cwd=home).code == 0
    done = forge.stella("sync", "export", "--out", "out", "--json", cwd=home)
    assert not [line for line in json.loads(done.out)["runs"] if cut.name in line]
