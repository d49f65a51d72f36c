"""stella diff: what changed between two scans or runs, and why."""

from pathlib import Path
from typing import Annotated

import typer

from kit.errors import ReplayDiffers
from verifier.cli.console import Console, Verdict
from verifier.cli.options import DEFAULT_SITE, Json, SiteDirectory

EXAMPLES = """
Examples:

  stella diff scans/<scan-id> scans/<other-scan-id>

  stella diff scans/<scan-id> ops/offline/replay/<scan-id>/<run-id> --exit-code
"""

_WHAT = "A scan's directory, manifest.json or output bundle, or a run's directory."


def command(
    first: Annotated[Path, typer.Argument(help=_WHAT, metavar="A")],
    second: Annotated[Path, typer.Argument(help="The other one, named in the same way.", metavar="B")],
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Leave with 10 when they differ.")] = False,
    site: SiteDirectory = DEFAULT_SITE,
    json: Json = False,
) -> Verdict:
    """Hold two sets of outputs against one another; a scan's signatures are not checked."""
    from kit.bytes import canonical
    from verifier import compare, evidence, guard, sources
    from verifier.cli.outcome import key_of
    from verifier.difference_text import difference_text

    console = Console(json=json)
    is_run = any((path / evidence.RESULT_FILE).is_file() for path in (first, second))
    key = key_of(console, site) if is_run else None
    guard.enforce([])
    with sources.opened(first, key) as old, sources.opened(second, key) as new:
        difference = compare.diff(old, new)
    encoded = canonical.encode_record(difference)
    if json:
        console.raw(encoded)
    console.data(difference_text(difference))
    for name, one in (("A", old), ("B", new)):
        console.talk(f"note: {name} is {one.standing}")
    if not difference.equal:
        console.talk(f"note: {compare.inputs_at_hand(old, new)}")
    if "scan" in (old.kind, new.kind):
        console.talk("note: signatures were not checked; use stella verify for that")
    if difference.equal:
        return console.verdict("EQUAL", 0)
    return console.verdict("DIFFERENT", ReplayDiffers.exit_code if exit_code else 0)
