"""What a locker tells Prometheus, the rules that read it, and the files that are shipped beside it."""

import json
import re
import shutil
import subprocess
from configparser import RawConfigParser
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from kit.errors import UsageError
from locker import cas, checklist, metrics, rows, verify_many_check
from locker import verify_many_rows as nights
from locker.ingest import ingest
from locker.retention import run as retention
from locker.sync import take
from locker.verify_many_night import verify_latest
from locker.verify_many_rows import Wish
from tests.world import ROOT

DEPLOY = ROOT / "deploy"
IN_A_DIRECTORY = pytest.mark.parametrize("locker", ["directory"], indirect=True)


def samples(locker, now) -> dict[tuple[str, frozenset], float]:
    found = {}
    for family in text_string_to_metric_families(metrics.text(locker, now=now).decode()):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    return found


def of(found, name, **labels) -> float | None:
    return found.get((name, frozenset(labels.items())))


def one_night(locker, world, name: str, hours: int, executor) -> None:
    verify_many_check._tiers.cache_clear()
    moment = world.now + timedelta(hours=hours)
    verify_latest(locker, Wish(9), executor, clock=lambda: moment, name=name)


@pytest.fixture
def here():
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        yield pool


def run(*command: object, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_counters_begin_at_zero_and_never_forget(world, trusting, here, tmp_path, scan_ids) -> None:
    now = world.now
    record = world.record(tmp_path / "records", scan_ids[0])
    ingest(trusting, record, now=now)
    labels = {"tenant": "default", "arch": "x64", "lane": "connected"}
    found = samples(trusting, now)
    assert of(found, "replay_verify_total", result="failed", **labels) == 0
    assert of(found, "replay_verify_total", result="failed", **(labels | {"arch": "arm64"})) == 0
    one_night(trusting, world, "one", 1, here)
    blob = next(name for name, size in trusting.cas.names() if name.endswith(cas.BUNDLE) and size > 600)
    with trusting.rows.read() as connection:
        table = rows.run_bundles
        row = connection.execute(table.select().where(table.c.role == "input")).one()
    trusting.cas.remove(f"sha256:{row.bundle_digest}", cas.BUNDLE)
    assert blob
    own = labels | {"arch": verify_many_check.architecture()}
    for night in (2, 3):
        one_night(trusting, world, f"night {night}", night, here)
        found = samples(trusting, now)
        assert of(found, "replay_verify_total", result="failed", **own) == night - 1
        assert of(found, "replay_verify_total", result="verified", **own) == 1
        assert of(found, "replay_verify_failing", tenant="default", scan_id=scan_ids[0], code="FileMissing") == 1
    ingest(trusting, record, now=now + timedelta(hours=4))
    found = samples(trusting, now)
    assert of(found, "replay_verify_failing_scans") == 0
    assert not any(name == "replay_verify_failing" for name, _ in found)
    assert of(found, "replay_verify_total", result="failed", **own) == 2


@IN_A_DIRECTORY
def test_failing_scans_are_named_up_to_a_limit(world, trusting, here, tmp_path, monkeypatch) -> None:
    for number in range(4):
        ingest(trusting, world.record(tmp_path, f"{number:08x}-8a07-4c43-b8c0-6b3f6a1f7d22"), now=world.now)
    for name, _ in list(trusting.cas.names()):
        if name.endswith(cas.DOCUMENT):
            trusting.cas.remove(f"sha256:{Path(name).name.partition('.')[0]}", cas.DOCUMENT)
    one_night(trusting, world, "one", 1, here)
    monkeypatch.setattr(metrics, "MAX_FAILING", 3)
    found = samples(trusting, world.now)
    assert sum(name == "replay_verify_failing" for name, _ in found) == 3
    assert of(found, "replay_verify_failing_scans") == 4


@IN_A_DIRECTORY
def test_what_sites_say_counts_in_their_own_lane(world, trusting, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path / "records", scan_ids[0])
    ingest(trusting, record, now=world.now)
    world.run(tmp_path / "ops", record, "run-1")
    world.run(tmp_path / "ops", record, "run-2", "DIFFERS")
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    found = samples(trusting, world.now)
    labels = {"tenant": "default", "arch": "unknown", "lane": "airgap"}
    assert of(found, "replay_verify_total", result="failed", **labels) == 1
    assert of(found, "replay_verify_total", result="verified", **labels) == 1


@IN_A_DIRECTORY
def test_the_file_is_whole_and_promtool_reads_it(world, trusting, here, tmp_path, scan_ids) -> None:
    ingest(trusting, world.record(tmp_path / "records", scan_ids[0]), now=world.now)
    one_night(trusting, world, "one", 1, here)
    place = tmp_path / "stella.prom"
    assert metrics.write(trusting, place, now=world.now) > 10
    assert [path.name for path in tmp_path.glob("*stella.prom*")] == ["stella.prom"]
    assert place.stat().st_mode & 0o444 == 0o444
    with place.open("rb") as source:
        done = subprocess.run(
            ["promtool", "check", "metrics"], stdin=source, capture_output=True, text=True, check=False
        )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    with pytest.raises(UsageError):
        metrics.write(trusting, tmp_path / "stella.txt", now=world.now)


def test_rules_page_as_their_own_tests_say() -> None:
    assert "SUCCESS" in run("promtool", "check", "rules", DEPLOY / "prometheus/stella.rules.yml")
    assert "SUCCESS" in run("promtool", "test", "rules", "stella.rules.test.yml", cwd=DEPLOY / "prometheus")


def alerts() -> list[dict]:
    rules = yaml.safe_load((DEPLOY / "prometheus/stella.rules.yml").read_text())
    return [rule for group in rules["groups"] for rule in group["rules"]]


def test_every_alert_leads_to_the_runbook_and_has_a_severity() -> None:
    for rule in alerts():
        assert rule["annotations"]["runbook_url"].startswith("https://")
        assert rule["labels"]["severity"] in ("page", "ticket")
    page = next(rule for rule in alerts() if rule["alert"] == "ReplayVerifyFailing")["annotations"]
    for label in ("scan_id", "tenant", "code"):
        assert f"$labels.{label}" in page["summary"]


def dashboard_expressions() -> list[str]:
    board = json.loads((DEPLOY / "grafana/stella-locker.json").read_text())
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def test_every_expression_of_the_dashboard_is_one(tmp_path) -> None:
    rules = [
        {"record": f"dashboard:{number}", "expr": expression.replace("$tenant", ".*")}
        for number, expression in enumerate(dashboard_expressions())
    ]
    place = tmp_path / "dashboard.yml"
    place.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in run("promtool", "check", "rules", place)


@IN_A_DIRECTORY
def test_rules_and_dashboard_ask_for_metrics_that_there_are(world, trusting, here, tmp_path, scan_ids) -> None:
    ingest(trusting, world.record(tmp_path / "records", scan_ids[0]), now=world.now)
    one_night(trusting, world, "one", 1, here)
    for kind in (retention.FINISHED, checklist.DRILL_HELD):
        checklist.record(trusting, kind, now=world.now, note="done")
    told = {name for name, _ in samples(trusting, world.now)} | {"replay_verify_failing"}
    asked = " ".join([*dashboard_expressions(), *(rule["expr"] for rule in alerts())])
    names = set(re.findall(r"\b(?:replay|locker|rootpack)_[a-z_]+", asked))
    assert names
    assert names <= told


def test_the_sample_of_alertmanager_is_accepted() -> None:
    assert "SUCCESS" in run("amtool", "check-config", DEPLOY / "alertmanager/alertmanager.yml")


def test_units_are_sound(tmp_path) -> None:
    units = sorted((DEPLOY / "systemd").iterdir())
    for unit in units:
        parsed = RawConfigParser(strict=False)
        parsed.optionxform = str
        parsed.read_string(unit.read_text())
        assert parsed.sections()
        if unit.suffix == ".timer":
            assert unit.with_suffix(".service") in units
    if shutil.which("systemd-analyze"):
        assert run("systemd-analyze", "verify", *units) == ""


def test_the_cron_file_calls_commands_with_all_their_fields() -> None:
    lines = (DEPLOY / "cron/stella-locker").read_text().splitlines()
    jobs = [line for line in lines if line and not line.startswith("#") and "=" not in line.split()[0]]
    assert len(jobs) == 4
    for job in jobs:
        minute, hour, day, month, weekday, user, *command = job.split()
        assert all(re.fullmatch(r"[0-9*/,-]+", field) for field in (minute, hour, day, month, weekday))
        assert (user, command[0]) == ("stella", "stella")
    assert nights.RESULTS
