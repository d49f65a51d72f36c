"""Options that several commands about RootPacks share, and what they make of them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from builder.cli.options import passphrase

if TYPE_CHECKING:
    from builder.trust_publish import Office

Keys = Annotated[
    Path,
    typer.Option(
        "--keys", envvar="STELLA_KEYS", help="Directory of the private key files, or key URIs.", metavar="DIR"
    ),
]
Owner = Annotated[str, typer.Option("--owner", help="Who holds the key, as sites are to see it.", metavar="NAME")]
Propose = Annotated[
    Path | None,
    typer.Option(
        "--propose", help="Publish nothing; write the change here, for other keepers to sign.", metavar="FILE"
    ),
]
Time = Annotated[str | None, typer.Option("--time", help="Take this UTC time for now.", metavar="YYYY-MM-DDTHH:MM:SSZ")]

DEFAULT_KEYS = Path("keys")


def office_of(rootpack: Path, keys: Path, time: str | None, passphrase_file: Path | None) -> "Office":
    """Return the keeper's office: the RootPack, the keys at hand, and the time."""
    from builder import trust_publish, trust_requests, trust_view

    trust_requests.check_there(rootpack)
    now = trust_view.second(trust_requests.moment(time))
    return trust_publish.Office(rootpack, keys, now, password=passphrase(passphrase_file))
