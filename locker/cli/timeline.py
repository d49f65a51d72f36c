"""stella timeline: who did what when, as the locker logged it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, LockerDirectory
from verifier.cli.console import Console, Verdict, one_line
from verifier.cli.options import Json
from verifier.cli.table import table

app = typer.Typer(no_args_is_help=True, help="Read the locker's timeline.")

EXAMPLES = """
Examples:

  stella timeline list

  stella timeline list --scan <scan-id> --kind replay.hold --json

  stella timeline show 12

  stella timeline show 12 --locker /srv/locker --json

  stella timeline export --out timeline.ndjson

  stella timeline export --scan <scan-id> --since 2026-01-01T00:00:00Z --out incident.ndjson
"""

Scan = Annotated[
    str | None, typer.Option("--scan", help="Only of this scan: its id, or its first digits.", metavar="SCAN-ID")
]
OfTenant = Annotated[
    str | None, typer.Option("--tenant", help="Only this tenant's, and the whole locker's.", metavar="NAME")
]
Since = Annotated[
    str | None, typer.Option("--since", help="Only from this UTC time on.", metavar="YYYY-MM-DDTHH:MM:SSZ")
]
OfKind = Annotated[str | None, typer.Option("--kind", help="Only of this kind, or below it.", metavar="KIND")]

_COLUMNS = ("event", "at", "tenant", "kind", "actor", "about")


@app.command(name="list")
def list_(
    scan: Scan = None,
    tenant: OfTenant = None,
    since: Since = None,
    kind: OfKind = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 100,
    locker: LockerDirectory = DEFAULT_LOCKER,
    json: Json = False,
) -> Verdict:
    """List events, the newest first."""
    from locker import timeline, views
    from locker.asked import moment
    from locker.store import open_locker

    with open_locker(locker) as opened:
        full = None if scan is None else views.scan_id(opened, scan)
        wanted = timeline.Wanted(full, tenant, moment("--since", since), kind, limit)
        found = [timeline.described(told) for told in timeline.select(opened, wanted)]
    console = Console(json=json)
    if json:
        console.document({"events": found})
    else:
        console.data("\n".join(table(_COLUMNS, [_row(each) for each in found])))
    return console.verdict(f"LISTED {len(found)}", 0)


@app.command()
def show(
    event: Annotated[int, typer.Argument(help="The event's number.", metavar="EVENT", min=1)],
    locker: LockerDirectory = DEFAULT_LOCKER,
    json: Json = False,
) -> Verdict:
    """Show one event, with all its details."""
    from locker import timeline
    from locker.store import open_locker

    with open_locker(locker) as opened:
        answer = timeline.described(timeline.one(opened, event))
    console = Console(json=json)
    console.document(answer)
    return console.verdict("SHOWN", 0)


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="The file to write.", metavar="FILE")],
    scan: Scan = None,
    tenant: OfTenant = None,
    since: Since = None,
    kind: OfKind = None,
    locker: LockerDirectory = DEFAULT_LOCKER,
    json: Json = False,
) -> Verdict:
    """Write events as NDJSON, each with its proof.

    The oldest first. The first line is a checkpoint that is signed now, unless nothing happened since the last.
    """
    from locker import audit, timeline, views
    from locker.asked import moment
    from locker.store import open_locker
    from verifier.durable import writing

    count = -1
    with open_locker(locker) as opened:
        full = None if scan is None else views.scan_id(opened, scan)
        wanted = timeline.Wanted(full, tenant, moment("--since", since), kind)
        signed = audit.sign(opened, now=datetime.now(UTC))
        with writing(out) as target:
            for line in timeline.export(opened, wanted, signed):
                target.write(line)
                count += 1
    console = Console(json=json)
    console.document({"file": str(out), "events": count, "size": signed.checkpoint.size})
    return console.verdict(f"EXPORTED {count}", 0)


def _row(event: dict[str, object]) -> list[str]:
    details = event["details"]
    about = details if isinstance(details, dict) else {}
    named = str(about.get("scanId") or about.get("site") or about.get("entry") or "-")
    names = ("sequence", "at", "tenant", "kind", "actor")
    return [one_line(str(event.get(name) or "-")) for name in names] + [one_line(named)]
