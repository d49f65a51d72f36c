"""stella offline status: what is active here, how old it is, what lies in quarantine, how the last runs ended."""

from datetime import datetime
from pathlib import Path

import msgspec

from kit import kitfile, layout
from kit import result as results
from kit.bytes import digest
from kit.errors import FileMissing, StellaError
from kit.trust.keys import grouped
from verifier import ages, evidence, quarantine, site_kits, site_time
from verifier.kit_store import Store, check_digest
from verifier.medium import read_file
from verifier.run_dir import JOURNAL_FILE, ends_finished, stamp
from verifier.site import Site, root_fingerprint

LAST_RUNS = 5


def status(site: Site, store: Store, ops: Path, now: datetime) -> tuple[dict[str, object], StellaError | None]:
    """Describe a site at a moment; with it comes the worst that is wrong with its active kits."""
    moment, state = now, site.state
    if state.time_floor is not None:
        moment = max(now, site_time.moment(state.time_floor.time))
    kits = [_active(entry, site, store, moment) for entry in site_kits.active(state.activations).values()]
    document: dict[str, object] = {
        "site": site.fingerprint,
        "root": root_fingerprint(site.pinned_root),
        "rootGrouped": grouped(digest.of_bytes(site.pinned_root)),
        "judgedAt": stamp(moment),
        "activeKits": [described for described, _ in kits],
        "acceptedKits": [msgspec.to_builtins(kit) for kit in state.accepted],
        "quarantine": _quarantine(store.quarantine),
        "onTheirWay": _incoming(store),
        "lastRuns": _last_runs(ops),
    }
    for name, part in (
        ("floors", state.floors),
        ("timeFloor", state.time_floor),
        ("floorResets", state.floor_resets),
        ("revokedKeys", state.revocations),
    ):
        if part:
            document[name] = msgspec.to_builtins(part)
    document["settings"] = msgspec.to_builtins(site.settings)
    faults = [fault for _, fault in kits if fault is not None]
    return document, max(faults, key=lambda fault: fault.exit_code, default=None)


def _active(
    entry: site_kits.Activation, site: Site, store: Store, moment: datetime
) -> tuple[dict[str, object], StellaError | None]:
    """Describe an active kit by its own signed list, as long as that is the one that was accepted."""
    before = site_kits.before(site.state.activations, entry.channel)
    described: dict[str, object] = {
        "channel": entry.channel,
        "kit": entry.kit_id,
        "sequence": entry.sequence,
        "activeSince": entry.at,
        "place": str(store.place(entry)),
        "previous": before.kit_id if before else None,
        "overruled": entry.reason,
    }
    fault: StellaError | None = None
    try:
        raw = read_file(store.place(entry) / layout.KIT_FILE, limit=kitfile.MAX_BYTES)
        check_digest(layout.KIT_FILE, entry.digest, digest.of_bytes(raw))
        kit = kitfile.parse(raw)
        described["ageHours"] = ages.in_hours(kit.created_at, moment)
        described["windowHours"] = kit.staleness_window_hours
        described["scans"] = [scan.id for scan in kit.scans]
        described["state"] = ages.check_kit(kit, moment, site.settings) or "ok"
    except StellaError as error:
        fault = error
    except OSError as error:
        fault = FileMissing(path=layout.KIT_FILE, detail=error.strerror or "")
    if fault is not None:
        described["state"] = f"{fault.reason}: {fault}"
    if store.lags(entry):
        described["link"] = "does not lead to it yet: the next import mends that"
    return {name: value for name, value in described.items() if value is not None}, fault


def _quarantine(place: Path) -> dict[str, object]:
    entries, damaged = quarantine.entries(place), quarantine.unreadable(place)
    described: dict[str, object] = {"entries": len(entries), "bytes": sum(entry.bundle_size for entry in entries)}
    if entries:
        described["latest"] = entries[-1].id
    if damaged:
        described["unreadable"] = damaged
    return described


def _incoming(store: Store) -> list[dict[str, object]]:
    """Describe what is on its way, by what it claims."""
    found = []
    for place in sorted(store.incoming.iterdir()) if store.incoming.is_dir() else []:
        size = sum(path.lstat().st_blocks * 512 for path in place.rglob("*") if path.is_file())
        found.append({"kit": place.name, "bytes": size})
    return found


def _last_runs(ops: Path) -> list[str]:
    """Return the latest runs, a line each; their signatures are not checked here."""
    runs = [path.parent for path in (ops / "replay").glob(f"*/*/{JOURNAL_FILE}")]
    return [_run(path) for path in sorted(runs, key=lambda path: path.name)[-LAST_RUNS:]]


def _run(run: Path) -> str:
    if not ends_finished(run / JOURNAL_FILE):
        return f"{run.name}  cut off, or still at work"
    try:
        result = results.parse_result(read_file(run / evidence.RESULT_FILE, limit=results.MAX_BYTES))
    except StellaError as error:
        return f"{run.name}  not readable: {error.reason}"
    return f"{run.name}  {result.mode}  {result.verdict}  {result.reason}"
