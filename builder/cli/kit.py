"""stella kit: plan, build and rehearse kits."""

from pathlib import Path
from typing import Annotated

import typer

from kit.errors import UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

EXAMPLES = """
Examples:

  stella kit plan --record records/<scan-id>

  stella kit build --record records/<scan-id> --key keys/kit-1.key.pem --sequence 7 --out offline

  stella kit build --record records/<id-1> --record records/<id-2> --key keys/kit-1.key.pem --sequence 8 \\
    --out offline --program dist/linux-x86_64

  stella kit rehearse offline --root 1.root.json
"""

app = typer.Typer(no_args_is_help=True, help="Assemble signed kits from recorded scans, and rehearse them.")

Record = Annotated[
    list[Path], typer.Option("--record", help="A recorded scan's directory; once a scan.", metavar="DIR")
]
RootPack = Annotated[
    Path, typer.Option("--rootpack", envvar="STELLA_ROOTPACK", help="The RootPack's directory.", metavar="DIR")
]
Program = Annotated[
    list[Path] | None,
    typer.Option("--program", help="Frozen verifier to carry: a directory <os>-<arch>.", metavar="DIR"),
]


@app.command()
def plan(record: Record, rootpack: RootPack = Path("rootpack"), program: Program = None, json: Json = False) -> Verdict:
    """Show which files a kit would hold and how large it would be; writes nothing."""
    from builder import assemble

    console = Console(json=json)
    request = assemble.KitRequest(record, rootpack, program or [], "plan", 1, "1970-01-01T00:00:00Z", 1)
    files = [{"path": path, "size": source.stat().st_size} for path, source in assemble.plan(request)]
    total = sum(file["size"] for file in files if isinstance(file["size"], int))
    console.document({"files": [f"{file['size']:>12} {file['path']}" for file in files], "bytes": total})
    return console.verdict("PLANNED", 0)


@app.command()
def build(
    record: Record,
    key: Annotated[
        list[Path], typer.Option("--key", help="Signing key of usage kit (PEM); once a signer.", metavar="FILE")
    ],
    out: Annotated[Path, typer.Option("--out", help="The kit's directory, made by this command.", metavar="DIR")],
    sequence: Annotated[int, typer.Option("--sequence", help="Number of the kit in its channel; only rises.", min=1)],
    rootpack: RootPack = Path("rootpack"),
    program: Program = None,
    channel: Annotated[str, typer.Option("--channel", help="A site or a group of sites.")] = "default",
    created_at: Annotated[str | None, typer.Option("--time", help="Time of building, UTC; now by default.")] = None,
    staleness_hours: Annotated[
        int, typer.Option("--staleness-hours", help="How long sites may accept the kit.", min=1)
    ] = 24 * 90,
    json: Json = False,
) -> Verdict:
    """Build a kit: one signed directory that is verified and replayed behind the gap."""
    from builder import assemble, signer
    from kit.manifest import check_time
    from verifier import session
    from verifier.asked import typed
    from verifier.run_dir import stamp

    console = Console(json=json)
    moment = created_at or stamp(session.clock())
    with typed("--time"):
        check_time(moment, "--time")
    request = assemble.KitRequest(record, rootpack, program or [], channel, sequence, moment, staleness_hours)
    kit = assemble.assemble(request, [signer.load(path) for path in key], out)
    document: dict[str, object] = {
        "kit": str(out),
        "kitId": kit.kit_id,
        "sequence": kit.sequence,
        "scans": [scan.id for scan in kit.scans],
        "files": len(kit.files),
        "bytes": sum(file.size for file in kit.files),
    }
    console.document(document)
    return console.verdict("BUILT", 0, f"stella kit rehearse {out} --root 1.root.json")


@app.command()
def rehearse(
    kit: Annotated[Path, typer.Argument(help="The kit's directory.", metavar="KIT")],
    root: Annotated[
        Path, typer.Option("--root", help="The root that the site has pinned: 1.root.json.", metavar="FILE")
    ],
    own_program: Annotated[
        bool, typer.Option("--own-program/--installed", help="Run the kit's own frozen verifier where it has one.")
    ] = True,
    json: Json = False,
) -> Verdict:
    """Replay every scan of a finished kit with the verifier's engine, offline, at a throw-away site."""
    import os

    from builder import rehearse as rehearsals
    from verifier import site

    console = Console(json=json)
    if not kit.is_dir():
        raise UsageError(detail="there is no kit at this place", path=kit.name)
    system = os.uname()
    platform = f"{system.sysname.lower()}-{system.machine}"
    program = rehearsals.program_in(kit, platform) if own_program else None
    outcomes = rehearsals.rehearse(kit, site.read_root(root), program=program)
    console.document(
        {
            "engine": "the kit's own verifier" if program else "the installed program",
            "scans": [f"{outcome.scan_id} {outcome.verdict} {outcome.reason}" for outcome in outcomes],
        },
    )
    worst = max(outcome.exit_code for outcome in outcomes)
    return console.verdict("REHEARSED" if worst == 0 else "REHEARSAL FAILED", worst)
