"""Leaving the hot store: copied, announced, read again, removed and confirmed (T-RETENTION-006).

The hot copy goes only if the cold one, read again just before, is what its name says. A hold stops it at any step.
"""

from datetime import datetime

import sqlalchemy as sa

from kit.errors import DigestMismatch
from locker import rows
from locker.retention import due
from locker.rows.retention import COLD, DEMOTING, HOT, objects
from locker.store import Locker


def demote(locker: Locker, digest: str, *, tenant: str, now: datetime) -> bool:
    """Move a bundle, in hex, to the cold tier; tell whether it is there now.

    Raises :class:`DigestMismatch` or :class:`FileMissing` where no whole copy is in the cold store; the hot one stays.
    """
    named = f"sha256:{digest}"
    size = _size(locker, digest)
    if locker.tiers.in_hot(named):
        locker.tiers.copy_to_cold(named, size)
    with locker.rows.write() as connection:
        if not _may_go(connection, locker, digest, tenant, now):
            return _stay(connection, locker, digest, tenant, now)
        changed = sa.update(objects).where(objects.c.digest == digest, objects.c.tier == HOT).values(tier=DEMOTING)
        if connection.execute(changed).rowcount:
            _tell(connection, "retention.demoting", digest, tenant, now)
    if not locker.tiers.cold_is_whole(named, size):
        raise DigestMismatch(
            path="cold", expected=named, detail="the cold copy is missing or damaged; no other was removed"
        )
    with locker.rows.write() as connection:
        if not _may_go(connection, locker, digest, tenant, now):
            return _stay(connection, locker, digest, tenant, now)
        locker.tiers.drop_hot(named)
        connection.execute(sa.update(objects).where(objects.c.digest == digest).values(tier=COLD))
        _tell(connection, "retention.demoted", digest, tenant, now)
    return True


def _may_go(connection: sa.Connection, locker: Locker, digest: str, tenant: str, now: datetime) -> bool:
    which = due.to_demote(now, locker.settings.retention, tenant)
    return bool(connection.execute(sa.select(objects.c.digest).where(objects.c.digest == digest, which)).first())


def _stay(connection: sa.Connection, locker: Locker, digest: str, tenant: str, now: datetime) -> bool:
    """Say where a bundle is that was on its way and may not go any further; tell whether that is the cold store."""
    tier = HOT if locker.tiers.in_hot(f"sha256:{digest}") else COLD
    changed = sa.update(objects).where(objects.c.digest == digest, objects.c.tier == DEMOTING).values(tier=tier)
    if connection.execute(changed).rowcount:
        _tell(connection, "retention.demotion.stopped", digest, tenant, now)
    return tier == COLD


def _size(locker: Locker, digest: str) -> int:
    with locker.rows.read() as connection:
        table = rows.bundles.c
        return int(connection.execute(sa.select(table.size).where(table.digest == digest)).scalar_one())


def _tell(connection: sa.Connection, kind: str, digest: str, tenant: str, now: datetime) -> None:
    rows.append_event(connection, tenant=tenant, at=now, kind=kind, details={"object": f"sha256:{digest}"})
