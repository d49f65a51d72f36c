"""Processes that die and disks that fill: nothing acknowledged is lost, nothing half-finished looks finished."""

from pathlib import Path

import pytest

from tests.locker.fault_program import fill_disk, kill

PROGRAM = "faults.py"

pytestmark = pytest.mark.faults


@pytest.mark.parametrize(("action", "points"), [("ingest", 40), ("sync", 12), ("refuse", 12), ("init", 10)])
def test_a_killed_action_is_completed_by_the_next(tmp_path: Path, action: str, points: int) -> None:
    found = kill(PROGRAM, action, points, tmp_path)
    assert found["killed"] + found["acknowledged"] == points + points // 4
    assert found["killed"] >= points
    if action == "ingest":
        assert {'["absent", 0, 0]', '["pending", 0, 0]'} <= set(found["states"])


def test_a_full_disk_is_refused_and_nothing_is_half_there(tmp_path: Path) -> None:
    found = fill_disk(PROGRAM, tmp_path)
    assert set(found["outcomes"]) == {"refused", "kept"}
    assert found["outcomes"]["refused"] >= 10
