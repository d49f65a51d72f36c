"""Packing a site's results for the way back (docs/format.md section 8)."""

import tempfile
from pathlib import Path

import msgspec

from kit import result as results
from kit import syncfile
from kit.bundle import write_bundle
from kit.bytes import digest
from kit.errors import FileMissing, FileUndeclared, StellaError, UsageError
from kit.manifest import check_scan_id
from kit.syncfile import RunEntry, SeenLog, SiteResults
from verifier import evidence
from verifier.durable import writing
from verifier.medium import read_file
from verifier.run_dir import JOURNAL_FILE, is_finished
from verifier.site import Site

PACKED = (
    JOURNAL_FILE,
    evidence.RESULT_FILE,
    evidence.RESULT_ENVELOPE,
    evidence.RECEIPT_FILE,
    evidence.RECEIPT_ENVELOPE,
    evidence.RECORD_FILE,
    evidence.DIFFERENCE_FILE,
)
"""The files of a run that travel; the report and the metrics are made of them and stay."""
MAX_NAMED = 3
"""How many runs an error names."""


class Skipped(msgspec.Struct, frozen=True):
    """A run that does not travel, and why."""

    path: str
    reason: str


def export(
    ops: Path, site: Site, out: Path, exported_at: str, *, unacknowledged: bool = False
) -> tuple[SiteResults, list[Skipped]]:
    """Write every finished run below ``ops`` into one signed file.

    Runs that were cut off, or whose result this site's key did not sign, are left out and returned with the reason, and
    with ``unacknowledged`` those that the locker has acknowledged.
    Raises :class:`UsageError` when no run is fit to travel.
    """
    members: dict[str, bytes | Path] = {}
    entries: list[RunEntry] = []
    skipped: list[Skipped] = []
    for directory in _runs(ops):
        try:
            entry, documents, left_out = _entry(directory, site)
        except StellaError as error:
            skipped.append(Skipped(f"{directory.parent.name}/{directory.name}", f"{error.reason}: {error}"))
            continue
        if unacknowledged and entry.result_digest in site.state.acknowledged:
            skipped.append(Skipped(entry.path, "the locker has it"))
            continue
        entries.append(entry)
        members |= {f"{entry.path}/{name}": data for name, data in documents.items()}
        skipped += [Skipped(f"{entry.path}/{name}", "is not the document that the result names") for name in left_out]
    if not entries:
        others = "; ".join(f"{run.path}: {run.reason}" for run in skipped[:MAX_NAMED])
        raise UsageError(
            detail=f"there is no finished run below {ops}" + (f" (left out: {others})" if others else "")
        ).then("Run stella replay first, or name the place of the runs: --ops DIR")
    with writing(out) as target, tempfile.TemporaryFile(dir=out.parent) as bundle:
        record = write_bundle(bundle, members.items())
        bundle.seek(0)
        described = SiteResults(
            schema_version=syncfile.SCHEMA_VERSION,
            site=site.fingerprint,
            exported_at=exported_at,
            runs=tuple(sorted(entries, key=lambda entry: entry.path)),
            bundle=record,
            logs=_seen(site),
        )
        syncfile.write(target, described, bundle, site.signer)
    return described, skipped


def _seen(site: Site) -> tuple[SeenLog, ...]:
    """Return the largest accepted tree of each log that the site knows, ascending by origin."""
    accepted = ((log.origin, [tree for tree in log.trees if tree.accepted]) for log in site.state.logs)
    return tuple(SeenLog(origin=origin, size=of[-1].size, root=of[-1].root) for origin, of in accepted if of)


def _runs(ops: Path) -> list[Path]:
    """Return the run directories below ``ops/replay/<scan-id>/``, in order."""
    base = ops / "replay"
    if not base.is_dir():
        raise UsageError(detail=f"there are no runs below {ops}").then(
            "Run stella replay first, or name the place of the runs: --ops DIR"
        )
    return sorted(run for scan in base.iterdir() if scan.is_dir() for run in scan.iterdir() if run.is_dir())


def _entry(directory: Path, site: Site) -> tuple[RunEntry, dict[str, bytes], list[str]]:
    """Return the description of one run that is whole, this site's own and in its place, and its documents.

    The bytes that are checked here are the bytes that travel; last come the names of documents that are not the named
    ones.
    """
    if not is_finished(directory):
        raise FileMissing(path=JOURNAL_FILE, detail="the run was cut off, or is still at work")
    documents = {name: data for name in PACKED if (data := _read(directory / name)) is not None}
    key = site.signer.public
    data = documents.get(evidence.RESULT_FILE, b"")
    result = results.parse_result(data)
    signed = evidence.check_signed(directory, evidence.RESULT_FILE, data, key)
    slip = documents.get(evidence.RECEIPT_FILE, b"")
    evidence.check_signed(directory, evidence.RECEIPT_FILE, slip, key)
    evidence.check_journal(directory, result)
    named = {evidence.RECORD_FILE: signed.get(evidence.RECORD_FILE), evidence.DIFFERENCE_FILE: result.difference_digest}
    left_out = [name for name in named if name in documents and digest.of_bytes(documents[name]) != named[name]]
    for name in left_out:
        del documents[name]
    scan = directory.parent.name
    placed = result.scan is None or scan in (result.scan.id, evidence.UNKNOWN_SCAN)
    if result.run_id != directory.name or not placed:
        raise FileUndeclared(path=directory.name, detail="the run's own result names another place")
    entry = RunEntry(
        path=f"runs/{check_scan_id(scan) if scan != evidence.UNKNOWN_SCAN else scan}/{directory.name}",
        scan_id=result.scan.id if result.scan else "",
        run_id=result.run_id,
        mode=result.mode,
        verdict=result.verdict,
        reason=result.reason,
        manifest_digest=result.manifest_digest or "",
        result_digest=digest.of_bytes(data),
    )
    return entry, documents, left_out


def _read(path: Path) -> bytes | None:
    """Return a document's bytes; None where there is no regular file, for a link could lead anywhere on this host."""
    if path.is_symlink() or not path.is_file():
        return None
    return read_file(path, limit=results.MAX_BYTES)
