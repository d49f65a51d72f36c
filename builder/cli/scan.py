"""stella scan: record one evaluation, so that it can be replayed for ever."""

import os
from pathlib import Path
from shlex import join
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, KitKeys, Passphrase, RootPack, passphrase
from kit.errors import UsageError
from verifier.cli.console import Console, Verdict, one_line
from verifier.cli.options import Json

EXAMPLES = """
Examples:

  stella scan --record --sbom sbom.cdx.json --feed pypi --policy policy.toml --key keys/kit-1.key.pem --out records

  stella scan --record --sbom sbom.spdx.json --feed pypi --feed go --vex orders.openvex.json --policy policy.toml \\
    --key keys/kit-1.key.pem --out records --exit-verdict --json

  stella scan --record ... --vex orders=vendor/statements.json --reachability call-graph.json
"""


def command(
    record: Annotated[bool, typer.Option("--record", help="Record the scan (required: a scan is always a record).")],
    sbom: Annotated[Path, typer.Option("--sbom", help="SBOM, CycloneDX or SPDX.", metavar="FILE")],
    policy: Annotated[Path, typer.Option("--policy", help="Policy in TOML.", metavar="FILE")],
    key: KitKeys,
    out: Annotated[Path, typer.Option("--out", help="Directory that gets <scan-id>/.", metavar="DIR")],
    feed: Annotated[
        list[str] | None,
        typer.Option(
            "--feed",
            help="Feed by name (its current snapshot), or NAME=DIR; at least one.",
            metavar="FEED",
        ),
    ] = None,
    feeds: Annotated[
        Path, typer.Option("--feeds", envvar="STELLA_FEEDS", help="The feed store.", metavar="DIR")
    ] = Path("feeds"),
    vex: Annotated[
        list[str] | None,
        typer.Option(
            "--vex",
            help="VEX document, OpenVEX, CSAF or CycloneDX: FILE, or NAME=FILE to name it; by default the file's name.",
            metavar="FILE",
        ),
    ] = None,
    tool: Annotated[
        list[str] | None,
        typer.Option("--tool", help="A tool of the scan, NAME@VERSION=FILE.", metavar="TOOL"),
    ] = None,
    reachability: Annotated[
        list[str] | None,
        typer.Option(
            "--reachability",
            help="Call graph or runtime trace: FILE, URI=FILE, or the URI alone of one that is not at hand.",
            metavar="EVIDENCE",
        ),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    subject: Annotated[
        str | None, typer.Option("--subject", help="Name of what was scanned; the SBOM's by default.", metavar="NAME")
    ] = None,
    oci_digest: Annotated[
        str | None, typer.Option("--oci-digest", help="The image's digest.", metavar="sha256:HEX")
    ] = None,
    scan_id: Annotated[
        str | None, typer.Option("--scan-id", help="Id of the scan; a fresh one by default.", metavar="UUID")
    ] = None,
    time: Annotated[
        str | None,
        typer.Option("--time", help="The scan's frozen time, UTC; now by default.", metavar="YYYY-MM-DDTHH:MM:SSZ"),
    ] = None,
    level: Annotated[int, typer.Option("--level", help="Zstandard level.", min=1, max=19)] = 3,
    exit_verdict: Annotated[
        bool, typer.Option("--exit-verdict", help="Leave with 12 when the policy's verdict is fail.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Evaluate an SBOM against feed snapshots and record everything that went in and came out, signed."""
    from uuid import uuid4

    from builder import plan, policies, requests, scan_summary, signing
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
    now = stamp(session.clock())
    with typed("--scan-id"):
        scan_id = check_scan_id(scan_id or str(uuid4()))
    with typed("--time"):
        check_time(time or now, "--time")
    # Before the work: a policy with a fault stops the scan anyway, and a record by
    # a key that sites do not trust is worth nothing.
    policies.load(policy, time or now)
    requests.check_private(key)
    signers = signing.load(key, rootpack, at=now, password=passphrase(passphrase_file))
    request = ScanRequest(
        scan_id=scan_id,
        time=time or now,
        sbom=requests.read(sbom, "--sbom"),
        sbom_path=str(sbom),
        feeds=requests.feed_directories(feeds, feed),
        vex=requests.vex_documents(vex or []),
        policy=requests.read(policy, "--policy"),
        tools=requests.tools(tool or []),
        engine=engine.current(),
        architecture=os.uname().machine,
        subject=subject,
        oci_digest=requests.oci_digest(oci_digest),
        level=level,
        evidence=requests.evidence(reachability or []),
        crypto_profile=signing.crypto_profile(signing.own_pack(rootpack), [one.public for one in signers]),
    )
    directory, manifest = record_scan(request, signers, out)
    summary = scan_summary.read(directory, manifest)
    if json:
        console.document(summary)
    else:
        console.data("\n".join(one_line(line) for line in scan_summary.lines(summary)))
    for warning in scan_summary.warnings(summary):
        console.talk(f"warning: {warning}")
    findings = join(["stella", "report", str(directory), "--format", "table"])
    if exit_verdict and summary.verdict == "fail":
        return console.verdict("POLICY VERDICT fail", PolicyVerdictFailed.exit_code, findings)
    console.talk(f"to see the findings: {findings}")
    trust = [] if rootpack == DEFAULT_ROOTPACK else ["--rootpack", str(rootpack)]
    keys = [word for one in key for word in ("--key", one)]
    needed, signed = signing.own_pack(rootpack).threshold(signing.USAGE), len({one.public for one in signers})
    if signed < needed:
        console.talk(f"{needed} keys must sign before a kit can be built; {signed} did")
        return console.verdict("RECORDED", 0, join(["stella", "scan", "sign", str(directory), *trust, "--key", "KEY"]))
    number = plan.highest_sequence(Path()) + 1
    place = "offline" if number == 1 else f"offline-{number}"
    words = ["--record", str(directory), *keys, *trust, "--sequence", str(number), "--out", place]
    return console.verdict("RECORDED", 0, join(["stella", "kit", "build", *words]))
