"""Start-up (T14), the budgets of the frozen program, and repeatability (T15)."""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import measure
import world
from measure import Command

VERIFY_PATH = """
import verifier.cli.verify, verifier.cli.outcome, verifier.session, verifier.render
"""


def start() -> None:
    """T14: help and imports against an interpreter that does nothing."""
    measure.heading("start-up, whole process, against python -I -c pass")
    bare = Command([sys.executable, "-I", "-c", "pass"])
    rows = (
        ("stella verify --help", world.stella("verify", "--help"), 3),
        ("imports of the verify path", [sys.executable, "-c", VERIFY_PATH], 6),
    )
    for what, words, limit in rows:
        ours, peer = measure.paired(Command(words, world.environment(), world.ROOT), bare, 15)
        measure.ratio("T14", what, ours.cpu * 1e3, peer.cpu * 1e3, limit, "ms")
    for verb in ("verify", "replay"):
        cost = measure.alone(world.check(verb, "example"), 9).cpu * 1e3
        measure.told("", f"stella {verb} of the example kit", f"{cost:.0f} ms")


def budgets() -> None:
    """Sizes, start-up and memory of the frozen program against their budgets, each run beside a bare interpreter's."""
    measure.heading("budgets of the frozen program (peer: python -I -c pass in the same minutes)")
    bare = Command([sys.executable, "-I", "-c", "pass"])
    for what, folder in (("folder", True), ("single file", False)):
        program = partial(world.frozen, folder=folder)
        for words, limit in ((["--version"], 25 if folder else 60), (["--help"], 110), (["verify", "--help"], 110)):
            ours, peer = measure.paired(Command(program(*words)), bare, 15)
            measure.budget(f"stella {' '.join(words)}, {what}", ours.cpu * 1e3, peer.cpu * 1e3, limit, "ms")
        for verb, limit, memory in (("verify", 160, 40), ("replay", None, 80)):
            ours, peer = measure.paired(world.check(verb, "example", program=program), bare, 15)
            measure.budget(f"stella {verb} of the example kit, {what}", ours.cpu * 1e3, peer.cpu * 1e3, limit, "ms")
            measure.absolute("", f"memory of it, {what}", ours.peak, memory, "MB")
    single = Path(world.frozen(folder=False)[0])
    packed = subprocess.run(["zstd", "-19", "-qc", single], stdout=subprocess.PIPE, check=True).stdout
    measure.absolute("", "single file", single.stat().st_size / 1e6, 26, "MB")
    measure.absolute("", "single file as zstd -19", len(packed) / 1e6, 11, "MB")
    if shutil.which("valgrind"):
        for verb in ("verify", "replay"):
            command = world.check(verb, "example", program=world.frozen)
            measure.told("", f"instructions of {verb}, folder, beside the kernel's", f"{instructions(command):,.0f} M")


def instructions(command: Command) -> float:
    """Return how many million instructions a command takes outside of the kernel: the same on any busy machine."""
    if command.before:
        command.before()
    words = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", *command.words]
    done = subprocess.run(
        words, env=command.environment, cwd=command.directory, capture_output=True, text=True, check=True
    )
    return int(done.stderr.rpartition("refs:")[2].split()[0].replace(",", "")) / 1e6


def same_bytes() -> None:
    """T15: the same inputs, worked twice by fresh processes, give the same snapshot, record and kit."""
    measure.heading("the same inputs twice, fresh processes")
    place = world.PLACE / "twice"
    shutil.rmtree(place, ignore_errors=True)
    found = []
    for number in "12":
        work(place / number, seed=number)
        found.append(contents(place / number))
    different = [path for path in sorted(set(found[0]) | set(found[1])) if found[0].get(path) != found[1].get(path)]
    measure.absolute("T15", f"of {len(found[0])} files of snapshot, record and kit differ", len(different), 0, "files")
    for path in different:
        measure.told("", path, "differs")
    shutil.rmtree(place)


def work(place: Path, *, seed: str) -> None:
    """Make snapshot, record and kit with another hash seed each time."""
    key = world.PLACE / "keys" / "kit-1.key.pem"
    record = place / "records" / world.SCAN_ID
    policy = world.ROOT / "examples" / "inputs" / "policy.toml"
    chain = (
        ["feed", "add", world.FEED, world.feed_file("small"), "--feeds", place / "feeds", "--time", world.MADE_AT],
        ["scan", "--record", "--sbom", world.sbom_file(1_000), "--feeds", place / "feeds", "--feed", world.FEED,
         "--policy", policy, "--key", key, "--rootpack", world.PLACE / "rootpack", "--scan-id", world.SCAN_ID,
         "--time", world.SCAN_AT, "--out", record.parent],
        ["kit", "build", "--record", record, "--key", key, "--rootpack", world.PLACE / "rootpack", "--sequence", "1",
         "--time", world.KIT_AT, "--out", place / "kit"],
    )  # fmt: skip
    for words in chain:
        subprocess.run(
            list(map(str, world.stella(*words))),
            env=world.environment() | {"PYTHONHASHSEED": seed},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
        )


def contents(place: Path) -> dict[str, str]:
    """Return the digest of every file below a directory."""
    return {
        path.relative_to(place).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in place.rglob("*")
        if path.is_file()
    }


if __name__ == "__main__":
    # With the word "budgets", only these: no big feeds are needed, and STELLA_RELEASE may name a release to measure.
    only = sys.argv[1:] == ["budgets"]
    world.ensure(freeze="STELLA_RELEASE" not in os.environ, large=not only)
    budgets()
    if not only:
        start()
        same_bytes()
