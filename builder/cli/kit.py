"""stella kit: plan, build and rehearse kits."""

from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, KitKeys, Passphrase, RootPack, passphrase
from kit.errors import AlreadyAccepted, NoSpace, UsageError
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

if TYPE_CHECKING:
    from builder.delta import Proven
    from builder.plan import Plan

app = typer.Typer(no_args_is_help=True, help="Assemble signed kits from recorded scans, and rehearse them.")

EXAMPLES = """
Examples:

  stella kit plan --record records/<scan-id> --program dist/linux-x86_64 --medium-size dvd

  stella kit plan --record records/<scan-id> --record records/<other-id> --json

  stella kit plan --record records/<scan-id> --since-receipt receipt.dsse.json --base offline-5

  stella kit build --record records/<scan-id> --key keys/kit-1.key.pem --program dist/linux-x86_64 \\
    --sequence 1 --out offline

  stella kit build --record records/<scan-id> --key keys/kit-1.key.pem --sequence 2 --out offline-2 --dry-run

  stella kit build --record records/<scan-id> --key keys/kit-1.key.pem --sequence 6 --out offline-6 \\
    --since-receipt receipt.dsse.json --base offline-5 --delta-out delta-6

  stella kit rehearse offline --root rootpack/metadata/1.root.json

  stella kit rehearse offline --root rootpack/metadata/1.root.json --installed --json
"""

Records = Annotated[list[Path], typer.Option("--record", help="A recorded scan's directory.", metavar="DIR")]
Programs = Annotated[
    list[Path] | None,
    typer.Option("--program", help="Frozen verifier to carry: dist/<os>-<arch>.", metavar="DIR"),
]
SinceReceipt = Annotated[
    Path | None,
    typer.Option(
        "--since-receipt", help="A site's receipt of the import of the base: also make a delta on it.", metavar="FILE"
    ),
]
BaseKit = Annotated[
    Path | None,
    typer.Option("--base", help="The kit that the receipt is about, whole, as it was built.", metavar="KIT"),
]
MediumSize = Annotated[
    str | None,
    typer.Option(
        "--medium-size",
        help="A medium to fit into: cd, dvd, dvd-dl, bd, bd-dl, fat32, or 700MB, 4.7GB, or bytes.",
        metavar="SIZE",
    ),
]


@app.command()
def plan(
    record: Records,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    program: Programs = None,
    medium_size: MediumSize = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where the kit would be built: its free space counts.", metavar="DIR")
    ] = Path("offline"),
    since_receipt: SinceReceipt = None,
    base: BaseKit = None,
    json: Json = False,
) -> Verdict:
    """Show what a kit would hold and if it fits.

    Nothing is verified or written; stella kit build --dry-run verifies as well. With --since-receipt also what a delta
    would save; receipt and base are verified then.
    """
    from builder import assemble
    from builder import plan as plans
    from builder import split as splits
    from verifier import session
    from verifier.run_dir import stamp

    request = assemble.KitRequest(record, rootpack, program or [], "plan", 1, stamp(session.clock()), 1)
    medium = None if medium_size is None else splits.capacity(medium_size, "--medium-size")
    words = [*_options("--record", record), *_unless_default(rootpack), *_options("--program", program or [])]
    following = join(["stella", "kit", "build", *words, "--key", "keys/kit-1.key.pem", "--sequence", "1"])
    on = _proven(since_receipt, base, rootpack)
    made = plans.make(request, out, medium=medium, on=None if on is None else on.base)
    if on is not None:
        following += f" --since-receipt {join([str(since_receipt)])} --base {join([str(base)])}"
    return _planned(Console(json=json), made, f"{following} --out {join([str(out)])}")


@app.command()
def build(
    record: Records,
    key: KitKeys,
    out: Annotated[Path, typer.Option("--out", help="The kit's directory, made by this command.", metavar="DIR")],
    sequence: Annotated[
        int, typer.Option("--sequence", help="Number of the kit in its channel; only rises.", min=1, metavar="NUMBER")
    ],
    rootpack: RootPack = DEFAULT_ROOTPACK,
    program: Programs = None,
    channel: Annotated[
        str, typer.Option("--channel", help="A site or a group of sites: a-z, 0-9, dash.", metavar="NAME")
    ] = "default",
    created_at: Annotated[
        str | None,
        typer.Option("--time", help="Time of building, UTC; now by default.", metavar="YYYY-MM-DDTHH:MM:SSZ"),
    ] = None,
    staleness_hours: Annotated[
        int, typer.Option("--staleness-hours", help="How long sites may accept the kit.", min=1, max=24 * 3660)
    ] = 24 * 90,
    locker_checkpoint: Annotated[
        Path | None,
        typer.Option("--locker-checkpoint", help="From stella locker audit checkpoint --out.", metavar="FILE"),
    ] = None,
    acknowledge: Annotated[
        Path | None, typer.Option("--acknowledge", help="From stella sync acknowledge --out.", metavar="FILE")
    ] = None,
    since_receipt: SinceReceipt = None,
    base: BaseKit = None,
    delta_out: Annotated[
        Path | None,
        typer.Option("--delta-out", help="The delta's directory; that of --out with -delta by default.", metavar="DIR"),
    ] = None,
    passphrase_file: Passphrase = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check keys and records and show the plan, but write nothing.")
    ] = False,
    json: Json = False,
) -> Verdict:
    """Build a signed kit from recorded scans.

    It is one directory, which is verified and replayed behind the gap. Keys and records are checked first. With
    --since-receipt a delta of it is made as well, for the medium: as stella kit delta makes it.
    """
    from builder import assemble, requests, signing, trust_view
    from builder import plan as plans
    from kit.kitfile import check_channel
    from kit.manifest import check_time
    from verifier import session
    from verifier.asked import typed
    from verifier.run_dir import stamp

    console = Console(json=json)
    now = stamp(session.clock())
    moment = created_at or now
    with typed("--time"):
        check_time(moment, "--time")
    with typed("--channel"):
        check_channel(channel)
    request = assemble.KitRequest(
        record, rootpack, program or [], channel, sequence, moment, staleness_hours, locker_checkpoint, acknowledge
    )
    assemble.check_paths(request)
    assemble.check_bills(request)
    requests.check_private(key)
    on = _proven(since_receipt, base, rootpack)
    if delta_out is not None and on is None:
        raise UsageError(option="--delta-out", detail="a delta is made with --since-receipt and --base")
    lighter = delta_out or out.with_name(f"{out.name}-delta")
    if on is not None and lighter.exists():
        raise AlreadyAccepted(path=str(lighter), detail="the directory of the delta exists")
    signers = signing.load(key, rootpack, at=moment, password=passphrase(passphrase_file))
    if dry_run:
        assemble.check(request, signers, now=now)
        planned = plans.make(request, out, on=None if on is None else on.base)
        return _planned(console, planned, "the same without --dry-run")
    kit = assemble.assemble(request, signers, out, now=now)
    sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    document: dict[str, object] = {
        "kit": str(out),
        "kitId": kit.kit_id,
        "sequence": kit.sequence,
        "scans": [scan.id for scan in kit.scans],
        "files": len(sizes),
        "bytes": sum(sizes),
    }
    if on is not None:
        from builder import delta

        made = delta.make(out, on, lighter, signers, lambda piece: console.step("comparing", "running", piece.path))
        document |= {"delta": delta.summary(out, lighter, made)}
    console.document(document)
    root = trust_view.root_paths(trust_view.current_files(rootpack))[0]
    return console.verdict("BUILT", 0, join(["stella", "kit", "rehearse", str(out), "--root", str(rootpack / root)]))


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
    """Replay a finished kit at a throw-away site.

    Every scan, offline, with the verifier that the kit carries. Nothing of it stays behind.
    """
    import os

    from builder import rehearse as rehearsals
    from builder.requests import read
    from kit.layout import KIT_FILE
    from kit.trust.metadata import MAX_BYTES

    console = Console(json=json)
    if not (kit / KIT_FILE).is_file():
        found = "no such directory" if not kit.is_dir() else f"a directory without {KIT_FILE}"
        raise UsageError(path=str(kit), expected="a kit's directory, made by stella kit build", found=found)
    system = os.uname()
    platform = f"{system.sysname.lower()}-{system.machine}"
    program = rehearsals.program_in(kit, platform) if own_program else None
    outcomes = rehearsals.rehearse(kit, read(root, "--root", limit=MAX_BYTES), program=program)
    console.document(
        {
            "engine": "the kit's own verifier" if program else "the installed program",
            "scans": [f"{outcome.scan_id} {outcome.verdict} {outcome.reason}" for outcome in outcomes],
        },
    )
    worst = max(outcome.exit_code for outcome in outcomes)
    if worst:
        return console.verdict("REHEARSAL FAILED", worst, "mend the cause named above, then build again")
    return console.verdict("REHEARSED", 0, f"copy {kit} to the medium; at the site: stella look {kit.name}")


def _planned(console: Console, plan: "Plan", following: str) -> Verdict:
    from builder.plan import lines

    if console.json:
        console.document(plan)
    console.data("\n".join(lines(plan)))
    if plan.fits:
        return console.verdict("PLANNED", 0, following)
    if plan.volumes is not None and plan.on_medium <= plan.free:
        following = f"build it, then stella kit split KIT --size SIZE: {plan.volumes} media"
        return console.verdict("DOES NOT FIT ON ONE", NoSpace.exit_code, following)
    return console.verdict("DOES NOT FIT", NoSpace.exit_code, "a larger medium, another --out, or fewer scans in a kit")


def _proven(receipt: Path | None, base: Path | None, rootpack: Path) -> "Proven | None":
    """Return what the options say that a site holds, None without them; one alone is a usage error."""
    if receipt is None and base is None:
        return None
    if receipt is None or base is None:
        raise UsageError(detail="--since-receipt FILE and --base KIT belong together").then("Give both or neither.")
    from builder import delta
    from verifier import session

    return delta.proven(receipt, base, rootpack, session.clock())


def _options(option: str, paths: list[Path]) -> list[str]:
    return [word for path in paths for word in (option, str(path))]


def _unless_default(rootpack: Path) -> list[str]:
    return [] if rootpack == DEFAULT_ROOTPACK else ["--rootpack", str(rootpack)]
