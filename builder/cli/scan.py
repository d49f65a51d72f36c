"""stella scan: record one evaluation, so that it can be replayed for ever."""

import os
from pathlib import Path
from typing import Annotated

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

EXAMPLES = """
Examples:

  stella scan --record --sbom app.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records

  stella scan --record --sbom app.cdx.json --feed pypi --feed go=snapshots/go --vex app.openvex.json \\
    --policy policy.toml --key keys/kit-1.key.pem --out records --exit-verdict

  stella scan --record ... --reachability call-graph.json --reachability trace.json
"""


def command(
    record: Annotated[bool, typer.Option("--record", help="Record the scan (required: a scan is always a record).")],
    sbom: Annotated[Path, typer.Option("--sbom", help="CycloneDX or SPDX JSON document.", metavar="FILE")],
    policy: Annotated[Path, typer.Option("--policy", help="Policy in TOML.", metavar="FILE")],
    key: Annotated[
        list[Path], typer.Option("--key", help="Signing key of usage kit (PEM); once a signer.", metavar="FILE")
    ],
    out: Annotated[Path, typer.Option("--out", help="Directory that gets <scan-id>/.", metavar="DIR")],
    feed: Annotated[
        list[str] | None,
        typer.Option("--feed", help="Feed by name (its current snapshot), or NAME=DIR.", metavar="FEED"),
    ] = None,
    feeds: Annotated[
        Path, typer.Option("--feeds", envvar="STELLA_FEEDS", help="The feed store.", metavar="DIR")
    ] = Path("feeds"),
    vex: Annotated[list[Path] | None, typer.Option("--vex", help="OpenVEX document.", metavar="FILE")] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option("--tool", help="A tool of the scan: NAME@VERSION=FILE.", metavar="TOOL"),
    ] = None,
    reachability: Annotated[
        list[str] | None,
        typer.Option(
            "--reachability",
            help="Call graph or runtime trace: FILE, URI=FILE, or the URI alone of one that is not at hand.",
            metavar="EVIDENCE",
        ),
    ] = None,
    subject: Annotated[str | None, typer.Option("--subject", help="Name of what was scanned.")] = None,
    oci_digest: Annotated[str | None, typer.Option("--oci-digest", help="The image's digest, sha256:<hex>.")] = None,
    scan_id: Annotated[str | None, typer.Option("--scan-id", help="UUID; a fresh one by default.")] = None,
    time: Annotated[str | None, typer.Option("--time", help="The scan's frozen time, UTC; now by default.")] = None,
    level: Annotated[int, typer.Option("--level", help="Zstandard level.", min=1, max=19)] = 3,
    exit_verdict: Annotated[
        bool, typer.Option("--exit-verdict", help="Leave with 12 when the policy's verdict is fail.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Evaluate an SBOM against feed snapshots and record everything that went in and came out, signed."""
    from uuid import uuid4

    from builder import requests, signer
    from builder.record import ScanRequest
    from builder.record import record as record_scan
    from kit.errors import PolicyVerdictFailed
    from kit.manifest import check_scan_id, check_time
    from scanner import engine
    from verifier import session
    from verifier.asked import typed
    from verifier.run_dir import stamp

    if not record:
        raise UsageError(detail="a scan is always recorded: give --record")
    if not feed:
        raise UsageError(detail="a scan needs at least one --feed: without advisories every package looks clean")
    console = Console(json=json)
    identity, moment = scan_id or str(uuid4()), time or stamp(session.clock())
    with typed("--scan-id"):
        check_scan_id(identity)
    with typed("--time"):
        check_time(moment, "--time")
    request = ScanRequest(
        scan_id=identity,
        time=moment,
        sbom=requests.read(sbom),
        feeds=requests.feed_directories(feeds, feed or []),
        vex=requests.vex_documents(vex or []),
        policy=requests.read(policy),
        tools=requests.tools(tool or []),
        engine=engine.current(),
        architecture=os.uname().machine,
        subject=subject,
        oci_digest=oci_digest,
        level=level,
        evidence=requests.evidence(reachability or []),
    )
    directory, manifest = record_scan(request, [signer.load(path) for path in key], out)
    summary = requests.summary(directory, manifest)
    console.document(summary)
    if exit_verdict and summary["verdict"] == "fail":
        return console.verdict("POLICY VERDICT fail", PolicyVerdictFailed.exit_code, PolicyVerdictFailed.next_step)
    return console.verdict("RECORDED", 0, f"stella locker ingest {directory}, or stella kit build --record {directory}")
