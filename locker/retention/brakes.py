"""When a retention run refuses to go on: an implausible clock, or far more to purge than ever (exit code 70).

Retention is a clock attack waiting to happen: whoever sets a clock forward makes everything due. A brake is released
for one run, with a reason, and that is on the timeline.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

import sqlalchemy as sa

from kit.errors import ClockNotPlausible, RetentionBrake, UsageError
from locker import rows
from locker.retention.due import Plan
from locker.rows.retention import retention_runs
from verifier.run_dir import stamp

CLOCK = "clock"
SHARE = "share"
GROWTH = "growth"
BRAKES = (CLOCK, SHARE, GROWTH)

JUMP = timedelta(hours=48)
"""A daily run that is missed twice is worth a look as well."""
SKEW = timedelta(minutes=1)
"""Clocks of several writers differ by so much."""
PERCENT = 20

Allowed = Mapping[str, str]
"""Reasons by the name of the brake that they release."""


def check_allowed(allowed: Allowed) -> None:
    """Raise :class:`UsageError` for a brake released without a reason."""
    for brake, reason in sorted(allowed.items()):
        if brake not in BRAKES or not reason.strip():
            raise UsageError(option=f"--allow-{brake}", detail="a brake is released with a reason")


def clock(connection: sa.Connection, now: datetime) -> ClockNotPlausible | None:
    """Return why the clock is not plausible: behind the last event, or far ahead of the last run."""
    last_event = connection.execute(sa.select(sa.func.max(rows.events.c.at))).scalar_one()
    if last_event is not None and now < last_event - SKEW:
        detail = "the clock is behind the last event"
        return ClockNotPlausible(detail=detail, expected=f"after {stamp(last_event)}", found=stamp(now))
    last_run = connection.execute(sa.select(sa.func.max(retention_runs.c.at))).scalar_one()
    reference = last_run or last_event
    if reference is not None and now - reference > JUMP:
        since = "run" if last_run is not None else "event"
        detail = f"more than {JUMP // timedelta(hours=1)} hours since the last {since}"
        return ClockNotPlausible(detail=detail, expected=f"near {stamp(reference)}", found=stamp(now))
    return None


def amount(plan: Plan, allowed: Allowed) -> RetentionBrake | None:
    """Return why a plan purges too much: over a fifth of the tenant, or over twice the last run that purged."""
    count = plan.purge.count
    most = plan.total * PERCENT // 100
    if count > most and SHARE not in allowed:
        return RetentionBrake(
            path=plan.tenant, detail=f"--allow-{SHARE}", expected=f"at most {most} of {plan.total}", found=count
        )
    if plan.last_purged is not None and count > 2 * plan.last_purged and GROWTH not in allowed:
        expected = f"at most twice the {plan.last_purged} of the last run"
        return RetentionBrake(path=plan.tenant, detail=f"--allow-{GROWTH}", expected=expected, found=count)
    return None
