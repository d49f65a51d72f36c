"""What a locker tells Prometheus: one collector over its rows, for a text file and for ``/metrics`` (docs/locker.md).

A process that cron begins cannot keep a counter, so counters are totals in rows. No scan id is a label of a counter; a
gauge names failing scans, while they fail and at most ``MAX_FAILING`` of them.
"""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from kit import result as results
from kit.errors import UsageError
from locker import checklist, rows
from locker import verify_many_rows as nights
from locker.store import Locker
from verifier.durable import write_atomic

MAX_FAILING = 100
AIR_GAP = "airgap"
LANES = ("x64", "arm64")
_VERDICTS = {results.VERIFIED: nights.GOOD, results.INTACT: nights.GOOD}
"""Results of sites that count as verified; every other verdict of a scan is a failure. A what-if is none."""


class LockerCollector(Collector):
    """Reads the rows whenever it is asked; ``clock`` is asked for the ages only."""

    def __init__(self, locker: Locker, now: datetime) -> None:
        self._locker = locker
        self._now = now

    def describe(self) -> list[Metric]:
        """Return nothing: what a locker has to tell is known only when it is asked."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every metric, as of one moment of the rows."""
        with self._locker.rows.read() as connection:
            tenants = sorted(set(connection.execute(sa.select(rows.runs.c.tenant).distinct()).scalars()))
            yield _totals(connection, tenants)
            yield from _sizes(connection)
            yield from _failing(connection)
            yield _last_success(connection, tenants)
            yield from _runs(connection)
        facts = checklist.gather(self._locker, now=self._now)
        yield from _upkeep(facts)


def text(locker: Locker, *, now: datetime) -> bytes:
    """Return all metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(LockerCollector(locker, now))
    return generate_latest(registry)


def write(locker: Locker, out: Path, *, now: datetime) -> int:
    """Write the metrics to a file for the node exporter, whole or not at all; return how many samples there are.

    Raises :class:`UsageError` for a name that the exporter would not read, :class:`NotWritable`.
    """
    if out.suffix != ".prom":
        raise UsageError(option="--out", expected="a file that ends with .prom", found=out.name)
    encoded = text(locker, now=now)
    write_atomic(out, encoded)
    return sum(not line.startswith(b"#") for line in encoded.splitlines())


def _totals(connection: sa.Connection, tenants: list[str]) -> Metric:
    """Yield the counter, every combination from zero on: a first failure must be an increase."""
    found = {
        (tenant, result, arch, nights.CONNECTED): 0 for tenant in tenants for result in nights.JUDGED for arch in LANES
    }
    found |= {(tenant, result, "unknown", AIR_GAP): 0 for tenant in tenants for result in (nights.GOOD, nights.BAD)}
    table = rows.verify_totals
    for row in connection.execute(sa.select(table)):
        found[row.tenant, row.result, row.arch, row.lane] = row.total
    told = rows.site_results
    grouped = sa.select(told.c.tenant, told.c.verdict, sa.func.count()).where(told.c.verdict != results.WHAT_IF)
    for tenant, verdict, count in connection.execute(grouped.group_by(told.c.tenant, told.c.verdict)):
        key = tenant, _VERDICTS.get(verdict, nights.BAD), "unknown", AIR_GAP
        found[key] = found.get(key, 0) + count
    labels = ["tenant", "result", "arch", "lane"]
    metric = CounterMetricFamily("replay_verify", "Verifications of recorded scans, by how they ended.", labels=labels)
    for key, count in sorted(found.items()):
        metric.add_metric(key, count)
    return metric


def _sizes(connection: sa.Connection) -> Iterator[Metric]:
    table = rows.bundles
    size = GaugeMetricFamily("replay_bundle_size_bytes", "Bytes of all bundles in the store.", labels=["type"])
    count = GaugeMetricFamily("replay_bundles", "Bundles in the store.", labels=["type"])
    query = sa.select(table.c.type, sa.func.count(), sa.func.sum(table.c.size)).group_by(table.c.type)
    for kind, number, total in connection.execute(query.order_by(table.c.type)):
        size.add_metric([kind], int(total))
        count.add_metric([kind], number)
    yield size
    yield count


def _failing(connection: sa.Connection) -> Iterator[Metric]:
    latest, total = failing(connection, MAX_FAILING)
    labels = ["tenant", "scan_id", "code"]
    named = GaugeMetricFamily(
        "replay_verify_failing", "1 for each scan that is not whole, while it is not.", labels=labels
    )
    for tenant, scan_id, code in latest:
        named.add_metric([tenant, scan_id, code], 1)
    yield named
    yield GaugeMetricFamily(
        "replay_verify_failing_scans", "Scans that are not whole, also those not named.", value=total
    )


def failing(connection: sa.Connection, most: int) -> tuple[list[tuple[str, str, str]], int]:
    """Return tenant, id and code of scans whose last verification did not find them whole, and how many there are."""
    table = rows.verify_results
    place = sa.func.row_number().over(partition_by=table.c.run_id, order_by=(table.c.checked_at.desc(), table.c.night))
    judged = sa.select(
        table.c.run_id, table.c.tenant, table.c.code, table.c.result, table.c.checked_at, place.label("n")
    )
    inner = judged.where(table.c.result.is_not(None)).subquery()
    runs = rows.runs
    # Mended by an ingest since: the scan's row is younger than what the night found, and good.
    mended = sa.and_(runs.c.status.in_((rows.VERIFIED, rows.REPLAYED)), runs.c.updated_at > inner.c.checked_at)
    bad = sa.and_(inner.c.n == 1, inner.c.result.in_((nights.BAD, nights.UNDECIDED)), ~mended)
    joined = sa.join(inner, runs, runs.c.id == inner.c.run_id)
    wanted = sa.select(inner.c.tenant, inner.c.run_id, inner.c.code).select_from(joined).where(bad)
    total = connection.execute(sa.select(sa.func.count()).select_from(wanted.subquery())).scalar_one()
    named = connection.execute(wanted.order_by(inner.c.tenant, inner.c.run_id).limit(most))
    return [(tenant, scan_id, code) for tenant, scan_id, code in named], int(total)


def _last_success(connection: sa.Connection, tenants: list[str]) -> Metric:
    name, help_text = "replay_verify_last_success_timestamp_seconds", "When a night over a tenant's scans last ended."
    metric = GaugeMetricFamily(name, help_text, labels=["tenant"])
    for tenant, ended in sorted(last_nights(connection, tenants).items()):
        metric.add_metric([tenant], ended.timestamp() if ended else 0)
    return metric


def last_nights(connection: sa.Connection, tenants: list[str]) -> dict[str, datetime | None]:
    """Return when a night over each tenant's scans last judged all that it chose."""
    table = rows.verify_nights
    ended = sa.select(table.c.tenant, sa.func.max(table.c.finished_at)).where(table.c.state == nights.FINISHED)
    found = dict(connection.execute(ended.group_by(table.c.tenant)).all())
    everyone = found.get(rows.EVERY_TENANT)
    return {
        tenant: max((moment for moment in (found.get(tenant), everyone) if moment is not None), default=None)
        for tenant in tenants
    }


def _runs(connection: sa.Connection) -> Iterator[Metric]:
    metric = GaugeMetricFamily("replay_runs", "Scans in the locker.", labels=["tenant", "status"])
    query = sa.select(rows.runs.c.tenant, rows.runs.c.status, sa.func.count())
    for tenant, status, count in sorted(connection.execute(query.group_by(rows.runs.c.tenant, rows.runs.c.status))):
        metric.add_metric([tenant, status], count)
    yield metric
    conflicts = sa.select(sa.func.count()).where(rows.events.c.kind == "replay.result.conflict")
    count = connection.execute(conflicts).scalar_one()
    yield CounterMetricFamily("replay_sync_conflicts", "Results of one site that contradict one another.", value=count)


def _upkeep(facts: checklist.Facts) -> Iterator[Metric]:
    """Yield what the maintenance checklist looks at, in numbers; what is not known is not there."""
    moments = {
        "rootpack_accepted": facts.rootpack_accepted,
        "rootpack_expires": facts.rootpack_expires,
        "replay_retention_last_success": facts.retention_ran,
        "replay_drill_last": facts.drill_held,
    }
    for name, moment in moments.items():
        if moment is not None:
            yield GaugeMetricFamily(
                f"{name}_timestamp_seconds", "Time of it, in Unix seconds.", value=moment.timestamp()
            )
    state = GaugeMetricFamily("locker_worm_state", "1 for what the store's lock was last seen to be.", labels=["state"])
    for name in checklist.WORM_STATES:
        state.add_metric([name], int(name == facts.worm))
    yield state
    items = GaugeMetricFamily(
        "locker_checklist", "1 for the state of each item of the checklist.", labels=["item", "state"]
    )
    for item in checklist.answer(facts):
        items.add_metric([item.name, item.state], 1)
    yield items
