"""A warm program that runs ``stella`` in children, with a fault at the n-th moment at which one changes a disk.

A moment is a call that changes files: creating, writing, flushing, renaming, removing; a write has a second moment with
half of its bytes on the disk. Requests are JSON lines on standard input, ``{"run": words, "fault": kind, "at": n}``,
``{"warm": words}`` or ``{"shell": words}``, and each is answered by one line. A child leaves its report in its own
standard input, because the network guard closes every other descriptor. ``conftest.py`` speaks to it.
"""

import builtins
import errno
import gc
import io
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import stella
from verifier import guard

KILL, FULL, FULL_ONCE, INTERRUPT, TERMINATE = "kill", "full", "full-once", "interrupt", "terminate"
SIGNALS = {KILL: signal.SIGKILL, INTERRUPT: signal.SIGINT, TERMINATE: signal.SIGTERM}
NEEDS_SPACE = {
    "fsync", "half-written", "link", "mkdir", "open", "pwrite", "rename", "replace", "sendfile", "symlink", "write",
}  # fmt: skip
CHANGES = (
    "chmod", "fchmod", "ftruncate", "link", "mkdir", "pwrite", "rename", "replace", "rmdir", "sendfile", "symlink",
    "unlink",
)  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Moments:
    """Counts the moments of this process, makes the fault happen at one of them, and remembers what was flushed."""

    def __init__(self, fault: str | None, at: int) -> None:
        self.names: list[str] = []
        self.flushed: dict[int, list[Any]] = {}
        self._fault = fault
        self._at = at

    def reached(self, name: str) -> None:
        self.names.append(name)
        number = len(self.names)
        is_full = (self._fault == FULL and number >= self._at) or (self._fault == FULL_ONCE and number == self._at)
        if is_full and name in NEEDS_SPACE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self._fault in SIGNALS and number == self._at:
            os.kill(os.getpid(), SIGNALS[self._fault])

    def write(self, put: Callable[[Any], int], data: Any) -> int:
        self.reached("write")
        if self._fault and len(self.names) + 1 == self._at:
            put(memoryview(data)[: len(data) // 2])
        self.reached("half-written")
        return put(data)

    def watch(self) -> None:
        """Put a moment before every function that changes files."""
        for name in CHANGES:
            setattr(os, name, self._before(name, getattr(os, name)))
        real_open, real_write, real_fsync, real_file = os.open, os.write, os.fsync, io.open
        moments = self

        class File(io.FileIO):
            def write(self, data: Any, /) -> int:
                return moments.write(super().write, data)

        def os_open(path: Any, flags: int, *rest: Any, **named: Any) -> int:
            if flags & WRITING:
                self.reached("open")
            return real_open(path, flags, *rest, **named)

        def fsync(descriptor: int) -> None:
            self.reached("fsync")
            real_fsync(descriptor)
            status = os.fstat(descriptor)
            self.flushed[status.st_ino] = contents_of(descriptor, status)

        def file_open(file: Any, mode: str = "r", buffering: int = -1, *rest: Any, **named: Any) -> Any:
            if "b" not in mode or not set(mode) & set("wax+"):
                return real_file(file, mode, buffering, *rest, **named)
            if not isinstance(file, int) and "opener" not in named:
                self.reached("open")
            raw = File(file, mode.replace("b", ""), opener=named.get("opener"))
            return io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)

        os.open, os.fsync = os_open, fsync  # type: ignore[assignment]
        os.write = lambda descriptor, data: self.write(lambda part: real_write(descriptor, part), data)
        io.open = builtins.open = file_open  # type: ignore[assignment]

    def _before(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*given: Any, **named: Any) -> object:
            self.reached(name)
            return real(*given, **named)

        return call


def contents_of(place: int | str, status: os.stat_result) -> list[Any]:
    """Return what a flush makes durable: a directory's entries, or a file's size and time of change."""
    if stat.S_ISDIR(status.st_mode):
        with os.scandir(place) as entries:
            return sorted([entry.name, entry.inode()] for entry in entries)
    return [status.st_size, status.st_mtime_ns]


def child(words: list[str], fault: str | None, at: int) -> None:
    """Be the program: run the command line, leave the report, and end."""
    moments = Moments(fault, at)
    sys.argv = ["stella", *words]
    code = 99
    try:
        moments.watch()
        code = stella.main()
    except BaseException:  # noqa: BLE001  # the test sees it in what was printed
        sys.excepthook(*sys.exc_info())
    finally:
        report = {"moments": moments.names, "flushed": moments.flushed}
        with io.FileIO(0, "w") as target:
            target.write(json.dumps(report).encode())
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def run(words: list[str], fault: str | None, at: int) -> dict[str, object]:
    """Run the program in a child and say how it ended."""
    files = [os.memfd_create(name) for name in ("report", "out", "err")]
    process = os.fork()
    if process == 0:
        for number, file in enumerate(files):
            os.dup2(file, number)
        child(words, fault, at)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    report, out, err = (os.pread(file, os.fstat(file).st_size, 0).decode() for file in files)
    for file in files:
        os.close(file)
    return {"code": code, "out": out, "err": err, **json.loads(report or "{}")}


def warm(words: list[str]) -> dict[str, object]:
    """Run the program in this process, without its guard, so that children begin with everything loaded."""
    enforce, guard.enforce = guard.enforce, lambda _: guard.GuardReport(layers=(), probe="")
    try:
        with redirect_stdout(io.TextIOWrapper(io.BytesIO())) as out, redirect_stderr(out):
            code = stella.main(words)
            return {"code": code, "out": out.buffer.getvalue().decode(), "err": ""}
    finally:
        guard.enforce = enforce
        gc.freeze()  # children need not look at, and so copy, what is there already


def shell(words: list[str]) -> dict[str, object]:
    """Run another program and say how it ended."""
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return {"code": done.returncode, "out": done.stdout, "err": done.stderr}


def main() -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        match json.loads(line):
            case {"run": words, "fault": fault, "at": at}:
                answer = run(words, fault, at)
            case {"warm": words}:
                answer = warm(words)
            case {"shell": words}:
                answer = shell(words)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
