"""Start one of the programs that inject faults, faults.py or faults_retention.py, and read its report."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
MEMORY = Path("/dev/shm")

Report = dict[str, dict[str, int]]


def kill(program: str, action: str, points: int, place: Path) -> Report:
    """Kill an action at many points; in memory where it can be, since a kill does not care how slow the disk is."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else place
    with tempfile.TemporaryDirectory(dir=base) as directory:
        return _report(program, "kill", action, directory, str(points))


def fill_disk(program: str, place: Path) -> Report:
    """Let actions meet disks that are too small; skip the test where none can be mounted out of everybody's sight."""
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small file system (root, or CAP_SYS_ADMIN)")
    return _report(program, "disk", str(place), before=(unshare, "-m"))


def _report(program: str, *words: str, before: tuple[str, ...] = ()) -> Report:
    environment = {**os.environ, "PYTHONPATH": f"{HERE.parents[1]}:{HERE}:{os.environ.get('PYTHONPATH', '')}"}
    command = [*before, sys.executable, str(HERE / program), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    read: Report = json.loads(done.stdout)
    return read
