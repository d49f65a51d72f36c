"""A disk that is full, or that cannot be written: exit code 60 with its reason, and nothing is half there."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.errors import NoSpace, NotWritable
from tests.faults.conftest import Done, Fresh, Program, recover
from tests.faults.driver import FULL, FULL_ONCE, NEEDS_SPACE
from tests.faults.operations import EACH, EXPORT, Operation, Stage, spread, tree, unfinished
from tests.world import ROOT

pytestmark = pytest.mark.faults

POINTS = 12
STEPS = 6
PAGE = 4096
ENOUGH = "size=64m"


def check_refused(done: Done, reason: str) -> None:
    """Check that the program said in its own words why it could not write."""
    assert done.is_orderly, done.err
    assert done.code == NoSpace.exit_code == NotWritable.exit_code, done.err
    assert f"VERDICT  {reason} (60)" in done.err


@EACH
def test_full_from_any_moment_on(operation: Operation, stage: Stage, program: Program, fresh: Fresh) -> None:
    words = operation.words(stage, fresh(operation))
    needy = [number for number, name in enumerate(program.run(words).moments, 1) if name in NEEDS_SPACE]
    for at in spread(needy[-1], POINTS):
        place = fresh(operation)
        check_refused(program.run(words, FULL, at), NoSpace.__name__)
        reached = operation.half_way(stage, place)
        assert not reached or [number for number in needy if number >= at] == needy[-1:]  # only the last flush failed
        assert unfinished(place) == []
    recover(operation, stage, program, place, reached=reached)


@EACH
def test_full_for_one_file_only(operation: Operation, stage: Stage, program: Program, fresh: Fresh) -> None:
    words = operation.words(stage, fresh(operation))
    files = [number for number, name in enumerate(program.run(words).moments, 1) if name == "open"]
    refused = 0
    for at in files:
        place = fresh(operation)
        done = program.run(words, FULL_ONCE, at)
        if done.code == operation.code:  # the file could be made in another way
            operation.finished(stage, place, done)
            continue
        check_refused(done, NoSpace.__name__)
        assert not operation.half_way(stage, place)
        assert unfinished(place) == []
        refused += 1
    assert refused >= len(files) - 1


class Disk:
    """A small file system that only the program sees; ``seen`` is where it is seen from here."""

    def __init__(self, program: Program, place: Path) -> None:
        self.place = place
        self.seen = program.seen(place)
        self._program = program

    def mount(self, options: str) -> None:
        """Mount it anew, with nothing in it."""
        self.end()
        done = self._program.shell("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.place))
        assert done.code == 0, done.err

    def change(self, options: str) -> None:
        """Change its options, and keep what is in it."""
        done = self._program.shell("mount", "-o", f"remount,{options}", str(self.place))
        assert done.code == 0, done.err

    def end(self) -> None:
        """Unmount it, if it is mounted."""
        self._program.shell("umount", str(self.place))


@pytest.fixture
def disk(program: Program, fast: Path) -> Iterator[Disk]:
    if not program.can_mount:
        pytest.skip("needs root, to mount small file systems out of everybody's sight")
    place = fast / "disk"
    place.mkdir(exist_ok=True)
    made = Disk(program, place)
    yield made
    made.end()


def recover_on(disk: Disk, operation: Operation, stage: Stage, program: Program) -> None:
    """Run the command again, now that it can write, and check that it comes to its end."""
    again = program.run(operation.words(stage, disk.place))
    assert again.code == operation.code, again.err
    operation.finished(stage, disk.seen, again)


def pages(place: Path) -> int:
    """Return how many pages the files below a directory take."""
    return sum(-(-path.stat().st_size // PAGE) for path in place.rglob("*") if path.is_file())


@EACH
def test_disk_of_any_size(operation: Operation, stage: Stage, program: Program, disk: Disk) -> None:
    disk.mount(ENOUGH)
    operation.prepare(stage, disk.seen)
    size = pages(disk.seen)
    words = operation.words(stage, disk.place)
    assert program.run(words).code == operation.code
    grown = pages(disk.seen) - size
    step = max(1, grown // STEPS)
    refused = 0
    while True:
        disk.mount(f"size={max(size, 1) * PAGE}")
        operation.prepare(stage, disk.seen)
        if refused == STEPS // 2:  # once as an operator starts it
            done = program.shell("env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "stella", *words)
        else:
            done = program.run(words)
        if done.code == operation.code:
            break
        check_refused(done, NoSpace.__name__)
        assert not operation.half_way(stage, disk.seen)
        assert unfinished(disk.seen) == []
        disk.change(ENOUGH)
        recover_on(disk, operation, stage, program)
        refused += 1
        size += step
    operation.finished(stage, disk.seen, done)
    assert refused > min(STEPS // 2, grown)


@EACH
def test_read_only_disk(operation: Operation, stage: Stage, program: Program, disk: Disk) -> None:
    disk.mount(ENOUGH)
    operation.prepare(stage, disk.seen)
    before = tree(disk.seen)
    disk.change("ro")
    check_refused(program.run(operation.words(stage, disk.place)), NotWritable.__name__)
    assert tree(disk.seen) == before
    disk.change("rw")
    recover_on(disk, operation, stage, program)


@pytest.mark.parametrize("out", ["missing/results", "ops"])
def test_an_export_needs_a_place_for_its_file(out: str, stage: Stage, program: Program, fresh: Fresh) -> None:
    place = fresh(EXPORT)
    words = EXPORT.words(stage, place)
    words[words.index("--out") + 1] = str(place / out)
    check_refused(program.run(words), NotWritable.__name__)
    assert unfinished(place) == []
