"""stella kit split, join and check-volume: a kit on several media."""

from pathlib import Path
from shlex import join as quoted
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, KitKeys, Passphrase, RootPack, passphrase
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json, Progress

app = typer.Typer(no_args_is_help=True)

EXAMPLES = """
Examples:

  stella kit split offline --size dvd --key keys/kit-1.key.pem --out media

  stella kit split offline --size 4480M --key keys/kit-1.key.pem --rootpack rootpack --out media

  stella kit check-volume /media/cdrom --root rootpack/metadata/1.root.json

  stella kit check-volume media/volume-1-of-3 --json

  stella kit join media --out offline-again

  stella kit join media/volume-1-of-2 media/volume-2-of-2 --out offline-again
"""


@app.command()
def split(
    kit: Annotated[Path, typer.Argument(help="The kit's directory.", metavar="KIT")],
    size: Annotated[
        str,
        typer.Option("--size", help="A medium: cd, dvd, dvd-dl, bd, bd-dl, fat32, or 700MB, 4480M.", metavar="SIZE"),
    ],
    key: KitKeys,
    out: Annotated[Path, typer.Option("--out", help="Made by this command: a directory a volume.", metavar="DIR")],
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Cut a finished kit into signed volumes.

    Each is checkable alone. Files stay whole where a medium can hold them; larger ones are cut in parts. Burn the
    content of each directory.
    """
    from builder import requests, signing
    from builder import split as splits
    from verifier import asked, session
    from verifier.run_dir import stamp

    console = Console(json=json, progress=progress)
    capacity = splits.capacity(size)
    kit, _ = asked.kit_directory(kit)
    requests.check_private(key)
    signers = signing.load(key, rootpack, at=stamp(session.clock()), password=passphrase(passphrase_file))
    made = splits.split(kit, capacity, out, signers, lambda piece: console.step("cutting", "running", piece.stored))
    places = [out / splits.directory_name(record) for record in made]
    sizes = [sum(path.stat().st_size for path in place.rglob("*") if path.is_file()) for place in places]
    written = [{"directory": str(place), "bytes": size} for place, size in zip(places, sizes, strict=True)]
    console.document({"kit": made[0].kit_id, "volumes": written})
    return console.verdict(f"SPLIT IN {len(made)}", 0, quoted(["stella", "kit", "check-volume", str(places[0])]))


@app.command()
def join(
    volumes: Annotated[
        list[Path], typer.Argument(help="The volumes' directories, or one that holds them.", metavar="VOLUMES...")
    ],
    out: Annotated[Path, typer.Option("--out", help="The kit's directory, made by this command.", metavar="DIR")],
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Make a kit whole again of its volumes.

    Every byte is checked; whose signatures they bear is not.
    """
    from builder import split as splits

    console = Console(json=json, progress=progress)
    kit = splits.join(volumes, out, lambda piece: console.step("joining", "running", piece.stored))
    console.document({"kit": str(out), "kitId": kit.kit_id, "files": len(kit.files) + 3})
    return console.verdict("JOINED", 0, f"stella kit rehearse {quoted([str(out)])} --root FILE")


@app.command("check-volume")
def check_volume(
    volume: Annotated[Path, typer.Argument(help="The volume's directory, as it is mounted.", metavar="DIR")],
    root: Annotated[
        Path | None, typer.Option("--root", help="The root that the site has pinned: 1.root.json.", metavar="FILE")
    ] = None,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Check every byte of one volume, after burning.

    With --root its signatures too. SHA256SUMS on the volume is for people without this program.
    """
    from builder import split as splits
    from builder.requests import read
    from kit.trust.metadata import MAX_BYTES
    from verifier import session

    console = Console(json=json, progress=progress)
    pinned = None if root is None else read(root, "--root", limit=MAX_BYTES)
    found = splits.check_volume(
        volume, pinned, session.clock(), lambda piece: console.step("checking", "running", piece.stored)
    )
    console.document(
        {
            "volume": found.text,
            "kit": found.kit.kit_id,
            "set": found.record.set,
            "pieces": len(found.record.pieces),
            "bytes": sum(found.medium.sizes.values()),
            "signatures": "not checked (--root)" if pinned is None else "of the pinned root's keys",
        }
    )
    return console.verdict("WHOLE", 0, "" if found.record.number == found.record.count else "check the next volume")
