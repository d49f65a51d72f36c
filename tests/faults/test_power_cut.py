"""A power cut right after a command has come to its end: all that it made was flushed, every file and every name."""

from pathlib import Path

import pytest

from tests.faults.conftest import Fresh, Program
from tests.faults.driver import contents_of
from tests.faults.operations import EACH_AND_WHAT_IF, Operation, Stage

pytestmark = pytest.mark.faults


@EACH_AND_WHAT_IF
def test_what_was_acknowledged_was_flushed(operation: Operation, stage: Stage, program: Program, fresh: Fresh) -> None:
    place = fresh(operation)
    before = state(place)
    done = program.run(operation.words(stage, place))
    assert done.code == operation.code, done.err
    lost = [
        path.relative_to(place).as_posix()
        for path, (number, contents) in state(place).items()
        if before.get(path) != (number, contents) and not is_kept(contents, done.flushed.get(str(number), []))
    ]
    assert lost == []


def state(place: Path) -> dict[Path, tuple[int, list[object]]]:
    """Return the number and the contents of everything in and below a directory, itself too."""
    found = {}
    for path in (place, *place.rglob("*")):
        status = path.stat()
        found[path] = status.st_ino, contents_of(str(path), status)
    return found


def is_kept(contents: list[object], flushed: list[object]) -> bool:
    """Tell whether the last flush saw all of this; what it saw besides was removed since."""
    if contents[:1] == [0]:  # an empty file is a lock
        return True
    return contents == flushed or all(isinstance(entry, list) and entry in flushed for entry in contents)
