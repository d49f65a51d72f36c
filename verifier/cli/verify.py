"""stella verify: every check of signatures and bytes, without the replay unless --explain asks for it."""

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import (
    DEFAULT_OPS,
    DEFAULT_SITE,
    At,
    Json,
    Ledger,
    Ops,
    Progress,
    ScanOnly,
    SiteDirectory,
    WithoutGuard,
)

EXAMPLES = """
Examples:

  stella verify offline/replay/<scan-id>/manifest.json

  stella verify offline --at 2026-06-01T12:00:00Z --json

  stella verify offline/replay/<scan-id>/manifest.json --ledger

  stella verify scans/<scan-id> --scan-only --explain
"""


def command(
    manifest: Annotated[
        Path, typer.Argument(help="The scan's manifest.json in the kit, or its directory.", metavar="MANIFEST")
    ],
    explain: Annotated[
        bool, typer.Option("--explain", help="Replay as well, and write diff.json when the outputs differ.")
    ] = False,
    ops: Ops = DEFAULT_OPS,
    site: SiteDirectory = DEFAULT_SITE,
    at: At = None,
    scan_only: ScanOnly = False,
    ledger: Ledger = False,
    without_guard: WithoutGuard = None,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Check every signature and byte of a scan and its kit; the verdict is INTACT, for nothing was replayed."""
    from verifier import session
    from verifier.cli.outcome import show
    from verifier.run import STRICT, VERIFY, Plan

    console = Console(json=json, progress=progress)
    setting = session.Setting(ops, site, at, session.clock, without_guard)
    plan = Plan(STRICT if explain else VERIFY)
    with console.beating():
        outcome = session.carry_out(plan, manifest, setting, scan_only=scan_only, ledger=ledger, on_check=console.check)
    return show(console, outcome, setting)
