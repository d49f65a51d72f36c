"""Where an air-gapped site keeps things unless the operator says otherwise, and how a place is written in a command."""

from pathlib import Path
from shlex import quote

from kit import layout
from kit.errors import UsageError

DEFAULT_OPS = Path("ops/offline")
DEFAULT_SITE = Path("ops/site")
DEFAULT_KITS = Path("ops/kits")


def shown(path: Path) -> str:
    """Return a path as an operator can paste it into a command."""
    return quote(str(path))


def site_option(site: Path) -> str:
    """Return what a command needs to find a site again, with a space before it; nothing for the default place."""
    return "" if site == DEFAULT_SITE else f" --site {shown(site)}"


def ops_option(ops: Path) -> str:
    """Return what a command needs to find the runs again, with a space before it; nothing for the default place."""
    return "" if ops == DEFAULT_OPS else f" --ops {shown(ops)}"


def kits_option(kits: Path) -> str:
    """Return what a command needs to find the kits again, with a space before it; nothing for the default place."""
    return "" if kits == DEFAULT_KITS else f" --kits {shown(kits)}"


def check_outside(kit: Path, option: str, given: Path) -> None:
    """Refuse a place of the site's own inside a kit: what comes with a kit says nothing about it."""
    place = given.resolve()
    if kit not in (place, *place.parents):
        return
    if given in (DEFAULT_OPS, DEFAULT_SITE, DEFAULT_KITS):
        raise UsageError(detail=f"the default place {given}, below the working directory, lies inside the kit").then(
            f"Run it from a directory of the site's own, or give one: {option} DIR"
        )
    raise UsageError(path=str(given), detail=f"{option} lies inside the kit").then(
        f"Give a place of the site's own: {option} DIR"
    )


def kit_around(path: Path) -> Path | None:
    """Return the kit that a path lies in, whether it is there yet or not; None where it lies in none."""
    place = path.resolve()
    return next((above for above in (place, *place.parents) if (above / layout.KIT_FILE).is_file()), None)
