"""stella retention: carry retention out, say what it would do, and what is left of what it purged."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, DEFAULT_TENANT, By, LockerDirectory, Tenant, person
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json
from verifier.cli.table import table

if TYPE_CHECKING:
    from kit.errors import StellaError
    from locker.retention.due import Plan

app = typer.Typer(no_args_is_help=True, help="Keep evidence as long as promised, and no longer.")

EXAMPLES = """
Examples:

  stella retention run --dry-run

  stella retention run --locker /srv/locker --json

  stella retention run --tenant blue --allow-share "the pilot of 2024 ends"

  stella retention forecast

  stella retention forecast --days 90 --tenant blue --json

  stella retention certificate sha256:7b0177de... --out disposal.dsse.json

  stella retention certificate sha256:7b0177de... --tenant blue --json

  stella retention shorten --tenant blue --reason "contract 17 ended" --second "M. Ruiz"

  stella retention shorten --reason "policy of 2027" --by "A. Berg" --second "M. Ruiz" --json
"""

EveryTenant = Annotated[str | None, typer.Option("--tenant", help="Only this tenant; all by default.", metavar="NAME")]


@app.command()
def run(
    locker: LockerDirectory = DEFAULT_LOCKER,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
    tenant: EveryTenant = None,
    allow_share: Annotated[
        str | None,
        typer.Option("--allow-share", help="Purge more than a fifth of a tenant, for this reason.", metavar="REASON"),
    ] = None,
    allow_growth: Annotated[
        str | None,
        typer.Option("--allow-growth", help="Purge over twice the last run, for this reason.", metavar="REASON"),
    ] = None,
    allow_clock: Annotated[
        str | None,
        typer.Option("--allow-clock", help="The clock is right although it jumped.", metavar="REASON"),
    ] = None,
    by: By = None,
    json: Json = False,
) -> Verdict:
    """Mark, purge and move what is due.

    What is past its date is marked, what was marked long enough is purged, what is old moves to the cold store.
    Safe to repeat, and to kill; run it daily. What a hold touches stays where it is. Where far more would be purged
    than ever, or the clock is not plausible, nothing is, until a reason is given: it is on the timeline.
    """
    from locker import audit
    from locker.asked import check_tenant
    from locker.retention import run as retention
    from locker.store import open_locker

    if tenant is not None:
        check_tenant(tenant)
    given = {"share": allow_share, "growth": allow_growth, "clock": allow_clock}
    allowed = {name: reason for name, reason in given.items() if reason is not None}
    order = retention.Order(who=person(by), now=datetime.now(UTC), allowed=allowed, tenant=tenant)
    console = Console(json=json)
    with open_locker(locker) as opened:
        if dry_run:
            return _dry_run(console, retention.dry_run(opened, order))
        done = retention.run(opened, order)
        audit.sign(opened, now=datetime.now(UTC))
    console.document({"tenants": [retention.described(one) for one in done]})
    for one in done:
        if one.error is not None:
            console.talk(f"warning: tenant {one.tenant}: {one.error.reason}: {one.error}")
    failed = next((one.error for one in done if one.error is not None), None)
    if failed is not None:
        return console.verdict(failed.reason, failed.exit_code, failed.next_step)
    return console.verdict(f"PURGED {sum(one.purged for one in done)}", 0)


@app.command()
def forecast(
    locker: LockerDirectory = DEFAULT_LOCKER,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How far to look ahead.")] = 30,
    tenant: EveryTenant = None,
    json: Json = False,
) -> Verdict:
    """Show what will be due soon.

    What will be marked, purged and moved within some days, if nothing changes. From the rows alone; nothing is
    written, and no object is read.
    """
    from datetime import timedelta

    from locker.asked import check_tenant
    from locker.retention import run as retention
    from locker.store import open_locker

    if tenant is not None:
        check_tenant(tenant)
    until = datetime.now(UTC) + timedelta(days=days)
    with open_locker(locker) as opened:
        plans = retention.forecast(opened, until, tenant)
    console = Console(json=json)
    _show_plans(console, [(plan, None) for plan in plans])
    return console.verdict("SHOWN", 0)


@app.command()
def certificate(
    digest: Annotated[str, typer.Argument(help="The bundle that was purged: sha256:<hex>.", metavar="DIGEST")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    tenant: Tenant = DEFAULT_TENANT,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the signed certificate to this file.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> Verdict:
    """Show the certificate of what was purged.

    What, when, by whom, under which promises and holds. Its signature by the locker's own key is checked before it
    is shown.
    """
    from kit.bytes.digest import check
    from locker.asked import check_tenant
    from locker.retention import certificate as certificates
    from locker.store import open_locker
    from verifier.asked import typed
    from verifier.durable import write_atomic

    check_tenant(tenant)
    with typed("DIGEST"):
        check(digest)
    with open_locker(locker) as opened:
        envelope = certificates.find(opened, digest, tenant)
        answer = certificates.verify(envelope, opened.site.signer.public)
        answer["signedBy"] = opened.site.fingerprint
    if out is not None:
        write_atomic(out, envelope)
    console = Console(json=json)
    console.document(answer)
    return console.verdict("SHOWN", 0)


@app.command()
def shorten(
    reason: Annotated[str, typer.Option("--reason", help="Why the old dates no longer bind.", metavar="TEXT")],
    second: Annotated[str, typer.Option("--second", help="Who agreed, besides the one who runs it.", metavar="NAME")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    tenant: Tenant = DEFAULT_TENANT,
    by: By = None,
    json: Json = False,
) -> Verdict:
    """Let old purge dates follow a shorter policy.

    A tenant's dates become as early as locker.toml now asks. Without this, a shorter policy counts for new evidence
    only. Two people and a reason are on the timeline; nothing is purged before a retention run has marked it and
    the days of grace are over.
    """
    from locker.asked import check_tenant
    from locker.retention import policy
    from locker.store import open_locker

    check_tenant(tenant)
    now = datetime.now(UTC)
    with open_locker(locker) as opened:
        count = policy.release(opened, tenant, who=person(by), second=second, reason=reason, now=now)
    console = Console(json=json)
    console.document({"tenant": tenant, "shortened": count})
    return console.verdict(f"SHORTENED {count}", 0, "stella retention forecast")


_COLUMNS = ("tenant", "bundles", "to mark", "to purge", "bytes", "to cold", "held", "undeclared")


def _dry_run(console: Console, plans: "list[tuple[Plan, StellaError | None]]") -> Verdict:
    _show_plans(console, plans)
    for plan, stop in plans:
        if stop is not None:
            console.talk(f"warning: tenant {plan.tenant}: a run would stop: {stop.reason}: {stop}")
    stopped = next((stop for _, stop in plans if stop is not None), None)
    if stopped is not None:
        return console.verdict(stopped.reason, stopped.exit_code, stopped.next_step)
    return console.verdict("DRY RUN", 0)


def _show_plans(console: Console, plans: "list[tuple[Plan, StellaError | None]]") -> None:
    if console.json:
        console.document(
            {"tenants": [plan.described() | ({"stop": stop.reason} if stop else {}) for plan, stop in plans]}
        )
        return
    rows = [
        [
            plan.tenant,
            *map(str, (plan.total, plan.mark.count, plan.purge.count, plan.purge.size)),
            *map(str, (plan.demote.count, plan.held.count, plan.undeclared)),
        ]
        for plan, _ in plans
    ]
    console.data("\n".join(table(_COLUMNS, rows, right=range(1, len(_COLUMNS)))))
