"""Checks as people read them: in the order of their numbers, whatever the order in which they were made.

An import of volumes makes check 8 before check 6, and a failure leaves a tail of checks that were not made for one and
the same reason.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kit.result import Check

_AFTER_FAILURE = "the check '"
"""How the reason begins why a check was not made after another one had failed."""


class Numbered:
    """Holds a check back until those before it were told; tells the unmade after a failure in one line."""

    def __init__(self, tell: "Callable[[str, Check], None]") -> None:
        self._tell = tell
        self._next = 1
        self._waiting: dict[int, Check] = {}
        self._unmade: list[Check] = []

    def add(self, check: "Check") -> None:
        """Take a check; the first of another run begins anew."""
        from verifier.steps import ORDER

        if check.number < self._next:
            self.end()
        self._waiting[check.number] = check
        while (ready := self._waiting.pop(self._next, None)) is not None:
            self._next += 1
            self._pass_on(ready)
        if self._next > len(ORDER):
            self.end()

    def end(self) -> None:
        """Tell whatever is left, as after the last check of a run."""
        for _, check in sorted(self._waiting.items()):
            self._pass_on(check)
        self._waiting.clear()
        self._flush()
        self._next = 1

    def _pass_on(self, check: "Check") -> None:
        follows = check.state == "not-made" and (check.detail or "").startswith(_AFTER_FAILURE)
        if self._unmade and (not follows or check.number != self._unmade[-1].number + 1):
            self._flush()
        if follows:
            self._unmade.append(check)
        else:
            self._tell(str(check.number), check)

    def _flush(self) -> None:
        if self._unmade:
            first, last = self._unmade[0], self._unmade[-1]
            number = str(first.number) if first is last else f"{first.number} to {last.number}"
            self._tell(number, first)
            self._unmade = []
