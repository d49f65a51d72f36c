"""stella diff: what changed between two recorded scans, and why."""

from pathlib import Path
from typing import Annotated

import typer

from kit.errors import ReplayDiffers
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json


def command(
    first: Annotated[Path, typer.Argument(help="A scan's directory or manifest.json.", metavar="A")],
    second: Annotated[Path, typer.Argument(help="The other scan's directory or manifest.json.", metavar="B")],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Leave with 10 when they differ.")] = False,
    json: Json = False,
) -> Verdict:
    """Hold two recorded scans against one another; bytes are checked by their manifests, signatures are not."""
    from kit.bytes import canonical
    from verifier import compare, evidence, guard
    from verifier.render import diff_text

    console = Console(json=json)
    guard.enforce([])
    difference = compare.diff(compare.open_scan(first), compare.open_scan(second))
    encoded = canonical.encode_record(difference)
    if json:
        console.raw(encoded)
    console.data(diff_text(evidence.as_json(encoded)))
    console.talk("note: signatures were not checked; use stella verify for that")
    if difference.equal:
        return console.verdict("EQUAL", 0)
    return console.verdict("DIFFERENT", ReplayDiffers.exit_code if exit_code else 0)
