"""Rendering of a finished run: status block or JSON, then the verdict line."""

from pathlib import Path
from typing import TYPE_CHECKING

from kit.bytes import canonical
from kit.errors import TrustRootNotPinned
from verifier.cli.console import Console, Verdict

if TYPE_CHECKING:
    from kit.trust.keys import PublicKey
    from verifier.session import Outcome


def show(console: Console, outcome: "Outcome") -> Verdict:
    """Print what a run found; the verdict's code becomes the exit code."""
    from verifier.evidence import as_json
    from verifier.render import status_block

    result = outcome.result
    for note in outcome.notes:
        console.talk(f"note: {note}")
    encoded = canonical.encode_record(result)
    if console.json:
        console.raw(encoded)
    console.data(status_block(as_json(encoded), where=f"{outcome.directory}/"))
    word = result.verdict if result.exit_code == 0 else f"{result.verdict}: {result.reason}"
    return console.verdict(word, result.exit_code, result.next_step)


def key_of(console: Console, site: Path) -> "PublicKey | None":
    """Return the key of the site at a place; where there is none, say that signatures stay unchecked."""
    from verifier.site import load

    try:
        return load(site).signer.public
    except TrustRootNotPinned:
        console.talk("note: no site is pinned here, so the signature of this document was not checked")
        return None
