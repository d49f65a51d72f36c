"""``python -m tools.release``: builds the release of this machine's kind into ``dist/release/<os>-<arch>/``."""

import argparse
import shutil
import sys
from pathlib import Path

from builder import freeze
from kit.bytes import digest
from tools.release import cpython, single, sources
from verifier.cli import _runner
from verifier.cli.console import Console, Verdict

ROOT = Path(__file__).resolve().parents[2]
ZIG = ROOT / "requirements" / "release.txt"


def _zig(work: Path) -> Path:
    """Return the pinned zig, fetched if it is not there."""
    place = work / "zig"
    stamp = place / "lock-digest"
    wanted = digest.of_bytes(ZIG.read_bytes())
    if not (stamp.is_file() and stamp.read_text() == wanted):
        shutil.rmtree(place, ignore_errors=True)
        quietly = ("--quiet", "--disable-pip-version-check", "--no-input", "--no-compile")
        pip = [sys.executable, "-m", "pip", "install", *quietly, "--require-hashes", "--requirement", ZIG]
        sources.call([*pip, "--target", place], ROOT)
        stamp.write_text(wanted)
    return place / "ziglang" / "zig"


def build(work: Path) -> Path:
    """Build the release below the work directory and return its directory."""
    fetched = sources.fetch(work)
    chain = cpython.toolchain(_zig(work), work)
    python = cpython.build(fetched, work, chain)
    libgcc = next((fetched / "libgcc-s1").rglob("libgcc_s.so.1"))
    version = digest.of_bytes(sources.LOCK.read_bytes() + ZIG.read_bytes())
    tag = f"manylinux2014_{chain.machine}"
    frozen = freeze.freeze(ROOT, work, freeze.Base(python / "bin" / "python3.11", python / "lib", libgcc, tag, version))
    made = work / "release" / freeze.platform()
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(frozen.directory, made, symlinks=True)
    one_file = made / freeze.ONE_FILE
    one_file.write_bytes(single.make(made / freeze.FOLDER, fetched, work, chain))
    return made


def main() -> Verdict:
    """Build a verifier that runs on any Linux of this machine's kind, whatever C library that has."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="gets <os>-<arch>/stella and stella-onedir/")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "release", help="sources, tools, packages")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    made = build(arguments.work.resolve())
    target = arguments.out / made.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(made, target, symlinks=True)
    found, size = digest.of_file(target / freeze.ONE_FILE)
    console = Console()
    console.data(f"{target / freeze.ONE_FILE}  {size} bytes  {found}")
    return console.verdict("RELEASED", 0)


if __name__ == "__main__":
    sys.exit(_runner.run(main))
