"""Options that the commands of the connected side share."""

from pathlib import Path
from typing import Annotated

import typer

RootPack = Annotated[
    Path, typer.Option("--rootpack", envvar="STELLA_ROOTPACK", help="The RootPack's directory.", metavar="DIR")
]
KitKeys = Annotated[
    list[str],
    typer.Option(
        "--key",
        help="Private key of usage kit in the RootPack: a file (PEM), or PUB.pem=URI of one in an HSM or KMS.",
        metavar="KEY",
    ),
]
Passphrase = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="Passphrase of the private keys, in the first line.", metavar="FILE"),
]

DEFAULT_ROOTPACK = Path("rootpack")


def passphrase(path: Path | None) -> bytes | None:
    """Return the passphrase that a file holds, if one is given."""
    from builder import signer

    return None if path is None else signer.read_passphrase(path)
