"""stella offline state rebuild: a site's memory made anew from the results that it signed (docs/format.md section 8.1).

Only results with this site's own signature count, and only what they say was accepted. What no result holds is named,
never guessed.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kit import result as results
from kit.bytes import digest
from kit.errors import SiteDamaged, StellaError, UsageError
from kit.result import Receipt, Result
from kit.trust import revocations
from kit.trust.trusted import Versions
from verifier import evidence, site_kits, site_time
from verifier import site as sites
from verifier.durable import write_atomic
from verifier.kit_store import Store
from verifier.run import IMPORT
from verifier.run_dir import is_finished
from verifier.site import AcceptedKit, Site, SiteState
from verifier.site_kits import Activation
from verifier.site_time import TimeFloor

DAMAGED_FILE = "state.json.damaged"
UNKNOWN_DIGEST = "unknown"
"""In place of the digest of a KIT.json that an old result does not name: the kit counts for the order of kits only."""
_ALWAYS_LOST = (
    "trees of transparency logs: each is first use again",
    "lowerings of the time floor",
    "which copies of kits were pruned",
)


class Signed(msgspec.Struct, frozen=True):
    """One finished run with this site's signature on its result and its receipt."""

    result: Result
    receipt: Receipt
    receipt_digest: str


class Rebuilt(msgspec.Struct):
    """A state that was made anew; what did not come back, and which runs did not count, a sentence each."""

    state: SiteState
    runs: int
    left_out: list[str] = msgspec.field(default_factory=list)
    lost: list[str] = msgspec.field(default_factory=list)

    def document(self) -> dict[str, object]:
        """Return what an operator is told."""
        state = self.state
        return {
            "runs": self.runs,
            "leftOut": self.left_out,
            "acceptedKits": [entry.kit_id for entry in state.accepted],
            "activeKits": [entry.kit_id for entry in site_kits.active(state.activations).values()],
            "floors": msgspec.to_builtins(state.floors),
            "timeFloor": state.time_floor.time if state.time_floor else None,
            "revokedKeys": [entry.fingerprint for entry in state.revocations],
            "notRebuilt": self.lost,
        }


def rebuild(place: Path, ops: Path, store: Store) -> Rebuilt:
    """Write a site's state anew and return it; the damaged file stays beside it.

    Raises :class:`UsageError` where the state is not damaged, or no run below ``ops`` counts.
    """
    with sites.changing(place):
        site = sites.load_bare(place)
        _check_damaged(place)
        signed, left_out = _signed_runs(ops, site)
        if not signed:
            others = "; ".join(left_out[:3])
            raise UsageError(
                detail=f"no run below {ops} has this site's signature" + (f" ({others})" if others else "")
            )
        made = _remember(site, signed, store)
        made.left_out = left_out
        if (place / sites.STATE_FILE).exists():
            write_atomic(place / DAMAGED_FILE, (place / sites.STATE_FILE).read_bytes())
        write_atomic(place / sites.STATE_FILE, sites.encode_state(made.state))
    return made


def _check_damaged(place: Path) -> None:
    try:
        sites.load(place)
    except SiteDamaged:
        return
    raise UsageError(path=str(place), detail="the state of this site is not damaged; nothing was changed").then(
        "See it: stella offline state show"
    )


def _signed_runs(ops: Path, site: Site) -> tuple[list[Signed], list[str]]:
    """Return the runs that count in the order in which they ended, and why others do not."""
    key, signed, left_out = site.signer.public, [], []
    for run in sorted((ops / "replay").glob("*/*")):
        if not run.is_dir():
            continue
        try:
            if not is_finished(run):
                raise UsageError(detail="the run was cut off")
            result = results.parse_result(evidence.read_run(run, key))
            slip = evidence.read_receipt(run, key)
            signed.append(Signed(result, results.parse_receipt(slip), digest.of_bytes(slip)))
        except (StellaError, OSError) as error:
            left_out.append(f"{run.parent.name}/{run.name}: {error}")
    return sorted(signed, key=lambda one: (one.result.finished_at, one.result.run_id)), left_out


def _remember(site: Site, signed: Sequence[Signed], store: Store) -> Rebuilt:
    accepted: dict[str, AcceptedKit] = {}
    activations: list[Activation] = []
    floors: Versions | None = None
    floor: TimeFloor | None = None
    for one in signed:
        result, counts = one.result, was_accepted(one.result)
        entry = _accepted_kit(result)
        if counts:
            floors = _versions(result, floors)
            if entry is not None:
                accepted.setdefault(entry.digest if entry.digest != UNKNOWN_DIGEST else entry.kit_id, entry)
        if result.activation is not None and entry is not None and not result.activation.in_place:
            activations.append(_activation(entry, result))
        floor = _floor(site, result, floor, was_accepted=counts)
    lost = [*_ALWAYS_LOST, *_gaps(signed)]
    if any(one.result.activation is not None and one.result.activation.in_place for one in signed):
        lost.append("kits that were activated in place: import them again")
    activations += _as_linked(activations, store)
    told = [entry for one in signed if one.result.root_pack is not None for entry in one.result.root_pack.revoked]
    state = SiteState(
        schema_version=sites.SCHEMA_VERSION,
        floors=floors,
        accepted=tuple(accepted.values()),
        last_receipt=_head(signed),
        time_floor=floor,
        revocations=revocations.strictest((), told),
        activations=tuple(activations),
    )
    return Rebuilt(state, len(signed), lost=lost)


def was_accepted(result: Result) -> bool:
    """Tell whether the site took in the kit of a run: an import does so with the last of its scans only."""
    if result.verdict == results.REFUSED:
        return False
    return result.mode != IMPORT or result.activation is not None


def _accepted_kit(result: Result) -> AcceptedKit | None:
    if result.kit is None:
        return None
    return AcceptedKit(
        kit_id=result.kit.id,
        channel=result.kit.channel,
        sequence=result.kit.sequence,
        digest=result.kit.digest or UNKNOWN_DIGEST,
        # Not before the truth: an earlier time would let a stolen key's kit pass as taken in before the theft.
        accepted_at=max(result.finished_at, result.reference_time.time),
    )


def _activation(kit: AcceptedKit, result: Result) -> Activation:
    reason = result.activation.reason if result.activation is not None else None
    return Activation(
        channel=kit.channel,
        kit_id=kit.kit_id,
        sequence=kit.sequence,
        digest=kit.digest,
        at=result.started_at,
        how=site_kits.REBUILT,
        reason=reason,
    )


def _as_linked(activations: Sequence[Activation], store: Store) -> list[Activation]:
    """Return what the links know beyond the results: a rollback leaves no result."""
    found = []
    for channel, entry in site_kits.active(activations).items():
        earlier = {one.kit_id: one for one in activations if one.channel == channel}
        link = store.current / channel
        linked = link.readlink().name if link.is_symlink() else entry.kit_id
        if linked != entry.kit_id and linked in earlier:
            found.append(replace(earlier[linked], reason="as the link says"))
    return found


def _versions(result: Result, floors: Versions | None) -> Versions | None:
    pack = result.root_pack
    if pack is None:
        return floors
    found = Versions(
        root=pack.root_version,
        timestamp=pack.timestamp_version,
        snapshot=pack.snapshot_version or 1,
        targets=pack.targets_version or 1,
    )
    # A newer root may have released floors that its predecessor's keys had set (docs/format.md section 4.4).
    return found if floors is None or found.root > floors.root else found.raised(floors)


def _floor(site: Site, result: Result, floor: TimeFloor | None, *, was_accepted: bool) -> TimeFloor | None:
    """Return the floor after a run, by the rules that raised it then."""
    if result.reference_time.source == results.AUDIT:
        return floor
    issued = result.root_pack.issued if result.root_pack is not None else None
    if was_accepted and result.root_pack is not None and issued is not None:
        name = f"version {result.root_pack.timestamp_version}"
        floor = site_time.raised(floor, TimeFloor(time=issued, source=site_time.ROOTPACK, evidence=name))
    if was_accepted and result.kit is not None:
        made = TimeFloor(time=result.kit.created_at, source=site_time.KIT, evidence=result.kit.id)
        floor = site_time.raised(floor, made)
    known = [time for time in (floor.time if floor is not None else None, issued) if time is not None]
    own = site_time.own(result.reference_time, result.run_id, max(known, default=None), site.settings.jump)
    return site_time.raised(floor, *([own] if own is not None else []))


def _head(signed: Sequence[Signed]) -> str | None:
    """Return the receipt that no other one follows; of several the last."""
    followed = {one.receipt.previous for one in signed}
    heads = [one.receipt_digest for one in signed if one.receipt_digest not in followed]
    return heads[-1] if heads else None


def _gaps(signed: Sequence[Signed]) -> list[str]:
    known = {one.receipt_digest for one in signed}
    missing = [one.result.run_id for one in signed if one.receipt.previous and one.receipt.previous not in known]
    return [f"what the run before {name} was about: it is not here" for name in missing]
