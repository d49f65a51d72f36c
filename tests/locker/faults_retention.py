"""Kill retention runs and holds at every moment, or let their disk fill, and hold what is left against the promises.

A program of its own, for the reasons of ``faults.py``, which it uses. Usage: ``faults_retention.py kill ACTION
DIRECTORY POINTS`` and ``faults_retention.py disk DIRECTORY`` (in a mount namespace of its own).
"""

import json
import random
import shutil
import signal
import sys
from collections import Counter
from datetime import timedelta
from pathlib import Path

import faults
import sqlalchemy as sa
from conftest import NOW, OTHER_SCAN, SCAN, World
from faults import ACKNOWLEDGED, REFUSED_FOR_SPACE, count_moments, dying, in_child, mount, mount_end

from locker import rows
from locker.holds import legal
from locker.holds.legal import Scope
from locker.ingest import ingest
from locker.retention import certificate
from locker.retention.run import Order, run
from locker.rows.retention import hold_objects, objects, tombstones
from locker.store import Locker, open_locker

faults.MOMENTS |= {"delete", "head", "link"}
ALLOWED = {"share": "a fault test", "growth": "a fault test", "clock": "a fault test"}
THIRD = "7a7a7a7a-8a07-4c43-b8c0-6b3f6a1f7d22"
BEFORE = {"purge": 731, "demote": 1, "hold": 731}
"""Days after the ingest at which a run prepared what the action begins with."""
AT = {"purge": 738, "demote": 180, "hold": 731}


class Scene:
    """A locker with a cold store and three scans, of which the second is held."""

    def __init__(self, base: Path, action: str, place: Path | None = None) -> None:
        self.base, self.action = base, action
        self.template, self.live = base / "template", place or base / "live"
        self.world = World(base / "world", NOW)
        self.records = [
            self.world.record(base / "records", scan, content=scan.encode()) for scan in (SCAN, OTHER_SCAN, THIRD)
        ]
        self.live.mkdir(exist_ok=True)
        if in_child(self.prepare):
            raise SystemExit("the scene cannot be made")
        shutil.copytree(self.live, self.template)

    def prepare(self) -> None:
        for name in ("replay", "tmp"):
            (self.live / "cold" / name).mkdir(parents=True)
        self.world.make_locker(self.live / "locker").close()
        (self.live / "locker/locker.toml").write_text(f'[cold]\nurl = "{(self.live / "cold").as_uri()}"\n')
        with open_locker(self.live / "locker") as locker:
            for record in self.records:
                ingest(locker, record, now=NOW)
            self.hold(locker, OTHER_SCAN, 1)
            run(locker, self.order(BEFORE[self.action]))

    def hold(self, locker: Locker, scan: str, seed: int) -> None:
        with locker.rows.read() as connection:
            wanted = sa.select(rows.runs.c.manifest_hash).where(rows.runs.c.id == scan)
            manifest = connection.execute(wanted).scalar_one()
        entropy = random.Random(seed).randbytes
        scope = Scope("digest", digests=(manifest,))
        legal.create(locker, "default", scope, who="a", reason="case", now=NOW, entropy=entropy)

    def order(self, days: int) -> Order:
        return Order("keeper", NOW + timedelta(days=days), ALLOWED)

    def act(self) -> None:
        """Do it; an error of a tenant is the action's own."""
        with open_locker(self.live / "locker") as locker:
            if self.action == "hold":
                self.hold(locker, SCAN, 2)
                return
            for done in run(locker, self.order(AT[self.action])):
                if done.error is not None:
                    raise done.error

    def reset(self) -> None:
        # The place itself may be a mount.
        for entry in self.live.iterdir():
            shutil.rmtree(entry)
        shutil.copytree(self.template, self.live, dirs_exist_ok=True)


def check_promises(scene: Scene) -> Counter[str]:
    """Hold rows against bytes: nothing held is gone, nothing kept is damaged, nothing gone lacks its certificate."""
    with open_locker(scene.live / "locker") as locker, locker.rows.read() as connection:
        held = set(connection.execute(sa.select(hold_objects.c.digest)).scalars())
        buried = set(connection.execute(sa.select(tombstones.c.digest)).scalars())
        told = connection.execute(sa.select(rows.events.c.kind, rows.events.c.details)).all()
        announced = {row.details["object"] for row in told if row.kind == "retention.deleting"}
        found: Counter[str] = Counter()
        for row in connection.execute(sa.select(objects)).all():
            named = f"sha256:{row.digest}"
            found[f"{row.state} {row.tier}"] += 1
            here = [store.digest_of(named, ".tar.zst")[0] for store in locker.tiers.stores_with(named)]
            if any(each != named for each in here):
                raise SystemExit(f"damaged: {named}")
            if not here and (row.state not in ("deleting", "tombstone") or row.digest in held):
                raise SystemExit(f"lost: {row.state} {named}")
            if not here and named not in announced:
                raise SystemExit(f"deleted before it was announced: {named}")
            if (row.state == "tombstone") != (row.digest in buried):
                raise SystemExit(f"a tombstone without a certificate, or the reverse: {named}")
            if row.state == "tombstone" and here:
                raise SystemExit(f"buried, and still here: {named}")
            if row.state == "tombstone":
                certificate.verify(certificate.find(locker, named, "default"), locker.site.signer.public)
        return found


EXPECTED = {
    "purge": {"tombstone hot": 4, "live hot": 2},
    "demote": {"live cold": 4, "live hot": 2},
    "hold": {"marked cold": 2, "live hot": 2},
}
EVENTS = {
    "purge": {"retention.deleting": 4, "retention.purged": 4},
    "demote": {"retention.demoting": 4, "retention.demoted": 4},
}


def check(scene: Scene, seen: Path) -> None:
    """Check what is left, then finish, and check that everything was done once."""
    found = check_promises(scene)
    with seen.open("a") as sink:
        sink.write(json.dumps(dict(sorted(found.items()))) + "\n")
    if scene.action == "hold":
        return
    scene.act()
    check_finished(scene)


def check_finished(scene: Scene) -> None:
    found = check_promises(scene)
    with open_locker(scene.live / "locker") as locker, locker.rows.read() as connection:
        kinds = Counter(connection.execute(sa.select(rows.events.c.kind)).scalars())
    events = EVENTS[scene.action]
    if found != EXPECTED[scene.action] or {kind: kinds[kind] for kind in events} != events:
        raise SystemExit(f"after running again: {found} {kinds}")
    leftovers = [*(scene.live / "locker/cas/tmp").iterdir(), *(scene.live / "locker/tmp").iterdir()]
    if leftovers:
        raise SystemExit(f"left behind: {leftovers}")


def kill(action: str, base: Path, points: int) -> None:
    scene = Scene(base, action)
    seen = base / "seen"
    seen.touch()
    for _ in range(2):
        scene.reset()
        total = count_moments(scene.act, base / "count")
    chance = random.Random(13)
    moments = sorted(chance.sample(range(1, total), points) if points < total else range(1, total))
    killed = 0
    for at in moments:
        scene.reset()
        code = in_child(dying(scene.act, at))
        if code not in (ACKNOWLEDGED, -signal.SIGKILL):
            raise SystemExit(f"the action failed by itself: {code}")
        killed += code == -signal.SIGKILL
        if in_child(lambda: check(scene, seen)):
            raise SystemExit(f"not recovered: killed at moment {at} of {total}")
    states = Counter(seen.read_text().splitlines())
    sys.stdout.write(json.dumps({"moments": total, "killed": killed, "states": states}))


def disk(base: Path) -> None:
    place = base / "disk"
    place.mkdir()
    outcomes: Counter[str] = Counter()
    for action in ("purge", "demote"):
        mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place))
        scene = Scene(base / action, action, place)
        for left in (0, 8, 24, 48, 96, 160, 1600):
            scene.reset()
            used = sum(path.stat().st_blocks // 2 for path in place.rglob("*")) + 16
            mount("-o", f"remount,size={used + left}k", str(place))
            code = in_child(scene.act)
            mount("-o", "remount,size=64m", str(place))
            outcomes[{ACKNOWLEDGED: "done", REFUSED_FOR_SPACE: "refused"}.get(code, f"exit {code}")] += 1
            if in_child(lambda scene=scene: check(scene, base / "seen")):
                raise SystemExit(f"not recovered from a full disk: {action}, {left} KiB left")
        mount_end(place)
    sys.stdout.write(json.dumps({"outcomes": outcomes}))


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        disk(Path(sys.argv[2]))
