"""stella look: who signed a medium, what is on it, how big it is."""

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, At, Json, SiteDirectory

EXAMPLES = """
Examples:

  stella look /media/usb/offline

  stella look /media/usb --at 2026-06-01T12:00:00Z

  stella look /media/usb/offline --json | jq .trust
"""


def command(
    media: Annotated[Path, typer.Argument(help="The kit's directory, or the medium that it lies on.", metavar="MEDIA")],
    site: SiteDirectory = DEFAULT_SITE,
    at: At = None,
    json: Json = False,
) -> Verdict:
    """Show what a kit says it is and what the pinned root bears out; unpacks nothing, changes nothing.

    The exit code judges nothing: it is 0 for whatever could be read. The verdict line says what stands behind the kit.
    """
    from kit.errors import TrustRootNotPinned
    from verifier import asked, guard, inspect, mounts, session, site_text
    from verifier.site import load

    console = Console(json=json)
    moment = session.moment(at, session.clock())
    kit, taken = asked.kit_directory(media)
    guard.enforce([])
    try:
        pinned = load(site)
        note = mounts.apart(site, kit)
    except TrustRootNotPinned:
        pinned, note = None, None
    for remark in filter(None, (taken, note)):
        console.talk(f"note: {remark}")
    if pinned is not None and at is None:
        moment = inspect.not_before_floor(moment, pinned)
    document = inspect.look(kit, pinned, moment, place=site)
    next_step = str(document["nextStep"])
    console.told(document, site_text.looked(document))
    return console.verdict(f"LOOKED: {inspect.state(document)}", 0, next_step)
