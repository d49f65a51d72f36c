"""Which kit is active at a site, channel by channel: the journal of activations (docs/format.md section 2.2).

The journal is part of the site's state and the only truth about it; the links below ``kits/current`` follow it.
"""

from collections.abc import Sequence

import msgspec

IMPORT = "import"
ROLLBACK = "rollback"
REBUILT = "rebuilt"


class Activation(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """One kit that became the active one of its channel.

    ``how`` is import, rollback or rebuilt; ``reason`` is the operator's, where the order of kits was overruled;
    ``place`` is where the kit lies if it was not copied.
    """

    channel: str
    kit_id: str
    sequence: int
    digest: str
    at: str
    how: str = IMPORT
    reason: str | None = None
    place: str | None = None


def active(activations: Sequence[Activation]) -> dict[str, Activation]:
    """Return the active kit of each channel, in the order of the channels."""
    latest = {entry.channel: entry for entry in activations}
    return dict(sorted(latest.items()))


def before(activations: Sequence[Activation], channel: str) -> Activation | None:
    """Return the kit that a channel's active one took the place of, other than itself."""
    current = active(activations).get(channel)
    others = [entry for entry in activations if entry.channel == channel and current and entry.digest != current.digest]
    return others[-1] if others else None
