"""What a period's report is made from: the runs that are here, and as much of their site as is here too."""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from kit.bytes import digest
from kit.errors import SiteDamaged, TrustRootNotPinned
from kit.trust.keys import PublicKey
from verifier import period_runs
from verifier import site as sites
from verifier.medium import read_file
from verifier.period import Period
from verifier.period_runs import AuditedRuns
from verifier.site import SiteState


class Sources(msgspec.Struct, frozen=True):
    """What a report is made from.

    Without a state ``unknown`` says why there is none, or ``damage`` what is wrong with the one that is there.
    """

    period: Period
    runs: AuditedRuns
    site: str | None
    root: str | None
    state: SiteState | None
    quarantine: Path | None
    unknown: str | None = None
    damage: str | None = None


def gather(period: Period, places: Sequence[Path], *, key: Path | None, site: Path, kits: Path) -> Sources:
    """Read what is here: runs below ``places``, the site or else its public ``key`` alone, the quarantine of ``kits``.

    A memory of the site that is damaged counts for nothing. Raises :class:`UsageError` for a place that is not there.
    """
    known = _of_key(key) if key is not None else _of_site(site)
    quarantine = kits / "quarantine"
    return Sources(
        period=period,
        runs=period_runs.audit(places, known.key, period),
        site=known.key.fingerprint if known.key is not None else None,
        root=known.root,
        state=known.state,
        quarantine=quarantine if quarantine.is_dir() else None,
        unknown=known.unknown,
        damage=known.damage,
    )


class _Known(msgspec.Struct, frozen=True):
    """A site's key, its pinned root, its memory; and why something of it is missing, or is not believed."""

    key: PublicKey | None
    root: str | None = None
    state: SiteState | None = None
    unknown: str | None = None
    damage: str | None = None


def _of_key(key: Path) -> _Known:
    public = PublicKey.from_pem(read_file(key, limit=sites.MAX_ROOT))
    why = "the site's memory: only its key was given, so nothing is known of rollbacks, prunings and floors"
    return _Known(public, unknown=why)


def _of_site(place: Path) -> _Known:
    try:
        site = sites.load_bare(place)
    except TrustRootNotPinned:
        return _Known(None, unknown="the site's memory: no site is pinned here")
    root = digest.of_bytes(site.pinned_root)
    try:
        return _Known(site.signer.public, root, sites.load(place).state)
    except SiteDamaged as error:
        return _Known(site.signer.public, root, damage=str(error))
