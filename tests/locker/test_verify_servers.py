"""The nightly verification on a real Dask cluster and on a real queue, with workers that are killed."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest
import sqlalchemy as sa

from locker import move, rows, schedule
from locker.ingest import ingest
from locker.store import open_locker
from locker.verify_many import verify_many
from locker.verify_many_night import verify_latest
from locker.verify_many_rows import Wish
from locker.verify_many_workers import workers
from tests.world import ROOT

pytestmark = pytest.mark.faults


def slowly(item: int) -> tuple[int, int]:
    time.sleep(0.02)
    return item, os.getpid()


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> Path:
    """Return a directory with the one certificate that a cluster and its clients know each other by."""
    place = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", place / "key.pem", "-out", place / "cert.pem", "-days", "2", "-subj", "/CN=locker"),
        ],
        check=True,
        capture_output=True,
    )
    (place / "ca.pem").write_bytes((place / "cert.pem").read_bytes())
    return place


@pytest.fixture(scope="module")
def cluster(tls, bucket_server):
    """Return the address and the worker processes of a real cluster: a scheduler and two workers, by TLS."""
    security = {name: str(tls / file) for name, file in (("ca", "ca.pem"), ("cert", "cert.pem"), ("key", "key.pem"))}
    words = ["--tls-ca-file", security["ca"], "--tls-cert", security["cert"], "--tls-key", security["key"]]
    address_file = tls / "scheduler.json"
    environment = {**os.environ, **bucket_server.credentials, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"}
    started = []

    def start(*command: str) -> subprocess.Popen:
        log = (tls / f"log-{len(started)}").open("wb")
        one = subprocess.Popen([sys.executable, "-m", *command], env=environment, stdout=log, stderr=log, cwd=tls)
        started.append(one)
        return one

    start(
        *("distributed.cli.dask_scheduler", "--protocol", "tls", "--host", "127.0.0.1", "--port", "0"),
        *("--no-dashboard", "--scheduler-file", str(address_file), *words),
    )
    end = time.monotonic() + 90
    while not address_file.exists() and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(0.2)
    address = json.loads(address_file.read_text())["address"]
    crew = [
        start(
            *("distributed.cli.dask_worker", address, "--no-dashboard", "--no-nanny", "--nthreads", "1"),
            *("--host", "127.0.0.1", "--local-directory", str(tls), *words),
        )
        for _ in range(2)
    ]
    yield address, crew
    for one in started:
        if one.poll() is None:
            one.kill()
        one.wait()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_cluster_verifies_and_survives_a_killed_worker(cluster, tls, world, trusting, tmp_path) -> None:
    address, crew = cluster
    assert address.startswith("tls://")
    for number in range(2):
        ingest(trusting, world.record(tmp_path, f"{number:08x}-8a07-4c43-b8c0-6b3f6a1f7d22"), now=world.now)
    with workers(f"dask:{address}", tls) as pool:
        found = verify_latest(
            trusting, Wish(5), pool, clock=lambda: world.now + timedelta(hours=1), name="dask", chunk=1
        )
        assert found.results == {"verified": 2, "failed": 0, "error": 0, "skipped": 0}
        if trusting.rows.dialect == "postgresql":
            threading.Timer(1.0, crew[0].send_signal, [signal.SIGKILL]).start()
            answers = [*chain(*verify_many(range(200), pool, slowly, lambda item: (item, 0), chunk=10))]
            crew[0].wait(30)
            assert sorted(item for item, _ in answers) == list(range(200))
            assert 0 not in {process for _, process in answers}
            assert crew[0].poll() is not None


WORKER = """
import sys
from locker import schedule
schedule.work(schedule.Plan(**{plan!r}), once=True, stalled={stalled})
"""


HELD = """
import pathlib, time
import locker.schedule
locker.schedule.verify = lambda *_: (pathlib.Path({hold!r}).touch(), time.sleep(600))
"""


def test_a_job_whose_worker_was_killed_is_healed(present_world, tmp_path, new_database) -> None:
    world, path = present_world, tmp_path / "locker"
    with world.make_locker(path) as made:
        for number in range(2):
            name = f"{number:08x}-8a07-4c43-b8c0-6b3f6a1f7d22"
            ingest(made, world.record(tmp_path, name), now=world.now, tenant=("blue", "green")[number])
    move.move(path, move.target_of(path, database=new_database, store=None))
    plan = {"locker": str(path), "latest": 5, "replay": False, "executor": "process:1", "executor_tls": None}
    plan["at"] = "15 2 * * *"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    hold = tmp_path / "hold"

    def worker(stalled: float, *, held: bool) -> subprocess.Popen:
        program = WORKER.format(plan=plan, stalled=stalled)
        if held:
            program = HELD.format(hold=str(hold)) + program
        return subprocess.Popen([sys.executable, "-c", program], env=environment, stderr=subprocess.PIPE)

    first = worker(60, held=True)
    end = time.monotonic() + 60
    while not hold.exists() and time.monotonic() < end and first.poll() is None:
        time.sleep(0.05)
    first.kill()
    assert hold.exists(), first.communicate()[1].decode()[-2000:]
    first.communicate()
    assert jobs(new_database) == {"doing": 1, "todo": 1}
    time.sleep(1.5)
    second = worker(1, held=False)
    said = second.communicate(timeout=120)[1].decode()
    assert second.returncode == 0, said[-2000:]
    assert set(jobs(new_database)) == {"succeeded"}
    with open_locker(path) as locker, locker.rows.read() as connection:
        assert set(connection.execute(sa.select(rows.verify_nights.c.tenant)).scalars()) == {"blue", "green"}
        assert connection.execute(sa.select(sa.func.sum(rows.verify_totals.c.total))).scalar_one() >= 2


def jobs(database: str) -> dict[str, int]:
    engine = sa.create_engine(database)
    with engine.connect() as connection:
        query = f"SELECT status, count(*) FROM procrastinate_jobs WHERE task_name = '{schedule.VERIFY}' GROUP BY status"  # noqa: S608
        found = {str(status): int(count) for status, count in connection.exec_driver_sql(query)}
    engine.dispose()
    return found


KILLED = """
import sys
from datetime import datetime, timedelta, UTC
from pathlib import Path
from uuid import uuid4
from locker.store import open_locker
from locker.verify_many_night import verify_latest
from locker.verify_many_rows import Wish
from locker.verify_many_workers import workers
if __name__ == "__main__":
    with open_locker(Path(sys.argv[1])) as locker, workers("process:1") as pool:
        print("begun", flush=True)
        at = datetime.fromisoformat(sys.argv[2])
        night = verify_latest(locker, Wish(99), pool, clock=lambda: at, name=str(uuid4()), chunk=1,
                              on_chunk=lambda answers: print(answers[0].scan.scan_id, flush=True))
"""


def test_a_night_killed_at_any_moment_loses_nothing_that_it_told(world, tmp_path) -> None:
    path, program = tmp_path / "locker", tmp_path / "night.py"
    program.write_text(KILLED)
    names = [f"{number:08x}-8a07-4c43-b8c0-6b3f6a1f7d22" for number in range(8)]
    with world.make_locker(path) as made:
        for name in names:
            ingest(made, world.record(tmp_path, name), now=world.now)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(program), str(path), (world.now + timedelta(hours=1)).isoformat()]
    told: set[str] = set()
    for after in (1, 2, 4):
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as one:
            for number, line in enumerate(one.stdout, start=0):
                told |= {line.strip()} & set(names)
                if number == after:
                    one.kill()
        with open_locker(path) as locker, locker.rows.read() as connection:
            table = rows.verify_results
            kept = set(connection.execute(sa.select(table.c.run_id).where(table.c.result.is_not(None))).scalars())
        assert told <= kept
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    with open_locker(path) as locker, locker.rows.read() as connection:
        assert connection.execute(sa.select(rows.verify_totals.c.total)).scalars().all() == [len(names)]
        assert connection.execute(sa.select(rows.verify_nights.c.state)).scalars().all() == ["finished"]
