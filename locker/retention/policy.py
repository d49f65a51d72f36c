"""Bringing declarations to the policy in force: longer by itself, shorter only when two people release old dates."""

from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from kit.errors import UsageError
from locker import rows
from locker.retention.mappings import undeclared
from locker.retention.promises import Promise, declare, refresh
from locker.rows.retention import TOMBSTONE, declarations, objects
from locker.who import same

if TYPE_CHECKING:
    from locker.store import Locker

_BATCH = 500


def declare_missing(locker: "Locker", tenant: str, *, now: datetime) -> int:
    """Declare a tenant's bundles that were kept before there was retention, from the day of their ingest."""
    missing = undeclared()
    query = (
        sa.select(missing, rows.bundles.c.created_at)
        .join_from(missing, rows.bundles, missing.c.digest == rows.bundles.c.digest)
        .where(missing.c.tenant == tenant)
        .order_by(missing.c.digest, missing.c.mapping)
        .limit(_BATCH)
    )
    policy = locker.settings.retention.of(tenant)
    count = 0
    while True:
        with locker.rows.write() as connection:
            found = connection.execute(query).all()
            for row in found:
                promise = Promise(tenant, row.mapping, row.digest, row.kind, row.created_at)
                declare(connection, locker.site.signer, policy, promise, now=now)
                refresh(connection, row.digest)
            if found:
                details = {"count": len(found), "policy": policy.policy, "days": policy.cold_days}
                rows.append_event(connection, tenant=tenant, at=now, kind="retention.declared", details=details)
        count += len(found)
        if len(found) < _BATCH:
            return count


def lengthen(locker: "Locker", tenant: str, *, now: datetime) -> int:
    """Give declarations that promise less than the policy in force its date; return how many."""
    days = locker.settings.retention.of(tenant).cold_days
    shorter = declarations.c.retention_days < days
    return _redeclare(locker, tenant, shorter, "retention.lengthened", {}, now=now)


def kept_longer(connection: sa.Connection, tenant: str, days: int) -> int:
    """Return how many declarations promise more than so many days, and so are kept longer than the policy asks."""
    found = (
        sa.select(sa.func.count())
        .select_from(declarations)
        .where(_stands(tenant, declarations.c.retention_days > days))
    )
    return int(connection.execute(found).scalar_one())


def release(locker: "Locker", tenant: str, *, who: str, second: str, reason: str, now: datetime) -> int:
    """Let a tenant's dates that are later than the policy in force asks be as early as it asks; return how many.

    ``who`` and ``second`` are two people, else :class:`UsageError`; both and the reason are on the timeline.
    """
    if not reason.strip():
        raise UsageError(option="--reason", detail="a purge date is not shortened without a reason")
    if not second.strip() or same(who, second):
        raise UsageError(option="--second", detail="somebody else than the first person must agree", found=second)
    days = locker.settings.retention.of(tenant).cold_days
    longer = declarations.c.retention_days > days
    told = {"by": who, "second": second, "reason": reason}
    with locker.writing():
        return _redeclare(locker, tenant, longer, "retention.shortened", told, now=now)


def _stands(tenant: str, condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Return the condition on a tenant's declarations of bundles that are still there."""
    gone = sa.exists().where(objects.c.digest == declarations.c.digest, objects.c.state == TOMBSTONE)
    return sa.and_(declarations.c.tenant == tenant, condition, ~gone)


def _redeclare(
    locker: "Locker",
    tenant: str,
    which: sa.ColumnElement[bool],
    kind: str,
    told: dict[str, str],
    *,
    now: datetime,
) -> int:
    policy = locker.settings.retention.of(tenant)
    table = declarations.c
    query = (
        sa.select(declarations, rows.bundles.c.type)
        .join_from(declarations, rows.bundles, table.digest == rows.bundles.c.digest)
        .where(_stands(tenant, which))
        .order_by(table.digest, table.mapping)
        .limit(_BATCH)
    )
    count = 0
    while True:
        with locker.rows.write() as connection:
            found = connection.execute(query).all()
            for row in found:
                promise = Promise(tenant, row.mapping, row.digest, row.type, row.ingested_at)
                declare(connection, locker.site.signer, policy, promise, now=now)
                refresh(connection, row.digest)
            if found:
                before = sorted({f"{row.policy_id}: {row.retention_days} days" for row in found})
                details = {**told, "count": len(found), "before": before, "policy": policy.policy}
                details |= {"days": policy.cold_days}
                rows.append_event(connection, tenant=tenant, at=now, kind=kind, details=details)
        count += len(found)
        if len(found) < _BATCH:
            return count
