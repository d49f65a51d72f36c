"""Taking in the results that a site sent back (docs/locker.md, "Results of sites"; docs/format.md section 8).

A file that cannot be verified goes to the quarantine as a whole, a run that does not stand on its own by itself; the
others are kept, one transaction a run. Everything is idempotent by digest and no order is needed. A result is evidence
of the site that signed it, and its origin is written beside it: it never counts as a verification of ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

import sqlalchemy as sa

from kit import result as results
from kit import syncfile
from kit.bundle import BundleReader, write_bundle
from kit.bytes import digest
from kit.errors import (
    AuditForked,
    LimitExceeded,
    LockerConflict,
    NotSiteResults,
    SignerRetired,
    SignerRevoked,
    SignerUnknown,
    StellaError,
    UsageError,
)
from kit.manifest import check_name, check_time
from kit.receipt_chain import Chain
from kit.result import Result
from kit.syncfile import RunEntry, SeenLog
from kit.trust import rootpack
from kit.trust.keys import PublicKey
from kit.trust.rootpack import RootPackFiles
from locker import cas, quarantine, registry, rows, sightings, site_receipts, trust
from locker.files import typed_errors
from locker.retention.admit import ObjectGone, admit
from locker.retention.mappings import SITE_RESULT
from locker.site_results import MAX_MEMBER, members_by_run, verify_envelope, verify_run
from locker.store import Locker
from verifier.evidence import RECEIPT_FILE

MAX_FILE = 1 << 30

IMPORTED = "imported"
KNOWN = "known"
QUARANTINED = "quarantined"

_OPPOSITES = {results.VERIFIED: results.DIFFERS, results.DIFFERS: results.VERIFIED}


@dataclass(frozen=True, slots=True)
class TakenRun:
    """What became of one run in the file.

    ``conflicts`` are the digests of results of this site that say otherwise; ``refused_to`` is the quarantine's entry
    of a run that was refused with ``error``.
    """

    entry: RunEntry
    outcome: str
    conflicts: tuple[str, ...] = ()
    error: StellaError | None = None
    refused_to: str = ""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a whole file, and how the site's receipts hang together now.

    ``contradicting`` are trees of our audit log that the site was shown and that our rows do not give.
    """

    site: str
    runs: tuple[TakenRun, ...]
    chains: dict[str, Chain]
    contradicting: tuple[SeenLog, ...] = ()


def take(
    locker: Locker, path: Path, *, now: datetime, tenant: str = "default", rootpack_directory: Path | None = None
) -> Taken:
    """Verify a file of site results and keep every run of it; idempotent.

    ``tenant`` is given to results about scans that the locker does not know. Raises :class:`NotSiteResults` for a file
    of another kind, of which nothing is kept, and the error of a file that cannot be verified, after it was put into
    the quarantine; faults of single runs are in the answer.
    """
    check_name(tenant, "tenant")
    if not path.is_file():
        raise UsageError(path=path.name, detail="there is no such file")
    with path.open("rb") as source:
        _check_kind(source, path)
        given = rootpack.read_directory(rootpack_directory) if rootpack_directory else None
        with locker.writing():
            return _take(locker, source, path, given, tenant, now)


def _take(
    locker: Locker, source: BinaryIO, path: Path, given: RootPackFiles | None, tenant: str, now: datetime
) -> Taken:
    _check_size(locker, path, tenant, now)
    pack, _ = trust.in_force(locker, given, now=now)
    with _whole_file(locker, path, tenant, now), _unpacked(locker, source) as (envelope, archive):
        described, site = verify_envelope(envelope, pack, now)
        with BundleReader(archive, described.bundle) as bundle:
            bundle.verify()
            members = members_by_run(described)
            importer = _Importer(locker, bundle, site, tenant, now)
            runs = tuple(importer.take(entry, members[entry.path]) for entry in described.runs)
            contradicting = sightings.keep(locker, described.site, described.logs, now=now)
    with locker.rows.read() as connection:
        return Taken(described.site, runs, site_receipts.chains(connection, described.site), contradicting)


def described(taken: Taken) -> dict[str, object]:
    """Return what became of a file as plain values."""
    runs = [_described(run) for run in taken.runs]
    contradicting = [{"log": log.origin, "size": log.size, "root": log.root} for log in taken.contradicting]
    receipts = site_receipts.described(taken.chains)
    return {"site": taken.site, "runs": runs, "receipts": receipts, "auditContradictedBy": contradicting}


def verdict(taken: Taken, *, fail_on_conflict: bool) -> tuple[str, int, str]:
    """Return word, exit code and next step: those of the first run that was refused, else of a conflict if asked."""
    for run in taken.runs:
        if run.error is not None:
            return run.error.reason, run.error.exit_code, f"read quarantine/{run.refused_to}/failure-reason.txt"
    if taken.contradicting:
        return AuditForked.__name__, AuditForked.exit_code, "stella locker audit verify; the site is the witness"
    if fail_on_conflict and any(run.conflicts for run in taken.runs):
        return LockerConflict.__name__, LockerConflict.exit_code, LockerConflict.next_step
    return "IMPORTED", 0, ""


def _described(run: TakenRun) -> dict[str, object]:
    entry = run.entry
    answer: dict[str, object] = {
        "path": entry.path,
        "outcome": run.outcome,
        "mode": entry.mode,
        "verdict": entry.verdict,
        "reason": entry.reason,
        "result": entry.result_digest,
        "conflictsWith": list(run.conflicts),
    }
    return answer | ({"refusal": run.error.reason, "quarantine": run.refused_to} if run.error else {})


class _Importer:
    """Takes the runs of one verified file, one transaction a run."""

    def __init__(self, locker: Locker, bundle: BundleReader, site: PublicKey, tenant: str, now: datetime) -> None:
        self._locker = locker
        self._bundle = bundle
        self._site = site
        self._tenant = tenant
        self._now = now

    def take(self, entry: RunEntry, names: frozenset[str]) -> TakenRun:
        """Keep one run, or put it into the quarantine."""
        files = {name: self._bundle.read(f"{entry.path}/{name}", limit=MAX_MEMBER) for name in sorted(names)}
        try:
            result = verify_run(entry, files, self._site)
        except StellaError as error:
            refusal = quarantine.Refusal(tenant=self._tenant, source=quarantine.SITE_RESULTS, error=error, files=files)
            place = quarantine.keep(self._locker, refusal, now=self._now)
            return TakenRun(entry, QUARANTINED, error=error, refused_to=place)
        return self._keep(entry, files, result)

    def _keep(self, entry: RunEntry, files: dict[str, bytes], result: Result) -> TakenRun:
        while True:
            with suppress(ObjectGone):  # a retention run removed what lay there before: put it again
                return self._put(entry, files, result)

    def _put(self, entry: RunEntry, files: dict[str, bytes], result: Result) -> TakenRun:
        packed = BytesIO()
        described = write_bundle(packed, files.items())
        stored = self._locker.cas.put_bytes(packed.getvalue(), cas.BUNDLE)
        with self._locker.rows.write() as connection:
            rows.add_bundle(connection, stored, SITE_RESULT, described.content_root, at=self._now)
            values = self._values(connection, entry, result)
            bundle = digest.hex_of(stored.digest)
            fresh = rows.insert_absent(connection, rows.site_results, {**values, "bundle_digest": bundle})
            self._admit(connection, values, bundle)
            if not fresh:
                return TakenRun(entry, KNOWN, _conflicts(connection, entry, self._site))
            conflicts = _conflicts(connection, entry, self._site)
            self._tell(connection, entry, values, conflicts, files[RECEIPT_FILE])
            if result.mode == registry.STRICT and result.verdict == results.VERIFIED:
                registry.mark_replayed(connection, entry.manifest_digest, now=self._now)
        return TakenRun(entry, IMPORTED, conflicts)

    def _admit(self, connection: sa.Connection, values: dict[str, object], bundle: str) -> None:
        """Take the result under retention, and under the holds that look ahead."""
        tenant, mapping = str(values["tenant"]), str(values["digest"])
        kinds = {bundle: SITE_RESULT}
        admit(connection, self._locker, tenant=tenant, mapping=mapping, bundles=kinds, now=self._now)

    def _values(self, connection: sa.Connection, entry: RunEntry, result: Result) -> dict[str, object]:
        known = sa.select(rows.runs.c.tenant).where(rows.runs.c.manifest_hash == entry.manifest_digest)
        return {
            "digest": digest.hex_of(entry.result_digest),
            "origin": "site",
            "tenant": connection.execute(known).scalar_one_or_none() or self._tenant,
            "site": self._site.fingerprint,
            "run_id": entry.run_id,
            "scan_id": entry.scan_id or None,
            "manifest_hash": entry.manifest_digest or None,
            "mode": entry.mode,
            "verdict": entry.verdict,
            "reason": entry.reason,
            "exit_code": result.exit_code,
            "finished_at": check_time(result.finished_at, "/finishedAt"),
            "received_at": self._now,
        }

    def _tell(
        self,
        connection: sa.Connection,
        entry: RunEntry,
        values: dict[str, object],
        conflicts: tuple[str, ...],
        slip: bytes,
    ) -> None:
        receipt = results.parse_receipt(slip)
        details = {
            "origin": "site",
            "site": self._site.fingerprint,
            "result": entry.result_digest,
            "scanId": entry.scan_id,
            "manifestHash": entry.manifest_digest,
            "mode": entry.mode,
            "verdict": entry.verdict,
            "reason": entry.reason,
            "receipt": digest.of_bytes(slip),
            "previousReceipt": receipt.previous or "",
            "finishedAt": receipt.finished_at,
        }
        tenant = str(values["tenant"])
        rows.append_event(connection, tenant=tenant, at=self._now, kind=site_receipts.IMPORTED, details=details)
        if conflicts:
            found = {**details, "conflictsWith": list(conflicts)}
            rows.append_event(connection, tenant=tenant, at=self._now, kind="replay.result.conflict", details=found)


def _conflicts(connection: sa.Connection, entry: RunEntry, site: PublicKey) -> tuple[str, ...]:
    """Return the results of the same site, manifest and mode that contradict this one.

    A replay of the same inputs cannot both give the recorded bytes and others. A refusal says nothing of the outputs:
    a bad copy and then a good one is no contradiction.
    """
    opposite = _OPPOSITES.get(entry.verdict)
    if not entry.manifest_digest or opposite is None:
        return ()
    table = rows.site_results.c
    others = sa.select(table.digest).where(
        table.manifest_hash == entry.manifest_digest,
        table.site == site.fingerprint,
        table.mode == entry.mode,
        table.verdict == opposite,
    )
    return tuple(f"sha256:{found}" for found in connection.execute(others.order_by(table.digest)).scalars())


def _check_kind(source: BinaryIO, path: Path) -> None:
    """Refuse a file that is something else and keep nothing of it: it may be a private key, given by mistake."""
    try:
        syncfile.check_beginning(source)
    except NotSiteResults as fault:
        fault.details.setdefault("path", path.name)
        raise


def _check_size(locker: Locker, path: Path, tenant: str, now: datetime) -> None:
    size = path.stat().st_size
    if size <= MAX_FILE:
        return
    error = LimitExceeded(path=path.name, expected=MAX_FILE, found=size)
    left = {path.name: size}
    refusal = quarantine.Refusal(tenant=tenant, source=quarantine.SITE_RESULTS, error=error, files={}, left_behind=left)
    quarantine.keep(locker, refusal, now=now)
    raise error


@contextmanager
def _whole_file(locker: Locker, path: Path, tenant: str, now: datetime) -> Iterator[None]:
    """Put the file into the quarantine when it is at fault as a whole."""
    try:
        yield
    except StellaError as error:
        if 20 <= error.exit_code < 40:
            error.then(_next_step(error))
            files = {"results.stella-sync": path}
            refusal = quarantine.Refusal(tenant=tenant, source=quarantine.SITE_RESULTS, error=error, files=files)
            error.details["quarantine"] = quarantine.keep(locker, refusal, now=now)
        raise


def _next_step(error: StellaError) -> str:
    """Return what helps where a whole file of a site was refused."""
    match error:
        case SignerUnknown():
            return (
                "If the site is yours, enrol its key: stella rootpack add-key site.pub.pem --usage site --owner NAME; "
                "stella rootpack show lists the enrolled keys; then import again with --rootpack."
            )
        case SignerRetired() | SignerRevoked():
            return "Ask the site who holds its key; enrol a new one: stella rootpack add-key FILE --usage site."
        case LimitExceeded():
            return "Ask the site for a file that stays below the limit."
        case _:
            return "Copy the file from the medium again; if it is refused again, let the site run stella sync export."


@contextmanager
def _unpacked(locker: Locker, source: BinaryIO) -> Iterator[tuple[bytes, Path]]:
    """Yield the file's envelope, and its bundle as a file of its own."""
    archive = locker.work / str(uuid4())
    try:
        with typed_errors("tmp"), archive.open("xb") as target:
            envelope = syncfile.split(source, target, max_bytes=MAX_FILE)
        yield envelope, archive
    finally:
        archive.unlink(missing_ok=True)
