"""On whose behalf a program acts on a locker: what the timeline says of the actor (docs/locker.md, "Timeline").

Nobody proves a name here: whoever can write to the locker's directory can give any. It is kept as what it is, with
where it came from.
"""

import getpass
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import uuid4

from kit import __version__
from kit.errors import UsageError

VARIABLE = "STELLA_ACTOR"
MAX_NAME = 128


@dataclass(frozen=True, slots=True)
class Acting:
    """A named actor, the program's version, one id for all that a command does, and where salts come from."""

    actor: str | None
    version: str = __version__
    request: str | None = None
    entropy: Callable[[int], bytes] = secrets.token_bytes


NOBODY = Acting(None)
"""What a library that was not told acts as: no actor is named."""


def of_process(given: str | None = None, environment: Mapping[str, str] = os.environ) -> Acting:
    """Return who runs this process: the given name, that of the environment, or that of the user at the system.

    The name says which of the three it is. Raises :class:`UsageError` for a name that is no line of text.
    """
    request = str(uuid4())
    for source, name in (("option", given), ("environment", environment.get(VARIABLE))):
        if name:
            if len(name) > MAX_NAME or not name.isprintable() or not name.strip():
                detail = f"the actor is a line of at most {MAX_NAME} characters"
                raise UsageError(option="--actor", detail=detail, found=ascii(name)[1:-1][:80])
            return Acting(f"{source}:{name}", request=request)
    return Acting(f"system:{_user()}", request=request)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"
