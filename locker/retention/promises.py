"""The promise that is kept for each mapping of a bundle, and what it adds up to for the bundle itself."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from kit.trust.keys import Signer
from locker.retention import declaration
from locker.rows.retention import ACTIVE, HOT, LIVE, declarations, hold_objects, holds, objects
from locker.settings import Policy


@dataclass(frozen=True, slots=True)
class Promise:
    """Whose bundle it is, since when: ``mapping`` is a scan's id or a site result's digest, ``digest`` in hex."""

    tenant: str
    mapping: str
    digest: str
    kind: str
    ingested_at: datetime

    @property
    def row(self) -> sa.ColumnElement[bool]:
        """Return the condition that selects this promise's row."""
        table = declarations.c
        return sa.and_(table.digest == self.digest, table.tenant == self.tenant, table.mapping == self.mapping)


def declare(connection: sa.Connection, signer: Signer, policy: Policy, promise: Promise, *, now: datetime) -> None:
    """Write the declaration of a promise, signed, in place of the one that is there."""
    declared = declaration.make(
        policy,
        promise.tenant,
        promise.kind,
        ingested_at=promise.ingested_at,
        now=now,
        held=is_held(connection, promise.digest),
    )
    declaration.check(declared)
    connection.execute(sa.delete(declarations).where(promise.row))
    connection.execute(
        sa.insert(declarations).values(
            digest=promise.digest,
            tenant=promise.tenant,
            mapping=promise.mapping,
            policy_id=policy.policy,
            retention_days=policy.cold_days,
            ingested_at=promise.ingested_at,
            purge_after=promise.ingested_at + timedelta(days=policy.cold_days),
            envelope=declaration.sign(declared, f"sha256:{promise.digest}", signer),
        )
    )


def refresh(connection: sa.Connection, digest: str) -> None:
    """Bring a bundle's row up to its declarations; a bundle that has none yet becomes live and hot."""
    table = declarations.c
    latest = sa.select(sa.func.max(table.ingested_at), sa.func.max(table.purge_after)).where(table.digest == digest)
    since, until = connection.execute(latest).one()
    dates = {"hot_since": since, "purge_after": until}
    if connection.execute(sa.update(objects).where(objects.c.digest == digest).values(**dates)).rowcount == 0:
        connection.execute(sa.insert(objects).values(digest=digest, state=LIVE, tier=HOT, **dates))


def held(digest: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return the condition that an active hold, of whatever tenant, touches a bundle."""
    joined = sa.join(hold_objects, holds, hold_objects.c.hold_id == holds.c.id)
    found = sa.select(holds.c.id).select_from(joined)
    return sa.exists(found.where(holds.c.status == ACTIVE, hold_objects.c.digest == digest))


def is_held(connection: sa.Connection, digest: str) -> bool:
    """Tell whether an active hold touches a bundle."""
    return bool(connection.execute(sa.select(held(sa.literal(digest)))).scalar_one())
