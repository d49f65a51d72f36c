"""Fanning checks out over any ``concurrent.futures.Executor``, so that nothing one item does can end the others.

Items go in chunks, answers come back chunk by chunk. A chunk whose worker died runs again with nothing beside it, then
item by item; what takes its worker along even then is *lost*, an answer like any other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

from kit.errors import ServerUnreachable

CHUNK = 50
AHEAD = 8
"""Chunks that wait at the workers at once: none is idle, and no more than so many are done again after a kill."""
_ALONE = 2
"""How often an item may take its worker along while nothing else runs before it is given up."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Done(Generic[Answer]):
    """What a worker made of a chunk; where a server was gone, ``gone`` says so and some answers are missing."""

    answers: list[Answer]
    gone: dict[str, str | int] | None = None


def verify_many(
    items: Iterable[Item],
    executor: Executor,
    check: Callable[[Item], Answer],
    lost: Callable[[Item], Answer],
    *,
    chunk: int = CHUNK,
) -> Iterator[list[Answer]]:
    """Yield the answers to all items, a list a chunk, in the order in which chunks end.

    ``check`` goes to the workers; ``lost`` answers here for an item whose worker died with it. Raises
    :class:`ServerUnreachable`, after the answers that there are, when a worker met no store.
    """
    fresh = iter(items)
    running: dict[Future[Done[Answer]], list[Item]] = {}
    suspects: deque[tuple[list[Item], int]] = deque()
    while True:
        while len(running) < AHEAD and (part := list(islice(fresh, chunk))):
            running[executor.submit(work, check, part)] = part
        if not running:
            break
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            part = running.pop(future)
            if (done := _result(future)) is None:
                suspects.append((part, 0))
            else:
                yield from _told(done)
    while suspects:
        part, times = suspects.popleft()
        if (done := _result(executor.submit(work, check, part))) is not None:
            yield from _told(done)
        elif len(part) > 1:
            suspects.extend(([item], 0) for item in part)
        elif times + 1 < _ALONE:
            suspects.append((part, times + 1))
        else:
            yield [lost(part[0])]


def work(check: Callable[[Item], Answer], items: Sequence[Item]) -> Done[Answer]:
    """Check one chunk; this runs at a worker. Errors of this program cannot travel, so they come back as values."""
    answers: list[Answer] = []
    for item in items:
        try:
            answers.append(check(item))
        except ServerUnreachable as error:
            return Done(answers, error.details)
    return Done(answers)


def _result(future: "Future[Done[Answer]]") -> Done[Answer] | None:
    """Return what a worker answered; nothing where it died or could not be asked, whatever the engine calls that."""
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return None if error is not None else future.result()


def _told(done: Done[Answer]) -> Iterator[list[Answer]]:
    if done.answers:
        yield done.answers
    if done.gone is not None:
        raise ServerUnreachable(**done.gone)
