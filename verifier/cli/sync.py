"""stella sync export: pack this site's results for the way back."""

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_OPS, DEFAULT_SITE, Json, Ops, SiteDirectory

EXAMPLES = """
Examples:

  stella sync export --out results.stella-sync

  stella sync export --out /media/usb/site-7.stella-sync --ops /srv/stella/ops
"""

app = typer.Typer(no_args_is_help=True, help="Carry results from a site back to the Evidence Locker.")


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="FILE")],
    ops: Ops = DEFAULT_OPS,
    site: SiteDirectory = DEFAULT_SITE,
    unacknowledged: Annotated[
        bool, typer.Option("--unacknowledged", help="Leave out what the locker has said it has.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Pack every finished run into one signed file."""
    from verifier import session, sync
    from verifier.run_dir import stamp
    from verifier.site import load

    console = Console(json=json)
    results, skipped = sync.export(ops, load(site), out, stamp(session.clock()), unacknowledged=unacknowledged)
    for run in skipped:
        console.talk(f"left out {run.path}: {run.reason}")
    console.document(
        {
            "file": str(out),
            "site": results.site,
            "runs": [f"{entry.path} {entry.verdict}" for entry in results.runs],
            "skipped": [f"{run.path}: {run.reason}" for run in skipped],
        },
    )
    return console.verdict("EXPORTED", 0, "stella sync import FILE, at the connected site")
