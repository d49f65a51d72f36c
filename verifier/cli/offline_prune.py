"""stella offline prune: make room by removing copies of kits that nobody needs any more."""

from typing import TYPE_CHECKING, Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_KITS, DEFAULT_OPS, DEFAULT_SITE, Json, Kits, Ops, SiteDirectory

if TYPE_CHECKING:
    from verifier.prune import Copy

EXAMPLES = """
Examples:

  stella offline prune --dry-run

  stella offline prune --keep 2

  stella offline prune --unfinished --forget-receipts "the sender was told to send full kits"
"""

app = typer.Typer(no_args_is_help=True)


@app.command()
def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would go, with its bytes, and change nothing.")
    ] = False,
    keep: Annotated[
        int, typer.Option("--keep", help="How many earlier kits a channel stay for rollbacks.", metavar="N", min=0)
    ] = 1,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also copies that an import could go on with.")
    ] = False,
    forget_receipts: Annotated[
        str | None,
        typer.Option(
            "--forget-receipts",
            help="Also the kit that the newest receipt has told the sender is here; why, kept for ever.",
            metavar="TEXT",
        ),
    ] = None,
    kits: Kits = DEFAULT_KITS,
    ops: Ops = DEFAULT_OPS,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Remove copies of kits that are neither active, nor kept for a rollback, nor promised by a receipt.

    What is removed is written down first. Runs, receipts, the quarantine and the site's memory stay.
    """
    from verifier import prune as pruning
    from verifier import session, site_text
    from verifier import site as sites

    console = Console(json=json)
    wanted = pruning.Wanted(kits, ops, keep=keep, unfinished=unfinished, forget=forget_receipts, dry_run=dry_run)
    found = pruning.prune(sites.load(site), wanted, session.clock())
    document: dict[str, object] = {
        "removed": [_as_dict(one) for one in found.removed],
        "kept": [_as_dict(one) | {"why": one.why} for one in found.kept],
        "bytes": found.size,
        "dryRun": dry_run,
    }
    console.told(document, site_text.pruned(found, dry_run=dry_run))
    if not found.removed:
        return console.verdict("NOTHING TO PRUNE", 0)
    if dry_run:
        return console.verdict("NOT PRUNED, DRY RUN", 0, "the same without --dry-run")
    return console.verdict("PRUNED", 0, "stella offline status")


def _as_dict(one: "Copy") -> dict[str, object]:
    return {"name": one.path.name, "kind": one.kind, "bytes": one.size}
