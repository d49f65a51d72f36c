"""stella evidence holds: make, list, show and release legal holds."""

import os
from datetime import UTC, datetime
from shlex import join
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, DEFAULT_TENANT, By, LockerDirectory, Tenant, elsewhere, person
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json
from verifier.cli.table import table

app = typer.Typer(no_args_is_help=True, help="Keep evidence for a case, whatever its retention says.")

EXAMPLES = """
Examples:

  stella evidence holds create --scope digest --digest sha256:7b0177de... --reason "case 17"

  stella evidence holds create --scope component --component pkg:pypi/requests --future --reason "case 17"

  stella evidence holds create --scope time-range --from 2026-01-01T00:00:00Z --to 2026-03-31T23:59:59Z \\
    --reason "case 18" --tenant blue --json

  stella evidence holds list

  stella evidence holds list --status active --json

  stella evidence holds show 3f1c0a77

  stella evidence holds show 3f1c0a77 --locker /srv/locker --json

  stella evidence holds release 3f1c0a77 --reason "case 17 was closed"

  stella evidence holds release 3f1c0a77 --reason "case 17 was closed" --by "M. Ruiz" --json
"""

HoldId = Annotated[str, typer.Argument(help="The hold's id, or its first digits.", metavar="ID")]


@app.command()
def create(
    scope: Annotated[str, typer.Option("--scope", help="digest, component, time-range or all.", metavar="SCOPE")],
    reason: Annotated[str, typer.Option("--reason", help="Why; it is on the timeline.", metavar="TEXT")],
    digest: Annotated[
        list[str] | None,
        typer.Option("--digest", help="A bundle, a manifest, a result or an image: sha256:<hex>.", metavar="DIGEST"),
    ] = None,
    component: Annotated[
        str, typer.Option("--component", help="A package URL; without a version, every version.", metavar="PURL")
    ] = "",
    start: Annotated[
        str, typer.Option("--from", help="Scanned or ingested at this time or later.", metavar="TIME")
    ] = "",
    end: Annotated[str, typer.Option("--to", help="Scanned or ingested at this time or earlier.", metavar="TIME")] = "",
    future: Annotated[bool, typer.Option("--future", help="Hold what is ingested later and matches, too.")] = False,
    locker: LockerDirectory = DEFAULT_LOCKER,
    tenant: Tenant = DEFAULT_TENANT,
    by: By = None,
    json: Json = False,
) -> Verdict:
    """Hold evidence until it is released.

    Nothing of it is purged from either store. The list is frozen now. A scan whose SBOM cannot be read is held by
    any component.
    """
    from locker.asked import check_tenant
    from locker.holds import legal
    from locker.store import open_locker

    check_tenant(tenant)
    wanted = legal.Scope(scope, digests=tuple(digest or ()), purl=component, start=start, end=end)
    now = datetime.now(UTC)
    console = Console(json=json)
    with open_locker(locker) as opened:
        made = legal.create(
            opened, tenant, wanted, who=person(by), reason=reason, now=now, entropy=os.urandom, future=future
        )
    console.document({"hold": made.id, "objects": made.held, "storeHolds": made.bits, "tooLate": list(made.too_late)})
    if made.too_late:
        console.talk(f"warning: {len(made.too_late)} bundles were purged before this hold")
    for answer in made.bits:
        if answer.startswith("failed"):
            console.talk(f"warning: the store's own hold is not set on {made.bits[answer]} bundles: {answer}")
    following = join(["stella", "evidence", "holds", "show", made.id, *elsewhere(locker)])
    return console.verdict(f"HELD {made.held}", 0, following)


@app.command(name="list")
def list_(
    locker: LockerDirectory = DEFAULT_LOCKER,
    status: Annotated[
        str | None, typer.Option("--status", help="Only active or released; both by default.", metavar="STATUS")
    ] = None,
    tenant: Tenant = DEFAULT_TENANT,
    json: Json = False,
) -> Verdict:
    """List a tenant's holds, the newest first."""
    from locker.asked import check_tenant
    from locker.holds import legal
    from locker.store import open_locker

    check_tenant(tenant)
    with open_locker(locker) as opened:
        found = legal.list_holds(opened, tenant, status=status)
    console = Console(json=json)
    if json:
        console.document({"holds": found})
    else:
        names = ("createdAt", "status", "id", "scope", "objects", "createdBy", "reason")
        rows = [[_cell(one[name]) for name in names] for one in found]
        console.data("\n".join(table(("created", "status", "id", "scope", "bundles", "by", "reason"), rows)))
    return console.verdict(f"LISTED {len(found)}", 0)


@app.command()
def show(
    hold: HoldId, locker: LockerDirectory = DEFAULT_LOCKER, tenant: Tenant = DEFAULT_TENANT, json: Json = False
) -> Verdict:
    """Show a hold, how many bundles it affects, and which."""
    from locker.asked import check_tenant
    from locker.holds import legal
    from locker.store import open_locker

    check_tenant(tenant)
    with open_locker(locker) as opened:
        answer = legal.show(opened, tenant, hold)
    console = Console(json=json)
    console.document(answer)
    return console.verdict(str(answer["status"]).upper(), 0)


@app.command()
def release(
    hold: HoldId,
    reason: Annotated[str, typer.Option("--reason", help="Why; it is on the timeline.", metavar="TEXT")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    tenant: Tenant = DEFAULT_TENANT,
    by: By = None,
    json: Json = False,
) -> Verdict:
    """Release a hold.

    What no other hold touches may be purged once it is due. Where locker.toml says so, it must be somebody else
    than its creator.
    """
    from locker.asked import check_tenant
    from locker.holds import legal
    from locker.store import open_locker

    check_tenant(tenant)
    now = datetime.now(UTC)
    with open_locker(locker) as opened:
        answer = legal.release(opened, tenant, hold, who=person(by), reason=reason, now=now)
    console = Console(json=json)
    console.document({name: value for name, value in answer.items() if name != "list"})
    return console.verdict("RELEASED", 0)


def _cell(value: object) -> str:
    from verifier.cli.console import one_line

    text = one_line(str(value))
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 3]}..."


_WIDEST = 40
