"""How old a kit and its RootPack may be at a site, and how far ahead of it (docs/format.md section 4.8).

Each check returns a sentence for the result where a budget's warning is passed. Nothing here says that anything is
forged: what is judged was signed by trusted keys before.
"""

from datetime import datetime, timedelta

from kit import layout
from kit.errors import KitFromFuture, KitStale, TrustFromFuture, TrustStale
from kit.kitfile import Kit
from kit.manifest import check_time
from verifier.run_dir import stamp
from verifier.site_time import Settings

_TIMESTAMP = "timestamp metadata"


def in_hours(time: str, moment: datetime) -> int:
    """Return how old something of a UTC time is, in whole hours; below zero for one that lies ahead."""
    return int(_age(time, moment).total_seconds() // 3600)


def check_kit(kit: Kit, moment: datetime, settings: Settings) -> str | None:
    """Refuse a kit that is older than its own window or the site's budget, or that was made later.

    Raises :class:`KitStale` or :class:`KitFromFuture`.
    """
    age, hours = _age(kit.created_at, moment), in_hours(kit.created_at, moment)
    if -age > settings.skew:
        raise KitFromFuture(path=layout.KIT_FILE, expected=f"not after {stamp(moment)}", found=kit.created_at)
    breach, window = settings.kit_breach_hours, kit.staleness_window_hours
    allowed = window if breach is None else min(breach, window)
    if age > timedelta(hours=allowed):
        whose = " (this site's budget)" if allowed < window else ""
        raise KitStale(path=layout.KIT_FILE, expected=f"{allowed} hours{whose}", found=f"{hours} hours")
    return _warning("kit", age, settings.kit_warn_hours)


def check_issued(issued: str | None, moment: datetime, settings: Settings) -> str | None:
    """Refuse a RootPack that was issued later, or longer ago than the site's budget allows.

    Raises :class:`TrustFromFuture` or :class:`TrustStale`.
    """
    if issued is None:
        return None
    age, breach = _age(issued, moment), settings.rootpack_breach_hours
    if -age > settings.skew:
        raise TrustFromFuture(path=_TIMESTAMP, expected=f"not after {stamp(moment)}", found=issued)
    if breach is not None and age > timedelta(hours=breach):
        raise TrustStale(path=_TIMESTAMP, expected=f"{breach} hours", found=f"{in_hours(issued, moment)} hours")
    return _warning("RootPack", age, settings.rootpack_warn_hours)


def _age(time: str, moment: datetime) -> timedelta:
    return moment - check_time(time, "/time")


def _warning(what: str, age: timedelta, warn: int | None) -> str | None:
    if warn is None or age <= timedelta(hours=warn):
        return None
    return f"The {what} is {int(age.total_seconds() // 3600)} hours old; this site wants it younger than {warn}."
