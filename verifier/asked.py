"""What an operator typed: a value that breaks a rule is a usage error, whoever's rule it is."""

from collections.abc import Iterator
from contextlib import contextmanager

from kit.errors import MalformedDocument, UsageError


@contextmanager
def typed(option: str) -> Iterator[None]:
    """Make a value that breaks a rule of the documents the mistake that it is when an operator typed it."""
    try:
        yield
    except MalformedDocument as error:
        details = {name: value for name, value in error.details.items() if name != "pointer"}
        raise UsageError(**(details | {"option": option})).then(
            f"Give {option} in the form that is expected."
        ) from None
