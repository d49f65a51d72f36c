"""Start-up (T14) and repeatability (T15)."""

import hashlib
import shutil
import subprocess
import sys
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
    for what, folder in (("frozen folder", True), ("frozen single file", False)):
        for words in (["--version"], ["verify", "--help"]):
            cost = measure.alone(Command(world.frozen(*words, folder=folder)), 9).cpu * 1e3
            measure.told("", f"stella {' '.join(words)}, {what}", f"{cost:.0f} ms")


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
    world.ensure(freeze=True)
    start()
    same_bytes()
