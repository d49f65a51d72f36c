"""stella receipt: the small signed slip of a run, to be handed back."""

from pathlib import Path
from typing import Annotated

import typer

from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, Json, SiteDirectory

EXAMPLES = """
Examples:

  stella receipt ops/offline/replay/<scan-id>/<run-id>

  stella receipt ops/offline/replay/<scan-id>/<run-id> --out receipt.dsse.json
"""


def command(
    run: Annotated[
        Path, typer.Argument(help="A run directory below ops/offline/replay/<scan-id>/.", metavar="RUN_DIR")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Copy the signed slip (receipt.dsse.json) there.", metavar="FILE")
    ] = None,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Print the receipt of a run; the signed form is receipt.dsse.json beside it."""
    from kit.result import parse_receipt
    from verifier import evidence
    from verifier.cli.outcome import key_of
    from verifier.durable import write_atomic
    from verifier.render import receipt_text

    console = Console(json=json)
    key = key_of(console, site)
    data = evidence.read_receipt(run, key)
    if out is not None:
        write_atomic(out, (run / evidence.RECEIPT_ENVELOPE).read_bytes())
    if json:
        console.raw(data)
    console.data(receipt_text(parse_receipt(data), is_checked=key is not None))
    if key is None:
        return console.verdict("RECEIPT, NOT CHECKED", 0)
    return console.verdict("RECEIPT", 0, "hand it back; stella sync export sends it with the results")
