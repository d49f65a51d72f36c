"""The list of checks of one run: each passed, failed, or not made with the reason why (docs/format.md section 7)."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kit.errors import StellaError
from kit.result import Check

ORDER = (
    "media",
    "rootpack",
    "kit-envelope",
    "kit-content",
    "order",
    "manifest-envelope",
    "manifest-content",
    "volumes",
    "files",
    "input-bundle",
    "output-bundle",
    "merkle-roots",
    "ledger",
    "staleness",
    "engine-and-tools",
    "replay",
    "comparison",
)
"""Names of the checks in the order in which they are made; a check's number is its place here, from 1."""


class Steps:
    """Makes checks in order and remembers each; ``on_check`` hears of every one as it is made."""

    def __init__(self, on_check: Callable[[Check], None]) -> None:
        self._on_check = on_check
        self._made: dict[str, Check] = {}
        self._failed: str | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[dict[str, object]]:
        """Make one check: the block passes or raises; it fills the evidence that it yields."""
        evidence: dict[str, object] = {}
        try:
            yield evidence
        except StellaError as error:
            self._failed = self._failed or name
            self._add(name, "failed", reason=error.reason, detail=str(error), evidence=evidence or None)
            raise
        self._add(name, "passed", evidence=evidence or None)

    def not_made(self, name: str, why: str) -> None:
        """Record that a check was not made, and why."""
        self._add(name, "not-made", detail=why)

    def finished(self) -> tuple[Check, ...]:
        """Return every check in order, those that were never reached as not made."""
        why = f"the check '{self._failed}' failed before it" if self._failed else "the run ended before it"
        for name in ORDER:
            if name not in self._made:
                self._add(name, "not-made", detail=why)
        return tuple(self._made[name] for name in ORDER)

    def _add(self, name: str, state: str, **parts: object) -> None:
        check = Check(number=ORDER.index(name) + 1, name=name, state=state, **parts)  # type: ignore[arg-type]
        self._made[name] = check
        self._on_check(check)
