"""Ctrl-C, or the system's request to stop, at any moment: exit code 130, and nothing is half there.

From a run's last line on its outcome stands, and so does its exit code.
"""

import pytest

from kit.errors import Interrupted
from tests.faults.conftest import Fresh, Program, recover
from tests.faults.driver import INTERRUPT, TERMINATE
from tests.faults.operations import EACH, IMPORT, REFUSE, REPLAY, Operation, Stage, spread, unfinished

pytestmark = pytest.mark.faults

POINTS = 8
LAST_LINE = 2
"""Moments that the last line of a run's journal takes: it is written and flushed."""


@EACH
@pytest.mark.parametrize("fault", [INTERRUPT, TERMINATE])
def test_stopped_at_any_moment(operation: Operation, fault: str, stage: Stage, program: Program, fresh: Fresh) -> None:
    place = fresh(operation)
    words = operation.words(stage, place)
    total = len(program.run(words).moments)
    for at in spread(total, POINTS):
        at_work = fresh(operation)
        stopped = program.run(words, fault, at)
        assert stopped.is_orderly, stopped.err
        if operation in (IMPORT, REPLAY, REFUSE) and stopped.code == operation.code:  # its last line was being written
            assert at > total - LAST_LINE
            operation.finished(stage, at_work, stopped)
            place, reached = at_work, True
            continue
        place = at_work
        assert stopped.code == Interrupted.exit_code
        assert "VERDICT  Interrupted (130)" in stopped.err
        reached = operation.half_way(stage, place)
        assert not reached or operation not in (REPLAY, REFUSE), "a run that was stopped must not count"
        assert reached or unfinished(place) == []  # later it was stopped while tidying up
    recover(operation, stage, program, place, reached=reached)
