"""T-RETENTION-006: the hot store is pruned after its days, cold copies survive, and each step is on the timeline."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit.bytes import digest
from kit.trust import rootpack
from locker import cas, rows, store, trust
from locker.ingest import ingest
from locker.retention.run import Order, run
from locker.settings import FILE
from tests.world import NOW, SCAN_ID, World

SETTINGS = '[cold]\nurl = "{cold}"\n\n[retention.tenants.default]\npolicy = "brief"\nhot-days = 30\n'


@pytest.fixture
def locker(world: World, tmp_path: Path):
    for name in ("replay", "tmp"):
        (tmp_path / "cold" / name).mkdir(parents=True)
    expected = "SHA256:" + digest.hex_of(digest.of_bytes(world.root))
    store.init(tmp_path / "locker", world.root, expected, now=NOW, entropy=os.urandom).close()
    (tmp_path / "locker" / FILE).write_text(SETTINGS.format(cold=(tmp_path / "cold").as_uri()))
    with store.open_locker(tmp_path / "locker") as opened:
        trust.in_force(opened, rootpack.read_directory(world.kit / "rootpack"), now=NOW)
        yield opened


def objects(store_: cas.Cas) -> set[str]:
    return {name for name, _ in store_.names() if name.endswith(cas.BUNDLE)}


def test_t_retention_006_the_cold_copy_outlives_the_hot_one(world: World, locker, tmp_path: Path) -> None:
    ingest(locker, world.kit / "replay" / SCAN_ID, now=NOW)
    with locker.rows.read() as connection:
        mapped = rows.run_bundles.c
        kept = set(
            connection.execute(sa.select(mapped.bundle_digest).where(mapped.role.in_(("input", "output")))).scalars()
        )
    keys = {cas.key(f"sha256:{each}", cas.BUNDLE) for each in kept}
    run(locker, Order("keeper", NOW + timedelta(hours=40)))
    assert keys <= objects(locker.cas)
    [done] = run(locker, Order("keeper", NOW + timedelta(days=30), {"clock": "a test"}))
    assert (done.tenant, done.demoted, done.purged, done.error) == ("default", 2, 0, None)
    assert not keys & objects(locker.cas)
    assert objects(locker.tiers.cold) == keys
    for each in kept:
        assert locker.tiers.digest_of(f"sha256:{each}")[0] == f"sha256:{each}"
    with locker.rows.read() as connection:
        events = connection.execute(sa.select(rows.events).order_by(rows.events.c.sequence)).all()
    for each in kept:
        mine = [row.kind for row in events if row.details.get("object") == f"sha256:{each}"]
        assert mine == ["retention.demoting", "retention.demoted"]


def test_t_retention_006_a_lost_cold_copy_keeps_the_hot_one(world: World, locker) -> None:
    ingest(locker, world.kit / "replay" / SCAN_ID, now=NOW)
    before = objects(locker.cas)
    locker.tiers.cold.put = lambda *_words, **_named: None  # a store that says it kept what it did not
    [done] = run(locker, Order("keeper", NOW + timedelta(days=30), {"clock": "a test"}))
    assert (done.demoted, done.error.reason) == (0, "DigestMismatch")
    assert objects(locker.cas) == before


def test_t_retention_006_on_the_command_line(world: World, locker, tmp_path: Path) -> None:
    ingest(locker, world.kit / "replay" / SCAN_ID, now=NOW)
    words = ["retention", "run", "--locker", str(tmp_path / "locker"), "--json"]

    def stella(*more: str) -> tuple[int, dict[str, object]]:
        command = [sys.executable, "-m", "stella", *words, *more]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    code, document = stella()
    assert (code, document["reason"]) == (70, "ClockNotPlausible")
    code, document = stella("--allow-clock", "the evidence is of another year", "--dry-run")
    assert code == 0
    code, document = stella("--allow-clock", "the evidence is of another year")
    assert (code, document["tenants"][0]["demoted"]) == (0, 2)
    assert code == 0
