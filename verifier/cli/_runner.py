"""Runs a command and ends it: every way out becomes a reason code, a verdict line and an exit code.

A command returns the verdict that it gave to the console. It raises a ``StellaError`` for everything that a user can
meet; what else escapes is a bug, ``InternalError``, with its traceback only if ``STELLA_DEBUG`` is set.
"""

import errno
import os
import sys
from collections.abc import Callable

from kit.errors import InternalError, Interrupted, NoSpace, NotReadable, NotWritable, StellaError, UsageError
from verifier.cli.console import Console, Verdict, one_line, write

SCHEMA_VERSION = "1.0"

_LIBRARY_INTERRUPTED = 130

_FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
_MISTAKEN = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP)
_FAULTY_MEDIUM = (errno.EIO, errno.ENXIO, errno.ENODEV, errno.ESTALE, errno.ENOMEDIUM)


def run(action: Callable[[], object], *, json: bool = False) -> int:
    """Run the action and return the exit code; with ``json`` a failure is also one JSON object on stdout."""
    console = Console(json=json)
    try:
        return _end(action())
    except KeyboardInterrupt:
        return _fail(Interrupted(), console)
    except Exception as error:  # noqa: BLE001  # the last place where anything can be made of it
        failure = _as_failure(error)
        if isinstance(failure, InternalError) and os.environ.get("STELLA_DEBUG"):
            import traceback

            write(sys.stderr, "".join(traceback.format_exception(error)))
        return _fail(failure, console)


def _end(outcome: object) -> int:
    """Return the exit code of a command that returned; integers are those of the command-line library's ``Exit``."""
    if outcome == _LIBRARY_INTERRUPTED:
        raise KeyboardInterrupt
    if isinstance(outcome, Verdict):
        return outcome.exit_code
    if outcome == 0:  # help was printed
        return 0
    raise InternalError(detail=f"a command ended with {type(outcome).__name__}, not with a verdict")


def _fail(failure: StellaError, console: Console) -> int:
    console.talk(one_line(f"stella: {failure.reason}: {failure}"))
    if console.json:
        console.document(
            {
                "schemaVersion": SCHEMA_VERSION,
                "ok": False,
                "reason": failure.reason,
                "exitCode": failure.exit_code,
                "message": failure.sentence,
                "nextStep": failure.next_step,
                "details": failure.details,
            }
        )
    console.verdict(failure.reason, failure.exit_code, failure.next_step)
    return failure.exit_code


def _as_failure(error: Exception) -> StellaError:
    match error:
        case StellaError():
            return error
        case OSError():
            return _from_operating_system(error)
        case RuntimeError() if str(error).startswith(_LOOP):
            return UsageError(path=str(error).removeprefix(_LOOP).strip("'"), detail="links that lead in a circle")
        case _:
            return _from_command_line(error) or _bug(error)


_LOOP = "Symlink loop from "
"""How the standard library's Path.resolve() begins to say so; no class of its own tells."""


def _from_operating_system(error: OSError) -> StellaError:
    """Tell the causes that a user can mend from bugs; a path is shown as it was given."""
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    details = ({"path": name} if name else {}) | {"detail": error.strerror or type(error).__name__}
    if error.errno in _FULL:
        return NoSpace(**details)
    if error.errno in _FAULTY_MEDIUM:
        return NotReadable(**details)
    if error.errno == errno.EROFS:
        return NotWritable(**details)
    if error.errno in _FORBIDDEN and name:
        unreadable = os.path.exists(error.filename) and not os.access(error.filename, os.R_OK)  # noqa: PTH110
        return NotReadable(**details) if unreadable else NotWritable(**details)
    if error.errno in _MISTAKEN and name:
        return UsageError(**details)
    return _bug(error)


def _from_command_line(error: Exception) -> StellaError | None:
    """Translate what the command-line library raises; a command that never loaded it raises nothing of its kind."""
    if "typer" not in sys.modules:
        return None
    from typer import Abort, TyperException

    if isinstance(error, Abort):
        return Interrupted()
    return UsageError(detail=error.format_message()) if isinstance(error, TyperException) else None


def _bug(error: Exception) -> InternalError:
    return InternalError(detail=one_line(f"{type(error).__name__}: {error}"))
