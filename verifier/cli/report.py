"""stella report: the page of a run, made again from its signed result."""

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, Json, SiteDirectory


def command(
    run: Annotated[
        Path, typer.Argument(help="A run directory below ops/offline/replay/<scan-id>/.", metavar="RUN_DIR")
    ],
    html: Annotated[Path | None, typer.Option("--html", help="Write the page there.", metavar="FILE")] = None,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Show a run's result; with --html write the page anew from result.json and diff.json."""
    from verifier import evidence
    from verifier.cli.outcome import key_of
    from verifier.durable import write_atomic
    from verifier.render import status_block

    console = Console(json=json)
    result = evidence.read_run(run, key_of(console, site))
    if html is not None:
        write_atomic(html, evidence.page(run, result))
    if json:
        console.raw(result)
    console.data(status_block(evidence.as_json(result)))
    return console.verdict("REPORTED", 0)
