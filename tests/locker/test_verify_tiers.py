"""Nights over evidence that moved to the cold store or was purged, and what a retention run tells of its end."""

from concurrent.futures import Executor, Future
from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from kit.errors import ServerUnreachable
from locker import cas, checklist, rows, verify_many_check
from locker.ingest import ingest
from locker.retention import purge
from locker.retention import run as retention
from locker.retention.run import Order
from locker.rows.retention import objects
from locker.settings import RetentionSettings, StoreSettings
from locker.verify_many_night import Night, verify_latest
from locker.verify_many_rows import Wish

DAY = timedelta(days=1)
ALL = {"share": "a test", "growth": "a test", "clock": "a test"}
OLD, YOUNG = "00000001-8a07-4c43-b8c0-6b3f6a1f7d22", "00000002-8a07-4c43-b8c0-6b3f6a1f7d22"


class Here(Executor):
    """Runs what it is given at once, and something else before it where asked."""

    def __init__(self, before=lambda: None) -> None:
        self.before = before

    def submit(self, fn, /, *args, **kwargs):
        self.before()
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # an executor hands on whatever its work raised
            future.set_exception(error)
        return future


@pytest.fixture
def cold(tmp_path):
    for name in ("replay", "tmp"):
        (tmp_path / "cold" / name).mkdir(parents=True)
    return StoreSettings(url=(tmp_path / "cold").as_uri())


@pytest.fixture
def aging(world, trusting, tmp_path, cold):
    """Return a locker with a scan of the first day and one of the third, kept hot for a day, and at all for two."""
    kept = RetentionSettings(hot_days=1, cold_days=2, grace_days=1)
    trusting.settings = msgspec.structs.replace(trusting.settings, retention=kept, cold=cold)
    ingest(trusting, world.record(tmp_path / "r", OLD, content=b"old"), now=world.now)
    ingest(trusting, world.record(tmp_path / "r", YOUNG, content=b"young"), now=world.now + 3 * DAY)
    return trusting


@pytest.fixture
def night(world):
    def run(locker, days: float, executor=None) -> Night:
        verify_many_check._tiers.cache_clear()
        now = world.now + days * DAY
        return verify_latest(locker, Wish(9), executor or Here(), clock=lambda: now, name=f"night-{days}")

    return run


def retain(locker, world, days: float) -> list[retention.Outcome]:
    return retention.run(locker, Order("keeper", world.now + days * DAY, ALL))


def last(locker, kind: str):
    with locker.rows.read() as connection:
        wanted = sa.select(rows.events).where(rows.events.c.kind == kind).order_by(rows.events.c.sequence.desc())
        return connection.execute(wanted).first()


def test_a_night_reads_hot_and_cold_and_skips_what_was_purged(aging, world, night, tmp_path) -> None:
    assert retain(aging, world, 3)[0].demoted == 2
    assert not any(aging.cas.has(f"sha256:{name}", cas.BUNDLE) for name in demoted(aging))
    assert night(aging, 3).results["verified"] == 2
    [name, *_] = demoted(aging)
    [copy] = (tmp_path / "cold").rglob(f"{name}.tar.zst")
    whole = copy.read_bytes()
    copy.write_bytes(whole[:-1])
    assert {one.code for one in night(aging, 3.1).failing} == {"SizeMismatch"}
    copy.write_bytes(whole)
    assert night(aging, 3.2).failing == ()
    assert retain(aging, world, 4.5)[0].purged == 2
    found = night(aging, 4.6)
    assert (found.failing, found.results) == ((), {"verified": 1, "failed": 0, "error": 0, "skipped": 1})
    assert [(one.scan_id, one.reason) for one in found.skipped] == [(OLD, "Purged")]
    with aging.rows.read() as connection:
        assert connection.execute(sa.select(rows.runs.c.status).where(rows.runs.c.id == OLD)).scalar_one() == "verified"


def demoted(locker) -> list[str]:
    with locker.rows.read() as connection:
        return sorted(connection.execute(sa.select(objects.c.digest).where(objects.c.tier == "cold")).scalars())


@pytest.mark.parametrize("locker", ["directory"], indirect=True)
def test_a_document_of_what_was_purged_is_still_held(aging, world, night) -> None:
    retain(aging, world, 3)
    retain(aging, world, 4.5)
    with aging.rows.read() as connection:
        wanted = sa.select(rows.documents.c.digest).where(rows.documents.c.run_id == OLD)
        for name in connection.execute(wanted).scalars():
            aging.cas.remove(f"sha256:{name}", cas.DOCUMENT)
    assert [(one.scan_id, one.code) for one in night(aging, 4.6).failing] == [(OLD, "FileMissing")]


@pytest.mark.parametrize("locker", ["directory"], indirect=True)
def test_what_is_purged_while_the_night_runs_is_no_failure(aging, world, night) -> None:
    retain(aging, world, 3)

    def purging() -> None:
        with aging.rows.read() as connection:
            left = sa.select(objects.c.digest).where(objects.c.state == "marked")
            found = list(connection.execute(left).scalars())
        now = world.now + 4.5 * DAY
        if found:
            for name in purge.decide(aging, "default", who="keeper", allowed=ALL, now=now):
                purge.finish(aging, name, who="keeper", now=now, tenant="default")

    found = night(aging, 4.5, Here(purging))
    assert (found.failing, found.results["skipped"]) == ((), 1)


@pytest.mark.parametrize("locker", ["directory"], indirect=True)
def test_a_cold_store_that_is_not_mounted_judges_nothing(aging, world, night, tmp_path) -> None:
    retain(aging, world, 3)
    (tmp_path / "cold").rename(tmp_path / "away")
    with pytest.raises(ServerUnreachable):
        night(aging, 3)
    (tmp_path / "away").rename(tmp_path / "cold")
    assert night(aging, 3).failing == ()


def test_a_retention_run_says_that_it_ended_and_what_the_locks_did(aging, world) -> None:
    assert checklist.gather(aging, now=world.now).worm == "unknown"
    retain(aging, world, 3)
    event = last(aging, retention.FINISHED)
    assert event.details["demoted"] == 2
    assert event.details["reasons"] == []
    facts = checklist.gather(aging, now=world.now + 3 * DAY)
    assert (facts.retention_ran, facts.worm) == (world.now + 3 * DAY, "none")
    assert last(aging, retention.LOCKS_CHECKED).details == {"cold": "none", "state": "none"}


@pytest.mark.parametrize("locker", ["directory"], indirect=True)
def test_a_run_that_a_brake_stopped_is_not_told_as_done(aging, world) -> None:
    retain(aging, world, 3)
    allowed = {"clock": "a test"}
    [done] = retention.run(aging, Order("keeper", world.now + 4.5 * DAY, allowed))
    assert done.error is not None
    assert last(aging, retention.STOPPED).details["reasons"] == ["RetentionBrake"]
    assert checklist.gather(aging, now=world.now + 5 * DAY).retention_ran == world.now + 3 * DAY
    retention.run(aging, Order("keeper", world.now + 4.6 * DAY, ALL, tenant="default"))
    assert checklist.gather(aging, now=world.now + 5 * DAY).retention_ran == world.now + 3 * DAY, (
        "one tenant is not all"
    )
