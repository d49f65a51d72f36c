"""A night in the rows: which scans it chose, what is left of it, what was found, and what that changes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kit.bytes.digest import hex_of
from locker import registry, rows
from locker.cas import Stored
from locker.rows import FAILED, REPLAYED, VERIFIED, append_event
from locker.rows.retention import DELETING, TOMBSTONE, objects
from locker.verify_many_check import Answer, Bundle, BundleAnswer, Fault, Scan
from verifier.run_dir import stamp

GOOD, BAD, UNDECIDED, SKIPPED = "verified", "failed", "error", "skipped"
"""Results of a scan: ``error`` says that this machine could not judge it, ``skipped`` that it was purged."""
JUDGED = (GOOD, BAD, UNDECIDED)
RESULTS = (*JUDGED, SKIPPED)
PURGED = "Purged"
"""Why a scan was skipped."""
CONNECTED = "connected"
RUNNING, FINISHED, ABANDONED = "running", "finished", "abandoned"

DECODED_AGAIN = timedelta(days=30)
"""After so long a bundle whose digest holds is decoded again all the same."""
_GOES_ON = timedelta(hours=20)
"""A night that was cut off goes on within this time; later it is another night."""
_LEAVING = (DELETING, TOMBSTONE)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a night is asked to do: the latest scans of one tenant, or of each."""

    latest: int
    tenant: str | None = None
    replay: bool = False
    explain: bool = False

    @property
    def mode(self) -> str:
        """Return how deep it goes, as rows name it."""
        return "explain" if self.replay and self.explain else "replay" if self.replay else "verify"

    @property
    def scope(self) -> str:
        """Return the tenant as rows name it."""
        return self.tenant or rows.EVERY_TENANT


def begin(connection: sa.Connection, wish: Wish, pack: str, *, now: datetime, name: str) -> tuple[str, bool]:
    """Go on with the same night that was cut off, else choose the scans of a new one; tell which it was.

    A scan is chosen once the locker had all of it, whatever became of it since.
    """
    table = rows.verify_nights
    cut_off = sa.and_(table.c.tenant == wish.scope, table.c.state == RUNNING)
    same = sa.and_(
        cut_off,
        table.c.latest == wish.latest,
        table.c.mode == wish.mode,
        table.c.pack == pack,
        table.c.started_at > now - _GOES_ON,
    )
    newest = sa.select(table.c.id).where(same).order_by(table.c.started_at.desc()).limit(1)
    if (found := connection.execute(newest).scalar_one_or_none()) is not None:
        return str(found), True
    connection.execute(sa.update(table).where(cut_off).values(state=ABANDONED))
    values = {"id": name, "tenant": wish.scope, "latest": wish.latest, "mode": wish.mode, "pack": pack}
    connection.execute(sa.insert(table).values(**values, started_at=now, state=RUNNING))
    chosen = _latest(wish)
    results = rows.verify_results
    columns = [results.c.night, results.c.run_id, results.c.tenant, results.c.faults]
    listed = sa.select(sa.literal(name), chosen.c.id, chosen.c.tenant, sa.literal([], results.c.faults.type))
    connection.execute(sa.insert(results).from_select(columns, listed))
    return name, False


def _latest(wish: Wish) -> sa.Subquery:
    runs, documents = rows.runs, rows.documents
    kept = sa.exists().where(documents.c.run_id == runs.c.id, documents.c.type == registry.MANIFEST)
    place = sa.func.row_number().over(partition_by=runs.c.tenant, order_by=(runs.c.created_at.desc(), runs.c.id))
    ranked = sa.select(runs.c.id, runs.c.tenant, place.label("place")).where(kept)
    if wish.tenant is not None:
        ranked = ranked.where(runs.c.tenant == wish.tenant)
    inner = ranked.subquery()
    return sa.select(inner.c.id, inner.c.tenant).where(inner.c.place <= wish.latest).subquery()


def open_scans(connection: sa.Connection, night: str) -> dict[str, list[str]]:
    """Return the scans that a night has not judged yet, each with the hex digests of its bundles that are there."""
    results, mapped = rows.verify_results, rows.run_bundles
    joined = sa.outerjoin(results, mapped, mapped.c.run_id == results.c.run_id)
    joined = sa.outerjoin(joined, objects, objects.c.digest == mapped.c.bundle_digest)
    wanted = (
        sa.select(results.c.run_id, mapped.c.bundle_digest, objects.c.state)
        .select_from(joined)
        .where(results.c.night == night, results.c.result.is_(None))
        .order_by(results.c.tenant, results.c.run_id)
    )
    found: dict[str, list[str]] = {}
    for run_id, bundle, state in connection.execute(wanted):
        found.setdefault(run_id, []).extend([bundle] if bundle is not None and state not in _LEAVING else [])
    return found


def checked_bundles(connection: sa.Connection, night: str) -> set[str]:
    """Return the hex digests of the bundles that were read in a night."""
    table = rows.verify_blobs
    return set(connection.execute(sa.select(table.c.digest).where(table.c.night == night)).scalars())


def load(
    connection: sa.Connection, night: str, run_ids: Sequence[str], *, now: datetime
) -> list[tuple[Scan, datetime]]:
    """Return scans as workers need them, in the order asked for, each with the time of its row's last change."""
    runs = rows.runs
    heads = {row.id: row for row in connection.execute(sa.select(runs).where(runs.c.id.in_(run_ids)))}
    documents = _grouped(connection, rows.documents, run_ids, rows.documents.c.created_at, rows.documents.c.digest)
    evidence = _grouped(connection, rows.evidence, run_ids, rows.evidence.c.created_at, rows.evidence.c.digest)
    bundles = _bundles(connection, night, run_ids, now)
    found = []
    for run_id in run_ids:
        head, own = heads[run_id], documents.get(run_id, [])
        kept = min((row.created_at for row in own if row.type == registry.MANIFEST), default=head.created_at)
        scan = Scan(
            scan_id=run_id,
            tenant=head.tenant,
            manifest_hash=head.manifest_hash,
            kept_at=stamp(kept),
            envelopes=tuple((f"sha256:{row.digest}", row.size) for row in own if row.type == registry.ENVELOPE),
            evidence=tuple((row.name, f"sha256:{row.digest}", row.size) for row in evidence.get(run_id, [])),
            bundles=tuple(bundles.get(run_id, ())),
        )
        found.append((scan, head.updated_at))
    return found


def _grouped(
    connection: sa.Connection, table: sa.Table, run_ids: Sequence[str], *order: sa.ColumnElement[object]
) -> dict[str, list[sa.Row[tuple[object, ...]]]]:
    found: dict[str, list[sa.Row[tuple[object, ...]]]] = {}
    for row in connection.execute(sa.select(table).where(table.c.run_id.in_(run_ids)).order_by(*order)):
        found.setdefault(row.run_id, []).append(row)
    return found


def _bundles(connection: sa.Connection, night: str, run_ids: Sequence[str], now: datetime) -> dict[str, list[Bundle]]:
    mapped, bundles, blobs = rows.run_bundles, rows.bundles, rows.verify_blobs
    joined = sa.join(mapped, bundles, mapped.c.bundle_digest == bundles.c.digest)
    joined = sa.outerjoin(joined, blobs, blobs.c.digest == bundles.c.digest)
    joined = sa.outerjoin(joined, objects, objects.c.digest == bundles.c.digest)
    wanted = (
        sa.select(mapped.c.run_id, mapped.c.role, bundles.c.digest, bundles.c.size, objects.c.state, blobs)
        .select_from(joined)
        .where(mapped.c.run_id.in_(run_ids))
        .order_by(mapped.c.run_id, mapped.c.role, bundles.c.digest)
    )
    found: dict[str, list[Bundle]] = {}
    for row in connection.execute(wanted):
        checked = row.night == night
        lately = row.decoded_at is not None and row.decoded_at > now - DECODED_AGAIN
        found.setdefault(row.run_id, []).append(
            Bundle(
                digest=f"sha256:{row.digest}",
                size=row.size,
                role=row.role,
                checked=checked,
                fault=Fault(**row.fault) if checked and row.fault else None,
                decoded=row.decoded if lately else None,
                purged=row.state in _LEAVING,
            )
        )
    return found


def result_of(faults: Iterable[Fault]) -> str:
    """Return a scan's result: undecided where only this machine's own troubles stand against it."""
    codes = [fault.exit_code for fault in faults]
    return BAD if any(code not in (1, 60) for code in codes) else UNDECIDED if codes else GOOD


def code_of(faults: Sequence[Fault]) -> str | None:
    """Return the reason that a result is told by: the first that is the evidence's own."""
    ordered = sorted(faults, key=lambda fault: fault.exit_code in (1, 60))
    return ordered[0].reason if ordered else None


def keep(
    connection: sa.Connection,
    night: str,
    answers: Sequence[Answer],
    *,
    changed_at: Mapping[str, datetime],
    differences: Mapping[str, Stored],
    now: datetime,
) -> None:
    """Write what was found of some scans, with what it changes; ``changed_at`` are the rows' times as they were loaded.

    A row that changed since, by an ingest that mended it, keeps its status.
    """
    totals: Counter[tuple[str, str, str]] = Counter()
    for told in answers:
        answer = _without_purged(connection, told)
        result, scan = _result(answer), answer.scan
        difference = differences.get(scan.scan_id)
        table = rows.verify_results
        this = sa.and_(table.c.night == night, table.c.run_id == scan.scan_id, table.c.result.is_(None))
        values = {
            "result": result,
            "code": PURGED if result == SKIPPED else code_of(answer.faults),
            "faults": [asdict(fault) for fault in answer.faults],
            "replay": answer.replay,
            "difference": difference.location if difference else None,
            "arch": answer.arch,
            "checked_at": now,
        }
        if connection.execute(sa.update(table).where(this).values(**values)).rowcount != 1:
            continue
        if result in JUDGED:
            totals[scan.tenant, result, answer.arch] += 1
        _keep_bundles(connection, night, answer, now)
        _judge(connection, night, answer, result, changed_at[scan.scan_id], now)
    for (tenant, result, arch), count in sorted(totals.items()):
        add_total(connection, tenant, result, arch, count, now=now)


def _result(answer: Answer) -> str:
    result = result_of(answer.faults)
    return SKIPPED if result == GOOD and answer.scan.purged else result


def _without_purged(connection: sa.Connection, answer: Answer) -> Answer:
    """Return an answer without the faults of bundles that retention removed since their scan was loaded."""
    told: tuple[Bundle | BundleAnswer, ...] = (*answer.bundles, *answer.scan.bundles)
    missed = [one for one in told if one.fault is not None]
    if not missed:
        return answer
    names = {hex_of(one.digest) for one in missed}
    leaving = sa.select(objects.c.digest).where(objects.c.digest.in_(names), objects.c.state.in_(_LEAVING))
    gone = {f"sha256:{name}" for name in connection.execute(leaving).scalars()}
    if not gone:
        return answer
    theirs = [one.fault for one in missed if one.digest in gone]
    bundles = tuple(replace(one, purged=one.purged or one.digest in gone) for one in answer.scan.bundles)
    return replace(
        answer,
        scan=replace(answer.scan, bundles=bundles),
        faults=tuple(fault for fault in answer.faults if fault not in theirs),
        bundles=tuple(one for one in answer.bundles if one.digest not in gone),
    )


def _keep_bundles(connection: sa.Connection, night: str, answer: Answer, now: datetime) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    for bundle in answer.bundles:
        values: dict[str, object] = {
            "night": night,
            "checked_at": now,
            "code": bundle.fault.reason if bundle.fault else None,
            "fault": asdict(bundle.fault) if bundle.fault else sa.null(),
        }
        if bundle.fault is not None:
            values |= {"decoded": None, "decoded_at": None}
        elif bundle.decoded is not None:
            values |= {"decoded": bundle.decoded, "decoded_at": now}
        statement = dialect.insert(rows.verify_blobs).values(digest=hex_of(bundle.digest), **values)
        connection.execute(statement.on_conflict_do_update(index_elements=["digest"], set_=values))


def _judge(
    connection: sa.Connection, night: str, answer: Answer, result: str, changed_at: datetime, now: datetime
) -> None:
    """Make a scan whose bytes rotted ``failed``, and one that is whole again what it was."""
    runs, scan = rows.runs, answer.scan
    held = connection.execute(sa.select(runs).where(runs.c.id == scan.scan_id)).one()
    details: dict[str, object] = {"scanId": scan.scan_id, "manifestHash": scan.manifest_hash, "night": night}
    if held.updated_at != changed_at:
        return
    if result == BAD and held.status in (VERIFIED, REPLAYED, FAILED):
        code = code_of(answer.faults)
        if held.status == FAILED and held.failure == code:
            return
        first = next(fault for fault in answer.faults if fault.reason == code)
        details |= {"reason": code, "details": {name: str(value) for name, value in first.details.items()}}
        changes, kind = {"status": FAILED, "failure": code}, "replay.run.failed"
    elif result == GOOD and held.status == FAILED:
        replayed = registry.replayed_elsewhere(connection, scan.manifest_hash)
        changes, kind = {"status": REPLAYED if replayed else VERIFIED, "failure": None}, "replay.run.mended"
    else:
        return
    connection.execute(sa.update(runs).where(runs.c.id == scan.scan_id).values(**changes, updated_at=now))
    append_event(connection, tenant=scan.tenant, at=now, kind=kind, details=details)


def add_total(connection: sa.Connection, tenant: str, result: str, arch: str, count: int, *, now: datetime) -> None:
    """Add to a counter that never goes down."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    table = rows.verify_totals
    key = {"tenant": tenant, "result": result, "arch": arch, "lane": CONNECTED}
    statement = dialect.insert(table).values(**key, total=count, updated_at=now)
    changes = {"total": table.c.total + count, "updated_at": now}
    connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=changes))


def finish(connection: sa.Connection, night: str, *, now: datetime) -> None:
    """Close a night that has judged all its scans, and tell of it in the timeline; once."""
    table = rows.verify_nights
    this = sa.and_(table.c.id == night, table.c.state == RUNNING)
    if connection.execute(sa.update(table).where(this).values(state=FINISHED, finished_at=now)).rowcount:
        scope = connection.execute(sa.select(table.c.tenant).where(table.c.id == night)).scalar_one()
        details = {"night": night, "results": counts(connection, night)}
        append_event(connection, tenant=scope, at=now, kind="replay.night.finished", details=details)


def counts(connection: sa.Connection, night: str) -> dict[str, int]:
    """Return how many scans of a night had each result."""
    table = rows.verify_results
    query = sa.select(table.c.result, sa.func.count()).where(table.c.night == night).group_by(table.c.result)
    found = {name: int(count) for name, count in connection.execute(query) if name is not None}
    return {name: found.get(name, 0) for name in RESULTS}
