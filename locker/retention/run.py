"""The retention run: live, marked, deleting, tombstone; hot, demoting, cold (docs/locker.md, "Retention").

Each step is decided in one write transaction with its event, and writers take turns: a hold comes before the step or
after it, never between. Cut off anywhere, the next run goes on from the rows.
"""

from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from kit.errors import ServerUnreachable, StellaError
from locker import rows
from locker.holds import legal, object_lock
from locker.retention import brakes, demotion, due, policy, purge
from locker.retention.brakes import Allowed
from locker.rows.retention import DELETING, DEMOTING, LIVE, MARKED, objects
from locker.store import Locker

FINISHED = "replay.retention.finished"
STOPPED = "replay.retention.stopped"
LOCKS_CHECKED = "locker.worm.checked"
"""Kinds of the events that a run ends with."""


@dataclass(slots=True)
class Outcome:
    """What a run did for one tenant, and the first error that stopped it or that a bundle met."""

    tenant: str
    declared: int = 0
    lengthened: int = 0
    unmarked: int = 0
    marked: int = 0
    demoted: int = 0
    purged: int = 0
    purged_bytes: int = 0
    kept_longer: int = 0
    error: StellaError | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What a run was told: by whom, when, and which brakes are released for which reasons."""

    who: str
    now: datetime
    allowed: Allowed = field(default_factory=dict)
    tenant: str | None = None


def run(locker: Locker, order: Order) -> list[Outcome]:
    """Do what is due, tenant by tenant; one tenant's error is in its outcome and stops no other.

    Raises :class:`ClockNotPlausible` before anything is touched.
    """
    brakes.check_allowed(order.allowed)
    with locker.writing():
        with locker.rows.write() as connection:
            _check_clock(connection, order)
            tenants = due.tenants(connection) if order.tenant is None else [order.tenant]
        done = [_TenantRun(locker, order, tenant).go() for tenant in tenants]
        try:
            _tell(locker, order, done, _locks(locker, order.now))
        except ServerUnreachable:
            # A database that went meanwhile is told of by the tenant that met it; then no run is said to have ended.
            if all(one.error is None for one in done):
                raise
    return done


def dry_run(locker: Locker, order: Order) -> list[tuple[due.Plan, StellaError | None]]:
    """Return what a run would do to each tenant, and what would stop it; nothing is written."""
    brakes.check_allowed(order.allowed)
    with locker.rows.read() as connection:
        stopped = brakes.clock(connection, order.now) if brakes.CLOCK not in order.allowed else None
        tenants = due.tenants(connection) if order.tenant is None else [order.tenant]
        plans = [due.plan(connection, locker.settings.retention, tenant, order.now) for tenant in tenants]
    return [(plan, stopped or brakes.amount(plan, order.allowed)) for plan in plans]


def forecast(locker: Locker, until: datetime, tenant: str | None = None) -> list[due.Plan]:
    """Return what a run at a later moment would do to each tenant, if nothing changes till then."""
    with locker.rows.read() as connection:
        tenants = due.tenants(connection) if tenant is None else [tenant]
        return [due.plan(connection, locker.settings.retention, each, until) for each in tenants]


def described(done: Outcome) -> dict[str, object]:
    """Return an outcome as plain values."""
    answer: dict[str, object] = {
        "tenant": done.tenant,
        "declared": done.declared,
        "lengthened": done.lengthened,
        "unmarked": done.unmarked,
        "marked": done.marked,
        "demoted": done.demoted,
        "purged": done.purged,
        "purgedBytes": done.purged_bytes,
        "keptLongerThanPolicy": done.kept_longer,
    }
    return answer | ({"reason": done.error.reason, "details": done.error.details} if done.error else {})


def _check_clock(connection: sa.Connection, order: Order) -> None:
    fault = brakes.clock(connection, order.now)
    if fault is None:
        return
    if brakes.CLOCK not in order.allowed:
        raise fault
    details: dict[str, object] = {"brake": brakes.CLOCK, "reason": order.allowed[brakes.CLOCK], "by": order.who}
    details |= fault.details
    kind = "retention.brake.released"
    rows.append_event(connection, tenant=rows.EVERY_TENANT, at=order.now, kind=kind, details=details)


def _locks(locker: Locker, now: datetime) -> dict[str, object]:
    """Return what a canary says of the stores' own locks; a store that cannot be asked stops no run."""
    told: dict[str, object] = {}
    for name, store in (("state", locker.tiers.hot), ("cold", locker.tiers.cold)):
        if store is not None:
            try:
                told[name] = object_lock.probe(store, now=now)
            except StellaError as error:
                told[name] = f"unknown: {error.reason}"
    return told


def _tell(locker: Locker, order: Order, done: list[Outcome], locks: dict[str, object]) -> None:
    """Write that a run ended, and whether everything that was due could be done."""
    stopped = sorted({one.error.reason for one in done if one.error is not None})
    details: dict[str, object] = {"tenants": len(done), "reasons": stopped}
    for name in ("marked", "demoted", "purged"):
        details[name] = sum(getattr(one, name) for one in done)
    tenant = order.tenant or rows.EVERY_TENANT
    with locker.rows.write() as connection:
        rows.append_event(connection, tenant=rows.EVERY_TENANT, at=order.now, kind=LOCKS_CHECKED, details=locks)
        kind = STOPPED if stopped else FINISHED
        rows.append_event(connection, tenant=tenant, at=order.now, kind=kind, details=details)


class _TenantRun:
    """One pass over one tenant; its methods are the steps in their order."""

    def __init__(self, locker: Locker, order: Order, tenant: str) -> None:
        self._locker = locker
        self._order = order
        self._now = order.now
        self._tenant = tenant
        self._settings = locker.settings.retention
        self._done = Outcome(tenant)

    def go(self) -> Outcome:
        """Make the steps; what stops them is in the outcome."""
        done, now = self._done, self._now
        try:
            legal.settle_bits(self._locker, self._tenant)
            self._purge(self._digests(objects.c.state == DELETING))
            done.declared = policy.declare_missing(self._locker, self._tenant, now=now)
            done.lengthened = policy.lengthen(self._locker, self._tenant, now=now)
            done.unmarked = self._change(due.to_unmark(now), LIVE, None, "retention.unmarked")
            done.marked = self._change(due.to_mark(now), MARKED, now, "retention.marked")
            self._demote()
            self._purge(
                purge.decide(self._locker, self._tenant, who=self._order.who, allowed=self._order.allowed, now=now)
            )
            with self._locker.rows.read() as connection:
                days = self._settings.of(self._tenant).cold_days
                done.kept_longer = policy.kept_longer(connection, self._tenant, days)
        except StellaError as error:
            done.error = error
        return done

    def _digests(self, which: sa.ColumnElement[bool]) -> list[str]:
        with self._locker.rows.read() as connection:
            return due.digests(connection, self._tenant, which)

    def _change(self, which: sa.ColumnElement[bool], state: str, marked_at: datetime | None, kind: str) -> int:
        """Give the bundles of a condition another state, each with its event, in one transaction."""
        with self._locker.rows.write() as connection:
            found = due.digests(connection, self._tenant, which)
            for digest in found:
                changes = {"state": state, "marked_at": marked_at}
                connection.execute(sa.update(objects).where(objects.c.digest == digest).values(**changes))
                details: dict[str, object] = {"object": f"sha256:{digest}"}
                rows.append_event(connection, tenant=self._tenant, at=self._now, kind=kind, details=details)
        return len(found)

    def _demote(self) -> None:
        """Let what stayed long enough leave the hot store, and what was on its way arrive or stay."""
        which = sa.or_(due.to_demote(self._now, self._settings, self._tenant), objects.c.tier == DEMOTING)
        for digest in self._digests(which):
            try:
                self._done.demoted += demotion.demote(self._locker, digest, tenant=self._tenant, now=self._now)
            except ServerUnreachable:
                raise
            except StellaError as error:
                # A bundle that cannot leave is told of, and the others go on.
                self._done.error = self._done.error or error

    def _purge(self, digests: list[str]) -> None:
        for digest in digests:
            size = purge.finish(self._locker, digest, who=self._order.who, now=self._now, tenant=self._tenant)
            if size is not None:
                self._done.purged += 1
                self._done.purged_bytes += size
