"""The disposal certificate: what was purged, under which promises and holds, by whom; signed by the locker's key."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from kit.bytes.digest import hex_of
from kit.errors import DigestMismatch, UnsupportedVersion, UsageError
from kit.trust import dsse, statement
from kit.trust.keys import PublicKey
from locker import rows
from locker.rows.retention import declarations, hold_objects, holds, objects, tombstones
from verifier.run_dir import stamp

if TYPE_CHECKING:
    from locker.store import Locker

PREDICATE_TYPE = "https://stella-ops.org/attestations/disposal/1"
_NAME = "disposal.dsse.json"


def bury(
    connection: sa.Connection, locker: "Locker", digest: str, *, who: str, removal: str, now: datetime
) -> tuple[int, int]:
    """Write a purged bundle's tombstones, one a tenant, each with its event; return how many, and the bundle's bytes.

    ``removal`` says what the store did.
    """
    named = f"sha256:{digest}"
    bundle = connection.execute(sa.select(rows.bundles).where(rows.bundles.c.digest == digest)).one()
    marked_at = connection.execute(sa.select(objects.c.marked_at).where(objects.c.digest == digest)).scalar_one()
    table = declarations.c
    promised = connection.execute(
        sa.select(declarations).where(table.digest == digest).order_by(table.tenant, table.mapping)
    ).all()
    tenants = sorted({row.tenant for row in promised})
    for tenant in tenants:
        own = [row for row in promised if row.tenant == tenant]
        told: dict[str, object] = {
            "object": named,
            "size": bundle.size,
            "type": bundle.type,
            "location": bundle.location,
            "tenant": tenant,
            "policies": sorted({row.policy_id for row in own}),
            "promises": [
                {"mapping": row.mapping, "ingestedAt": stamp(row.ingested_at), "purgeAfter": stamp(row.purge_after)}
                for row in own
            ],
            "holds": _holds(connection, digest, tenant),
            "by": who,
            "purgedAt": stamp(now),
            "removal": removal,
        }
        if marked_at is not None:
            told["markedAt"] = stamp(marked_at)
        rows.append_event(connection, tenant=tenant, at=now, kind="retention.purged", details=told)
        # Writers take turns, so the newest event is the one that was just written.
        event = int(connection.execute(sa.select(sa.func.max(rows.events.c.sequence))).scalar_one())
        signed = statement.make({"bundle": named}, PREDICATE_TYPE, {**told, "event": event})
        envelope = dsse.sign(signed, dsse.IN_TOTO, [locker.site.signer]).decode()
        values = {"digest": digest, "tenant": tenant, "purged_at": now, "event": event, "envelope": envelope}
        connection.execute(sa.insert(tombstones).values(values))
    return len(tenants), int(bundle.size)


def find(locker: "Locker", digest: str, tenant: str) -> bytes:
    """Return the envelope of a tenant's latest certificate for a digest; :class:`UsageError` where there is none."""
    table = tombstones.c
    wanted = sa.select(table.envelope).where(table.digest == hex_of(digest), table.tenant == tenant)
    with locker.rows.read() as connection:
        found = connection.execute(wanted.order_by(table.sequence.desc()).limit(1)).scalar_one_or_none()
    if found is None:
        raise UsageError(detail=f"nothing of this digest was purged for tenant {tenant}", found=digest)
    return str(found).encode()


def verify(envelope: bytes, key: PublicKey) -> dict[str, Any]:
    """Return what a certificate says once its signature by the locker's key holds; the errors of DSSE."""
    signed = dsse.verify(envelope, [key], threshold=1, payload_types=(dsse.IN_TOTO,), name=_NAME)
    read = statement.parse(signed.payload)
    if read.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(path=_NAME, expected=PREDICATE_TYPE, found=read.predicate_type[:120])
    if read.subjects.get("bundle") != read.predicate.get("object"):
        raise DigestMismatch(path=_NAME, expected=read.subjects.get("bundle", ""), found=str(read.predicate["object"]))
    return dict(read.predicate)


def _holds(connection: sa.Connection, digest: str, tenant: str) -> list[dict[str, object]]:
    """Return the history of a tenant's holds on a bundle, in the order of their making."""
    joined = sa.join(hold_objects, holds, hold_objects.c.hold_id == holds.c.id)
    wanted = sa.select(holds).select_from(joined).where(hold_objects.c.digest == digest, holds.c.tenant == tenant)
    history = []
    for row in connection.execute(wanted.order_by(holds.c.created_at, holds.c.id)):
        one: dict[str, object] = {
            "hold": row.id,
            "status": row.status,
            "reason": row.reason,
            "createdBy": row.created_by,
            "createdAt": stamp(row.created_at),
        }
        if row.released_at is not None:
            one |= {
                "releasedBy": row.released_by,
                "releasedAt": stamp(row.released_at),
                "releaseReason": row.release_reason,
            }
        history.append(one)
    return history
