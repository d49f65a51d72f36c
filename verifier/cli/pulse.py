"""A sign of life from a long step: a line every half minute, so that a log shows what is at work.

The system's timer interrupts whatever runs; no thread is started, since the network guard wants to be alone.
"""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SECONDS = 30
"""How long a command may be silent."""


@contextmanager
def beating(tell: Callable[[int], None], every: float = SECONDS) -> Iterator[None]:
    """Call ``tell`` with the seconds since the beginning, again and again, until the block ends.

    Off the main thread, where no signal arrives, nothing is told. ``tell`` may come between any two instructions.
    """
    begun = time.monotonic()

    def beat(_number: int, _frame: FrameType | None) -> None:
        tell(int(time.monotonic() - begun))

    try:
        before = signal.signal(signal.SIGALRM, beat)
    except ValueError:
        yield
        return
    signal.setitimer(signal.ITIMER_REAL, every, every)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
