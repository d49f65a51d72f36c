"""What a site knows of the time without trusting its clock: the floor, its bounds, its budgets (docs/format.md 4.8).

The floor is the newest signed time that the site has accepted. A clock behind it is wrong, whoever set it; a clock far
ahead of everything signed is not believed for longer than the run that it was read in. The bounds and budgets are the
operator's, in ``site.toml`` of the site's directory.
"""

import tomllib
from collections.abc import Iterable
from datetime import datetime, timedelta

import msgspec

from kit.errors import UsageError
from kit.manifest import check_time
from kit.result import AUDIT, ReferenceTime
from kit.trust.evidence import Existence, newest_agreed

SETTINGS_FILE = "site.toml"
MAX_SETTINGS = 64 << 10
MOST_HOURS = 100 * 366 * 24

ROOTPACK = "RootPack issued"
KIT = "kit made"
RESULT = "this site's own result"
OPERATOR = "set by the operator"


class TimeFloor(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """The time before which it cannot be at this site, and what says so: a kind of document, and which one."""

    time: str
    source: str
    evidence: str


class FloorReset(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """The operator's word, kept for ever, that a floor was wrong, or missing."""

    time: str
    reason: str
    before: TimeFloor | None = None


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """``site.toml``: all members but the last are whole numbers, and none is needed.

    ``clock_skew_hours``: how far a signed time may lie ahead of the reference time. ``max_jump_days``: how far the
    site's own clock may move the floor beyond it and beyond what is signed. The budgets are ages in hours: above
    ``warn`` it is said, above ``breach`` it is refused; a kit's own window holds besides. ``require_ledger`` demands of
    every run what ``--ledger`` demands of one. ``quarantine_mebibytes``: how much room refused kits may take,
    all together.
    """

    clock_skew_hours: int = 24
    max_jump_days: int = 400
    kit_warn_hours: int | None = None
    kit_breach_hours: int | None = None
    rootpack_warn_hours: int | None = None
    rootpack_breach_hours: int | None = None
    require_ledger: bool = False
    quarantine_mebibytes: int = 8192

    @property
    def skew(self) -> timedelta:
        """Return how far a signed time may lie ahead of the reference time."""
        return timedelta(hours=self.clock_skew_hours)

    @property
    def jump(self) -> timedelta:
        """Return how far the site's own clock may move the floor at once."""
        return timedelta(days=self.max_jump_days)


DEFAULTS = Settings()


def parse_settings(data: bytes) -> Settings:
    """Read ``site.toml``; what it may not say is the operator's error, :class:`UsageError`."""
    try:
        if len(data) > MAX_SETTINGS:
            raise UsageError(path=SETTINGS_FILE, detail="is too large", expected=MAX_SETTINGS, found=len(data))
        settings = msgspec.convert(tomllib.loads(data.decode()), Settings, strict=True)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError, RecursionError) as fault:
        raise UsageError(path=SETTINGS_FILE, detail=str(fault)[:200]) from fault
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if value is not None and not 0 <= value <= MOST_HOURS:
            raise UsageError(path=SETTINGS_FILE, detail=name.replace("_", "-"), expected="a number of 0 or more")
    return settings


def judged(asked: ReferenceTime, floor: TimeFloor | None) -> ReferenceTime:
    """Return the time to judge by: what was asked for, unless a clock that is behind the floor said it."""
    if asked.source == AUDIT or floor is None or asked.time >= floor.time:
        return asked
    source = f"floor, {floor.source} then; the site's clock is BEHIND, it says {asked.time}"
    return ReferenceTime(time=floor.time, source=source, clock=asked.time)


def raised(floor: TimeFloor | None, *candidates: TimeFloor) -> TimeFloor | None:
    """Return the newest of a floor and signed times; a floor never falls."""
    return max((each for each in (floor, *candidates) if each is not None), key=lambda each: each.time, default=None)


def vouched(floor: TimeFloor | None, times: Iterable[Existence], bound: timedelta) -> TimeFloor | None:
    """Return the floor that others' word gives: no more than ``bound`` ahead, unless two independent ones agree."""
    told = list(times)
    near = [one for one in told if floor is not None and moment(one.earliest) - moment(floor.time) <= bound]
    found = [max(near, key=lambda one: (one.earliest, one.file))] if near else []
    if (agreed := newest_agreed(told)) is not None:
        found.append(agreed)
    return raised(floor, *(TimeFloor(time=one.earliest, source=one.source, evidence=one.name) for one in found))


def own(reference: ReferenceTime, run_id: str, base: str | None, bound: timedelta) -> TimeFloor | None:
    """Return what a signed result of this site says of the time; nothing where its clock had run too far ahead.

    ``base`` is the newest time that is known from elsewhere: the floor, or when a genuine RootPack was issued. Without
    one, or more than ``bound`` beyond it, the clock alone says so, and a clock alone moves nothing. An audit says
    nothing of the present.
    """
    if reference.source == AUDIT or base is None:
        return None
    if moment(reference.time) - moment(base) > bound:
        return None
    return TimeFloor(time=reference.time, source=RESULT, evidence=run_id)


def moment(time: str) -> datetime:
    """Return a UTC time as documents write it as an aware time."""
    return check_time(time, "/referenceTime")
