"""stella locker: make an Evidence Locker, take recorded scans in, show what it holds."""

import os
from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, DEFAULT_TENANT, Actor, LockerDirectory, RootPack, Tenant, elsewhere
from verifier.cli.console import Console, Verdict, one_line
from verifier.cli.options import Json
from verifier.cli.table import table

app = typer.Typer(no_args_is_help=True, help="Keep recorded scans and the results that come back.")

EXAMPLES = """
Examples:

  stella locker init locker --root rootpack/metadata/1.root.json --expect-root SHA256:...

  stella locker init /srv/locker --root rootpack/metadata/1.root.json --expect-root SHA256:... --json

  stella locker ingest records/<scan-id> --rootpack rootpack

  stella locker ingest records/<scan-id> --locker /srv/locker --tenant blue --json

  stella locker status

  stella locker status --locker /srv/locker --json

  stella locker list

  stella locker list --status failed --tenant blue --limit 20 --json

  stella locker show <scan-id>

  stella locker show <scan-id> --locker /srv/locker --json

  stella locker show <scan-id> --difference diff.json
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
    """Make a locker and pin its trust root.

    The directory is made with mode 0700. The root decides whose records and results the locker ever accepts.
    """
    from locker import store
    from locker.asked import read_root
    from verifier.site import root_fingerprint
    from verifier.texts import grouped

    with store.init(directory, read_root(root), expect_root, now=datetime.now(UTC), entropy=os.urandom) as locker:
        made = {"root": root_fingerprint(locker.site.pinned_root), "signingKey": locker.site.fingerprint}
    console = Console(json=json)
    console.told(
        made,
        "\n".join(
            (
                f"locker      {directory}",
                f"root        {made['root']}",
                f"            {grouped(made['root'])}",
                f"signing key {made['signingKey']}",
                f"            {grouped(made['signingKey'])}",
            )
        ),
    )
    following = join(["stella", "locker", "ingest", "RECORD", *elsewhere(directory), "--rootpack", "rootpack"])
    return console.verdict("MADE", 0, following)


@app.command()
def ingest(
    record: Annotated[Path, typer.Argument(help="The recorded scan's directory: <scan-id>/.", metavar="RECORD")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    rootpack: RootPack = None,
    tenant: Tenant = DEFAULT_TENANT,
    actor: Actor = None,
    json: Json = False,
) -> Verdict:
    """Verify a recorded scan and keep it.

    Signatures, digests and both bundles, byte for byte; the scan is not replayed. Safe to repeat.
    """
    from locker import audit
    from locker import ingest as intake
    from locker.acting import of_process
    from locker.asked import check_rootpack, check_tenant
    from locker.store import open_locker

    check_tenant(tenant)
    check_rootpack(rootpack)
    with open_locker(locker, of_process(actor)) as opened:
        done = intake.ingest(opened, record, now=datetime.now(UTC), tenant=tenant, rootpack_directory=rootpack)
        audit.sign(opened, now=datetime.now(UTC), at_most_every=audit.HOURLY)
    console = Console(json=json)
    console.document({"scan": done.scan_id, "manifest": done.manifest_hash, "status": done.status, "known": done.known})
    following = join(["stella", "locker", "show", done.scan_id, *elsewhere(locker)])
    return console.verdict("KNOWN" if done.known else "INGESTED", 0, following)


@app.command()
def status(locker: LockerDirectory = DEFAULT_LOCKER, json: Json = False) -> Verdict:
    """Show what the locker holds, and whether its upkeep is done.

    Every item of the maintenance checklist is ok, warn (due soon), breach (overdue) or unknown; the worst decides the
    exit code: 52 for an overdue item, 22 for one that nothing is known of.
    """
    from locker import checklist, views
    from locker.store import open_locker

    with open_locker(locker) as opened:
        answer = views.status(opened)
        items = checklist.answer(checklist.gather(opened, now=datetime.now(UTC)))
    worst = checklist.worst(items)
    console = Console(json=json)
    if json:
        console.document(answer | {"checklist": items, "upkeep": worst})
    else:
        console.document(answer)
        for item in items:
            console.data(f"{item.state:<8} {item.name:<22} {item.reason}")
    return console.verdict(f"UPKEEP {worst.upper()}", checklist.exit_code(worst))


@app.command(name="list")
def list_(
    locker: LockerDirectory = DEFAULT_LOCKER,
    status: Annotated[
        str | None,
        typer.Option("--status", help="Only pending, verified, failed or replayed; all by default.", metavar="STATUS"),
    ] = None,
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Only this tenant's; all by default.", metavar="NAME")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many, the newest first.")] = 100,
    wide: Annotated[bool, typer.Option("--wide", help="Show ids and names in full, however long.")] = False,
    json: Json = False,
) -> Verdict:
    """List the scans in the locker, the newest first.

    Ids are shortened; stella locker show takes them so.
    """
    from locker import views
    from locker.store import open_locker

    with open_locker(locker) as opened:
        found = views.list_runs(opened, status=status, tenant=tenant, limit=limit)
    console = Console(json=json)
    if json:
        console.document({"runs": found})
    else:
        listed = [_row(run) for run in found]
        console.data("\n".join(table(_COLUMNS, listed if wide else _narrow(listed, views.SHORT))))
    following = join(["stella", "locker", "show", str(found[0]["id"]), *elsewhere(locker)]) if found else ""
    return console.verdict(f"LISTED {len(found)}", 0, following)


@app.command()
def show(
    scan_id: Annotated[str, typer.Argument(help="The scan's id, or its first digits.", metavar="SCAN-ID")],
    locker: LockerDirectory = DEFAULT_LOCKER,
    difference: Annotated[
        Path | None,
        typer.Option("--difference", help="Write what its last replay that differed gave to a file.", metavar="FILE"),
    ] = None,
    json: Json = False,
) -> Verdict:
    """Show one scan and what sites said of it.

    Its objects with their state and tier, its signers, what the last night found, and every result that came back.
    """
    from locker import views
    from locker.store import open_locker
    from verifier.durable import write_atomic

    with open_locker(locker) as opened:
        answer = views.show_run(opened, scan_id)
        if difference is not None:
            write_atomic(difference, views.difference(opened, scan_id))
    console = Console(json=json)
    console.document(answer)
    return console.verdict(str(answer["status"]).upper(), 0)


_COLUMNS = ("ingested", "status", "scan", "tenant", "subject", "refused for")
_SUBJECT = _COLUMNS.index("subject")
_WIDTH = 100


def _row(run: dict[str, object]) -> list[str]:
    names = ("createdAt", "status", "id", "tenant", "subject", "failure")
    return [one_line(str(run.get(name) or "-")) for name in names]


def _narrow(listed: list[list[str]], short: int) -> list[list[str]]:
    """Cut ids and names so that a line has at most ``_WIDTH`` columns; the subject gets what the others leave."""
    cut = [
        [ingested, status, scan[:short], _cut(tenant, 12), subject, _cut(failure, 20)]
        for ingested, status, scan, tenant, subject, failure in listed
    ]
    widths = [max(map(len, column)) for column in zip(_COLUMNS, *cut, strict=True)]
    left = _WIDTH - sum(widths) + widths[_SUBJECT] - 2 * (len(_COLUMNS) - 1)
    return [[*row[:_SUBJECT], _cut(row[_SUBJECT], left), *row[_SUBJECT + 1 :]] for row in cut]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 3]}..."
