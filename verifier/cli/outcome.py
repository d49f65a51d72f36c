"""Rendering of a finished run: status block or JSON, then the verdict line."""

from kit.bytes import canonical
from verifier.cli.console import Console, Verdict
from verifier.session import Outcome


def show(console: Console, outcome: Outcome) -> Verdict:
    """Print what a run found; the verdict's code becomes the exit code."""
    from verifier.evidence import as_json
    from verifier.render import status_block

    result = outcome.result
    for name in outcome.cut_off:
        console.talk(f"note: an earlier run was cut off and counts for nothing: {name}")
    encoded = canonical.encode_record(result)
    if console.json:
        console.raw(encoded)
    console.data(status_block(as_json(encoded), where=f"{outcome.directory}/"))
    word = result.verdict if result.exit_code == 0 else f"{result.verdict}: {result.reason}"
    return console.verdict(word, result.exit_code, result.next_step)
