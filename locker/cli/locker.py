"""stella locker: make an Evidence Locker, take recorded scans in, show what it holds."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, DEFAULT_TENANT, LockerDirectory, RootPack, Tenant
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer(no_args_is_help=True, help="Keep recorded scans and the results that come back.")

EXAMPLES = """
Examples:

  stella locker init /srv/locker --root rootpack/metadata/1.root.json --expect-root SHA256:...

  stella locker ingest records/<scan-id> --locker /srv/locker

  stella locker list --status failed --json
"""


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="An empty directory on a local disk, or a new one.", metavar="DIR")],
    root: Annotated[
        Path, typer.Option("--root", help="The first root: rootpack/metadata/1.root.json.", metavar="FILE")
    ],
    expect_root: Annotated[
        str,
        typer.Option("--expect-root", help="Its fingerprint, received by another way.", metavar="SHA256:HEX"),
    ],
    json: Json = False,
) -> Verdict:
    """Make a locker and pin its trust root."""
    from locker import store
    from verifier import site

    with store.init(directory, site.read_root(root), expect_root, now=datetime.now(UTC), entropy=os.urandom) as locker:
        made = {"root": site.root_fingerprint(locker.site.pinned_root), "signingKey": locker.site.fingerprint}
    console = Console(json=json)
    console.document(made)
    return console.verdict("MADE", 0, "stella locker ingest RECORD --locker DIR")


@app.command()
def ingest(
    record: Annotated[Path, typer.Argument(help="The recorded scan's directory: <scan-id>/.", metavar="RECORD")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    rootpack: RootPack = None,
    tenant: Tenant = DEFAULT_TENANT,
    json: Json = False,
) -> Verdict:
    """Verify a recorded scan, byte for byte, and keep it; safe to repeat."""
    from locker import ingest as intake
    from locker.store import open_locker

    with open_locker(locker) as opened:
        done = intake.ingest(opened, record, now=datetime.now(UTC), tenant=tenant, rootpack_directory=rootpack)
    console = Console(json=json)
    console.document({"scan": done.scan_id, "manifest": done.manifest_hash, "status": done.status, "known": done.known})
    return console.verdict("KNOWN" if done.known else "INGESTED", 0)


@app.command()
def status(locker: LockerDirectory = DEFAULT_LOCKER, json: Json = False) -> Verdict:
    """Show what the locker holds, in numbers."""
    from locker import views
    from locker.store import open_locker

    with open_locker(locker) as opened:
        answer = views.status(opened)
    console = Console(json=json)
    console.document(answer)
    return console.verdict("SHOWN", 0)


@app.command(name="list")
def list_(
    locker: LockerDirectory = DEFAULT_LOCKER,
    status: Annotated[
        str | None, typer.Option("--status", help="Only pending, verified, failed or replayed.", metavar="STATUS")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only this tenant's.", metavar="NAME")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 100,
    json: Json = False,
) -> Verdict:
    """List the scans in the locker, the newest first."""
    from locker import views
    from locker.store import open_locker

    with open_locker(locker) as opened:
        found = views.list_runs(opened, status=status, tenant=tenant, limit=limit)
    console = Console(json=json)
    if json:
        console.document({"runs": found})
    for run in found:
        words = (run["createdAt"], f"{run['status']:<8}", run["id"], run.get("failure") or run.get("subject") or "")
        console.data("  ".join(str(word) for word in words).rstrip())
    return console.verdict(f"LISTED {len(found)}", 0, "stella locker show SCAN-ID")


@app.command()
def show(
    scan_id: Annotated[str, typer.Argument(help="The scan's id.", metavar="SCAN-ID")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    json: Json = False,
) -> Verdict:
    """Show one scan: its objects, its signers, and what sites said of it."""
    from locker import views
    from locker.store import open_locker

    with open_locker(locker) as opened:
        answer = views.show_run(opened, scan_id)
    console = Console(json=json)
    console.document(answer)
    return console.verdict(str(answer["status"]).upper(), 0)
