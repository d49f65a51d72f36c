"""stella rootpack sign, publish: a proposed change on its way from keeper to keeper."""

from pathlib import Path
from typing import Annotated

import typer

from builder.cli import rootpack_lines as lines
from builder.cli.options import DEFAULT_ROOTPACK, Passphrase, RootPack, passphrase
from builder.cli.rootpack_options import DEFAULT_KEYS, Keys, Time, office_of
from verifier.cli.console import Console, Verdict
from verifier.cli.options import Json

app = typer.Typer()

EXAMPLES = """
Examples:

  stella rootpack sign next.draft --keys /media/two

  stella rootpack sign next.draft --keys /media/two --expect SHA256:5b1f...

  stella rootpack publish next.draft --keys keys

  stella rootpack publish --keys keys
"""


@app.command()
def sign(
    draft: Annotated[Path, typer.Argument(help="The proposed change; the signatures are added to it.", metavar="FILE")],
    keys: Keys = DEFAULT_KEYS,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    expect: Annotated[
        str | None,
        typer.Option(
            "--expect", help="Fingerprint of the change, as its proposer saw it: SHA256:<hex>.", metavar="FINGERPRINT"
        ),
    ] = None,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Sign a proposed change with every wanted key that is at hand.

    Needs the RootPack that the change follows, and no network: file, RootPack and keys may be on a machine of your own.
    """
    from builder import trust_requests

    console = Console(json=json)
    opened = trust_requests.sign(draft, rootpack, keys, passphrase(passphrase_file), expect=expect)
    lines.print_draft(console, opened, trust_requests.moment(time))
    return console.verdict(*lines.standing(opened, draft))


@app.command()
def publish(
    draft: Annotated[
        list[Path] | None,
        typer.Argument(help="The signed change, or copies of it that each keeper has signed.", metavar="FILE"),
    ] = None,
    rootpack: RootPack = DEFAULT_ROOTPACK,
    keys: Keys = DEFAULT_KEYS,
    passphrase_file: Passphrase = None,
    time: Time = None,
    json: Json = False,
) -> Verdict:
    """Publish a change that enough keepers have signed.

    Without one, snapshot and timestamp are renewed. Needs the online key alone.
    """
    from builder import trust, trust_requests

    office = office_of(rootpack, keys, time, passphrase_file)
    console = Console(json=json)
    copies = [trust_requests.draft(path) for path in draft or []]
    view = trust.publish(office, copies) if copies else trust.refresh(office)
    lines.print_out(console, view, lines.published_lines(view))
    return console.verdict("PUBLISHED", 0, lines.carries(rootpack))
