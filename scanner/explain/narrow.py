"""The smallest set of changes that has to be undone to undo a difference (docs/matching.md section 9.3).

A set is minimal if undoing all of it undoes the difference and undoing any part of it does not. Which worlds are tried
is a question of counts, never of time, so that the answer is the same everywhere.
"""

from collections.abc import Callable, Sequence


class Exhausted(Exception):
    """The work that may be spent on narrowing down causes is spent. Never leaves the explanation."""


class Budget:
    """How much work is left, in records and statements weighed."""

    def __init__(self, work: int) -> None:
        self._left = work

    def spend(self, work: int) -> None:
        """Take work out of the budget; raises :class:`Exhausted` where there is not so much left."""
        if work > self._left:
            self._left = 0
            raise Exhausted
        self._left -= work


def minimal(changes: Sequence[str], undoes: Callable[[frozenset[str]], bool]) -> tuple[str, ...]:
    """Return a minimal set, in the given order; empty where undoing everything does not do, or undoing nothing does.

    A single change is looked for first, in the given order; of larger sets the one that keeps the earlier changes.
    """
    if undoes(frozenset()) or not undoes(frozenset(changes)):
        return ()
    for change in changes:
        if undoes(frozenset({change})):
            return (change,)
    kept = list(reversed(changes))
    size = (len(kept) + 1) // 2
    while True:
        before = len(kept)
        start = 0
        while start < len(kept):
            trial = kept[:start] + kept[start + size :]
            if undoes(frozenset(trial)):
                kept = trial
            else:
                start += size
        if size == 1 and len(kept) == before:
            return tuple(reversed(kept))
        size = max(1, size // 2)
