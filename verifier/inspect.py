"""stella look: what a medium says it is, and which of it this site's trust root bears out.

Unpacks nothing, changes nothing.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from kit import kitfile, layout
from kit import manifest as manifests
from kit.bytes import digest
from kit.errors import EvidenceMissing, StellaError
from kit.trust import dsse, rootpack
from verifier.medium import Medium, survey
from verifier.run_dir import stamp
from verifier.site import Site

MAX_METADATA = 1 << 20


def look(root: Path, site: Site | None, moment: datetime) -> dict[str, object]:
    """Describe a kit's directory. What no trusted key has signed is under ``claimed``.

    ``trust`` says what holds here.
    """
    medium = survey(root)
    if layout.KIT_FILE not in medium.sizes:
        raise EvidenceMissing(path=layout.KIT_FILE, detail="this is no kit")
    raw = medium.read(layout.KIT_FILE, limit=kitfile.MAX_BYTES)
    kit = kitfile.parse(raw)
    files = {
        name: medium.read(path, limit=MAX_METADATA)
        for name, path in medium.below(f"{layout.ROOTPACK_DIRECTORY}/").items()
    }
    first_root = files.get("metadata/1.root.json")
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
            "scans": [_scan(medium, entry.id) for entry in kit.scans],
        },
        "trust": _trust(medium, files, raw, site, moment),
    }


def _scan(medium: Medium, scan_id: str) -> dict[str, object]:
    base = layout.scan_directory(scan_id)
    manifest = manifests.parse(medium.read(f"{base}/{layout.MANIFEST_FILE}", limit=manifests.MAX_BYTES))
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
        return {"pinned": False, "state": "nothing is verified: no trust root is pinned here"}
    try:
        pack = rootpack.load(files, pinned_root=site.pinned_root, reference_time=moment, floors=None)
        envelope = medium.read(layout.KIT_ENVELOPE, limit=MAX_METADATA)
        verified = pack.verify(
            envelope, usage="kit", at=stamp(moment), payload_types=(dsse.IN_TOTO,), name=layout.KIT_ENVELOPE
        )
        kitfile.check_statement(verified.payload, raw)
    except StellaError as error:
        return {"pinned": True, "state": f"{error.reason}: {error}"}
    signers = [f"{key.fingerprint} ({pack.owner(key) or 'no owner named'})" for key in verified.signers]
    return {
        "pinned": True,
        "state": "KIT.json is signed by trusted keys; its files are not checked yet",
        "signers": signers,
    }
