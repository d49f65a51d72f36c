"""Nightly verification: CPU against hashing each distinct byte once, a second worker's gain, listing 100,000 scans.

Kits share one feed snapshot; a first night decodes every bundle, the nights after it hash. Usage: ``bench_nightly.py
[--kits N] [--feed-mb M]``; a part of the table with ``--only night,dask,list``.
"""

import argparse
import hashlib
import os
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/locker")]

from conftest import NOW, World  # noqa: E402

from locker import rows, views  # noqa: E402
from locker import verify_many_rows as nights  # noqa: E402
from locker.ingest import ingest  # noqa: E402
from locker.store import Locker, open_locker  # noqa: E402
from locker.verify_many_night import verify_latest  # noqa: E402
from locker.verify_many_rows import Wish  # noqa: E402
from locker.verify_many_workers import workers  # noqa: E402


def name(number: int) -> str:
    """Return a scan id."""
    return f"{number:08x}-8a07-4c43-b8c0-6b3f6a1f7d22"


def cpu() -> float:
    """Return CPU seconds of this process and of its children that have ended."""
    return sum(
        getattr(resource.getrusage(who), field)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        for field in ("ru_utime", "ru_stime")
    )


def measured(work: Callable[[], object]) -> tuple[float, float]:
    """Return CPU and wall seconds."""
    before, began = cpu(), time.monotonic()
    work()
    return cpu() - before, time.monotonic() - began


def fill(base: Path, kits: int, size: int) -> Path:
    """Make a locker with records whose input bundles hold the same large snapshot, and outputs of their own."""
    world, path = World(base / "world", NOW), base / "locker"
    shared = random.Random(1).randbytes(size << 20)
    with world.make_locker(path) as locker:
        for number in range(kits):
            content = shared + b"%d" % number
            record = world.record(base / "records", name(number), content=content[-(size << 20) // 5 :])
            ingest(locker, record, now=NOW)
            shutil.rmtree(record)
    return path


def hash_each_once(path: Path) -> int:
    """Hash every object of a locker from the disk, as a night does; return how many bytes they are."""
    total = 0
    for file in sorted((path / "cas/replay").rglob("*.*")):
        with file.open("rb") as source:
            os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            hashlib.file_digest(source, "sha256")
            total += file.stat().st_size
    return total


def one_night(path: Path, number: int, where: str) -> None:
    """Verify every scan."""
    with open_locker(path) as locker, workers(where) as pool:
        moment = NOW + timedelta(hours=number)
        found = verify_latest(locker, Wish(100_000), pool, clock=lambda: moment, name=f"{where} {number}")
        assert not found.failing


def bench_night(path: Path, kits: int) -> None:
    """Print what nights cost against hashing."""
    total = hash_each_once(path)
    first, _ = measured(lambda: one_night(path, 1, "process:1"))
    floor, _ = measured(lambda: hash_each_once(path))
    start, _ = measured(lambda: one_night_of_nothing(path))
    nights_after = [measured(lambda number=number: one_night(path, number, "process:1"))[0] for number in (2, 3, 4)]
    later = sorted(nights_after)[1]
    budget = 1.3 * floor + 0.003 * kits
    print(f"{kits} kits, {total >> 20} MiB of distinct objects; hashing each once {floor:.2f} s CPU")
    print(f"first night {first:.2f} s; a later night {later:.2f} s, of which starting {start:.2f} s")
    print(f"a later night without starting, against 1.3 x hashing + 3 ms a kit: {(later - start) / budget:.2f}")


def one_night_of_nothing(path: Path) -> None:
    """Open the locker and a worker, and verify nothing."""
    with open_locker(path) as locker, workers("process:1") as pool:
        verify_latest(locker, Wish(1, "nobody"), pool, clock=lambda: NOW, name=f"nothing {time.monotonic_ns()}")
        pool.submit(hash_nothing).result()


def hash_nothing() -> None:
    """Let a worker start, with the imports that any night's worker has."""
    from scanner import engine

    import_module("locker.verify_many_check")
    engine.current()


def bench_workers(path: Path) -> None:
    """Print what a second worker gains."""
    walls = {}
    for count in (1, 2):
        with open_locker(path) as locker, workers(f"process:{count}") as pool:
            list(pool.map(warm, range(count * 4)))
            # Old enough that everything is decoded again; at the second count as at the first.
            walls[count] = measured(partial(deep_night, locker, pool, count))[1]
    print(f"two workers against one, wall: {walls[1] / walls[2]:.2f} ({walls[1]:.2f} s and {walls[2]:.2f} s)")


def deep_night(locker: Locker, pool: Executor, count: int) -> None:
    """Verify every scan so long after the last time that each is decoded."""
    moment = NOW + timedelta(days=40 * count)
    verify_latest(locker, Wish(100_000), pool, clock=lambda: moment, name=f"workers {count}", chunk=10)


def warm(_: int) -> None:
    """Keep a worker busy, so that the next one starts as well."""
    hash_nothing()
    time.sleep(0.05)


def bench_list(base: Path) -> None:
    """Print how long listing takes."""
    world = World(base / "list", NOW)
    with world.make_locker(base / "many") as locker:
        add_runs(locker, 100_000)
        for limit in (100, 100_000):
            _, wall = measured(lambda limit=limit: views.list_runs(locker, status=None, tenant=None, limit=limit))
            print(f"listing the newest {limit} of 100,000 scans: {wall:.3f} s")
        with locker.rows.write() as connection:
            begun = measured(
                lambda: nights.begin(connection, Wish(50), "sha256:0", now=datetime.now(UTC), name="night")
            )
        print(f"choosing the latest 50 of each of 10 tenants: {begun[1]:.3f} s")


def add_runs(locker: Locker, count: int) -> None:
    """Add rows of scans that have no objects."""

    def run(number: int) -> dict[str, object]:
        return {
            "id": name(number),
            "tenant": f"tenant-{number % 10}",
            "manifest_hash": f"sha256:{number:064x}",
            "status": "verified",
            "created_at": NOW + timedelta(seconds=number),
            "updated_at": NOW,
            "subject_name": "registry.example/app",
            "signatures": [{"keyId": "SHA256:x", "profile": "Ed25519", "verified": True}],
            "outputs": {"sbom": "sha256:0", "findings": "sha256:0"},
        }

    document = {"type": "manifest", "size": 1, "location": "cas://x", "created_at": NOW}
    with locker.rows.write() as connection:
        for start in range(0, count, 5000):
            numbers = range(start, start + 5000)
            connection.execute(sa.insert(rows.runs), [run(n) for n in numbers])
            documents = [{**document, "run_id": name(n), "digest": f"{n:064x}"} for n in numbers]
            connection.execute(sa.insert(rows.documents), documents)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kits", type=int, default=200)
    parser.add_argument("--mib", type=int, default=4)
    parser.add_argument("--only", default="night,workers,list")
    asked = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory() as directory:
        base = Path(directory)
        parts = asked.only.split(",")
        if "list" in parts:
            bench_list(base)
        if {"night", "workers"} & set(parts):
            path = fill(base, asked.kits, asked.mib)
            if "night" in parts:
                bench_night(path, asked.kits)
            if "workers" in parts:
                bench_workers(path)


if __name__ == "__main__":
    main()
