"""What is due: the questions that a retention run, its dry run and the forecast ask of the rows.

A bundle is due when the latest of its purge dates, over every tenant, scan and site result, has passed. None of these
questions touches the objects.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from locker import rows
from locker.retention.mappings import has_undeclared, of_scans, of_sites, undeclared
from locker.retention.promises import held
from locker.rows.retention import DEMOTING, HOT, LIVE, MARKED, TOMBSTONE, declarations, objects, retention_runs
from locker.settings import RetentionSettings

SHOWN = 20
"""How many digests a plan shows."""
KEPT = (LIVE, MARKED)


@dataclass(frozen=True, slots=True)
class Due:
    """Bundles of one kind of step: how many, their bytes, and the first of their digests."""

    count: int
    size: int
    first: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a retention run would do to a tenant now."""

    tenant: str
    total: int
    mark: Due
    demote: Due
    purge: Due
    held: Due
    """Past their date, and kept by a hold."""
    undeclared: int
    last_purged: int | None
    """How many the last run that purged anything purged; none where none ever did."""

    def described(self) -> dict[str, object]:
        """Return the plan as plain values."""
        steps = {"mark": self.mark, "demote": self.demote, "purge": self.purge, "held": self.held}
        answer: dict[str, object] = {"tenant": self.tenant, "bundles": self.total, "undeclared": self.undeclared}
        for name, step in steps.items():
            answer[name] = {"bundles": step.count, "bytes": step.size, "first": list(step.first)}
        return answer


def tenants(connection: sa.Connection) -> list[str]:
    """Return every tenant that has a bundle, in order."""
    found = sa.union(*(sa.select(part.subquery().c.tenant) for part in (of_scans(), of_sites())))
    return sorted(connection.execute(found).scalars())


def of_tenant(tenant: str) -> sa.ColumnElement[bool]:
    """Return the condition that a tenant has a declaration for a bundle."""
    table = declarations.c
    return sa.exists().where(table.digest == objects.c.digest, table.tenant == tenant)


def to_mark(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition for a bundle to be marked."""
    return sa.and_(objects.c.state == LIVE, objects.c.purge_after <= now, ~held(objects.c.digest))


def to_unmark(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition for a mark to go: a hold came, or the date moved."""
    return sa.and_(objects.c.state == MARKED, sa.or_(objects.c.purge_after > now, held(objects.c.digest)))


def is_due(now: datetime) -> sa.ColumnElement[bool]:
    """Return the condition that every mapping of a bundle has a declaration whose date has passed."""
    table = declarations.c
    later = sa.exists().where(table.digest == objects.c.digest, table.purge_after > now)
    return sa.and_(objects.c.purge_after <= now, ~later, ~has_undeclared(objects.c.digest))


def to_purge(now: datetime, grace_days: int) -> sa.ColumnElement[bool]:
    """Return the condition for a marked bundle to be deleted; the declarations themselves are asked again."""
    over = objects.c.marked_at <= now - timedelta(days=grace_days)
    return sa.and_(objects.c.state == MARKED, over, is_due(now), ~held(objects.c.digest))


def to_demote(now: datetime, settings: RetentionSettings, tenant: str) -> sa.ColumnElement[bool]:
    """Return the condition for a bundle to leave the hot tier, under the longest stay that any of its tenants has."""
    others = {name: policy.hot_days for name, policy in settings.tenants.items() if name != tenant}
    own = settings.of(tenant).hot_days
    table = declarations.c
    stays = [
        sa.exists().where(
            table.digest == objects.c.digest, table.tenant == name, objects.c.hot_since > now - timedelta(days=days)
        )
        for name, days in sorted(others.items())
        if days > own
    ]
    if settings.hot_days > own:
        other = table.tenant.not_in([tenant, *others])
        default = objects.c.hot_since > now - timedelta(days=settings.hot_days)
        stays.append(sa.exists().where(table.digest == objects.c.digest, other, default))
    return sa.and_(
        objects.c.state.in_(KEPT),
        objects.c.tier.in_((HOT, DEMOTING)),
        objects.c.hot_since <= now - timedelta(days=own),
        ~held(objects.c.digest),
        *(~stay for stay in stays),
    )


def digests(connection: sa.Connection, tenant: str, which: sa.ColumnElement[bool]) -> list[str]:
    """Return a tenant's bundles of a condition, in hex, ascending."""
    found = sa.select(objects.c.digest).where(which, of_tenant(tenant)).order_by(objects.c.digest)
    return list(connection.execute(found).scalars())


def total(connection: sa.Connection, tenant: str) -> int:
    """Return how many bundles a tenant has."""
    gone = sa.select(objects.c.digest).where(objects.c.state == TOMBSTONE)
    mine = sa.select(sa.func.count(declarations.c.digest.distinct()))
    return int(
        connection.execute(mine.where(declarations.c.tenant == tenant, declarations.c.digest.not_in(gone))).scalar_one()
    )


def last_purged(connection: sa.Connection, tenant: str) -> int | None:
    """Return how many bundles the tenant's last run that purged anything purged."""
    table = retention_runs.c
    found = sa.select(table.purging).where(table.tenant == tenant, table.purging > 0)
    return connection.execute(found.order_by(table.sequence.desc()).limit(1)).scalar_one_or_none()


def plan(connection: sa.Connection, settings: RetentionSettings, tenant: str, now: datetime) -> Plan:
    """Return what a run would do to a tenant now, from the rows alone."""
    missing = undeclared()
    unknown = sa.select(sa.func.count()).select_from(missing).where(missing.c.tenant == tenant)
    past = sa.and_(objects.c.state.in_(KEPT), objects.c.purge_after <= now, held(objects.c.digest))
    return Plan(
        tenant=tenant,
        total=total(connection, tenant),
        mark=measure(connection, tenant, to_mark(now)),
        demote=measure(connection, tenant, to_demote(now, settings, tenant)),
        purge=measure(connection, tenant, to_purge(now, settings.grace_days)),
        held=measure(connection, tenant, past),
        undeclared=int(connection.execute(unknown).scalar_one()),
        last_purged=last_purged(connection, tenant),
    )


def measure(connection: sa.Connection, tenant: str, which: sa.ColumnElement[bool]) -> Due:
    """Return how many of a tenant's bundles meet a condition, and the first of them."""
    joined = sa.join(objects, rows.bundles, objects.c.digest == rows.bundles.c.digest)
    where = sa.and_(which, of_tenant(tenant))
    size = sa.func.coalesce(sa.func.sum(rows.bundles.c.size), 0)
    count, total_size = connection.execute(sa.select(sa.func.count(), size).select_from(joined).where(where)).one()
    first = sa.select(objects.c.digest).where(where).order_by(objects.c.digest).limit(SHOWN)
    shown = tuple(f"sha256:{found}" for found in connection.execute(first).scalars()) if count else ()
    return Due(int(count), int(total_size), shown)
