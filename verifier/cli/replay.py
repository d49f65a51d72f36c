"""stella replay: verify a kit, re-run its scan, and prove the outputs equal or name the causes."""

from pathlib import Path
from typing import Annotated

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import (
    DEFAULT_KITS,
    DEFAULT_OPS,
    DEFAULT_SITE,
    At,
    Json,
    Kits,
    Ledger,
    Ops,
    Progress,
    ScanOnly,
    SiteDirectory,
    WithoutGuard,
)

EXAMPLES = """
Examples:

  stella replay manifest.json --strict --offline

  stella replay --scan <scan-id> --strict --offline

  stella replay /media/usb/offline --site /srv/stella/site --ops /srv/stella/ops

  stella replay manifest.json --what-if --vary=feeds --with later-feed/

  stella replay manifest.json --what-if policy --with stricter-policy.toml
"""


def command(
    manifest: Annotated[
        Path | None, typer.Argument(help="The scan's manifest.json in the kit, or its directory.", metavar="MANIFEST")
    ] = None,
    what_if_dimension: Annotated[
        str | None, typer.Argument(help="With --what-if: feeds, tools or policy.", metavar="[DIMENSION]")
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Nothing may vary (the default).")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Accepted for the runbook's sake: the guard always denies the network.")
    ] = False,
    what_if: Annotated[bool, typer.Option("--what-if", help="Vary exactly one dimension and explain.")] = False,
    vary: Annotated[str | None, typer.Option("--vary", help="The dimension: feeds, tools or policy.")] = None,
    with_path: Annotated[
        Path | None,
        typer.Option("--with", help="The varied input: snapshot directory, policy file, or another manifest.json."),
    ] = None,
    scan: Annotated[
        str | None,
        typer.Option(
            "--scan", help="Instead of MANIFEST: a scan of an active kit, by its id or its first digits.", metavar="ID"
        ),
    ] = None,
    kits: Kits = DEFAULT_KITS,
    ops: Ops = DEFAULT_OPS,
    site: SiteDirectory = DEFAULT_SITE,
    at: At = None,
    scan_only: ScanOnly = False,
    ledger: Ledger = False,
    without_guard: WithoutGuard = None,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Verify a kit, re-run its scan, and prove the outputs equal or name the cause of each difference."""
    from verifier import asked, session
    from verifier.cli.outcome import show
    from verifier.run import STRICT, WHAT_IF, Plan
    from verifier.whatif import check_dimension

    if scan is not None and manifest is not None and what_if and what_if_dimension is None:
        manifest, what_if_dimension = None, str(manifest)
    if (manifest is None) == (scan is None):
        raise UsageError(detail="name the scan in one way: MANIFEST, or --scan ID")
    manifest = asked.active_scan(kits, scan or "") if manifest is None else manifest
    dimension = vary or what_if_dimension
    if what_if == strict and what_if:
        raise UsageError(detail="--strict and --what-if exclude one another").then("Leave one of them out.")
    if bool(dimension) != what_if:
        raise UsageError(detail="--what-if varies one dimension, and --vary names it").then(
            "Give --what-if with one of --vary=feeds, --vary=tools and --vary=policy."
        )
    if what_if and dimension != "tools" and with_path is None:
        raise UsageError(detail=f"--vary={dimension} needs the input to vary by").then(
            "Name it: --with, a snapshot directory, a policy file or another scan's manifest.json."
        )
    del offline
    plan = Plan(WHAT_IF, check_dimension(dimension), with_path) if what_if and dimension else Plan(STRICT)
    console = Console(json=json, progress=progress)
    setting = session.Setting(ops, site, at, session.clock, without_guard)
    with console.beating():
        outcome = session.carry_out(plan, manifest, setting, scan_only=scan_only, ledger=ledger, on_check=console.check)
    return show(console, outcome, setting)
