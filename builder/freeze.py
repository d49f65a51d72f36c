"""Freezes the verifier: ``python -m builder.freeze --out dist`` fills ``dist/<os>-<arch>/``.

The same sources, locked packages, interpreter and binutils give the same bytes, wherever and by whomever they are
built: packages come by hash into a virtual environment of their own, and the freezer runs in an empty environment with
its hash seed fixed, the one thing that it would otherwise let vary.
"""

import argparse
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import freeze_packages, freeze_sbom, frozen_contents
from kit.bytes import digest
from kit.errors import FileMissing, InternalError
from verifier.cli import _runner
from verifier.cli.console import Console, Verdict

LOCK = "requirements/freeze.txt"
SPEC = "build_bundle.spec"
ONE_FILE, FOLDER = "stella", "stella-onedir"

_REPORT = "installed.json"
_EPOCH = "315532800"  # 1980-01-01, the earliest that zip archives know
_OURS = "|".join(frozen_contents.ROOMS)
_LEFT_OUT = re.compile(rf"module named '?(?!'|(?:{_OURS})\b)\S+ - imported by .*\b(?:{_OURS}|stella)\b[\w.]* \(")


@dataclass(frozen=True, slots=True)
class Base:
    """An interpreter made to be frozen, instead of this machine's: see tools/release.

    ``libraries`` is where its shared libraries lie, ``libgcc`` the run-time library of compilers to ship, ``tag`` the
    platform whose wheels fit it, ``version`` names all that, ``bill`` is what the interpreter and its libraries are in
    the bill of materials. For another kind of ``machine``, ``before`` are the words that go before its programs,
    ``programs`` a directory of what the freezer calls on them.
    """

    python: Path
    libraries: Path
    libgcc: Path
    tag: str
    version: str
    bill: tuple[Mapping[str, Any], ...]
    machine: str
    before: tuple[str, ...] = ()
    programs: Path | None = None


@dataclass(frozen=True, slots=True)
class Frozen:
    """A frozen verifier: its directory, the single file in it, and the program of the folder form."""

    directory: Path

    @property
    def one_file(self) -> Path:
        """Return the single file."""
        return self.directory / ONE_FILE

    @property
    def folder_program(self) -> Path:
        """Return the program inside the folder form."""
        return self.directory / FOLDER / "stella"


def platform(base: Base | None = None) -> str:
    """Return the name of this machine's kind, or the base's, as kits use it, such as ``linux-x86_64``."""
    return f"linux-{base.machine if base else os.uname().machine}"


def source_key(root: Path, base: Base | None = None) -> str:
    """Return a digest over everything that the frozen bytes follow from; equal keys need no second build."""
    lines = [f"{path.relative_to(root)} {digest.of_bytes(path.read_bytes())}" for path in _sources(root)]
    interpreter = base.version if base else sys.version
    return digest.of_bytes("\n".join([interpreter, platform(base), *lines]).encode())


def freeze(root: Path, work: Path, base: Base | None = None) -> Frozen:
    """Build the verifier from the sources below ``root`` and return it; nothing is done if it is up to date.

    ``work`` holds the packages and the result; several processes may call this at once. The build works on a copy of
    the sources, so that a change meanwhile is in the next build as a whole, and not in this one by half. Without
    ``base`` this machine's own interpreter is frozen: the result runs on machines like this one.
    """
    frozen = Frozen(work / "frozen" / platform(base))
    key_file = work / "frozen" / f"{platform(base)}.key"
    with _only_one(work), tempfile.TemporaryDirectory(dir=work, prefix="freeze-") as scratch:
        if key_file.is_file() and key_file.read_text() == source_key(root, base) and frozen.one_file.is_file():
            return frozen
        copy = Path(scratch, "sources")
        for path in _sources(root):
            target = copy / path.relative_to(root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        interpreter = _environment(copy, work, base)
        made, contents = _run_freezer(copy, Path(scratch), interpreter, base)
        _write_bill(made, contents, interpreter, base)
        key_file.unlink(missing_ok=True)
        shutil.rmtree(frozen.directory, ignore_errors=True)
        frozen.directory.parent.mkdir(parents=True, exist_ok=True)
        made.rename(frozen.directory)
        key_file.write_text(source_key(copy, base))
    return frozen


def _sources(root: Path) -> list[Path]:
    files = {root / name for name in (LOCK, SPEC, "stella.py", "builder/__init__.py", "builder/frozen_contents.py")}
    files |= set((root / "builder").glob("freeze*.py"))
    files |= {path for room in frozen_contents.ROOMS for path in (root / room).rglob("*.py")}
    files |= {Path(path) for path, _directory in frozen_contents.data_files(root)}
    return sorted(files)


def _environment(root: Path, work: Path, base: Base | None) -> Path:
    """Make the virtual environment of the locked packages, unless it is there, and return its interpreter."""
    place = work / "freeze-venv"
    stamp = place / "lock-digest"
    wanted = digest.of_bytes((root / LOCK).read_bytes() + (base.version if base else sys.version).encode())
    interpreter = place / "bin" / "python"
    if not (stamp.is_file() and stamp.read_text() == wanted and (place / _REPORT).is_file()):
        name = f"python{sys.version_info.major}.{sys.version_info.minor}"
        frozen_one = base.python if base else Path(sys.base_prefix, "bin", name)
        before = base.before if base else ()
        _call([*before, frozen_one, "-m", "venv", "--clear", "--without-pip", place], _to_run(base))
        # Our own pip installs into it: to bring it a pip of its own would take as long as half of the packages.
        pip: list[str | Path] = [sys.executable, "-m", "pip"]
        install: list[str | Path] = ["install", "--quiet", "--disable-pip-version-check", "--no-input"]
        install += ["--require-hashes", "--no-deps", "--requirement", root / LOCK, "--report", place / _REPORT]
        if base:
            site = next(place.glob("lib/python*/site-packages"))
            install += ["--only-binary=:all:", f"--platform={base.tag}", f"--python-version={site.parent.name[6:]}"]
            _call([*pip, *install, "--no-compile", "--target", site])
        else:
            _call([*pip, "--python", interpreter, *install])
        stamp.write_text(wanted)
    return interpreter


def _to_run(base: Base | None) -> dict[str, str] | None:
    """Return the environment in which a built interpreter finds its own library; None for this machine's own."""
    if base is None:
        return None
    return {"LD_LIBRARY_PATH": str(base.libraries), "PATH": os.environ.get("PATH", os.defpath)}


def _run_freezer(root: Path, scratch: Path, interpreter: Path, base: Base | None) -> tuple[Path, dict[str, Any]]:
    """Run the freezer on the sources below ``root``; return the directory of the two forms, and what got in."""
    made, intermediate, contents = scratch / "made", scratch / "intermediate", scratch / freeze_packages.NAME
    path = os.environ.get("PATH", os.defpath)
    environment = {
        "HOME": str(scratch),
        "LC_ALL": "C.UTF-8",
        "PATH": f"{base.programs}{os.pathsep}{path}" if base and base.programs else path,
        "PYINSTALLER_CONFIG_DIR": str(scratch / "cache"),
        "PYINSTALLER_ZLIB_COMPRESSION_LEVEL": "0",  # modules stored as they are: each import would inflate one
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "1",
        "SOURCE_DATE_EPOCH": _EPOCH,
        "STELLA_CONTENTS": str(contents),
        "TZ": "UTC",
    }
    if base:
        environment |= {"LD_LIBRARY_PATH": str(base.libraries), "STELLA_LIBGCC": str(base.libgcc)}
    options = ["--clean", "--noconfirm", "--log-level=WARN", f"--distpath={made}", f"--workpath={intermediate}"]
    before = base.before if base else ()
    _call([*before, interpreter, "-m", "PyInstaller", *options, root / SPEC], environment, cwd=scratch)
    _refuse_missing_imports(intermediate)
    return made, json.loads(contents.read_bytes())


def _write_bill(made: Path, contents: dict[str, Any], interpreter: Path, base: Base | None) -> None:
    report = json.loads((interpreter.parents[1] / _REPORT).read_bytes())
    packages = freeze_sbom.packages(contents, freeze_sbom.wheels(report))
    own = base.bill if base else (freeze_sbom.interpreter(contents["python"]),)
    freeze_sbom.write(made, [*own, *packages])


def _refuse_missing_imports(intermediate: Path) -> None:
    """Fail where a module of ours imports what was left out: it would break only when that line is reached."""
    warnings = next(intermediate.rglob("warn-*.txt"), None)
    if warnings is None:
        raise FileMissing(path="warn-build_bundle.txt", detail="the freezer left no list of missing modules")
    wrong = [line for line in warnings.read_text().splitlines() if _LEFT_OUT.search(line)]
    if wrong:
        raise InternalError(detail="; ".join(wrong))


def _call(command: Sequence[str | Path], environment: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    done = subprocess.run(  # noqa: S603  # our own words only
        command, env=environment, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr)[-4000:]
        raise InternalError(detail=f"{Path(command[0]).name} {command[2]} ended with {done.returncode}: {said}")


@contextmanager
def _only_one(work: Path) -> Iterator[None]:
    work.mkdir(parents=True, exist_ok=True)
    with (work / "freeze.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> Verdict:
    """Freeze the verifier of this checkout and put it into the given directory."""
    parser = argparse.ArgumentParser(prog="python -m builder.freeze", description=main.__doc__)
    parser.add_argument("--out", type=Path, required=True, help="gets <os>-<arch>/stella and stella-onedir/")
    parser.add_argument("--work", type=Path, help="packages and intermediate files (default: build/ of the checkout)")
    arguments = parser.parse_args()
    root = Path(__file__).resolve().parents[1]
    frozen = freeze(root, (arguments.work or root / "build").resolve())
    target = Frozen(arguments.out / platform())
    shutil.rmtree(target.directory, ignore_errors=True)
    shutil.copytree(frozen.directory, target.directory, symlinks=True)
    found, size = digest.of_file(target.one_file)
    size_of_folder = sum(path.stat().st_size for path in target.folder_program.parent.rglob("*") if path.is_file())
    console = Console()
    console.data(f"{target.one_file}  {size} bytes  {found}")
    console.data(f"{target.folder_program.parent}/  {size_of_folder} bytes")
    return console.verdict("FROZEN", 0)


if __name__ == "__main__":
    sys.exit(_runner.run(main))
