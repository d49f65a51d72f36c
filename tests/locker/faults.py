"""Run an action of the locker again and again in children that are killed, or on a disk that is too small.

A program of its own, so that its children are forked from a process that never used the store. Usage:
``faults.py kill ACTION DIRECTORY POINTS`` and ``faults.py disk DIRECTORY`` (in a mount namespace of its own), with the
repository and this directory on PYTHONPATH.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import sqlalchemy as sa
from conftest import NOW, SCAN, World

from kit.bytes import digest
from kit.errors import NoSpace, StellaError
from locker import audit, audit_verify, rows
from locker.ingest import ingest
from locker.store import open_locker
from locker.sync import take

ACKNOWLEDGED = 0
REFUSED_FOR_SPACE = 60


class Scene:
    """A world, a record, a file of site results, and a made locker to begin each attempt with."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.world = World(base, NOW)
        noise = random.Random(5).randbytes(300_000)
        self.record = self.world.record(base / "records", content=noise)
        self.bad_record = self.world.record(base / "bad", scan_id=SCAN, content=b"other")
        (self.bad_record / "manifest.json").write_bytes(b"{}")
        self.world.run(base / "ops", self.record, "run-1")
        self.world.run(base / "ops", self.record, "run-2", "DIFFERS")
        self.results = self.world.export(base / "ops", base / "results.stella-sync")
        self.template = base / "template"
        self.locker = base / "locker"
        in_child(lambda: self.world.make_locker(self.template).close())

    def ingest(self) -> None:
        with open_locker(self.locker) as locker:
            ingest(locker, self.record, now=NOW)
            audit.sign(locker, now=NOW)

    def sync(self) -> None:
        with open_locker(self.locker) as locker:
            take(locker, self.results, now=NOW, rootpack_directory=self.world.pack)

    def refuse(self) -> None:
        with open_locker(self.locker) as locker:
            try:
                ingest(locker, self.bad_record, now=NOW)
            except StellaError as error:
                if error.reason != "DigestMismatch":
                    raise

    def init(self) -> None:
        self.world.make_locker(self.locker).close()

    def reset(self, action: str) -> None:
        shutil.rmtree(self.locker, ignore_errors=True)
        if action != "init":
            shutil.copytree(self.template, self.locker)


def in_child(work: Callable[[], object], *, kill_after: float | None = None) -> int:
    """Run in a forked child and return its exit code, negative for a signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = ACKNOWLEDGED
        except NoSpace:
            code = REFUSED_FOR_SPACE
        except BaseException:  # noqa: BLE001  # the parent is told by the exit code, the reader by the trace
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


MOMENTS = {"commit", "execute", "fsync", "mkdir", "open_writer", "rename", "unlink", "write"}
"""Functions before and after which a process may die: those that change files or rows."""


def watch(on_moment: Callable[[], None]) -> None:
    """Call back before and after every call of a function that changes something."""
    gc.disable()

    def profile(_frame: FrameType, event: str, function: object) -> None:
        if event in ("c_call", "c_return") and getattr(function, "__name__", "") in MOMENTS:
            on_moment()

    sys.setprofile(profile)


def count_moments(work: Callable[[], object], place: Path) -> int:
    """Return how many moments the work has."""

    def counted() -> None:
        moments: list[None] = []
        watch(lambda: moments.append(None))
        work()
        sys.setprofile(None)
        place.write_text(json.dumps({"moments": len(moments), "modules": sorted(sys.modules)}))

    if in_child(counted) != 0:
        raise SystemExit("the action fails by itself")
    found = json.loads(place.read_text())
    for name in found["modules"]:  # so that later children have moments of the action only, not of imports
        if name not in sys.modules and not name.startswith("conftest"):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    return int(found["moments"])


def dying(work: Callable[[], object], at: int) -> Callable[[], object]:
    """Return the work, which kills its own process at the given moment."""

    def run() -> None:
        left = iter(range(at, 0, -1))
        watch(lambda: os.kill(os.getpid(), signal.SIGKILL) if next(left, 0) == 1 else None)
        work()
        sys.setprofile(None)

    return run


def state_of(locker_path: Path) -> dict[str, object]:
    """Return what the locker says, after holding it against the bytes in its store."""
    with open_locker(locker_path) as locker, locker.rows.read() as connection:
        for path in (locker_path / "cas/replay").rglob("*.*"):
            if digest.of_file(path)[0] != f"sha256:{path.name.partition('.')[0]}":
                raise SystemExit(f"an object is not what its name says: {path.name}")
        tables = (rows.bundles, rows.documents, rows.evidence)
        promised = [row for table in tables for row in connection.execute(sa.select(table))]
        for row in promised:
            path = locker_path / row.location.replace("cas://", "cas/", 1)
            if not path.is_file() or path.stat().st_size != row.size:
                raise SystemExit(f"a row points at nothing: {row.location}")
        for entry in (locker_path / "quarantine").glob("[!.]*/*"):
            described = json.loads((entry / "quarantine.json").read_bytes())
            for file in described["files"]:
                if digest.of_file(entry / file["name"])[0] != file["digest"]:
                    raise SystemExit(f"a quarantine entry is half there: {entry.name}")
        run = connection.execute(sa.select(rows.runs).where(rows.runs.c.id == SCAN)).one_or_none()
        mapped = len(connection.execute(sa.select(rows.run_bundles)).all())
        if run is not None and run.status in ("verified", "replayed") and mapped != 3:
            raise SystemExit("a verified run without its bundles")
        kinds = Counter(connection.execute(sa.select(rows.events.c.kind)).scalars())
        return {
            "status": run.status if run is not None else "absent",
            "results": len(connection.execute(sa.select(rows.site_results)).all()),
            "quarantined": len(connection.execute(sa.select(rows.quarantine)).all()),
            "events": dict(kinds),
        }


FINISHED = {
    "ingest": {"status": "verified", "results": 0, "quarantined": 0},
    "sync": {"status": "absent", "results": 2, "quarantined": 0},
    "refuse": {"status": "absent", "results": 0, "quarantined": 1},
    "init": {"status": "absent", "results": 0, "quarantined": 0},
}
EVENTS = {
    "ingest": {"rootpack.accepted": 1, "evidence.ingested": 1},
    "sync": {"rootpack.accepted": 1, "replay.result.imported": 2, "replay.result.conflict": 1},
    "refuse": {"rootpack.accepted": 1, "evidence.quarantined": 1},
    "init": {},
}


def check(scene: Scene, action: str, seen: Path) -> None:
    """Check that nothing half-finished looks finished, then finish, and check that nothing was counted twice."""
    if action != "init":
        found = state_of(scene.locker)
        with seen.open("a") as sink:
            sink.write(json.dumps([found["status"], found["results"], found["quarantined"]]) + "\n")
    try:
        getattr(scene, action)()
    except StellaError as error:
        if action != "init" or error.reason != "AlreadyAccepted":
            raise
    found = state_of(scene.locker)
    events = found.pop("events")
    if found != FINISHED[action] or events != EVENTS[action]:
        raise SystemExit(f"after running again: {found} {events}")
    with open_locker(scene.locker) as opened:
        audit.sign(opened, now=NOW)
        if faults := audit_verify.verify(opened).faults:
            raise SystemExit(f"the audit log does not hold: {faults[0].reason}: {faults[0]}")
    leftovers = [*(scene.locker / "cas/tmp").iterdir(), *(scene.locker / "tmp").iterdir()]
    leftovers += (scene.locker / "quarantine").glob(".new-*")
    if leftovers:
        raise SystemExit(f"left behind: {leftovers}")


def acknowledged_is_kept(scene: Scene, action: str) -> None:
    found = state_of(scene.locker)
    found.pop("events")
    if found != FINISHED[action]:
        raise SystemExit(f"acknowledged, then lost: {found}")


def kill(action: str, base: Path, points: int) -> None:
    scene = Scene(base)
    work = getattr(scene, action)
    seen = base / "seen"
    seen.touch()
    for _ in range(2):
        scene.reset(action)
        began = time.monotonic()
        total = count_moments(work, base / "count")
        duration = time.monotonic() - began
    chance = random.Random(11)
    attempts: list[tuple[int | None, float | None]] = [
        (at, None) for at in sorted(chance.sample(range(1, total), min(points, total - 1)))
    ]
    attempts += [(None, chance.uniform(0, duration / 2)) for _ in range(points // 4)]
    killed = acknowledged = 0
    for at, delay in attempts:
        scene.reset(action)
        code = in_child(dying(work, at) if at else work, kill_after=delay)
        if code == ACKNOWLEDGED:
            acknowledged += 1
            if in_child(lambda: acknowledged_is_kept(scene, action)):
                raise SystemExit(f"acknowledged, then lost: moment {at}, delay {delay}")
        elif code == -signal.SIGKILL:
            killed += 1
        else:
            raise SystemExit(f"the action failed by itself: {code}")
        if in_child(lambda: check(scene, action, seen)):
            raise SystemExit(f"not recovered: killed at moment {at} of {total}, delay {delay}")
    states = Counter(seen.read_text().splitlines())
    sys.stdout.write(json.dumps({"moments": total, "killed": killed, "acknowledged": acknowledged, "states": states}))


def disk(base: Path) -> None:
    scene = Scene(base / "world")
    disk_at = base / "disk"
    disk_at.mkdir()
    scene.locker = disk_at / "locker"
    outcomes: Counter[str] = Counter()
    smallest = sum(path.stat().st_size for path in scene.template.rglob("*")) // 1024 + 64
    for size in range(smallest, smallest + 2400, 140):
        mount("-t", "tmpfs", "-o", f"size={size}k", "tmpfs", str(disk_at))
        try:
            shutil.copytree(scene.template, scene.locker)
        except OSError:
            mount_end(disk_at)
            continue
        code = in_child(scene.ingest)
        outcomes[{ACKNOWLEDGED: "kept", REFUSED_FOR_SPACE: "refused"}.get(code, f"exit {code}")] += 1
        mount("-o", "remount,size=64m", str(disk_at))
        if code == ACKNOWLEDGED and in_child(lambda: acknowledged_is_kept(scene, "ingest")):
            raise SystemExit(f"acknowledged, then lost, at {size} KiB")
        if in_child(lambda: check(scene, "ingest", base / "seen")):
            raise SystemExit(f"not recovered from a full disk of {size} KiB")
        mount_end(disk_at)
        if code == ACKNOWLEDGED:
            break
    states = Counter((base / "seen").read_text().splitlines())
    sys.stdout.write(json.dumps({"outcomes": outcomes, "states": states}))


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


def mount_end(place: Path) -> None:
    subprocess.run(["umount", str(place)], check=True)


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        disk(Path(sys.argv[2]))
