"""T-OPA-008: the runbook's commands, carried out in its order on an incident of our own making."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from builder import signer
from tests.world import INPUTS, ROOT, forge_outputs

DIFFERS = (10,)
"""The incident: a record whose outputs say "pass" where its inputs give "fail", signed by a trusted key."""


class Drill:
    """A connected site, a site behind the gap, and somebody who follows the page."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.place = place
        self.environment = environment
        self.scan = ""

    def fill_in(self, line: str) -> str:
        known = sorted((self.place / "records").glob("*-*"), key=lambda path: path.stat().st_ctime_ns)
        self.scan = self.scan or (known[0].name if known else "")
        scan = self.scan
        line = line.replace("<new-scan-id>", next((path.name for path in known if path.name != scan), ""))
        line = line.replace("<scan-id>", scan).replace("<now>", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
        if "<hex>" in line:
            root = (self.place / "rootpack/metadata/1.root.json").read_bytes()
            line = line.replace("<hex>", hashlib.sha256(root).hexdigest())
        if "<run-id>" in line:
            line = line.replace(
                "<run-id>", max(path.name for path in (self.place / f"ops/offline/replay/{scan}").iterdir())
            )
        if "<manifest>" in line:
            shown = self.run(f"stella locker show {scan} --json").stdout
            line = line.replace("<manifest>", json.loads(shown.splitlines()[0])["manifestHash"])
        if "<hold-id>" in line:
            (hold,) = json.loads(self.run("stella evidence holds list --json").stdout.splitlines()[0])["holds"]
            line = line.replace("<hold-id>", hold["id"][:8])
        return line

    def run(self, line: str, expected: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", *shlex.split(self.fill_in(line))]
        done = subprocess.run(
            command, cwd=self.place, env=self.environment, capture_output=True, text=True, check=False
        )
        assert done.returncode in expected, f"{line}\n{done.stdout}\n{done.stderr}"
        return done


RECORDING = r"""
stella rootpack init --owner release --single-signer
stella feed add pypi all.zip
stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records
"""
SETTING = r"""
stella kit build --record records/<scan-id> --key keys/kit-1.key.pem --sequence 1 --out offline
stella offline init --root rootpack/metadata/1.root.json --expect-root SHA256:<hex>
stella replay offline/replay/<scan-id>/manifest.json --strict --offline
stella sync export --out results.stella-sync
stella locker init locker --root rootpack/metadata/1.root.json --expect-root SHA256:<hex>
stella locker ingest records/<scan-id> --rootpack rootpack
stella rootpack add-key ops/site/site.pub.pem --usage site --owner site-7
stella rootpack add-key locker/audit/audit.pub.pem --usage locker --owner locker
stella sync import results.stella-sync --rootpack rootpack
stella locker audit checkpoint --out locker.checkpoint
stella sync acknowledge --out acknowledged.json
stella kit build --record records/<scan-id> --key keys/kit-1.key.pem --sequence 2 --out offline-2 \
  --locker-checkpoint locker.checkpoint --acknowledge acknowledged.json
stella replay offline-2/replay/<scan-id>/manifest.json --strict --offline
stella sync export --out again.stella-sync --unacknowledged
stella sync import again.stella-sync
stella verify --latest 50 --replay --explain
stella locker metrics --out stella.prom
"""


def expected(line: str) -> tuple[int, ...]:
    """Return what a command ends with in this incident."""
    if line.endswith("--ledger"):
        return (22,)  # nobody attested this record, and --ledger demands it
    if line == "stella locker status":
        return (22,)  # no lane of another architecture ever gave results here
    replays = line.startswith(("stella replay ", "stella verify offline", "stella verify --latest 50"))
    return DIFFERS if replays else (0,)


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    for name in ("STELLA_OPS", "STELLA_SITE", "STELLA_FEEDS", "STELLA_LOCKER", "STELLA_ROOTPACK", "STELLA_KEYS"):
        monkeypatch.delenv(name, raising=False)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STELLA_ACTOR": "ann"}
    for name in ("sbom.cdx.json", "policy.toml"):
        shutil.copyfile(INPUTS / name, tmp_path / name)
    shutil.make_archive(str(tmp_path / "all"), "zip", INPUTS / "advisories")
    made = Drill(tmp_path, environment)
    for line in RECORDING.strip().splitlines():
        made.run(line)
    [recorded] = (tmp_path / "records").glob("*-*")
    forge_outputs(signer.load(tmp_path / "keys/kit-1.key.pem"), recorded)
    for line in SETTING.strip().replace("\\\n", "").splitlines():
        made.run(line, expected(line))
    return made


def page() -> tuple[str, str, str]:
    """Return the runbook's parts: the incident, the maintenance, a restored database."""
    text = (ROOT / "docs/runbook.md").read_text()
    incident, _, rest = text.partition("## Maintenance")
    maintenance, _, restored = rest.partition("## A restored database")
    return incident, maintenance, restored


def shown(part: str) -> list[str]:
    blocks = part.split("```\n")[1::2]
    return [line for block in blocks for line in block.splitlines() if line.startswith("stella ")]


def upkeep(part: str) -> list[str]:
    """Return the commands of the maintenance checklist, a row each."""
    rows = [line for line in part.splitlines() if line.startswith("| ")][2:]
    found = [re.findall(r"`(stella [^`]+)`", row) for row in rows]
    assert all(len(commands) == 1 for commands in found), "every row has its command"
    return [commands[0] for commands in found]


def test_the_drill_goes_as_the_runbook_says(drill: Drill) -> None:
    incident, maintenance, restored = page()
    told = (drill.place / "stella.prom").read_text()
    assert f'replay_verify_failing{{code="ReplayDiffers",scan_id="{drill.scan}",tenant="default"}} 1.0' in told
    shutil.copytree(drill.place / "locker", drill.place / "friday")
    for line in shown(incident):
        drill.run(line, expected(line))
    difference = json.loads((drill.place / "diff.json").read_bytes())
    assert [member["path"] for member in difference["members"] if member["state"] == "changed"] == ["verdict.json"]
    run = max((drill.place / f"ops/offline/replay/{drill.scan}").glob("*/diff.json"))
    assert json.loads(run.read_bytes())["members"] == difference["members"], "the night and the site explain alike"
    exported = [json.loads(line) for line in (drill.place / "incident.ndjson").read_text().splitlines()]
    kinds = [line["event"]["kind"] for line in exported[1:]]
    assert kinds[0] == "evidence.ingested"
    assert kinds.count("replay.result.imported") == 2
    assert kinds.count("replay.run.failed") == 1
    assert {line["texts"]["actor"] for line in exported[1:]} == {"environment:ann"}
    (hold,) = json.loads(drill.run("stella evidence holds list --json").stdout.splitlines()[0])["holds"]
    assert (hold["status"], hold["objects"] > 0) == ("released", True)
    report = json.loads(drill.run("stella locker audit verify --json").stdout.splitlines()[0])
    assert report["faults"] == []
    assert report["sightings"] == 1

    shutil.copytree(drill.place / "locker", drill.place / "restored")
    for line in upkeep(maintenance):
        drill.run(line, expected(line))
    answer = json.loads(drill.run("stella locker status --json", (22,)).stdout.splitlines()[0])
    assert {item["name"] for item in answer["checklist"] if item["state"] != "ok"} == {"metrics-arm64"}

    for name in ("locker.db", "locker.db-wal", "locker.db-shm"):
        (drill.place / "locker" / name).unlink(missing_ok=True)
    shutil.copyfile(drill.place / "friday/locker.db", drill.place / "locker/locker.db")
    drill.run("stella locker audit verify", (24,))
    for line in shown(restored):
        drill.run(line)
    drill.run("stella locker audit checkpoint")


@pytest.mark.parametrize("line", [line for part in page() for line in shown(part)] + upkeep(page()[1]))
def test_options_of_the_runbook_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    import stella

    words = [word for word in shlex.split(line)[1:4] if word.isalpha() or word == "add-key"]
    groups = {"locker": 2, "timeline": 2, "rootpack": 2, "receipt": 2, "retention": 2, "kit": 2}
    wanted = words[: 3 if words[:2] in (["locker", "audit"], ["evidence", "holds"]) else groups.get(words[0], 1)]
    if line.startswith("stella verify --latest"):
        wanted = ["verify", "--latest", "1"]
    assert stella.main([*wanted, "--help"]) == 0
    text = capsys.readouterr().out
    assert [word for word in shlex.split(line) if word.startswith("--") and word not in text] == []
