"""stella verify --latest: the nightly verification of a locker, the connected half of ``stella verify``."""

import os
from datetime import UTC, datetime
from pathlib import Path
from shlex import join
from typing import Annotated
from uuid import uuid4

import typer

from locker.cli.options import DEFAULT_LOCKER, LockerDirectory, RootPack, elsewhere
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

OPTION = "--latest"
"""The word that asks for this half of the command."""

EXAMPLES = """
Examples:

  stella verify --latest 50

  stella verify --latest 50 --tenant blue --replay --explain --json

  stella verify --latest 1000 --executor dask:tls://scheduler.example:8786 --executor-tls /etc/stella/dask
"""


def command(
    latest: Annotated[int, typer.Option("--latest", min=1, help="The latest N scans of each tenant.", metavar="N")],
    tenant: Annotated[
        str | None,
        typer.Option("--tenant", help="Only this tenant's scans; every tenant's by default.", metavar="NAME"),
    ] = None,
    replay: Annotated[bool, typer.Option("--replay", help="Run each scan again, and compare its outputs.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Keep the difference of a replay that differs; implies --replay.")
    ] = False,
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            help="process:N, or dask:tls://HOST:PORT; by default a process a processor.",
            metavar="WHERE",
        ),
    ] = None,
    executor_tls: Annotated[
        Path | None,
        typer.Option("--executor-tls", help="ca.pem, cert.pem and key.pem for the Dask cluster.", metavar="DIR"),
    ] = None,
    locker: LockerDirectory = DEFAULT_LOCKER,
    rootpack: RootPack = None,
    json: Json = False,
) -> Verdict:
    """Verify the latest scans of a locker again, each under the RootPack in force.

    Signatures, evidence and bundles, byte for byte; each distinct bundle is read once. A scan that is not whole any
    more becomes failed, with its reason code. Cut off, run it again: it goes on where it was.
    """
    from kit.trust import rootpack as packs
    from locker import audit
    from locker.asked import check_rootpack, check_tenant
    from locker.store import open_locker
    from locker.verify_many_night import verify_latest
    from locker.verify_many_rows import Wish
    from locker.verify_many_workers import workers

    if tenant is not None:
        check_tenant(tenant)
    check_rootpack(rootpack)
    given = packs.read_directory(rootpack) if rootpack is not None else None
    where = executor or f"process:{os.cpu_count() or 1}"
    console = Console(json=json)
    with open_locker(locker) as opened, workers(where, executor_tls) as pool:
        night = verify_latest(
            opened,
            Wish(latest, tenant, replay or explain, explain),
            pool,
            clock=lambda: datetime.now(UTC),
            name=str(uuid4()),
            given=given,
        )
        audit.sign(opened, now=datetime.now(UTC))
    if json:
        console.document(night)
    else:
        console.document(
            {"night": night.name, **night.results, **({"replays": night.replays} if replay or explain else {})}
        )
        for one in night.failing:
            console.data(f"{one.result:<8}  {one.scan_id}  {one.tenant}  {one.code}: {one.sentence}")
        for gone in night.skipped:
            console.data(f"skipped   {gone.scan_id}  {gone.tenant}  {gone.reason}: its evidence is past its retention")
    if not night.failing:
        return console.verdict(f"VERIFIED {night.results['verified']}", 0)
    code = min(one.exit_code for one in night.failing)
    first = night.failing[0].scan_id
    return console.verdict(
        f"FAILED {len(night.failing)}", code, join(["stella", "locker", "show", first, *elsewhere(locker)])
    )
