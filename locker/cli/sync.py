"""stella sync import: take in the results that a site sent back."""

from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, DEFAULT_TENANT, LockerDirectory, RootPack, Tenant, elsewhere
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Carry results from a site back to the Evidence Locker.")

EXAMPLES = """
Examples:

  stella sync import results.stella-sync --rootpack rootpack

  stella sync import results.stella-sync --locker /srv/locker --fail-on-conflict --json
"""


@app.command(name="import")
def import_(
    file: Annotated[Path, typer.Argument(help="What stella sync export wrote at the site.", metavar="FILE")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    rootpack: RootPack = None,
    tenant: Tenant = DEFAULT_TENANT,
    fail_on_conflict: Annotated[
        bool,
        typer.Option("--fail-on-conflict", help="Exit with 71 if a site has both VERIFIED and DIFFERS for a scan."),
    ] = False,
    json: Json = False,
) -> Verdict:
    """Verify a site's results and keep them.

    Safe to repeat, in any order. What cannot be verified lies in the locker's quarantine; a file that is no file of
    site results is left where it is.
    """
    from locker import site_receipts, sync
    from locker.asked import check_rootpack, check_tenant
    from locker.store import open_locker

    check_tenant(tenant)
    check_rootpack(rootpack)
    with open_locker(locker) as opened:
        taken = sync.take(opened, file, now=datetime.now(UTC), tenant=tenant, rootpack_directory=rootpack)
    console = Console(json=json)
    if json:
        console.document(sync.described(taken))
    for run in taken.runs:
        reason = f"{run.error.reason}: {run.error}" if run.error else run.entry.reason
        console.data(f"{run.outcome:<11}  {run.entry.path}  {run.entry.mode}  {run.entry.verdict}  {reason}")
        if run.conflicts:
            console.talk(f"warning: conflict: {run.entry.path} is contradicted by {', '.join(run.conflicts)}")
    for warning in site_receipts.warnings(taken.chains):
        console.talk(f"warning: {warning}")
    word, code, next_step = sync.verdict(taken, fail_on_conflict=fail_on_conflict)
    return console.verdict(word, code, next_step or join(["stella", "locker", "list", *elsewhere(locker)]))
