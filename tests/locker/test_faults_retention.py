"""Retention under faults: nothing held is ever deleted, no row loses its object, and running again finishes."""

import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from kit.errors import ServerUnreachable
from locker import cas, move
from locker.ingest import ingest
from locker.retention import purge
from locker.retention.run import Order, run
from locker.store import open_locker
from tests.locker.fault_program import fill_disk, kill

PROGRAM = "faults_retention.py"
ALLOWED = {"share": "a test", "growth": "a test", "clock": "a test"}
DAY = timedelta(days=1)

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("action", "points"), [("purge", 16), ("demote", 12), ("hold", 6)])
def test_a_killed_run_is_finished_by_the_next(tmp_path: Path, action: str, points: int) -> None:
    found = kill(PROGRAM, action, int(os.environ.get("STELLA_FAULT_POINTS", points)), tmp_path)
    assert found["killed"] >= points
    if action == "purge":
        assert any("deleting" in state for state in found["states"])


def test_a_full_disk_stops_a_run_and_loses_nothing(tmp_path: Path) -> None:
    found = fill_disk(PROGRAM, tmp_path)
    assert set(found["outcomes"]) == {"refused", "done"}


@pytest.fixture
def marked(world, tmp_path, new_database, new_bucket):
    """A locker on servers, all of whose bundles are marked."""
    path = tmp_path / "locker"
    with world.make_locker(path) as made:
        ingest(made, world.record(tmp_path / "r"), now=world.now)
    move.move(path, move.target_of(path, database=new_database, store=new_bucket))
    with open_locker(path) as opened:
        run(opened, Order("keeper", world.now + 731 * DAY, ALLOWED))
        yield opened


def bundles(locker) -> int:
    return sum(name.endswith(cas.BUNDLE) for name, _ in locker.cas.names()) - 1


def test_a_database_that_stops_in_the_middle_is_gone_on_with(world, marked, postgresql, monkeypatch) -> None:
    order = Order("keeper", world.now + 738 * DAY, ALLOWED)
    finish, done = purge.finish, []

    def then_stopped(*words, **named):
        if done:
            postgresql.stop("immediate")
        done.append(finish(*words, **named))
        return done[-1]

    with monkeypatch.context() as patch:
        patch.setattr(purge, "finish", then_stopped)
        try:
            [outcome] = run(marked, order)
        finally:
            postgresql.start()
    assert (outcome.purged, outcome.error.reason) == (1, "ServerUnreachable")
    assert bundles(marked) == 1
    [outcome] = run(marked, order)
    assert (outcome.purged, outcome.error) == (1, None)
    assert bundles(marked) == 0


def test_a_store_that_is_gone_stops_the_run_and_is_gone_on_with(world, marked, bucket_server, monkeypatch) -> None:
    order = Order("keeper", world.now + 738 * DAY, ALLOWED)
    bucket_server.stop(signal.SIGKILL)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(type(marked.cas), "sweep", lambda _: None)
            [outcome] = run(marked, order)
    finally:
        bucket_server.start()
    assert (outcome.purged, type(outcome.error)) == (0, ServerUnreachable)
    assert bundles(marked) == 2
    [outcome] = run(marked, order)
    assert (outcome.purged, outcome.error) == (2, None)
