"""stella locker metrics, drill and schedule: what keeps a locker looked after."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from locker.cli.options import DEFAULT_LOCKER, LockerDirectory
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer()

EXAMPLES = """
Examples:

  stella locker metrics

  stella locker metrics --out /var/lib/prometheus/node-exporter/stella.prom

  stella locker drill --note "T-OPA-008, restored scan 0b8f5a52 from the cold tier"

  stella locker drill --instructions --note "kit README followed at site 7"

  stella locker schedule --latest 50 --at "15 2 * * *"

  stella locker schedule --locker /srv/locker --replay --once --json
"""


@app.command()
def metrics(
    locker: LockerDirectory = DEFAULT_LOCKER,
    out: Annotated[
        Path | None, typer.Option("--out", help="A file for the node exporter, ending with .prom.", metavar="FILE")
    ] = None,
    json: Json = False,
) -> Verdict:
    """Show what the locker tells Prometheus, or write it to a file.

    The file is there whole or not at all. Numbers come from the rows, so counters outlive every process.
    """
    from locker import metrics as telling
    from locker.store import open_locker

    console = Console(json=json)
    now = datetime.now(UTC)
    with open_locker(locker) as opened:
        if out is not None:
            samples = telling.write(opened, out, now=now)
            console.document({"file": out.name, "samples": samples})
            return console.verdict(f"WRITTEN {samples}", 0)
        encoded = telling.text(opened, now=now)
    if json:
        console.document({"metrics": encoded.decode()})
    else:
        console.data(encoded.decode().rstrip("\n"))
    return console.verdict("SHOWN", 0)


@app.command()
def drill(
    note: Annotated[str, typer.Option("--note", help="What was done, and by whom.", metavar="TEXT")],
    instructions: Annotated[
        bool,
        typer.Option("--instructions", help="Not a drill: the kit instructions were checked against this version."),
    ] = False,
    locker: LockerDirectory = DEFAULT_LOCKER,
    json: Json = False,
) -> Verdict:
    """Write down that a drill was held, for the checklist.

    stella locker status shows the checklist.
    """
    from locker import checklist
    from locker.asked import check_note
    from locker.store import open_locker

    check_note(note)
    kind = checklist.INSTRUCTIONS_CHECKED if instructions else checklist.DRILL_HELD
    with open_locker(locker) as opened:
        checklist.record(opened, kind, now=datetime.now(UTC), note=note)
    console = Console(json=json)
    console.document({"event": kind, "note": note})
    return console.verdict("WRITTEN DOWN", 0)


@app.command()
def schedule(
    locker: LockerDirectory = DEFAULT_LOCKER,
    latest: Annotated[
        int, typer.Option("--latest", min=1, help="The latest N scans of each tenant.", metavar="N")
    ] = 50,
    at: Annotated[
        str, typer.Option("--at", help="When: five fields, as cron has them, UTC.", metavar="CRON")
    ] = "15 2 * * *",
    retention_at: Annotated[
        str, typer.Option("--retention-at", help="When retention runs, written likewise.", metavar="CRON")
    ] = "15 5 * * *",
    replay: Annotated[bool, typer.Option("--replay", help="Run each scan again as well.")] = False,
    executor: Annotated[
        str, typer.Option("--executor", help="process:N, or dask:tls://HOST:PORT.", metavar="WHERE")
    ] = "process:2",
    executor_tls: Annotated[
        Path | None,
        typer.Option("--executor-tls", help="ca.pem, cert.pem and key.pem for the Dask cluster.", metavar="DIR"),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Verify what there is now, then end.")] = False,
    json: Json = False,
) -> Verdict:
    """Run nights and retention by a queue in PostgreSQL.

    It runs until it is stopped.

    For a locker on servers with several machines; on one machine the shipped timer or cron line does the same.
    """
    from locker import schedule as queue

    tls = str(executor_tls) if executor_tls else None
    made = queue.Plan(str(locker), latest, replay, executor, tls, at, retention_at)
    queue.work(made, once=once)
    return Console(json=json).verdict("STOPPED", 0)
