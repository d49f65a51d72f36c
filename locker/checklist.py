"""The maintenance checklist of the replay runbook, answered item by item from what the rows say (docs/locker.md).

Each item is ok, due soon (warn), overdue (breach) or unknown, with the reason; an answer that nothing stands behind is
*unknown*, never ok.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from kit import __version__
from kit.errors import EvidenceMissing, StellaError, TrustExpired
from locker import rows, trust
from locker.retention import run as retention
from locker.store import Locker
from verifier.run_dir import stamp

OK, WARN, BREACH, UNKNOWN = "ok", "warn", "breach", "unknown"
STATES = (OK, WARN, UNKNOWN, BREACH)
"""From the best to the worst."""

QUARTER = timedelta(days=92)
DRILL = timedelta(days=92)
SOON = timedelta(days=14)
RETENTION = timedelta(hours=24)
LANE = timedelta(days=7)
NIGHT = timedelta(hours=26)
"""A day, and two hours for a night that takes longer than the one before."""
LANES = ("x64", "arm64")

DRILL_HELD = "locker.drill.held"
INSTRUCTIONS_CHECKED = "locker.instructions.checked"
"""Kinds of the events that people write for items to look for."""
WORM_STATES = ("enforced", "not enforced", "none", "unknown")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known at ``now``; ``None`` where nothing is. ``lanes`` are the last results by architecture."""

    now: datetime
    rootpack_accepted: datetime | None
    rootpack_expires: datetime | None
    rootpack_fault: str | None
    retention_ran: datetime | None
    night_finished: datetime | None
    lanes: dict[str, datetime]
    drill_held: datetime | None
    instructions_version: str | None
    worm: str


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the checklist."""

    name: str
    state: str
    reason: str


def gather(locker: Locker, *, now: datetime) -> Facts:
    """Read what the checklist asks for."""
    accepted, expires, fault = _rootpack(locker, now)
    totals, table = rows.verify_totals, rows.verify_nights
    with locker.rows.read() as connection:
        lanes = sa.select(totals.c.arch, sa.func.max(totals.c.updated_at)).group_by(totals.c.arch)
        finished = sa.select(sa.func.max(table.c.finished_at)).where(table.c.state == "finished")
        version = _last(connection, INSTRUCTIONS_CHECKED)
        worm = _last(connection, retention.LOCKS_CHECKED)
        ran, drill = _last(connection, retention.FINISHED), _last(connection, DRILL_HELD)
        return Facts(
            now=now,
            rootpack_accepted=accepted,
            rootpack_expires=expires,
            rootpack_fault=fault,
            retention_ran=ran.at if ran else None,
            night_finished=connection.execute(finished).scalar_one(),
            lanes=dict(connection.execute(lanes).all()),
            drill_held=drill.at if drill else None,
            instructions_version=str(version.details.get("version")) if version else None,
            worm=_worm(worm),
        )


def answer(facts: Facts) -> tuple[Item, ...]:
    """Answer every item, in the runbook's order."""
    return (
        _age("rootpack-rotated", "the RootPack in force was accepted", facts.rootpack_accepted, facts.now, QUARTER),
        _trust(facts),
        _age(
            "retention-ran",
            "the retention job ended for every tenant",
            facts.retention_ran,
            facts.now,
            RETENTION,
            timedelta(),
        ),
        _age("night-verified", "a nightly verification ended", facts.night_finished, facts.now, NIGHT, timedelta()),
        *(
            _age(
                f"metrics-{lane}", f"lane {lane} last gave results", facts.lanes.get(lane), facts.now, LANE, timedelta()
            )
            for lane in LANES
        ),
        _age("drill-held", "the last drill was held", facts.drill_held, facts.now, DRILL),
        _instructions(facts),
    )


def worst(items: tuple[Item, ...]) -> str:
    """Return the gravest state of a checklist."""
    return max((item.state for item in items), key=STATES.index)


def exit_code(state: str) -> int:
    """Return what a command that found this state ends with: overdue and unknown are not to be passed over."""
    return {BREACH: TrustExpired.exit_code, UNKNOWN: EvidenceMissing.exit_code}.get(state, 0)


def record(locker: Locker, kind: str, *, now: datetime, note: str) -> None:
    """Write into the timeline that somebody held a drill, or checked the instructions against this version."""
    details = {"version": __version__, "note": note}
    with locker.writing(), locker.rows.write() as connection:
        rows.append_event(connection, tenant=rows.EVERY_TENANT, at=now, kind=kind, details=details)


def _age(name: str, what: str, at: datetime | None, now: datetime, most: timedelta, soon: timedelta = SOON) -> Item:
    if at is None:
        return Item(name, UNKNOWN, f"nothing says when {what}")
    told = f"{what} on {stamp(at)}; at most {_span(most)}"
    if at - now > timedelta(minutes=5):
        return Item(name, UNKNOWN, f"{told}: that is in the future, so a clock is wrong")
    age = now - at
    state = BREACH if age > most else WARN if age > most - soon and soon else OK
    return Item(name, state, told)


def _trust(facts: Facts) -> Item:
    name = "rootpack-valid"
    if facts.rootpack_fault is not None:
        return Item(name, BREACH, f"the RootPack in force does not stand: {facts.rootpack_fault}")
    if facts.rootpack_expires is None:
        return Item(name, UNKNOWN, "this locker was not shown a RootPack yet")
    state = WARN if facts.rootpack_expires - facts.now < SOON else OK
    return Item(name, state, f"the RootPack in force expires on {stamp(facts.rootpack_expires)}")


def _instructions(facts: Facts) -> Item:
    name, found = "instructions-current", facts.instructions_version
    if found is None:
        return Item(name, UNKNOWN, "nothing says that the kit instructions were checked against this version")
    told = f"the kit instructions were checked against version {found}; this is {__version__}"
    return Item(name, OK if found == __version__ else BREACH, told)


def _span(most: timedelta) -> str:
    return f"{most.days} days" if most >= timedelta(days=2) else f"{most // timedelta(hours=1)} hours"


def _rootpack(locker: Locker, now: datetime) -> tuple[datetime | None, datetime | None, str | None]:
    """Return when the RootPack in force was accepted, when it expires, and why it does not stand, if so."""
    table = rows.rootpacks
    newest = sa.select(table.c.accepted_at).order_by(table.c.sequence.desc()).limit(1)
    with locker.rows.read() as connection:
        accepted = connection.execute(newest).scalar_one_or_none()
    if accepted is None:
        return None, None, None
    try:
        pack, _ = trust.in_force(locker, None, now=now)
    except StellaError as error:
        return accepted, None, f"{error.reason}: {error}"[:300]
    return accepted, datetime.fromisoformat(pack.expires), None


def _last(connection: sa.Connection, kind: str) -> sa.Row[Any, Any] | None:
    table = rows.events
    wanted = sa.select(table.c.at, table.c.details).where(table.c.kind == kind, table.c.tenant == rows.EVERY_TENANT)
    return connection.execute(wanted.order_by(table.c.sequence.desc()).limit(1)).one_or_none()


def _worm(event: sa.Row[Any, Any] | None) -> str:
    found = str(event.details.get("state")).partition(":")[0] if event is not None else None
    return found if found in WORM_STATES else "unknown"
