"""A few thousand inputs, chosen by coverage, for each target: nothing but a value or a typed refusal comes out."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS, Target

ROOT = Path(__file__).parents[2]
RUNS = 2_000

needs_atheris = pytest.mark.skipif(
    sys.version_info >= (3, 12) or importlib.util.find_spec("atheris") is None,
    reason="atheris instruments Python up to 3.11",
)


def fuzz(target: str, folder: Path, runs: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.run_target", target, str(folder / "corpus"), str(runs)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@needs_atheris
@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_a_reader_ends_in_a_value_or_a_typed_refusal(target: Target, tmp_path: Path) -> None:
    done = fuzz(target.name, tmp_path, RUNS)
    assert done.returncode == 0, done.stderr[-4_000:]
    assert f"Done {RUNS} runs" in done.stderr or f"Done {RUNS} in" in done.stderr
    # Without instrumentation no input would be new, and none kept beside the seeds.
    assert len(list((tmp_path / "corpus").iterdir())) > len(target.seeds)


@pytest.mark.parametrize("target", TARGETS, ids=lambda one: one.name)
def test_seeds_are_read(target: Target) -> None:
    read = target.load()
    assert [read(seed) for seed in target.seeds] == [None] * len(target.seeds)
