"""The demonstration walks the whole way and shows what it promises."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.world import ROOT

STEPS = (
    ("create the RootPack", "FOUNDED (0)"),
    ("record a scan", "RECORDED (0)"),
    ("ingest the record", "INGESTED (0)"),
    ("freeze the verifier", "FROZEN (0)"),
    ("build the kit", "BUILT (0)"),
    ("rehearse it", "REHEARSED (0)"),
    ("pin the trust root", "PINNED (0)"),
    ("replay, strict, frozen", "VERIFIED (0)"),
    ("import the results", "IMPORTED (0)"),
    ("flip one byte", "REFUSED: DigestMismatch (30)"),
    ("what if", "WHAT-IF (0)"),
)


@pytest.mark.frozen
def test_demo_walks_the_whole_way(frozen_verifier, tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "demo.py"), str(tmp_path / "demo")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    position = 0
    for title, verdict in STEPS:
        position = next(index for index, line in enumerate(lines) if index >= position and title in line)
        assert lines[position].endswith(verdict)
    shown = [line.split()[-1] for line in lines if line.startswith(("  the ", "  its "))]
    assert len(shown) == 5
    for path in shown:
        assert (tmp_path / path).is_file()
    assert any("the feed gained a record (1)" in line and "consequence" not in line for line in lines)
    assert lines[-4] == "Try next:"
