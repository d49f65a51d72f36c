"""How the benchmarks measure: CPU seconds (user + system) of whole processes with their children, never wall time.

Two commands are compared in alternating runs A B A B on the same host with a warm page cache, after one unmeasured run
of each; what counts is the ratio of the medians. Ratios survive another machine, seconds do not.
"""

import hashlib
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

RUNS = int(os.environ.get("STELLA_BENCH_RUNS", "5"))
COLUMNS = "{:<5} {:<62} {:>11} {:>11} {:>8} {:>8}  {}"


@dataclass(frozen=True, slots=True)
class Usage:
    """What one process and its children took: CPU seconds, and the peak resident MB of the largest of them."""

    cpu: float
    peak: float


@dataclass(frozen=True, slots=True)
class Command:
    """A command to measure; ``before`` runs unmeasured ahead of each run, ``code`` is the exit code to expect."""

    words: Sequence[str | Path]
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    before: Callable[[], object] | None = None
    code: int = 0


def run(command: Command) -> Usage:
    """Run a command once; it must leave with the expected code.

    Linux counts the memory of the process that starts another as the other's, so the caller must stay small.
    """
    if command.before:
        command.before()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            [str(word) for word in command.words],
            env=None if command.environment is None else dict(command.environment),
            cwd=command.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != command.code:
            said.seek(0)
            text = said.read().decode(errors="replace")[-2000:]
            raise SystemExit(f"{command.words} ended with {process.returncode}, not {command.code}\n{text}")
    return Usage(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def paired(first: Command, second: Command, runs: int = RUNS) -> tuple[Usage, Usage]:
    """Return the medians of two commands, run by turns."""
    for command in (first, second):
        run(command)
    pairs = [(run(first), run(second)) for _ in range(runs)]
    return _median([pair[0] for pair in pairs]), _median([pair[1] for pair in pairs])


def alone(command: Command, runs: int = RUNS) -> Usage:
    """Return the medians of one command."""
    run(command)
    return _median([run(command) for _ in range(runs)])


def paired_calls(
    first: Callable[[], object], second: Callable[[], object], runs: int = RUNS, repeat: int = 1
) -> tuple[float, float]:
    """Return the median CPU seconds of two functions, called by turns, each in a fork that no earlier run warmed."""
    for function in (first, second):
        _in_fork(function, 1)
    pairs = [(_in_fork(first, repeat), _in_fork(second, repeat)) for _ in range(runs)]
    return statistics.median(pair[0] for pair in pairs), statistics.median(pair[1] for pair in pairs)


def call(function: Callable[[], object], runs: int = RUNS, repeat: int = 1) -> float:
    """Return the median CPU seconds of a function, each time in a fork that no earlier run warmed."""
    _in_fork(function, 1)
    return statistics.median(_in_fork(function, repeat) for _ in range(runs))


def shell(script: str, *arguments: str | Path) -> Command:
    """Return a command for ``sh``; the arguments are ``$1``, ``$2`` and so on."""
    return Command(["sh", "-c", script, "sh", *arguments])


def heading(title: str) -> None:
    """Print what follows, and how busy and how fast the machine is: figures of a busy machine are worth less."""
    block = bytes(1 << 20)
    before = time.process_time()
    for _ in range(100):
        hashlib.sha256(block)
    speed = 100 * len(block) / 1e6 / (time.process_time() - before)
    print(f"\n{title} (load {os.getloadavg()[0]:.1f}; sha256 at {speed:,.0f} MB per CPU second)")
    print(COLUMNS.format("", "", "ours", "peer", "ratio", "target", ""))


def ratio(target: str, what: str, ours: float, peer: float, limit: float, unit: str = "s") -> bool:
    """Print a row that is judged by ours / peer."""
    found = ours / peer
    met = found <= limit
    print(
        COLUMNS.format(
            target,
            what,
            _number(ours, unit),
            _number(peer, unit),
            f"{found:.3g}",
            f"<= {limit:g}",
            "ok" if met else "OVER",
        )
    )
    return met


def budget(what: str, ours: float, peer: float, limit: float | None, unit: str = "ms") -> bool:
    """Print a row that is judged by the figure itself, with the ratio to a peer, which tells the machine's state."""
    met = limit is None or ours <= limit
    said = ("", "") if limit is None else (f"<= {limit:g}", "ok" if met else "OVER")
    print(COLUMNS.format("", what, _number(ours, unit), _number(peer, unit), f"{ours / peer:.3g}", *said).rstrip())
    return met


def absolute(target: str, what: str, ours: float, limit: float, unit: str = "s") -> bool:
    """Print a row that is judged by the figure itself."""
    met = ours <= limit
    print(COLUMNS.format(target, what, _number(ours, unit), "", "", f"<= {limit:g}", "ok" if met else "OVER"))
    return met


def told(target: str, what: str, text: str) -> None:
    """Print a row that is judged by nothing, or says why there is no figure."""
    print(COLUMNS.format(target, what, text, "", "", "", "").rstrip())


def _median(found: Sequence[Usage]) -> Usage:
    return Usage(statistics.median(one.cpu for one in found), statistics.median(one.peak for one in found))


def _in_fork(function: Callable[[], object], repeat: int) -> float:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            before = time.process_time()
            for _ in range(repeat):
                function()
            os.write(writing, f"{(time.process_time() - before) / repeat:.9f}".encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with os.fdopen(reading, "rb") as told_by_child:
        text = told_by_child.read()
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        raise SystemExit(f"{function} failed")
    return float(text)


def _number(value: float, unit: str) -> str:
    return f"{value:.3f} {unit}" if value < 10 else f"{value:.1f} {unit}"
