"""Processes that die and disks that fill: nothing acknowledged is lost, nothing half-finished looks finished."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
PROGRAM = [sys.executable, str(HERE / "faults.py")]

pytestmark = pytest.mark.faults


@pytest.fixture
def fast(tmp_path: Path) -> Iterator[Path]:
    """A directory in memory where there is one: a kill does not care how slow the disk is."""
    base = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=base if os.access(base, os.W_OK) else tmp_path) as directory:
        yield Path(directory)


def report(*command: str) -> dict[str, dict[str, int]]:
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1]}:{HERE}:{os.environ.get('PYTHONPATH', '')}"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("action", "points"), [("ingest", 40), ("sync", 12), ("refuse", 12), ("init", 10)])
def test_a_killed_action_is_completed_by_the_next(fast: Path, action: str, points: int) -> None:
    found = report(*PROGRAM, "kill", action, str(fast), str(points))
    assert found["killed"] + found["acknowledged"] == points + points // 4
    assert found["killed"] >= points
    if action == "ingest":
        assert {'["absent", 0, 0]', '["pending", 0, 0]'} <= set(found["states"])


def test_a_full_disk_is_refused_and_nothing_is_half_there(tmp_path: Path) -> None:
    unshare = shutil.which("unshare")
    allowed = unshare and subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode == 0
    if not unshare or not allowed:
        pytest.skip("needs the right to mount a small file system (root, or CAP_SYS_ADMIN)")
    found = report(unshare, "-m", *PROGRAM, "disk", str(tmp_path))
    assert set(found["outcomes"]) == {"refused", "kept"}
    assert found["outcomes"]["refused"] >= 10
