"""The warm program with its faults, and what the operations begin with."""

import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kit import layout
from kit.errors import AlreadyAccepted
from tests.faults.driver import KILL
from tests.faults.operations import BUILD, EXPORT, OPERATIONS, RECORD, REPLAY, Operation, Stage
from tests.world import ROOT, SCAN_ID, World

DRIVER = Path(__file__).resolve().with_name("driver.py")
OWN_MOUNTS = ["unshare", "--mount"]


@dataclass(frozen=True)
class Done:
    """How one run of the program ended; ``moments`` and ``flushed`` are empty when it was killed."""

    code: int
    out: str
    err: str
    moments: list[str] = field(default_factory=list)
    flushed: dict[str, list[object]] = field(default_factory=dict)

    @property
    def is_orderly(self) -> bool:
        """Tell whether the program ended by itself, in its own words."""
        return self.code >= 0 and "Traceback" not in self.err and "Exception ignored" not in self.err


class Program:
    """The program, started once; each run is a child of it. Where we may, it has mounts of its own."""

    def __init__(self) -> None:
        self.can_mount = os.geteuid() == 0 and bool(shutil.which(OWN_MOUNTS[0])) and succeeds([*OWN_MOUNTS, "true"])
        self._process = subprocess.Popen(
            [*(OWN_MOUNTS if self.can_mount else []), sys.executable, "-B", str(DRIVER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def seen(self, place: Path) -> Path:
        """Return where a directory of the program's own mounts is seen from here."""
        return Path(f"/proc/{self._process.pid}/root{place}")

    def run(self, words: Sequence[str], fault: str | None = None, at: int = 0) -> Done:
        """Run a command line, with a fault at one of its moments, counted from 1."""
        return self._ask({"run": list(words), "fault": fault, "at": at})

    def warm(self, words: Sequence[str]) -> Done:
        """Run a command line without guard and faults, so that later runs are quick."""
        return self._ask({"warm": list(words)})

    def shell(self, *words: str) -> Done:
        """Run another program where this one lives."""
        return self._ask({"shell": list(words)})

    def end(self) -> None:
        """Let the program end."""
        self._process.communicate()

    def _ask(self, request: dict[str, object]) -> Done:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return Done(**json.loads(self._process.stdout.readline()))


def succeeds(words: Sequence[str]) -> bool:
    """Tell whether a program ends with 0."""
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def fast() -> Iterator[Path]:
    """A directory in memory where there is one: a fault does not care how slow the disk is."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def program() -> Iterator[Program]:
    made = Program()
    yield made
    made.end()


@pytest.fixture(scope="session")
def stage(world: World, program: Program, fast: Path) -> Stage:
    """What the operations begin with; every command has run once in the program when it is made."""
    made = Stage(world, fast / "stage")
    bundle = world.copy_kit(made.tampered) / layout.scan_directory(SCAN_ID) / layout.INPUT_BUNDLE
    data = bytearray(bundle.read_bytes())
    data[len(data) // 2] ^= 1
    bundle.write_bytes(data)
    made.program.mkdir(parents=True)
    verifier = made.program / "stella"
    verifier.write_bytes(random.Random(3).randbytes(100_000))
    verifier.chmod(0o755)
    hashes = [{"alg": "SHA-256", "content": hashlib.sha256(verifier.read_bytes()).hexdigest()}]
    bill = {"bomFormat": "CycloneDX", "specVersion": "1.6"}
    components = [{"type": "file", "name": verifier.name, "hashes": hashes}]
    (made.program / "stella.cdx.json").write_text(json.dumps({**bill, "components": components}))
    world.new_site(made.site)
    for number, operation in enumerate(OPERATIONS):
        if operation is EXPORT:
            make_runs(program, made)
        place = made.references if operation in (RECORD, BUILD) else fast / f"warm-{number}"
        place.mkdir(exist_ok=True)
        operation.prepare(made, place)
        done = program.warm(operation.words(made, place))
        assert done.code == operation.code, done.out
    return made


Fresh = Callable[[Operation], Path]


@pytest.fixture
def fresh(stage: Stage, fast: Path) -> Iterator[Fresh]:
    """Return what makes the place of an operation anew, with what is there before in it."""
    place = fast / "place"

    def make(operation: Operation) -> Path:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        operation.prepare(stage, place)
        return place

    yield make
    shutil.rmtree(place, ignore_errors=True)


def recover(operation: Operation, stage: Stage, program: Program, place: Path, *, reached: bool) -> None:
    """Run the command again; check that it comes to its end and that nothing is left of the runs before.

    Where one of them reached the end already, what it made may be there and is not made again.
    """
    again = program.run(operation.words(stage, place))
    assert again.code in {operation.code, *([AlreadyAccepted.exit_code] if reached else [])}, again.err
    operation.finished(stage, place, again)


def make_runs(program: Program, stage: Stage) -> None:
    """Make the runs of a site: one that was sent home, one more, and one that was cut off."""
    shutil.copytree(stage.site, stage.visited / "site")
    replay = REPLAY.words(stage, stage.visited)
    sent = ["sync", "export", "--out", str(stage.sent), *replay[-4:]]
    assert [program.run(words).code for words in (replay, sent)] == [0, 0]
    moments = program.run(replay).moments
    assert program.run(replay, KILL, len(moments) // 2).code == -signal.SIGKILL
