"""stella offline rollback: the kit that was active before becomes the active one again, on record."""

from datetime import datetime
from pathlib import Path

from kit.errors import StellaError, UsageError
from verifier import site_kits
from verifier.kit_store import Store, check_copy
from verifier.run_dir import stamp
from verifier.site import Site
from verifier.site_kits import Activation

_NOT_WHOLE = range(30, 33)
"""Exit codes of a kept copy whose bytes, form or files are not those that were signed."""


def roll_back(site: Site, kits: Path, channel: str, reason: str, now: datetime) -> tuple[Activation, str]:
    """Activate the previous kit of a channel and return it, and the id of the one that was left.

    Raises :class:`UsageError` where there is none, or no reason; the errors of :func:`check_copy` for a copy that is
    not whole any more.
    """
    if not reason.strip():
        raise UsageError(option="--reason", detail="the reason is kept, and must not be empty")
    store = Store(kits)
    store.prepare()
    with store.locked(), site.locked():
        current = site_kits.active(site.state.activations).get(channel)
        previous = site_kits.before(site.state.activations, channel)
        if current is None or previous is None:
            known = ", ".join(site_kits.active(site.state.activations)) or "none"
            detail = "there is no earlier kit to go back to" if current else "no kit of this channel was ever active"
            raise UsageError(detail=detail, found=channel[:64], expected=f"channels with an active kit: {known}").then(
                "See what was active: stella offline status"
            )
        try:
            check_copy(store.place(previous), previous.digest)
        except StellaError as error:
            if error.exit_code not in _NOT_WHOLE:
                raise
            raise error.then(
                "The active kit stays. To have this one again, bring its medium: "
                "stella offline import MEDIA --force-activate --force-reason TEXT"
            ) from None
        entry = Activation(
            channel=channel,
            kit_id=previous.kit_id,
            sequence=previous.sequence,
            digest=previous.digest,
            at=stamp(now),
            how=site_kits.ROLLBACK,
            reason=reason,
            place=previous.place,
        )
        site.update(activations=(*site.state.activations, entry))
        store.follow(site.state.activations)
    return entry, current.kit_id
