"""stella look: what a medium says it is, and which of it this site's trust root bears out.

Unpacks nothing, changes nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import msgspec

from kit import kitfile, layout, volume
from kit import manifest as manifests
from kit.bytes import digest
from kit.errors import StellaError, TrustRootNotPinned, UsageError
from kit.trust import dsse, rootpack
from kit.trust.keys import grouped
from verifier import ages, asked, envelopes, inspect_trust, seal, site_time
from verifier import delta as delta_side
from verifier.medium import Medium, survey
from verifier.pack_files import read_pack
from verifier.places import shown, site_option
from verifier.report_rows import section, text_of
from verifier.run_dir import stamp
from verifier.session import how_to_pin
from verifier.site import Site

MAX_METADATA = 1 << 20
MAX_SCANS = 50
MAX_SCANS_UNSIGNED = 5
"""How many scans of a kit are described, and how many where no trusted key has signed for their number."""
SIGNED = "signed by a trusted key, files not checked"
STATES = {
    "TrustRootNotPinned": "no root pinned here, nothing checked",
    "SignerUnknown": "SIGNER NOT KNOWN HERE",
    "SignerRetired": "SIGNER'S KEY RETIRED",
    "SignerNotYetValid": "SIGNER'S KEY NOT YET VALID",
    "SignerRevoked": "SIGNER'S KEY REVOKED",
    "SignatureInvalid": "SIGNATURE DOES NOT FIT",
    "TrustRootRefused": "NOT OF THE PINNED ROOT",
    "TrustExpired": "ROOTPACK EXPIRED",
    "KitStale": "STALE",
    "KitFromFuture": "FROM THE FUTURE",
    "TrustFromFuture": "FROM THE FUTURE",
    "TrustStale": "STALE",
    "OlderThanAccepted": "OLDER THAN ACCEPTED",
}
"""What is said of a kit that a run would refuse, by reason code; of any other reason, that it is damaged."""


def look(root: Path, site: Site | None, moment: datetime, *, place: Path) -> dict[str, object]:
    """Describe a kit's directory. What no trusted key has signed is under ``claimed``.

    ``trust`` says what holds here, and ``nextStep`` what to do then; ``place`` is where the site is, or would be.
    Raises :class:`UsageError` for a directory that is no kit.
    """
    if not (root / layout.KIT_FILE).is_file():
        raise UsageError(path=str(root), detail="this directory is no kit: it holds no KIT.json").then(
            "Give the directory that holds KIT.json, as it is mounted here."
        )
    medium = survey(root)
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    kit = kitfile.parse(raw)
    files = read_pack(medium, layout.ROOTPACK_DIRECTORY)
    first_root = files.get("metadata/1.root.json")
    trust = _trust(medium, files, raw, site, moment)
    described = kit.scans[: MAX_SCANS if trust["state"] == SIGNED else MAX_SCANS_UNSIGNED]
    return {
        "claimed": {
            "kitId": kit.kit_id,
            "channel": kit.channel,
            "sequence": kit.sequence,
            "createdAt": kit.created_at,
            "stalenessWindowHours": kit.staleness_window_hours,
            "producer": kit.producer,
            "files": len(medium.sizes),
            "bytes": sum(medium.sizes.values()),
            "rootPack": msgspec.to_builtins(kit.root_pack),
            "firstRoot": digest.of_bytes(first_root) if first_root else "not in the kit",
            "firstGroups": grouped(digest.of_bytes(first_root)) if first_root else "not in the kit",
            "scans": [_scan(medium, entry.id) for entry in described],
            **({"moreScans": len(kit.scans) - len(described)} if len(kit.scans) > len(described) else {}),
            **_volume(medium),
            **_delta(medium, kit, digest.of_bytes(raw)),
            **_sealed(medium),
        },
        "trust": trust,
        "nextStep": _next_step(trust, root, place),
    }


def not_before_floor(moment: datetime, site: Site) -> datetime:
    """Return the moment that a run would judge by where the clock says another: a clock behind the floor is wrong."""
    floor = site.state.time_floor
    return moment if floor is None else max(moment, site_time.moment(floor.time))


def state(document: dict[str, object]) -> str:
    """Return what stands behind a kit that was looked at, in a few words."""
    return text_of(section(document, "trust"), "state") or "damaged"


def _next_step(trust: dict[str, object], kit: Path, place: Path) -> str:
    """Return what to do with a kit that was looked at: pin, replay, or whatever its state asks for."""
    asked_for = trust.pop("nextStep", None)
    if not trust["pinned"]:
        return how_to_pin(kit / layout.ROOTPACK_DIRECTORY / "metadata" / "1.root.json", place)
    if asked_for is not None:
        return str(asked_for)
    is_form = (kit / layout.DELTA_FILE).is_file() or (kit / layout.SEAL_FILE).is_file()
    if is_form and not (kit / volume.VOLUME_FILE).is_file():
        return f"stella offline import {shown(kit)}{site_option(place)}"
    if (kit / volume.VOLUME_FILE).is_file():
        return f"stella offline import {shown(kit)}{site_option(place)}, and the other volumes with it or after it"
    scans = asked.scans_of(kit)
    if not scans:
        return "The kit holds no scan."
    others = f" (or another of its {len(scans)} scans)" if len(scans) > 1 else ""
    return f"stella replay {shown(scans[0])} --strict --offline{site_option(place)}{others}"


def _volume(medium: Medium) -> dict[str, object]:
    """Say which volume of how many this is; nothing of a kit in one piece."""
    if volume.VOLUME_FILE not in medium.sizes:
        return {}
    record = volume.parse(medium.read(volume.VOLUME_FILE, limit=kitfile.MAX_BYTES))
    return {"volume": f"{record.number} of {record.count}", "pieces": len(record.pieces)}


def _sealed(medium: Medium) -> dict[str, object]:
    """Say whose keys open a sealed medium."""
    if layout.SEAL_FILE not in medium.sizes:
        return {}
    return {"sealedFor": [one.key for one in seal.record_of(medium).recipients]}


def _delta(medium: Medium, kit: kitfile.Kit, kit_digest: str) -> dict[str, object]:
    """Say on what kit a delta builds, and what it leaves out; nothing of a whole kit."""
    delta = delta_side.read(medium, kit, kit_digest).delta
    if delta is None:
        return {}
    left_out = sum(one.size for one in delta.objects)
    return {"deltaOn": delta.base.kit_id, "leftOut": len(delta.objects), "leftOutBytes": left_out}


def _scan(medium: Medium, scan_id: str) -> dict[str, object]:
    base = layout.scan_directory(scan_id)
    if layout.SEAL_FILE in medium.sizes:
        return {"id": scan_id, "manifest": "sealed"}
    if volume.VOLUME_FILE in medium.sizes and f"{base}/{layout.MANIFEST_FILE}" not in medium.sizes:
        return {"id": scan_id, "manifest": "on another volume"}
    manifest = manifests.parse(medium.read(f"{base}/{layout.MANIFEST_FILE}", limit=manifests.MAX_BYTES, hold=False))
    return {
        "id": scan_id,
        "time": manifest.scan.time,
        "subject": manifest.subject.name,
        "sbom": manifest.inputs.sbom.format,
        "feeds": [f"{feed.name} {feed.snapshot_time}" for feed in manifest.inputs.feeds],
        "bundleBytes": manifest.bundles.input.archive_size + manifest.bundles.output.archive_size,
    }


def _trust(
    medium: Medium, files: dict[str, bytes], raw: bytes, site: Site | None, moment: datetime
) -> dict[str, object]:
    """Say who signed the kit, as far as this site's pinned root tells; a refusal is an answer here, not an error."""
    if site is None:
        return _unsettled(TrustRootNotPinned(), pinned=False)
    known: dict[str, object] = {}
    try:
        taken_in = site.accepted_at(digest.of_bytes(raw))
        floors = None if taken_in is not None else site.state.floors
        pack = rootpack.load(files, pinned_root=site.pinned_root, reference_time=moment, floors=floors)
        pack = pack.under(site.state.revocations)
        known = {"rootPack": inspect_trust.view(files, pack, digest.of_bytes(site.pinned_root), stamp(moment))}
        envelope = medium.read(layout.KIT_ENVELOPE, limit=MAX_METADATA)
        moments = envelopes.Moments(stamp(moment), taken_in, site.settings.skew)
        near = envelopes.beside(medium, layout.EVIDENCE_DIRECTORY)
        verified = envelopes.verify(envelope, pack, moments, near, name=layout.KIT_ENVELOPE).verified
        kit = kitfile.check_statement(verified.payload, raw)
    except StellaError as error:
        return _unsettled(error, pinned=True) | known
    signers = _named(verified, pack)
    try:
        site.check_order(kit, digest.of_bytes(raw))
        ages.check_kit(kit, moment, site.settings)
        ages.check_issued(pack.issued, moment, site.settings)
    except StellaError as error:
        return _unsettled(error, pinned=True) | {"signers": signers} | known
    return {
        "pinned": True,
        "state": SIGNED,
        "sentence": "KIT.json is signed by trusted keys; its files are not checked yet.",
        "signers": signers,
        "scans": [_signed_scan(medium, entry.id, pack, moments) for entry in _readable(medium, kit.scans)],
    } | known


def _readable(medium: Medium, scans: Sequence[kitfile.ScanEntry]) -> Sequence[kitfile.ScanEntry]:
    """Return the scans whose signatures are looked at; on a sealed medium nobody can."""
    return () if layout.SEAL_FILE in medium.sizes else scans[:MAX_SCANS]


def _signed_scan(
    medium: Medium, scan_id: str, pack: rootpack.TrustedPack, moments: envelopes.Moments
) -> dict[str, object]:
    """Say who signed one scan, or why nobody who counts did."""
    base = layout.scan_directory(scan_id)
    path = f"{base}/{layout.MANIFEST_ENVELOPE}"
    try:
        envelope = medium.read(path, limit=MAX_METADATA, hold=False)
        near = envelopes.beside(medium, f"{base}/{layout.EVIDENCE_DIRECTORY}")
        verified = envelopes.verify(envelope, pack, moments, near, name=path).verified
        raw = medium.read(f"{base}/{layout.MANIFEST_FILE}", limit=manifests.MAX_BYTES, hold=False)
        manifests.check_statement(verified.payload, raw, signed_profiles=pack.profiles(verified.signers))
    except StellaError as error:
        return {"id": scan_id, "state": STATES.get(error.reason, "damaged"), "reason": error.reason}
    return {"id": scan_id, "signers": _named(verified, pack)}


def _named(verified: dsse.Verified, pack: rootpack.TrustedPack) -> list[str]:
    return [f"{key.fingerprint} ({pack.owner(key) or 'no owner named'})" for key in verified.signers]


def _unsettled(error: StellaError, *, pinned: bool) -> dict[str, object]:
    """Return what is not settled about a kit, and why; the reason is that of the run that would refuse it."""
    return {
        "pinned": pinned,
        "state": STATES.get(error.reason, "damaged"),
        "reason": error.reason,
        "sentence": str(error),
        "nextStep": error.next_step,
    }
