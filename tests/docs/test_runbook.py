"""T-OPA-008: the runbook's commands, carried out in its order on an incident of our own making."""

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.world import INPUTS, ROOT

PENDING = ("stella verify --latest", "stella locker audit restart")
"""Not carried out here: nightly verification is not built yet; nothing was lost that could be restarted."""


class Drill:
    """A connected site, a site behind the gap, and somebody who follows the page."""

    def __init__(self, place: Path, environment: dict[str, str]) -> None:
        self.place = place
        self.environment = environment

    def fill_in(self, line: str) -> str:
        scan = next((self.place / "records").iterdir()).name if (self.place / "records").is_dir() else ""
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


SETTING = r"""
stella rootpack init --owner release --single-signer
stella feed add pypi all.zip
stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records
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
"""


@pytest.fixture
def drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Drill:
    for name in ("STELLA_OPS", "STELLA_SITE", "STELLA_FEEDS", "STELLA_LOCKER", "STELLA_ROOTPACK", "STELLA_KEYS"):
        monkeypatch.delenv(name, raising=False)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "STELLA_ACTOR": "ann"}
    for name in ("sbom.cdx.json", "policy.toml"):
        shutil.copyfile(INPUTS / name, tmp_path / name)
    shutil.make_archive(str(tmp_path / "all"), "zip", INPUTS / "advisories")
    made = Drill(tmp_path, environment)
    for line in SETTING.strip().replace("\\\n", "").splitlines():
        made.run(line)
    shutil.copyfile(tmp_path / "ops/site/site.pub.pem", tmp_path / "site-7.pub.pem")
    return made


def shown() -> list[str]:
    blocks = (ROOT / "docs/runbook.md").read_text().split("```\n")[1::2]
    return [line for block in blocks for line in block.splitlines() if line.startswith("stella ")]


def test_the_drill_goes_as_the_runbook_says(drill: Drill) -> None:
    lines = shown()
    assert len(lines) >= 15
    for line in lines:
        if line.startswith(PENDING):
            continue
        # Nobody attested this record, so that --ledger, which demands it, says so.
        drill.run(line, (22,) if line.endswith("--ledger") else (0,))
    exported = [json.loads(line) for line in (drill.place / "incident.ndjson").read_text().splitlines()]
    told = [line["event"]["kind"] for line in exported[1:]]
    assert told[0] == "evidence.ingested"
    assert told.count("replay.result.imported") == 2
    assert {line["texts"]["actor"] for line in exported[1:]} == {"environment:ann"}
    (hold,) = json.loads(drill.run("stella evidence holds list --json").stdout.splitlines()[0])["holds"]
    assert (hold["status"], hold["objects"] > 0) == ("released", True)
    report = json.loads(drill.run("stella locker audit verify --json").stdout.splitlines()[0])
    assert report["faults"] == []
    assert report["sightings"] == 1


@pytest.mark.parametrize("line", [line for line in shown() if not line.startswith(PENDING[0])])
def test_options_of_the_runbook_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    import stella

    words = [word for word in shlex.split(line)[1:4] if word.isalpha() or word == "add-key"]
    groups = {"locker": 2, "timeline": 2, "rootpack": 2, "receipt": 2}
    wanted = words[: 3 if words[:2] in (["locker", "audit"], ["evidence", "holds"]) else groups.get(words[0], 1)]
    assert stella.main([*wanted, "--help"]) == 0
    text = capsys.readouterr().out
    assert [word for word in shlex.split(line) if word.startswith("--") and word not in text] == []
