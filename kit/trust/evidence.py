"""What others vouch for about a signature: when it existed, and where a log has it (docs/format.md section 4.9).

None of it is written by the signer: the key of an authority, a log or a witness is never a signer's key. Whoever makes
these values has verified them under the RootPack.
"""

from collections.abc import Iterable

import msgspec

STAMP, PROMISE, WITNESS = "RFC 3161 time stamp", "log's promise", "witness cosignature"
"""Sources of a time."""

STAMP_SUFFIX = ".tsr"
MAX_STAMP = 32 << 10
MAX_STAMPS = 16
"""Time stamps over the signatures of one envelope, and the size of each."""


class Existence(msgspec.Struct, frozen=True):
    """That a key's signature existed at a time, and so was made before it.

    ``signer`` is the key's fingerprint, ``by`` that of the key or certificate whose word it is, ``name`` its name.
    ``time`` is the latest that the evidence allows, ``earliest`` the earliest: it is that late now, at least.
    """

    signer: str
    time: str
    earliest: str
    source: str
    by: str
    name: str
    file: str

    def __str__(self) -> str:
        return f"{self.file} ({self.source} by {self.name}) has the signature at {self.time}"


class Position(msgspec.Struct, frozen=True):
    """That a log, by its origin, has an entry about a key's signature at an index; ``signer`` is its fingerprint."""

    signer: str
    origin: str
    index: int
    file: str

    def __str__(self) -> str:
        return f"{self.file} shows that the log {self.origin} has the signature at index {self.index}"


class Evidence(msgspec.Struct, frozen=True):
    """Everything that is proven about the signatures of one envelope."""

    times: tuple[Existence, ...] = ()
    positions: tuple[Position, ...] = ()

    def with_more(self, other: "Evidence") -> "Evidence":
        """Return both together."""
        return Evidence(self.times + other.times, self.positions + other.positions)


NOTHING = Evidence()


def newest_agreed(times: Iterable[Existence]) -> Existence | None:
    """Return the newest time that two independent sources reach; None where there are not two.

    Sources are independent where both their keys and their names differ: one that has two keys, after a rotation, is
    still one. What one of them says alone counts for nothing.
    """
    newest: dict[tuple[str, str], Existence] = {}
    for one in times:
        known = newest.get((one.by, one.name))
        if known is None or (one.earliest, one.file) > (known.earliest, known.file):
            newest[one.by, one.name] = one
    ranked = sorted(newest.values(), key=lambda one: (one.earliest, one.file), reverse=True)
    for place, one in enumerate(ranked):
        if any(one.by != newer.by and one.name != newer.name for newer in ranked[:place]):
            return one
    return None
