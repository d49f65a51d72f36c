"""stella look: who signed a medium, what is on it, how big it is."""

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, At, Json, SiteDirectory


def command(
    media: Annotated[Path, typer.Argument(help="The kit's directory.", metavar="MEDIA")],
    site: SiteDirectory = DEFAULT_SITE,
    at: At = None,
    json: Json = False,
) -> Verdict:
    """Show what a kit says it is and what the pinned root bears out; unpacks nothing, changes nothing."""
    from kit.errors import TrustRootNotPinned
    from verifier import guard, inspect, session
    from verifier.site import load

    console = Console(json=json)
    guard.enforce([])
    try:
        pinned = load(site)
    except TrustRootNotPinned:
        pinned = None
    console.document(inspect.look(media, pinned, session.moment(at, session.clock())))
    return console.verdict("LOOKED", 0, "stella replay MEDIA/replay/<scan-id>/manifest.json --strict --offline")
