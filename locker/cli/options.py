"""Options that the locker's commands share."""

from pathlib import Path
from typing import Annotated

import typer

LockerDirectory = Annotated[
    Path, typer.Option("--locker", envvar="STELLA_LOCKER", help="The locker's directory.", metavar="DIR")
]
Tenant = Annotated[str, typer.Option("--tenant", help="Whose evidence it is.", metavar="NAME")]
RootPack = Annotated[
    Path | None,
    typer.Option("--rootpack", help="A RootPack to accept first; the newest one seen is kept.", metavar="DIR"),
]
Actor = Annotated[
    str | None,
    typer.Option(
        "--actor", help="Who acts, for the timeline; else STELLA_ACTOR, else the system's user.", metavar="NAME"
    ),
]

DEFAULT_LOCKER = Path("locker")
DEFAULT_TENANT = "default"


def elsewhere(locker: Path) -> list[str]:
    """Return the option that leads to a locker which is not at the place taken by default."""
    return [] if locker == DEFAULT_LOCKER else ["--locker", str(locker)]
