"""stella offline import and rollback: which kit is the active one."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import (
    DEFAULT_KITS,
    DEFAULT_OPS,
    DEFAULT_SITE,
    At,
    Json,
    Kits,
    Ops,
    Progress,
    SiteDirectory,
)

if TYPE_CHECKING:
    from verifier.intake import Taken

EXAMPLES = """
Examples:

  stella offline import /media/usb/offline

  stella offline import /media/usb --dry-run

  stella offline import /media/usb --in-place

  stella offline import /media/usb --force-activate --force-reason "kit 7 names a wrong feed"

  stella offline rollback --reason "kit 8 lacks the orders service"

  stella offline rollback --channel lab --reason "wrong policy" --json
"""

app = typer.Typer(no_args_is_help=True)


@app.command("import")
def import_kit(
    media: Annotated[
        list[Path], typer.Argument(help="The kit's directory, or the medium that it lies on.", metavar="MEDIA...")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Make every check, and change nothing else.")] = False,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Activate the kit where it lies, without a copy: for a disc that stays.")
    ] = False,
    force_activate: Annotated[
        bool, typer.Option("--force-activate", help="Activate it although it is older; needs --force-reason.")
    ] = False,
    force_reason: Annotated[
        str | None, typer.Option("--force-reason", help="Why; kept for ever, and in the result.", metavar="TEXT")
    ] = None,
    kits: Kits = DEFAULT_KITS,
    ops: Ops = DEFAULT_OPS,
    site: SiteDirectory = DEFAULT_SITE,
    at: At = None,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Take a kit into the site: check all of it, keep it, make it the active one of its channel.

    A kit that is refused lies in quarantine. A copy that was cut off is gone on with.
    """
    from verifier import intake, session

    console = Console(json=json, progress=progress)
    reason = intake.check_reason(force=force_activate, reason=force_reason)
    wanted = intake.Wanted(media, kits, dry_run=dry_run, in_place=in_place, reason=reason)
    setting = session.Setting(ops, site, at, session.clock)
    heard = intake.Heard(console.check, lambda piece: console.step("   copying", "running", piece.path))
    taken = intake.take_in(wanted, setting, heard)
    return _show(console, taken, kits, _places(ops, site))


@app.command()
def rollback(
    reason: Annotated[str, typer.Option("--reason", help="Why; kept for ever.", metavar="TEXT")],
    channel: Annotated[str, typer.Option("--channel", help="The channel of the kit.", metavar="NAME")] = "default",
    kits: Kits = DEFAULT_KITS,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Make the kit that was active before the active one again.

    Every byte of the copy that was kept is checked first. What the site has learned stays: no floor falls.
    """
    from verifier import activate, session
    from verifier import site as sites

    console = Console(json=json)
    entry, left = activate.roll_back(sites.load(site), kits, channel, reason, session.clock())
    console.document({"active": entry.kit_id, "channel": entry.channel, "sequence": entry.sequence, "left": left})
    return console.verdict("ROLLED BACK", 0, "stella offline status")


def _show(console: Console, taken: "Taken", kits: Path, places: str) -> Verdict:
    from verifier.places import shown

    for note in taken.notes:
        console.talk(f"note: {note}")
    result = taken.last
    document: dict[str, object] = {
        "verdict": result.verdict,
        "reason": result.reason,
        "exitCode": result.exit_code,
        "sentence": result.sentence,
    }
    if taken.kit is not None:
        document |= {"kit": taken.kit.kit_id, "channel": taken.kit.channel, "sequence": taken.kit.sequence}
        document["scans"] = [scan.id for scan in taken.kit.scans]
    if taken.activation is not None:
        document |= {"active": str(taken.place), "previous": taken.previous, "forced": taken.activation.reason}
    document["quarantined"] = taken.quarantined
    document["notes"] = sorted({note for each in taken.results for note in each.notes})
    document["runs"] = [str(path) for path in taken.runs]
    console.document({name: value for name, value in document.items() if value not in (None, [])})
    if result.exit_code:
        return console.verdict(f"REFUSED: {result.reason}", result.exit_code, result.next_step)
    if taken.activation is None:
        return console.verdict("INTACT, NOT ACTIVATED", 0, "the same without --dry-run")
    active = kits / "current" / taken.activation.channel
    scan = taken.kit.scans[0].id if taken.kit else ""
    manifest = active / "replay" / scan / "manifest.json"
    return console.verdict("ACTIVATED", 0, f"stella replay {shown(manifest)} --strict --offline{places}")


def _places(ops: Path, site: Path) -> str:
    from verifier.places import ops_option, site_option

    return ops_option(ops) + site_option(site)
