"""``python -m tools.release``: builds the release for one kind of machine into ``dist/release/<os>-<arch>/``."""

import argparse
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from builder import freeze, freeze_sbom
from kit.bytes import digest
from tools.release import bill, cpython, emulation, single, sources
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
        pip = [sys.executable, "-m", "pip", "install", *quietly, "--require-hashes", "--no-deps", "--requirement", ZIG]
        sources.call([*pip, "--target", place], ROOT)
        stamp.write_text(wanted)
    return place / "ziglang" / "zig"


def build(work: Path, machine: str) -> Path:
    """Build the release for a kind of machine below the work directory and return its directory."""
    fetched = sources.fetch(work, machine)
    zig = _zig(work)
    place, own = work, os.uname().machine
    chain = cpython.toolchain(zig, place, own)
    python = cpython.build(fetched, place, chain)
    if machine != own:
        place = work / machine
        place.mkdir(exist_ok=True)
        chain = cpython.toolchain(zig, place, machine, native=python)
        python = cpython.build(fetched, place, chain)
    libgcc = next(sources.package(fetched, "libgcc-s1", machine).rglob("libgcc_s.so.1"))
    base = freeze.Base(
        python=python / "bin" / "python3.11",
        libraries=python / "lib",
        libgcc=libgcc,
        tag=f"manylinux2014_{machine}",
        version=digest.of_bytes(sources.LOCK.read_bytes() + ZIG.read_bytes() + (python / cpython.STAMP).read_bytes()),
        bill=bill.of_base(fetched, machine),
        machine=machine,
    )
    if machine != own:
        root = emulation.root(fetched, machine, place)
        programs = emulation.programs(machine, place, root, single.LOADERS[machine])
        base = replace(base, before=tuple(emulation.words_before(machine, root)), programs=programs)
    frozen = freeze.freeze(ROOT, place, base)
    made = place / "release" / freeze.platform(base)
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(frozen.directory, made, symlinks=True)
    (made / freeze.ONE_FILE).write_bytes(single.make(made / freeze.FOLDER, fetched, place, chain))
    parts = [*freeze_sbom.parts(made), *bill.of_single_file(fetched, machine, zig)]
    freeze_sbom.write(made, parts, bill.vulnerabilities())
    return made


def main() -> Verdict:
    """Build a verifier that runs on any Linux of one kind of machine, whatever C library that has."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="gets <os>-<arch>/stella and stella-onedir/")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "release", help="sources, tools, packages")
    parser.add_argument("--machine", choices=sorted(sources.ARCHITECTURES), default=os.uname().machine)
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    made = build(arguments.work.resolve(), arguments.machine)
    target = arguments.out / made.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(made, target, symlinks=True)
    found, size = digest.of_file(target / freeze.ONE_FILE)
    console = Console()
    console.data(f"{target / freeze.ONE_FILE}  {size} bytes  {found}")
    return console.verdict("RELEASED", 0)


if __name__ == "__main__":
    sys.exit(_runner.run(main))
