"""Which kit is active at a site, channel by channel: the journal of activations (docs/format.md section 2.2).

The journal is part of the site's state and the only truth about it; the links below ``kits/current`` follow it.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

DEFAULT_CHANNEL = "default"
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


class Pruning(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Copies of kits that were removed to make room: written before the first is touched.

    ``kits`` are the ids of whole copies, ``unfinished`` the names of those that were on their way; ``size`` is what all
    took. ``forgot`` is the operator's reason where a receipt had told the sender that one of them is here.
    """

    at: str
    kits: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    size: int = 0
    forgot: str | None = None


def active(activations: Sequence[Activation]) -> dict[str, Activation]:
    """Return the active kit of each channel, in the order of the channels."""
    latest = {entry.channel: entry for entry in activations}
    return dict(sorted(latest.items()))


def before(activations: Sequence[Activation], channel: str) -> Activation | None:
    """Return the kit that a channel's active one took the place of, other than itself."""
    return next(iter(earlier(activations, channel)), None)


def earlier(activations: Sequence[Activation], channel: str) -> list[Activation]:
    """Return the kits that were active in a channel before the one that is, each once, the latest first."""
    current = active(activations).get(channel)
    latest = {entry.digest: entry for entry in activations if entry.channel == channel}
    order = dict.fromkeys(entry.digest for entry in reversed(activations) if entry.channel == channel)
    return [latest[found] for found in order if current is not None and found != current.digest]


def places(activations: Sequence[Activation], kit_digest: str) -> list[Path]:
    """Return where a kit lies that was activated in place, the latest place first."""
    return [Path(entry.place) for entry in reversed(activations) if entry.digest == kit_digest and entry.place]


def promised(activations: Sequence[Activation]) -> dict[str, str]:
    """Return kits that a receipt of this site promises to keep: digest of KIT.json, to kit id.

    A receipt says ``holds`` where an import copied a kit and made it the active one, and a sender may build a delta on
    what the newest such receipt of a channel says. An older one is taken back by the one after it. A kit that is
    activated in place is promised by none. Who removes kits keeps these, and the active ones.
    """
    latest = {entry.channel: entry for entry in activations if entry.how != ROLLBACK and entry.place is None}
    return {entry.digest: entry.kit_id for entry in latest.values()}
