"""What an ingest does for retention, in its own transaction: revive, put under holds that look ahead, declare."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from locker import rows
from locker.holds import matching
from locker.retention.promises import Promise, declare, refresh
from locker.rows.retention import (
    ACTIVE,
    COLD,
    DELETING,
    DEMOTING,
    HOT,
    LIVE,
    TOMBSTONE,
    declarations,
    hold_objects,
    holds,
    objects,
)

if TYPE_CHECKING:
    from locker.store import Locker

PENDING_BIT = "pending"
"""The store has not been asked for its own hold yet."""


class ObjectGone(Exception):
    """A retention run removed the object between its put and its row: put it again. Never leaves the locker."""


def admit(
    connection: sa.Connection, locker: "Locker", *, tenant: str, mapping: str, bundles: Mapping[str, str], now: datetime
) -> None:
    """Take bundles, kinds by digest in hex, of a scan or a site result under retention and the holds that look ahead.

    Their rows and mappings are written already. Raises :class:`ObjectGone` where the bytes are no longer there.
    """
    back = {digest for digest in bundles if _revived(connection, locker, digest, tenant, now)}
    hold_ahead(connection, tenant, mapping, now=now)
    policy = locker.settings.retention.of(tenant)
    for digest, kind in bundles.items():
        promise = Promise(tenant, mapping, digest, kind, now)
        if digest in back or connection.execute(sa.select(declarations.c.digest).where(promise.row)).first() is None:
            declare(connection, locker.site.signer, policy, promise, now=now)
        refresh(connection, digest)


def is_leaving(connection: sa.Connection, digest: str) -> bool:
    """Tell whether a bundle, in hex, is being deleted or was."""
    leaving = objects.c.state.in_((DELETING, TOMBSTONE))
    return (
        connection.execute(sa.select(objects.c.digest).where(objects.c.digest == digest, leaving)).first() is not None
    )


def hold_ahead(connection: sa.Connection, tenant: str, mapping: str, *, now: datetime) -> None:
    """Put what matches under the tenant's active holds that look ahead, with an event for each that grew."""
    looking = sa.select(holds).where(holds.c.tenant == tenant, holds.c.status == ACTIVE, holds.c.future)
    for hold in connection.execute(looking.order_by(holds.c.id)).all():
        found = matching.matched(connection, tenant, hold.scope, hold.asked, mapping=mapping)
        added = [digest for digest in found if add_to_hold(connection, hold.id, tenant, digest, now=now)]
        if added:
            details = {"hold": hold.id, "mapping": mapping, "objects": [f"sha256:{digest}" for digest in added]}
            rows.append_event(connection, tenant=tenant, at=now, kind="replay.hold.extended", details=details)


def add_to_hold(connection: sa.Connection, hold: str, tenant: str, digest: str, *, now: datetime) -> bool:
    """Add a bundle to a hold's list; tell whether it was not there."""
    values = {"hold_id": hold, "digest": digest, "tenant": tenant, "added_at": now, "store_bit": PENDING_BIT}
    return rows.insert_absent(connection, hold_objects, values)


def _revived(connection: sa.Connection, locker: "Locker", digest: str, tenant: str, now: datetime) -> bool:
    """Make a bundle that was leaving, and is here again, live; tell whether it was.

    Retention runs remove inside of their own write transaction, so what is here now stays until this one ends.
    """
    row = connection.execute(sa.select(objects).where(objects.c.digest == digest)).one_or_none()
    if row is None:
        return False
    size = connection.execute(sa.select(rows.bundles.c.size).where(rows.bundles.c.digest == digest)).scalar_one()
    named = f"sha256:{digest}"
    if row.state in (DELETING, TOMBSTONE):
        if not locker.tiers.holds(named, size):
            raise ObjectGone(named)
        changes = {"state": LIVE, "tier": HOT, "marked_at": None}
        connection.execute(sa.update(objects).where(objects.c.digest == digest).values(**changes))
        details = {"object": named, "was": row.state}
        rows.append_event(connection, tenant=tenant, at=now, kind="retention.revived", details=details)
        return True
    if row.tier in (DEMOTING, COLD) and not locker.tiers.holds(named, size):
        raise ObjectGone(named)
    return False
