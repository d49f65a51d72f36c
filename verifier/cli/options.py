"""Options that several commands share, with their help texts and environment variables."""

from pathlib import Path
from typing import Annotated

import typer

from verifier import places

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, on failure too.")]
Progress = Annotated[str, typer.Option("--progress", help="auto, plain, json or none.", metavar="HOW")]
Ops = Annotated[
    Path,
    typer.Option(
        "--ops",
        envvar="STELLA_OPS",
        help="Place of the runs: each leaves replay/<scan-id>/<run-id>/ there, with log, result, report and receipt.",
        metavar="DIR",
    ),
]
SiteDirectory = Annotated[
    Path,
    typer.Option("--site", envvar="STELLA_SITE", help="The site's state: pinned root, key, memory.", metavar="DIR"),
]
Kits = Annotated[
    Path,
    typer.Option(
        "--kits", envvar="STELLA_KITS", help="Where imported kits and the quarantine are kept.", metavar="DIR"
    ),
]
At = Annotated[
    str | None,
    typer.Option(
        "--at",
        help="Judge expiry and age at this UTC time instead of now (audits; recorded), or at the site's `floor`.",
        metavar="TIME",
    ),
]
ScanOnly = Annotated[
    bool,
    typer.Option("--scan-only", help="Accept a scan directory without its kit; its order and age go unchecked."),
]
Ledger = Annotated[
    bool,
    typer.Option("--ledger", help="Demand that a log which the RootPack trusts has the scan's envelope."),
]
WithoutGuard = Annotated[
    str | None,
    typer.Option(
        "--without-guard",
        help="Go on where the kernel takes no network guard, and say why; noted in the signed result.",
        metavar="REASON",
    ),
]

DEFAULT_OPS = places.DEFAULT_OPS
DEFAULT_SITE = places.DEFAULT_SITE
DEFAULT_KITS = places.DEFAULT_KITS
