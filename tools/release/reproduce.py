"""``python -m tools.release.reproduce``: builds the release a second time, as by somebody else, and compares.

The second build has a checkout, a work directory, virtual environments and a home of its own, another umask, time zone,
locale and hash seed. It shares what is pinned by digest, zig and the source archives; the interpreter is compiled anew.
Compared are the interpreter, the folder form, the single file and what lies beside them, byte for byte.
"""

import argparse
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from builder import freeze
from kit.bytes import digest
from kit.errors import DigestMismatch
from tools.release import sources
from tools.release.__main__ import ROOT, build
from verifier.cli import _runner
from verifier.cli.console import Console, Verdict

PARTS = ("builder", "kit", "locker", "requirements", "scanner", "templates", "tools", "verifier")
FILES = ("build_bundle.spec", "stella.py")

_MOST_NAMED = 20


def differences(first: Path, second: Path) -> list[str]:
    """Return the paths below two directories that are not alike: kind, link, bytes, or whether it is a program."""
    ours, others = dict(_members(first)), dict(_members(second))
    return sorted(path for path in ours.keys() | others.keys() if ours.get(path) != others.get(path))


def _members(directory: Path) -> Iterator[tuple[str, tuple[str, bool]]]:
    for path in directory.rglob("*"):
        if path.parent.name == "__pycache__":
            continue  # left by running it, with dates
        name = path.relative_to(directory).as_posix()
        if path.is_symlink():
            yield name, (f"link to {path.readlink()}", False)
        elif path.is_file():
            yield name, (digest.of_file(path)[0], bool(path.stat().st_mode & stat.S_IXUSR))


def again(place: Path, work: Path, machine: str) -> None:
    """Build the release in ``place``, as a stranger would who has the same sources."""
    checkout, other = place / "checkout", place / "elsewhere" / "work"
    for name in PARTS:
        shutil.copytree(ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copyfile(ROOT / name, checkout / name)
    shutil.copytree(work / "zig", other / "zig", symlinks=True)
    shutil.copytree(work / "sources" / "archives", other / "sources" / "archives")
    environment = {
        "HOME": str(place),
        "LC_ALL": "C",
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONHASHSEED": "77",
        "PYTHONPATH": str(checkout),
        "TZ": "Asia/Tokyo",
    }
    command = [sys.executable, "-m", "tools.release", "--machine", machine, "--work", str(other)]
    before = os.umask(0o077)
    try:
        sources.call([*command, "--out", str(place / "out")], checkout, environment)
    finally:
        os.umask(before)


def main() -> Verdict:
    """Build the release twice, the second time in other surroundings, and show that the bytes are the same."""
    parser = argparse.ArgumentParser(prog="python -m tools.release.reproduce", description=main.__doc__)
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "release", help="that of the first build")
    parser.add_argument("--machine", choices=sorted(sources.ARCHITECTURES), default=os.uname().machine)
    parser.add_argument("--scratch", type=Path, help="where the second build happens (default: the system's)")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    made = build(work, arguments.machine)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="stella-again-", dir=arguments.scratch) as scratch:
        place = Path(scratch)
        again(place, work, arguments.machine)
        own = arguments.machine == os.uname().machine
        below = Path() if own else Path(arguments.machine)
        pairs = {
            "interpreter": (work / below / "python", place / "elsewhere" / "work" / below / "python"),
            "release": (made, place / "out" / made.name),
        }
        wrong: list[str] = []
        for name, (first, second) in pairs.items():
            found = differences(first, second)
            console.data(f"{name:<12} {len(list(_members(first)))} files, {len(found)} differ")
            wrong += [f"{name}: {path}" for path in found]
    if wrong:
        raise DigestMismatch(detail=", ".join(wrong[:_MOST_NAMED])).then(
            "Find what of the surroundings got into these files; nothing was released."
        )
    console.data(f"{made / freeze.ONE_FILE}  {digest.of_file(made / freeze.ONE_FILE)[0]}")
    return console.verdict("REPRODUCED", 0)


if __name__ == "__main__":
    sys.exit(_runner.run(main))
