"""Rendering of a finished run: status block or JSON, then the verdict line."""

from pathlib import Path
from typing import TYPE_CHECKING

from kit.bytes import canonical
from kit.errors import TrustRootNotPinned
from verifier.cli.console import Console, Verdict

if TYPE_CHECKING:
    from kit.trust.keys import PublicKey
    from verifier.report_rows import JsonObject
    from verifier.session import Outcome, Setting


def show(console: Console, outcome: "Outcome", setting: "Setting") -> Verdict:
    """Print what a run found; the verdict's code becomes the exit code."""
    from verifier.evidence import as_json
    from verifier.render import status_block

    result = outcome.result
    for note in outcome.notes:
        console.talk(f"note: {note}")
    encoded = canonical.encode_record(result)
    if console.json:
        console.raw(encoded)
    next_step = _with_places(result.next_step, outcome, setting)
    tree = _difference(outcome)
    block = status_block(
        as_json(encoded),
        where=f"{outcome.directory}/",
        next_step=next_step,
        difference=tree,
        closing=not console.is_conversation,
    )
    console.data(block)
    word = result.verdict if result.exit_code == 0 else f"{result.verdict}: {result.reason}"
    return console.verdict(word, result.exit_code, next_step)


def _with_places(next_step: str, outcome: "Outcome", setting: "Setting") -> str:
    """Fill the places of this host into a next step, which the signed result must not name."""
    from verifier.places import ops_option, shown, site_option

    site = site_option(setting.site)
    places = {
        "RUN_DIR": shown(outcome.directory),
        "MANIFEST": shown(outcome.manifest),
        "stella sync export": f"stella sync export{ops_option(setting.ops)}{site}",
        "--strict --offline": f"--strict --offline{ops_option(setting.ops)}{site}",
        "stella receipt": f"stella receipt{site}",
    }
    for word, place in places.items():
        next_step = next_step.replace(word, place)
    return next_step


def _difference(outcome: "Outcome") -> "JsonObject | None":
    """Return the difference that a run has written, if it has."""
    from kit import result as results
    from verifier.evidence import DIFFERENCE_FILE, as_json
    from verifier.medium import read_file

    if outcome.result.difference_digest is None:
        return None
    return as_json(read_file(outcome.directory / DIFFERENCE_FILE, limit=results.MAX_BYTES))


def key_of(console: Console, site: Path) -> "PublicKey | None":
    """Return the key of the site at a place; where there is none, say that signatures stay unchecked."""
    from verifier.site import load

    try:
        return load(site).signer.public
    except TrustRootNotPinned:
        console.talk("note: no site is pinned here, so the signature of this document was not checked")
        return None
