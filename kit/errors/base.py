"""What every error has: reason code, exit code, sentence, next step (docs/reason-codes.md).

The class name is the reason code. Details travel as fields, so that a caller renders them as text or JSON without
parsing prose.
"""

from typing import ClassVar, Self

MAX_DETAIL = 512
"""How much of a foreign text an error repeats, in characters."""


def _short(value: str | int) -> str | int:
    return value if isinstance(value, int) or len(value) <= MAX_DETAIL else value[:MAX_DETAIL] + "..."


class StellaError(Exception):
    """Base of every error that a user can meet; never raised itself.

    Keyword arguments are the details of one occurrence: ``path``, ``expected``, ``found``, ``pointer``, ``detail`` and
    the like. Values are strings or integers, already fit to be shown (no absolute path of the machine, no secret).
    """

    exit_code: ClassVar[int] = 1
    sentence: ClassVar[str] = "Something went wrong."
    next_step: str = "Report this as a bug."

    def __init__(self, **details: str | int) -> None:
        super().__init__(details)
        self.details: dict[str, str | int] = {name: _short(value) for name, value in details.items()}

    def then(self, next_step: str) -> Self:
        """Return the error with another next step than its class's, where the occurrence asks for one."""
        self.next_step = next_step
        return self

    @property
    def reason(self) -> str:
        """Return the stable reason code, the name of the class."""
        return type(self).__name__

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {value}" for name, value in self.details.items())
        return f"{self.sentence} ({shown})" if shown else self.sentence
