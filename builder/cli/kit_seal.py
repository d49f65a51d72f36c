"""stella kit seal: a kit that only a site's key opens."""

import os
from pathlib import Path
from shlex import join as quoted
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json, Progress

app = typer.Typer(no_args_is_help=True)

EXAMPLES = """
Examples:

  stella kit seal offline --to site-7.seal.pub.pem --out sealed

  stella kit seal media/volume-1-of-2 --to site-7.seal.pub.pem --to escrow.seal.pub.pem --out sealed-1-of-2 --json
"""


@app.command()
def seal(
    kit: Annotated[Path, typer.Argument(help="A kit's, a delta's or a volume's directory.", metavar="KIT")],
    to: Annotated[
        list[Path], typer.Option("--to", help="A site's seal.pub.pem; each of several opens it.", metavar="PEM")
    ],
    out: Annotated[Path, typer.Option("--out", help="Made by this command: what goes on the medium.", metavar="DIR")],
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Seal a kit to the keys of sites.

    Bundles, programs and manifests become unreadable for others. KIT.json, RootPack and signatures stay readable, with
    names and sizes of all files. It proves nothing about the sender: signatures do.
    """
    from builder import seal as seals
    from builder.requests import read
    from kit.seal import MAX_BYTES, SealingKey
    from verifier import asked

    console = Console(json=json, progress=progress)
    kit, _ = asked.kit_directory(kit)
    keys = [SealingKey.from_pem(read(path, "--to", limit=MAX_BYTES)) for path in to]
    made = seals.seal(kit, keys, out, os.urandom, lambda piece: console.step("sealing", "running", piece.stored))
    sizes = [sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) for root in (kit, out)]
    recipients = [one.key for one in made.recipients]
    console.document({"sealed": str(out), "recipients": recipients, "kitBytes": sizes[0], "sealedBytes": sizes[1]})
    return console.verdict("SEALED", 0, f"copy {quoted([str(out)])} to the medium; at the site: stella look {out.name}")
