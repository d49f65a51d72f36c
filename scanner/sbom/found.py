"""Components as readers find them, and the operating system that they tell of (docs/matching.md sections 1.4 and 2)."""

from collections.abc import Iterable
from typing import Final

import msgspec

from scanner.identity import Source, System, system

OPERATING_SYSTEM: Final = "operating-system"


class Found(msgspec.Struct, frozen=True):
    """A component as a reader finds it, before the operating system of the whole document is known.

    ``source`` is the source package that the generator names, ``locations`` are paths at which the component was seen.
    """

    ref: str
    name: str
    version: str | None
    purl: str | None
    type: str | None
    source: Source | None = None
    locations: tuple[str, ...] = ()


def host_of(components: Iterable[Found]) -> System | None:
    """Return the operating system that a document describes: that of its components of this type, if they agree."""
    systems = {system(one.name, one.version or "") for one in components if one.type == OPERATING_SYSTEM}
    return systems.pop() if len(systems) == 1 else None
