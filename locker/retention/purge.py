"""The end of a bundle: decided for all that is due in one transaction, then removed and confirmed one by one."""

from datetime import datetime

import sqlalchemy as sa

from locker import rows
from locker.retention import brakes, certificate, due
from locker.retention.brakes import Allowed
from locker.retention.promises import is_held
from locker.rows.retention import DELETING, HOT, LIVE, TOMBSTONE, objects, retention_runs
from locker.store import Locker


def decide(locker: Locker, tenant: str, *, who: str, allowed: Allowed, now: datetime) -> list[str]:
    """Announce what is to be deleted, and return it in hex; raises :class:`RetentionBrake`, and nothing is changed.

    Every mapping of each bundle is past its date and no hold touches it, as of this transaction.
    """
    settings = locker.settings.retention
    with locker.rows.write() as connection:
        planned = due.plan(connection, settings, tenant, now)
        if (fault := brakes.amount(planned, allowed)) is not None:
            raise fault
        found = due.digests(connection, tenant, due.to_purge(now, settings.grace_days))
        for brake in sorted(set(allowed) - {brakes.CLOCK}) if found else ():
            details: dict[str, object] = {"brake": brake, "reason": allowed[brake], "by": who, "purging": len(found)}
            kind = "retention.brake.released"
            rows.append_event(connection, tenant=tenant, at=now, kind=kind, details=details)
        for digest in found:
            connection.execute(sa.update(objects).where(objects.c.digest == digest).values(state=DELETING))
            told: dict[str, object] = {"object": f"sha256:{digest}", "by": who}
            rows.append_event(connection, tenant=tenant, at=now, kind="retention.deleting", details=told)
        values = {"tenant": tenant, "at": now, "who": who, "purging": len(found), "allowed": dict(allowed)}
        connection.execute(sa.insert(retention_runs).values(values))
    return found


def finish(locker: Locker, digest: str, *, who: str, now: datetime, tenant: str) -> int | None:
    """Remove a bundle whose deletion was announced, and confirm it; return its bytes, nothing where it was not removed.

    The removal lies inside of the transaction: writers take turns, so a hold or an ingest comes before it, and the
    bundle stays, or after it. A hold that came after the announcement brings back what is still there.
    """
    with locker.rows.write() as connection:
        row = connection.execute(sa.select(objects).where(objects.c.digest == digest)).one()
        if row.state != DELETING:
            return None
        rescued = is_held(connection, digest) or not _is_due(connection, digest, now)
        if rescued and _still_there(connection, locker, digest):
            changes = {"state": LIVE, "marked_at": None}
            connection.execute(sa.update(objects).where(objects.c.digest == digest).values(**changes))
            details: dict[str, object] = {"object": f"sha256:{digest}"}
            rows.append_event(connection, tenant=tenant, at=now, kind="retention.rescued", details=details)
            return None
        removal = locker.tiers.remove(f"sha256:{digest}")
        _, size = certificate.bury(connection, locker, digest, who=who, removal=removal, now=now)
        connection.execute(sa.update(objects).where(objects.c.digest == digest).values(state=TOMBSTONE, tier=HOT))
        return size


def _is_due(connection: sa.Connection, digest: str, now: datetime) -> bool:
    wanted = sa.select(objects.c.digest).where(objects.c.digest == digest, due.is_due(now))
    return connection.execute(wanted).first() is not None


def _still_there(connection: sa.Connection, locker: Locker, digest: str) -> bool:
    size = connection.execute(sa.select(rows.bundles.c.size).where(rows.bundles.c.digest == digest)).scalar_one()
    return locker.tiers.holds(f"sha256:{digest}", size)
