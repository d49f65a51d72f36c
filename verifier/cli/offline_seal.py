"""stella offline encryption-key and open: kits that were sealed for this site."""

import os
from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, Json, Progress, SiteDirectory

app = typer.Typer(no_args_is_help=True)

EXAMPLES = """
Examples:

  stella offline encryption-key

  stella offline open /media/usb/sealed --out opened

  stella offline open /media/usb/sealed --out opened --json
"""


@app.command("encryption-key")
def encryption_key(site: SiteDirectory = DEFAULT_SITE, json: Json = False) -> Verdict:
    """Make the key that kits can be sealed to, or show it.

    The public half goes to the sender; compare the fingerprint by another way, since who swaps it can read.
    """
    from kit.trust.keys import grouped
    from verifier import seal
    from verifier import site as sites

    console = Console(json=json)
    sites.load_bare(site)
    with sites.changing(site):
        known = seal.load_key(site)
        public = known.public if known is not None else seal.make_key(site, os.urandom)
    console.document(
        {
            "encryptionKey": public.fingerprint,
            "groups": grouped(public.fingerprint),
            "publicKey": str(site / seal.PUBLIC_FILE),
        }
    )
    following = f"send {seal.PUBLIC_FILE} home: stella kit seal KIT --to {seal.PUBLIC_FILE} --out DIR"
    return console.verdict("ENCRYPTION KEY MADE" if known is None else "ENCRYPTION KEY", 0, following)


@app.command("open")
def open_sealed(
    media: Annotated[
        Path, typer.Argument(help="The sealed kit's directory, or the medium that it lies on.", metavar="MEDIA")
    ],
    out: Annotated[Path, typer.Option("--out", help="Made by this command; only you can read it.", metavar="DIR")],
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Open a sealed kit, delta or volume into a directory.

    It proves nothing about the kit: verify or import what comes out. stella offline import opens sealed media itself.
    """
    from verifier import asked, guard, seal
    from verifier import site as sites
    from verifier.places import shown

    console = Console(json=json, progress=progress)
    kit, taken = asked.kit_directory(media)
    if taken:
        console.talk(f"note: {taken}")
    sites.load_bare(site)
    guard.enforce([out.absolute().parent])
    opened = seal.open_medium(
        kit, seal.load_key(site), out, lambda piece: console.step("opening", "running", piece.stored)
    )
    console.document({"kit": opened.kit.kit_id, "opened": str(out), "files": len(opened.files)})
    return console.verdict("OPENED, NOT VERIFIED", 0, f"stella offline import {shown(out)}")
