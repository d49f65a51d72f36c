"""The nightly verification: the latest scans, again, under the RootPack in force (docs/locker.md, "Every night").

Each distinct bundle is read once a night, however many scans share it. Workers check; only this process writes, a
transaction a chunk, so a night that was killed has lost at most the chunks that were at the workers, and goes on.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import sqlalchemy as sa

from kit.bytes import digest
from kit.errors import LockerConflict
from kit.trust.rootpack import RootPackFiles
from locker import cas, rows, trust
from locker import verify_many_rows as nights
from locker.cas import Stored
from locker.files import sole_writer
from locker.store import OBJECTS, Locker
from locker.verify_many import CHUNK, verify_many
from locker.verify_many_check import Answer, Orders, Place, Scan, check_scan, lost
from locker.verify_many_rows import Wish
from verifier.run_dir import Clock, stamp


@dataclass(frozen=True, slots=True)
class Failing:
    """A scan that was not found whole."""

    scan_id: str
    tenant: str
    result: str
    code: str
    sentence: str
    exit_code: int
    difference: str | None


@dataclass(frozen=True, slots=True)
class Skipped:
    """A scan of which retention removed a bundle; the documents that are kept of it were checked."""

    scan_id: str
    tenant: str
    reason: str


@dataclass(frozen=True, slots=True)
class Night:
    """How a night ended: scans by result, replays by outcome, what was not found whole, what was purged."""

    name: str
    resumed: bool
    results: dict[str, int]
    replays: dict[str, int]
    failing: tuple[Failing, ...]
    skipped: tuple[Skipped, ...]


def verify_latest(
    locker: Locker,
    wish: Wish,
    executor: Executor,
    *,
    clock: Clock,
    name: str,
    given: RootPackFiles | None = None,
    on_chunk: Callable[[Sequence[Answer]], None] = lambda _: None,
    chunk: int = CHUNK,
) -> Night:
    """Verify the latest scans, or go on with the night that was cut off; ``name`` is what a new one is called.

    ``on_chunk`` hears of answers when they are in the rows. Raises :class:`LockerConflict` while the same scope is
    being verified, :class:`ServerUnreachable` where a server is gone (run again: it goes on), and the errors of
    :func:`locker.trust.in_force` where nothing can be judged.
    """
    with _alone(locker, wish), locker.writing():
        now = clock()
        pack, pack_bundle = trust.in_force(locker, given, now=now)
        with locker.rows.write() as connection:
            night, resumed = nights.begin(connection, wish, pack_bundle, now=now, name=name)
        objects, chosen = str((locker.path / OBJECTS).resolve()), locker.settings
        place = Place(objects, chosen.store, chosen.cold, pack_bundle)
        orders = Orders(place, pack, stamp(now), wish.replay, wish.explain)
        for wave in _waves(locker, night):
            changed_at: dict[str, datetime] = {}
            scans = _loaded(locker, night, wave, changed_at, clock, chunk)
            for answers in verify_many(scans, executor, partial(check_scan, orders), lost, chunk=chunk):
                differences = _store_differences(locker, answers)
                times = {answer.scan.scan_id: changed_at.pop(answer.scan.scan_id) for answer in answers}
                with locker.rows.write() as connection:
                    nights.keep(connection, night, answers, changed_at=times, differences=differences, now=clock())
                on_chunk(answers)
        with locker.rows.write() as connection:
            nights.finish(connection, night, now=clock())
        return _report(locker, night, resumed=resumed)


def _waves(locker: Locker, night: str) -> Iterator[list[str]]:
    """Yield scans in waves, so that no two of a wave wait for the same bundle: the first reads it, the others know."""
    while True:
        with locker.rows.read() as connection:
            left = nights.open_scans(connection, night)
            known = nights.checked_bundles(connection, night)
        claimed: set[str] = set()
        wave = []
        for run_id, bundles in left.items():
            unread = {one for one in bundles if one not in known}
            if unread.isdisjoint(claimed):
                claimed |= unread
                wave.append(run_id)
        if not wave:
            return
        yield wave


def _loaded(
    locker: Locker, night: str, wave: Sequence[str], changed_at: dict[str, datetime], clock: Clock, chunk: int
) -> Iterator[Scan]:
    """Yield the scans of a wave, read from the rows a chunk at a time."""
    for start in range(0, len(wave), chunk):
        with locker.rows.read() as connection:
            found = nights.load(connection, night, wave[start : start + chunk], now=clock())
        for scan, changed in found:
            changed_at[scan.scan_id] = changed
            yield scan


def _store_differences(locker: Locker, answers: Sequence[Answer]) -> dict[str, Stored]:
    """Put the differences into the store before a row names them."""
    return {
        answer.scan.scan_id: locker.cas.put_bytes(answer.difference, cas.DOCUMENT)
        for answer in answers
        if answer.difference is not None
    }


@contextmanager
def _alone(locker: Locker, wish: Wish) -> Iterator[None]:
    """Be the only one that verifies this scope; the lock dies with its process."""
    scope = digest.hex_of(digest.of_bytes(wish.scope.encode()))[:16]
    try:
        with sole_writer(locker.path / f"verify-{scope}.lock"):
            yield
    except LockerConflict as error:
        if error.details.get("path") != f"verify-{scope}.lock":
            raise
        raise LockerConflict(path=locker.path.name, detail="these scans are being verified already").then(
            "Wait until the other stella verify --latest has ended."
        ) from None


def _report(locker: Locker, night: str, *, resumed: bool) -> Night:
    table = rows.verify_results
    this = table.c.night == night
    ordered = sa.select(table).where(this).order_by(table.c.tenant, table.c.run_id)
    replayed = sa.select(table.c.replay, sa.func.count()).where(this, table.c.replay.is_not(None))
    with locker.rows.read() as connection:
        results = nights.counts(connection, night)
        replays = {str(name): int(count) for name, count in connection.execute(replayed.group_by(table.c.replay))}
        bad = ordered.where(table.c.result.in_((nights.BAD, nights.UNDECIDED)))
        failing = tuple(_failing(row) for row in connection.execute(bad))
        gone = connection.execute(ordered.where(table.c.result == nights.SKIPPED))
        skipped = tuple(Skipped(row.run_id, row.tenant, row.code) for row in gone)
    return Night(night, resumed, results, dict(sorted(replays.items())), failing, skipped)


def _failing(row: sa.Row[tuple[object, ...]]) -> Failing:
    first = next(fault for fault in row.faults if fault["reason"] == row.code)
    details = ", ".join(f"{name} {value}" for name, value in sorted(first["details"].items()))
    return Failing(
        scan_id=row.run_id,
        tenant=row.tenant,
        result=row.result,
        code=row.code,
        sentence=f"{first['sentence']} ({details})" if details else first["sentence"],
        exit_code=first["exit_code"],
        difference=row.difference,
    )
