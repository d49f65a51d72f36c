"""The nightly verification: what it finds, what it writes, how often it reads, and what cannot end it."""

import os
import signal
from collections import Counter
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

import pytest
import sqlalchemy as sa

from builder import trust, trust_change
from builder.trust_publish import Office
from kit.errors import LockerConflict, ServerUnreachable, UsageError
from kit.trust import rootpack
from locker import cas, rows, verify_many, verify_many_check
from locker import verify_many_rows as nights
from locker.cas import DirectoryCas
from locker.files import sole_writer
from locker.ingest import ingest
from locker.sync import take
from locker.verify_many_night import Night, verify_latest
from locker.verify_many_rows import Wish
from locker.verify_many_workers import ProcessWorkers, check_scheduler, workers

LATER = timedelta(hours=1)
IN_A_DIRECTORY = pytest.mark.parametrize("locker", ["directory"], indirect=True)


class Here(Executor):
    """Runs what it is given at once, in this process, so that a test can look."""

    def submit(self, fn, /, *args, **kwargs):
        future = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  # an executor hands on whatever its work raised
            future.set_exception(error)
        return future


def scan_id(number: int) -> str:
    return f"{number:08x}-8a07-4c43-b8c0-6b3f6a1f7d22"


@pytest.fixture
def night(world):
    """Return what runs one night."""
    verify_many_check._tiers.cache_clear()
    count = iter(range(1000))

    def run(locker, wish=None, executor=None, *, after=LATER, name=None, **more) -> Night:
        verify_many_check._tiers.cache_clear()
        return verify_latest(
            locker,
            wish or Wish(50),
            executor or Here(),
            clock=lambda: world.now + after,
            name=name or f"night-{next(count)}",
            **more,
        )

    return run


@pytest.fixture
def three(world, trusting, tmp_path):
    """Return a locker with three scans of one tenant and one of another, and the records they came from."""
    made = [world.record(tmp_path / "records", scan_id(n), content=b"%d" % n, feed_changes=None) for n in range(4)]
    for number, record in enumerate(made):
        tenant = "blue" if number == 3 else "default"
        ingest(trusting, record, now=world.now + timedelta(seconds=number), tenant=tenant)
    return trusting, made


def blob_of(locker, scan: str, role: str) -> str:
    with locker.rows.read() as connection:
        table = rows.run_bundles
        wanted = sa.select(table.c.bundle_digest).where(table.c.run_id == scan, table.c.role == role)
        return f"sha256:{connection.execute(wanted).scalar_one()}"


def damage(locker, digest: str, suffix: str, change) -> None:
    """Change an object behind the locker's back, wherever it lies."""
    import obstore

    data = b"".join(locker.cas.read(digest, suffix))
    obstore.put(locker.cas._store, cas.key(digest, suffix), change(data))


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def status_of(locker, scan: str) -> tuple[str, str | None]:
    with locker.rows.read() as connection:
        row = connection.execute(sa.select(rows.runs).where(rows.runs.c.id == scan)).one()
    return row.status, row.failure


def kinds(locker) -> Counter:
    with locker.rows.read() as connection:
        return Counter(connection.execute(sa.select(rows.events.c.kind)).scalars())


def test_a_whole_locker_is_verified_and_counted(three, night) -> None:
    locker, _ = three
    found = night(locker)
    assert (found.results, found.failing) == ({"verified": 4, "failed": 0, "error": 0, "skipped": 0}, ())
    with locker.rows.read() as connection:
        totals = connection.execute(sa.select(rows.verify_totals).order_by(rows.verify_totals.c.tenant)).all()
    assert [(row.tenant, row.result, row.total) for row in totals] == [
        ("blue", "verified", 1),
        ("default", "verified", 3),
    ]
    assert kinds(locker)["replay.night.finished"] == 1


def test_the_latest_of_each_tenant_are_chosen(three, night) -> None:
    locker, _ = three
    assert night(locker, Wish(1)).results["verified"] == 2
    assert night(locker, Wish(2, "default")).results["verified"] == 2
    with locker.rows.read() as connection:
        chosen = sa.select(rows.verify_results.c.run_id).where(rows.verify_results.c.night == "night-1")
        assert set(connection.execute(chosen).scalars()) == {scan_id(1), scan_id(2)}


@pytest.mark.parametrize("role", ["output"])
@pytest.mark.parametrize(
    ("change", "code"),
    [(flipped, "DigestMismatch"), (lambda data: data[:-7], "SizeMismatch"), (None, "FileMissing")],
    ids=["flipped bit", "cut short", "missing"],
)
def test_bytes_that_rot_make_a_scan_failed_until_it_is_mended(three, night, world, role, change, code) -> None:
    locker, records = three
    night(locker)
    blob = blob_of(locker, scan_id(1), role)
    if change is None:
        locker.cas.remove(blob, cas.BUNDLE)
    else:
        damage(locker, blob, cas.BUNDLE, change)
    found = night(locker)
    assert found.results == {"verified": 3, "failed": 1, "error": 0, "skipped": 0}
    [failing] = found.failing
    assert (failing.scan_id, failing.code) == (scan_id(1), code)
    assert blob.removeprefix("sha256:") in failing.sentence
    assert status_of(locker, scan_id(1)) == ("failed", code)
    assert night(locker).results["failed"] == 1
    assert kinds(locker)["replay.run.failed"] == 1
    assert ingest(locker, records[1], now=world.now + 2 * LATER).status == "verified"
    assert status_of(locker, scan_id(1)) == ("verified", None)
    assert night(locker, after=3 * LATER).results["verified"] == 4


@IN_A_DIRECTORY
def test_every_fault_of_a_scan_is_kept_with_its_details(three, night) -> None:
    locker, _ = three
    damage(locker, blob_of(locker, scan_id(0), "input"), cas.BUNDLE, flipped)
    locker.cas.remove(blob_of(locker, scan_id(0), "output"), cas.BUNDLE)
    night(locker)
    with locker.rows.read() as connection:
        wanted = sa.select(rows.verify_results.c.faults).where(rows.verify_results.c.run_id == scan_id(0))
        faults = connection.execute(wanted).scalar_one()
    assert sorted(fault["reason"] for fault in faults) == ["DigestMismatch", "FileMissing"]
    assert all(fault["details"] for fault in faults)


@IN_A_DIRECTORY
@pytest.mark.parametrize("kind", ["manifest", "manifest-envelope"])
def test_a_document_that_rots_is_found(three, night, kind) -> None:
    locker, _ = three
    with locker.rows.read() as connection:
        table = rows.documents
        wanted = sa.select(table.c.digest).where(table.c.run_id == scan_id(2), table.c.type == kind)
        name = f"sha256:{connection.execute(wanted).scalar_one()}"
    damage(locker, name, cas.DOCUMENT, flipped)
    assert [(one.scan_id, one.code) for one in night(locker).failing] == [(scan_id(2), "DigestMismatch")]


@IN_A_DIRECTORY
def test_what_is_restored_by_hand_is_mended(three, night) -> None:
    locker, _ = three
    blob = blob_of(locker, scan_id(0), "output")
    whole = b"".join(locker.cas.read(blob, cas.BUNDLE))
    damage(locker, blob, cas.BUNDLE, flipped)
    night(locker)
    damage(locker, blob, cas.BUNDLE, lambda _: whole)
    assert night(locker, after=2 * LATER).results["failed"] == 0
    assert status_of(locker, scan_id(0)) == ("verified", None)
    assert kinds(locker)["replay.run.mended"] == 1


@IN_A_DIRECTORY
def test_nobody_else_can_take_the_scan_id_of_what_rotted(three, night, world, tmp_path) -> None:
    locker, _ = three
    damage(locker, blob_of(locker, scan_id(0), "output"), cas.BUNDLE, flipped)
    night(locker)
    other = world.record(tmp_path / "claims", scan_id(0), content=b"another")
    with pytest.raises(LockerConflict):
        ingest(locker, other, now=world.now + 2 * LATER)
    with pytest.raises(LockerConflict):
        ingest(locker, three[1][0], now=world.now + 2 * LATER, tenant="blue")
    assert status_of(locker, scan_id(0)) == ("failed", "DigestMismatch")


def test_each_distinct_bundle_is_read_once_a_night(world, trusting, night, tmp_path, monkeypatch) -> None:
    for number in range(6):
        ingest(trusting, world.record(tmp_path / "records", scan_id(number), content=b"same"), now=world.now)
    with trusting.rows.read() as connection:
        distinct = set(connection.execute(sa.select(rows.run_bundles.c.bundle_digest)).scalars())
    assert len(distinct) == 6 + 1 + 1  # an input each, one output, one RootPack
    for round_ in range(2):
        read: Counter[str] = Counter()
        decode, hashed = verify_many_check._Check._decode, verify_many_check._Check._hash

        def count_decode(self, bundle, *rest, decode=decode, read=read):
            read[bundle.digest] += 1
            return decode(self, bundle, *rest)

        def count_hash(self, bundle, hashed=hashed, read=read):
            read[bundle.digest] += 1
            return hashed(self, bundle)

        with monkeypatch.context() as patched:
            patched.setattr(verify_many_check._Check, "_decode", count_decode)
            patched.setattr(verify_many_check._Check, "_hash", count_hash)
            assert night(trusting, after=LATER * (round_ + 1)).results["verified"] == 6
        assert {name.removeprefix("sha256:") for name in read} == distinct
        assert set(read.values()) == {1}


@IN_A_DIRECTORY
def test_a_shared_bundle_that_rots_fails_every_scan_that_shares_it(world, trusting, night, tmp_path) -> None:
    for number in range(3):
        ingest(trusting, world.record(tmp_path / "records", scan_id(number), content=b"same"), now=world.now)
    damage(trusting, blob_of(trusting, scan_id(1), "output"), cas.BUNDLE, flipped)
    assert {one.code for one in night(trusting).failing} == {"DigestMismatch"}
    assert [status_of(trusting, scan_id(n))[0] for n in range(3)] == ["failed"] * 3


@IN_A_DIRECTORY
def test_a_key_that_was_stolen_before_fails_what_it_signed(three, night, world) -> None:
    locker, _ = three
    since = (world.now - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    key = world.kit_signer.public.fingerprint
    change = trust_change.revoking([key], state="compromised", since=since, reason="")
    trust.carry_out(Office(world.pack, world.keys, world.now), change)
    found = night(locker, given=rootpack.read_directory(world.pack))
    assert {one.code for one in found.failing} == {"SignerRevoked"}


def test_a_night_that_was_cut_off_goes_on(three, night) -> None:
    locker, _ = three

    class Stop(Exception):
        pass

    def stop(_answers) -> None:
        raise Stop

    with pytest.raises(Stop):
        night(locker, Wish(3), name="cut", chunk=1, on_chunk=stop)
    found = night(locker, Wish(3), name="never")
    assert (found.name, found.resumed, found.results["verified"]) == ("cut", True, 4)
    with locker.rows.read() as connection:
        assert connection.execute(sa.select(sa.func.sum(rows.verify_totals.c.total))).scalar_one() == 4
    assert night(locker, Wish(3), name="next").name == "next"


@IN_A_DIRECTORY
def test_a_night_cut_off_long_ago_is_left(three, night) -> None:
    locker, _ = three
    with locker.rows.write() as connection:
        nights.begin(connection, Wish(50), "sha256:00", now=datetime(2026, 2, 1, tzinfo=UTC), name="old")
    assert night(locker).name != "old"
    with locker.rows.read() as connection:
        table = rows.verify_nights
        assert connection.execute(sa.select(table.c.state).where(table.c.id == "old")).scalar_one() == "abandoned"


@IN_A_DIRECTORY
def test_the_same_scope_is_verified_by_one_at_a_time(three, night, monkeypatch) -> None:
    locker, _ = three
    [lock] = _locks(locker, night)
    with sole_writer(locker.path / lock), pytest.raises(LockerConflict, match="being verified already"):
        night(locker)


def _locks(locker, night):
    night(locker)
    return [path.name for path in locker.path.glob("verify-*.lock")]


@IN_A_DIRECTORY
def test_an_ingest_meanwhile_is_not_undone(three, night, world) -> None:
    locker, records = three
    damage(locker, blob_of(locker, scan_id(0), "output"), cas.BUNDLE, flipped)
    night(locker)
    damage(locker, blob_of(locker, scan_id(1), "output"), cas.BUNDLE, flipped)

    class MendsFirst(Here):
        def submit(self, fn, /, *args, **kwargs):
            future = super().submit(fn, *args, **kwargs)
            if status_of(locker, scan_id(0))[0] == "failed":
                ingest(locker, records[0], now=world.now + timedelta(minutes=90))
            return future

    night(locker, executor=MendsFirst(), after=2 * LATER)
    assert status_of(locker, scan_id(0)) == ("verified", None)
    assert status_of(locker, scan_id(1)) == ("failed", "DigestMismatch")


@IN_A_DIRECTORY
def test_an_empty_mount_is_no_proof_that_evidence_is_gone(three, night) -> None:
    locker, _ = three
    objects = locker.path / "cas"

    class Unmounts(Here):
        def submit(self, fn, /, *args, **kwargs):
            if objects.exists():
                objects.rename(locker.path / "away")
            return super().submit(fn, *args, **kwargs)

    with pytest.raises(ServerUnreachable):
        night(locker, executor=Unmounts())
    (locker.path / "away").rename(objects)
    assert [status_of(locker, scan_id(n))[0] for n in range(4)] == ["verified"] * 4
    found = night(locker)
    assert (found.resumed, found.results["verified"]) == (True, 4)


@IN_A_DIRECTORY
def test_a_disk_that_cannot_be_read_is_this_machines_trouble(three, night, monkeypatch) -> None:
    locker, _ = three
    bad = blob_of(locker, scan_id(1), "input")
    real = DirectoryCas.file

    def failing(self, digest, suffix, work):
        if digest == bad:
            raise OSError(5, "Input/output error")
        return real(self, digest, suffix, work)

    monkeypatch.setattr(DirectoryCas, "file", failing)
    found = night(locker)
    assert found.results == {"verified": 3, "failed": 0, "error": 1, "skipped": 0}
    assert status_of(locker, scan_id(1)) == ("verified", None)


@IN_A_DIRECTORY
def test_a_result_of_a_site_counts_again_once_the_bytes_are_mended(world, trusting, night, tmp_path) -> None:
    record = world.record(tmp_path / "records", scan_id(0))
    ingest(trusting, record, now=world.now)
    world.run(tmp_path / "ops", record, "run-1")
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    blob = blob_of(trusting, scan_id(0), "output")
    whole = b"".join(trusting.cas.read(blob, cas.BUNDLE))
    damage(trusting, blob, cas.BUNDLE, flipped)
    night(trusting)
    damage(trusting, blob, cas.BUNDLE, lambda _: whole)
    night(trusting, after=2 * LATER)
    assert status_of(trusting, scan_id(0)) == ("replayed", None)


@pytest.mark.parametrize("locker", ["directory", "servers"], indirect=True)
def test_processes_verify_what_one_process_would(three, night) -> None:
    locker, _ = three
    damage(locker, blob_of(locker, scan_id(2), "input"), cas.BUNDLE, flipped)
    with workers("process:2") as pool:
        found = night(locker, executor=pool, chunk=1)
    assert found.results == {"verified": 3, "failed": 1, "error": 0, "skipped": 0}
    assert [one.code for one in found.failing] == ["DigestMismatch"]


def suicidal(item: int) -> int:
    if item == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 8:
        raise ValueError(item)
    return item * 2


def test_an_item_that_kills_its_worker_is_lost_and_nothing_else() -> None:
    with ProcessWorkers(2) as pool:
        found = [
            one
            for part in verify_many.verify_many(range(12), pool, suicidal, lambda item: -item, chunk=3)
            for one in part
        ]
    assert sorted(found) == sorted([-7, -8, *(2 * n for n in range(12) if n not in (7, 8))])


def killed_once(item: tuple[int, str]) -> int:
    number, mark = item
    if number == 3 and not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_worker_killed_from_outside_costs_nothing(tmp_path) -> None:
    items = [(n, str(tmp_path / "mark")) for n in range(20)]
    with ProcessWorkers(2) as pool:
        found = [*chain(*verify_many.verify_many(items, pool, killed_once, lambda item: -1, chunk=4))]
    assert sorted(found) == list(range(20))


def test_an_ordinary_pool_does_as_well() -> None:
    with ProcessPoolExecutor(1) as pool:
        found = [*chain(*verify_many.verify_many([1, 2], pool, suicidal, lambda item: 0))]
    assert sorted(found) == [2, 4]


@pytest.mark.parametrize(
    "address",
    [
        "tcp://scheduler.example:8786",
        "tcp://10.0.0.1:8786",
        "ws://127.0.0.1:1",
        "tls://",
        "tls://host",
        "tcp://localhost:1",
        "tcp://[::2]:1",
        "tcp://127.0.0.1:x",
    ],
)
def test_a_scheduler_that_anybody_could_give_orders_to_is_refused(address) -> None:
    with pytest.raises(UsageError), workers(f"dask:{address}"):
        pass


@pytest.mark.parametrize("address", ["tls://scheduler.example:8786", "tcp://127.0.0.1:8786", "tcp://[::1]:8786"])
def test_a_scheduler_by_tls_or_on_loopback_is_not(address) -> None:
    assert check_scheduler(address) is None


@pytest.mark.parametrize("asked", ["process:0", "process:-1", "process:x", "process:1000", "threads:2", "", "dask:"])
def test_another_executor_is_a_usage_error(asked) -> None:
    with pytest.raises(UsageError), workers(asked):
        pass


@IN_A_DIRECTORY
def test_no_signing_key_travels(three, night) -> None:
    import pickle

    locker, _ = three
    seen = []

    class Watching(Here):
        def submit(self, fn, /, *args, **kwargs):
            seen.append(pickle.dumps((fn, args, kwargs)))
            return super().submit(fn, *args, **kwargs)

    night(locker, executor=Watching())
    secret = locker.site.signer._key.private_bytes_raw() if hasattr(locker.site.signer, "_key") else None
    assert seen
    assert all(b"Signer" not in sent.replace(b"SignerRetired", b"") for sent in seen)
    if secret is not None:
        assert all(secret not in sent for sent in seen)
