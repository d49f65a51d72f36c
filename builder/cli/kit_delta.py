"""stella kit delta: a kit without what its site has proven to have."""

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

  stella kit delta offline-6 --since-receipt receipt.dsse.json --base offline-5 --key keys/kit-1.key.pem --out delta-6

  stella kit delta offline-6 --since-receipt scanned.txt --base offline-5 --key keys/kit-1.key.pem --out delta-6 --json
"""


@app.command()
def delta(
    kit: Annotated[Path, typer.Argument(help="The finished kit's directory; it stays as it is.", metavar="KIT")],
    since_receipt: Annotated[
        Path,
        typer.Option("--since-receipt", help="The site's receipt of the import of the base.", metavar="FILE"),
    ],
    base: Annotated[
        Path, typer.Option("--base", help="The kit that the receipt is about, whole, as it was built.", metavar="KIT")
    ],
    key: KitKeys,
    out: Annotated[Path, typer.Option("--out", help="Made by this command: what goes on the medium.", metavar="DIR")],
    rootpack: RootPack = DEFAULT_ROOTPACK,
    passphrase_file: Passphrase = None,
    json: Json = False,
    progress: Progress = "auto",
) -> Verdict:
    """Make a delta of a kit, on what a receipt proves.

    It is the same kit, without the programs and feeds that the site has proven to have. The site makes it whole and
    checks every byte; where its base is gone, it asks for the whole kit.
    """
    from builder import delta as maker
    from builder import requests, signing
    from verifier import asked, session
    from verifier.run_dir import stamp

    console = Console(json=json, progress=progress)
    kit, _ = asked.kit_directory(kit)
    requests.check_private(key)
    now = session.clock()
    on = maker.proven(since_receipt, base, rootpack, now)
    signers = signing.load(key, rootpack, at=stamp(now), password=passphrase(passphrase_file))
    made = maker.make(kit, on, out, signers, lambda piece: console.step("comparing", "running", piece.path))
    console.document(maker.summary(kit, out, made))
    return console.verdict("DELTA MADE", 0, f"copy {quoted([str(out)])} to the medium; keep {quoted([str(kit)])}")
