"""Options that the locker's commands share."""

from pathlib import Path
from typing import Annotated

import typer

from locker.who import named

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

By = Annotated[
    str | None, typer.Option("--by", help="Who orders it, besides the account; the account by default.", metavar="NAME")
]

DEFAULT_LOCKER = Path("locker")
DEFAULT_TENANT = "default"


def person(by: str | None) -> str:
    """Return who orders something: the name that was given, with the account of this machine that gave it."""
    import os
    import pwd

    number = os.getuid()
    try:
        account = pwd.getpwuid(number).pw_name
    except KeyError:
        account = str(number)
    return named(by or "", account)


def elsewhere(locker: Path) -> list[str]:
    """Return the option that leads to a locker which is not at the place taken by default."""
    return [] if locker == DEFAULT_LOCKER else ["--locker", str(locker)]
