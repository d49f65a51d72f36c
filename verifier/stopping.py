"""How a request to stop (Ctrl-C, SIGTERM) ends a command: once, and never after its outcome stands.

The first request raises KeyboardInterrupt; whatever follows it is ignored, so that the command can end as it says it
does. A terminal sends a request to the whole group, and a one-file program's loader hands it on: the same request comes
twice.
"""

import signal
from types import FrameType

REQUESTS = (signal.SIGINT, signal.SIGTERM)


def install() -> None:
    """Let the first request end the command; only the main thread of a program may call this."""
    for number in REQUESTS:
        signal.signal(number, _stop)


def settle() -> None:
    """Ignore requests from now on, where :func:`install` was called: the outcome stands, or is being told."""
    for number in REQUESTS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_IGN)


def _stop(_number: int, _frame: FrameType | None) -> None:
    settle()
    raise KeyboardInterrupt
