"""A process that is killed: nothing unfinished looks finished, and the same command again completes."""

import signal

import pytest

from tests.faults.conftest import Fresh, Program, recover
from tests.faults.driver import KILL
from tests.faults.operations import (
    BUILD,
    EACH,
    EACH_AND_WHAT_IF,
    IMPORT,
    RECORD,
    REFUSE,
    REPLAY,
    SITE_FILES,
    Operation,
    Stage,
    names,
    unfinished,
)
from tests.world import NOW, SCAN_ID
from verifier.run_dir import RunDirectory
from verifier.run_dir import unfinished as cut_off

pytestmark = pytest.mark.faults

TIMES = 5
OTHER_SCAN_ID = "5e11a000-0000-4000-8000-00000000000b"


@EACH
def test_killed_at_any_change_of_the_disk(operation: Operation, stage: Stage, program: Program, fresh: Fresh) -> None:
    words = operation.words(stage, fresh(operation))
    undisturbed = program.run(words)
    assert undisturbed.code == operation.code, undisturbed.err
    # A flush changes nothing that another process could see. The long commands are not repeated after every point.
    points = [number for number, name in enumerate(undisturbed.moments, 1) if name != "fsync"]
    every = 6 if operation is IMPORT else 3 if operation in (BUILD, REPLAY, REFUSE) else 1
    reached = []
    for number, at in enumerate(points, 1):
        place = fresh(operation)
        killed = program.run(words, KILL, at)
        assert killed.code == -signal.SIGKILL, killed.err
        reached.append(operation.half_way(stage, place))
        if number % every == 0 or at == points[-1]:
            recover(operation, stage, program, place, reached=reached[-1])
    assert not reached[0]
    assert reached == sorted(reached), "what was there is gone after a later death"


@EACH_AND_WHAT_IF
def test_killed_again_and_again_in_one_place(
    operation: Operation, stage: Stage, program: Program, fresh: Fresh
) -> None:
    words = operation.words(stage, fresh(operation))
    total = len(program.run(words).moments)
    place = fresh(operation)
    for number in range(1, TIMES + 1):
        killed = program.run(words, KILL, total * number // (TIMES + 1))
        assert killed.code == -signal.SIGKILL, killed.err
        assert not operation.half_way(stage, place)
    of_runs = "ops/replay/"  # what is left of a run that was cut off stays for who looks into it
    left = {path.partition(".part")[0] for path in unfinished(place) if not path.startswith(of_runs)}
    assert len(left) <= 1, "each run is to remove what the one before left"
    recover(operation, stage, program, place, reached=False)


def test_a_record_removes_what_another_scan_left(stage: Stage, program: Program, fresh: Fresh) -> None:
    words = RECORD.words(stage, fresh(RECORD))
    total = len(program.run(words).moments)
    place = fresh(RECORD)
    assert program.run(words, KILL, total // 2).code == -signal.SIGKILL
    assert unfinished(place)
    assert program.run([OTHER_SCAN_ID if word == SCAN_ID else word for word in words]).code == 0
    assert names(place / "records") == {OTHER_SCAN_ID}


def test_a_site_removes_what_a_killed_run_left(stage: Stage, program: Program, fresh: Fresh) -> None:
    place = fresh(REPLAY)
    (place / "site" / ".state.json.0123456789ab.part").write_bytes(b"{")
    (place / "site" / ".state.json.other").write_bytes(b"not ours")
    assert program.run(REPLAY.words(stage, place)).code == 0
    assert names(place / "site") == SITE_FILES | {".state.json.other"}


def test_a_run_that_is_still_at_work_is_not_called_cut_off(fresh: Fresh) -> None:
    runs = fresh(REPLAY) / "ops"
    at_work = RunDirectory(runs / "1", lambda: NOW)
    dead = RunDirectory(runs / "2", lambda: NOW)
    dead.close()
    (runs / "3").mkdir()
    assert cut_off(runs) == ["2", "3"]
    at_work.close()
    assert cut_off(runs) == ["1", "2", "3"]
