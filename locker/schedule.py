"""A locker's nights as jobs in its own PostgreSQL, by procrastinate (docs/locker.md, "Every night").

It only schedules: jobs call what ``stella verify --latest`` and ``stella retention run`` call. One verification a
tenant, and never two of one tenant in the queue. A job whose worker was killed stays "doing" for ever by itself; the
healing task puts it back.
"""

import asyncio
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from kit.errors import UsageError
from locker import audit, rows, settings
from locker.retention import run as retention
from locker.store import open_locker
from locker.verify_many_night import verify_latest
from locker.verify_many_rows import Wish
from locker.verify_many_workers import workers

VERIFY, VERIFY_ALL, RETAIN, HEAL = "verify-tenant", "verify-all", "retention", "heal"
QUEUE = "locker"
HEAL_AT = "*/2 * * * *"
STALLED = 60.0
"""Seconds without a sign of life after which a worker counts as dead."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is scheduled, and where; plain values, for they travel in jobs. Times are cron lines in UTC."""

    locker: str
    latest: int
    replay: bool
    executor: str
    executor_tls: str | None
    at: str
    retention_at: str = "15 5 * * *"


def make_app(plan: Plan, *, stalled: float = STALLED) -> Any:
    """Return the queue's application; :class:`UsageError` for a locker whose rows are not on PostgreSQL."""
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_conninfo(Path(plan.locker))))

    @app.task(name=VERIFY, queue=QUEUE)
    def _verify_tenant(tenant: str, plan: dict[str, Any]) -> None:
        verify(Plan(**plan), tenant)

    @app.periodic(cron=plan.at)
    @app.task(name=VERIFY_ALL, queue=QUEUE, queueing_lock=VERIFY_ALL)
    async def _verify_all(timestamp: int) -> None:  # noqa: ARG001  # the moment that it is the job of
        await defer_all(app, plan)

    @app.periodic(cron=plan.retention_at)
    @app.task(name=RETAIN, queue=QUEUE, queueing_lock=RETAIN, lock=RETAIN)
    def _retain(timestamp: int) -> None:  # noqa: ARG001
        retain(plan)

    @app.periodic(cron=HEAL_AT)
    @app.task(name=HEAL, queue=QUEUE, queueing_lock=HEAL)
    async def _heal(timestamp: int) -> None:  # noqa: ARG001
        await put_back(app, stalled)

    return app


def verify(plan: Plan, tenant: str) -> None:
    """Do one tenant's job; a scan that is not whole is a result in the rows, and no failed job."""
    security = Path(plan.executor_tls) if plan.executor_tls else None
    with open_locker(Path(plan.locker)) as locker, workers(plan.executor, security) as pool:
        wish = Wish(plan.latest, tenant, plan.replay)
        verify_latest(locker, wish, pool, clock=lambda: datetime.now(UTC), name=str(uuid4()))
        audit.sign(locker, now=datetime.now(UTC))


def retain(plan: Plan) -> None:
    """Carry retention out; what stops a tenant is on the timeline, and no failed job."""
    with open_locker(Path(plan.locker)) as locker:
        retention.run(locker, retention.Order(who=f"{QUEUE}:{RETAIN}", now=datetime.now(UTC)))
        audit.sign(locker, now=datetime.now(UTC))


async def defer_all(app: Any, plan: Plan) -> list[str]:
    """Put a job a tenant into the queue; return the tenants whose last job was not still waiting there."""
    from procrastinate.exceptions import AlreadyEnqueued

    with open_locker(Path(plan.locker)) as locker, locker.rows.read() as connection:
        query = sa.select(rows.runs.c.tenant).distinct().order_by(rows.runs.c.tenant)
        tenants = list(connection.execute(query).scalars())
    deferred = []
    for tenant in tenants:
        # The queueing lock keeps a second job from waiting, the lock keeps it from running beside the first.
        name = f"{VERIFY}:{tenant}"
        job = app.configure_task(VERIFY, queue=QUEUE, queueing_lock=name, lock=name)
        with suppress(AlreadyEnqueued):
            await job.defer_async(tenant=tenant, plan=asdict(plan))
            deferred.append(tenant)
    return deferred


async def put_back(app: Any, stalled: float) -> int:
    """Put the jobs of dead workers back into the queue; return how many."""
    jobs = list(await app.job_manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=stalled))
    for job in jobs:
        await app.job_manager.retry_job(job)
    return len(jobs)


def work(plan: Plan, *, once: bool, stalled: float = STALLED) -> None:
    """Run a worker until it is stopped; with ``once`` put the jobs in, do what is there, and end."""
    asyncio.run(_work(make_app(plan, stalled=stalled), plan, once=once, stalled=stalled))


async def _work(app: Any, plan: Plan, *, once: bool, stalled: float) -> None:
    async with app.open_async():
        if not await app.check_connection_async():
            await app.schema_manager.apply_schema_async()
        await put_back(app, stalled)
        if once:
            await defer_all(app, plan)
        await app.run_worker_async(queues=[QUEUE], wait=not once, update_heartbeat_interval=stalled / 6)


def _conninfo(locker: Path) -> str:
    """Return the locker's database as libpq knows it; its password is left to libpq's own means."""
    url = settings.read(locker).database
    if url is None:
        detail = "the queue lives in the locker's PostgreSQL, and this locker's rows are in its directory"
        raise UsageError(path=settings.FILE, detail=detail).then(
            "Call stella verify --latest by cron or a timer, or move the rows: stella locker migrate --database."
        )
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
