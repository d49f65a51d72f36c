"""stella rootpack require: evidence that a RootPack demands of every run."""

from pathlib import Path
from typing import Annotated

import typer

from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack
from builder.cli.rootpack import Keys, Propose, Time, office_of, publish_or_propose
from kit.errors import UsageError
from verifier.cli.console import Verdict
from verifier.cli.options import Json

EXAMPLES = """
Examples:

  stella rootpack require log --keys keys

  stella rootpack require log --off --keys /media/one --propose next.draft
"""

app = typer.Typer()


@app.command()
def require(
    usage: Annotated[str, typer.Argument(help="Whose evidence every run must have: log.", metavar="USAGE")],
    off: Annotated[bool, typer.Option("--off", help="Demand it no longer.")] = False,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = Path("keys"),
    propose: Propose = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Demand ledger evidence of every run.

    No site can turn off what the RootPack demands, and no kit is built that lacks it.
    """
    from builder import trust_change
    from kit.trust.keyring import REQUIRABLE

    if usage not in REQUIRABLE:
        raise UsageError(
            detail="evidence of this usage cannot be demanded", expected=", ".join(REQUIRABLE), found=usage
        )
    change = trust_change.requiring(usage, required=not off)
    return publish_or_propose(change, office_of(rootpack, keys, time, passphrase_file), propose, json=json)
