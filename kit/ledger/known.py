"""The part of a site's state that is about logs (docs/format.md section 10.5); kit.ledger.memory keeps it."""

from typing import Annotated

import msgspec


class KnownTree(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """One tree that a log has shown: its size and the digest that is its root.

    ``accepted``: as the checkpoint of a proof, not as a prefix of one only.
    """

    size: int
    root: str
    accepted: bool = False


class KnownLog(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A log by its origin: trees that are all prefixes of the last one, ascending by size; when it was first met."""

    origin: str
    first_seen: str
    trees: Annotated[tuple[KnownTree, ...], msgspec.Meta(min_length=1)]
