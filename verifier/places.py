"""Where an air-gapped site keeps things unless the operator says otherwise, and how a place is written in a command."""

from pathlib import Path
from shlex import quote

DEFAULT_OPS = Path("ops/offline")
DEFAULT_SITE = Path("ops/site")


def shown(path: Path) -> str:
    """Return a path as an operator can paste it into a command."""
    return quote(str(path))


def site_option(site: Path) -> str:
    """Return what a command needs to find a site again, with a space before it; nothing for the default place."""
    return "" if site == DEFAULT_SITE else f" --site {shown(site)}"


def ops_option(ops: Path) -> str:
    """Return what a command needs to find the runs again, with a space before it; nothing for the default place."""
    return "" if ops == DEFAULT_OPS else f" --ops {shown(ops)}"
