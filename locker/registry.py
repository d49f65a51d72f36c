"""The run's row: ``pending``, ``verified``, ``failed``, ``replayed``, one transaction a step (docs/locker.md, "Rows").

A row never overtakes the store: :func:`finish` is called with objects that are on the disk. A refusal never touches a
run that was verified, since anybody can claim a scan id.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec
import sqlalchemy as sa

from kit import result as results
from kit.bundle import BundleRecord
from kit.bytes.digest import hex_of
from kit.errors import LockerConflict, StellaError
from kit.manifest import Manifest, check_time
from kit.trust.keys import PublicKey
from locker import rows
from locker.cas import Stored
from locker.holds import components
from locker.holds.components import Listed
from locker.retention.admit import admit
from locker.rows import FAILED, PENDING, REPLAYED, VERIFIED, append_event, insert_absent, runs
from locker.store import Locker

MANIFEST = "manifest"
ENVELOPE = "manifest-envelope"
STRICT = "strict"


@dataclass(frozen=True, slots=True)
class Record:
    """What a run's row is made of, once the manifest's envelope holds.

    ``profiles`` are the signers' crypto profiles by fingerprint; a key without one stands under its algorithm.
    """

    manifest: Manifest
    manifest_hash: str
    signers: tuple[PublicKey, ...]
    profiles: Mapping[str, str]
    tenant: str
    pack_bundle: str


def begin(locker: Locker, record: Record, *, now: datetime) -> bool:
    """Make the run's row ``pending``; tell whether it was verified before.

    Raises :class:`LockerConflict` where the scan id belongs to another manifest or another tenant.
    """
    scan = record.manifest.scan
    subject = record.manifest.subject
    values: dict[str, object] = {
        "tenant": record.tenant,
        "manifest_hash": record.manifest_hash,
        "status": PENDING,
        "updated_at": now,
        "scan_time": check_time(scan.time, "/scan/time"),
        "subject_name": subject.name,
        "subject_digest": subject.oci_digest,
        "signatures": _signatures(record),
        "outputs": msgspec.to_builtins(record.manifest.outputs),
        "failure": None,
    }
    with locker.rows.write() as connection:
        if insert_absent(connection, runs, {**values, "id": scan.id, "created_at": now}):
            return False
        # What was kept whole once and rotted since is mended by its own record only: others may claim its scan id.
        kept = sa.exists().where(rows.documents.c.run_id == scan.id, rows.documents.c.type == MANIFEST)
        own = sa.and_(runs.c.manifest_hash == record.manifest_hash, runs.c.tenant == record.tenant)
        failed = sa.and_(runs.c.id == scan.id, runs.c.status == FAILED, sa.or_(own, ~kept))
        revived = sa.update(runs).where(failed).values(**values)
        if connection.execute(revived).rowcount:
            return False
        held = connection.execute(sa.select(runs).where(runs.c.id == scan.id)).one()
    if held.manifest_hash != record.manifest_hash:
        raise LockerConflict(path=scan.id, expected=held.manifest_hash, found=record.manifest_hash)
    if held.tenant != record.tenant:
        raise LockerConflict(path=scan.id, expected=f"tenant {held.tenant}", found=f"tenant {record.tenant}")
    return held.status in (VERIFIED, REPLAYED)


def finish(
    locker: Locker,
    record: Record,
    bundles: Mapping[str, tuple[BundleRecord, Stored]],
    documents: Mapping[str, Stored],
    listed: Listed,
    *,
    now: datetime,
) -> tuple[str, bool]:
    """Make the run ``verified``, with all that its row points at; return its status and whether it was so before.

    ``listed`` are the components of its SBOM. Raises :class:`LockerConflict`, and changes nothing, where another
    manifest took the scan id since :func:`begin`, and :class:`ObjectGone` where a bundle has to be put again.
    """
    scan_id = record.manifest.scan.id
    with locker.rows.write() as connection:
        for role, (described, stored) in bundles.items():
            rows.add_bundle(connection, stored, role, described.content_root, at=now)
            _map(connection, scan_id, stored.digest, role)
        _map(connection, scan_id, record.pack_bundle, "rootpack")
        for kind, stored in documents.items():
            _add_document(connection, scan_id, kind, stored, now)
        _add_subject(connection, record.manifest)
        changes = {"status": VERIFIED, "failure": None, "updated_at": now}
        fresh = connection.execute(_unfinished(scan_id, record.manifest_hash).values(**changes)).rowcount == 1
        if fresh:
            stored_bundles = {role: stored.location for role, (_, stored) in bundles.items()}
            _tell(connection, record, "evidence.ingested", now, {"bundles": stored_bundles})
            if replayed_elsewhere(connection, record.manifest_hash):
                mark_replayed(connection, record.manifest_hash, now=now)
        held = connection.execute(sa.select(runs).where(runs.c.id == scan_id)).one()
        if held.manifest_hash != record.manifest_hash:
            raise LockerConflict(path=scan_id, expected=held.manifest_hash, found=record.manifest_hash)
        components.add(connection, record.manifest.outputs.sbom, listed)
        kinds = {hex_of(stored.digest): role for role, (_, stored) in bundles.items()}
        admit(connection, locker, tenant=record.tenant, mapping=scan_id, bundles=kinds, now=now)
    return str(held.status), not fresh


def add_envelope(locker: Locker, record: Record, stored: Stored, *, now: datetime) -> str:
    """Add an envelope, and its signers, to a verified run; return the run's status."""
    scan_id = record.manifest.scan.id
    with locker.rows.write() as connection:
        held = connection.execute(sa.select(runs).where(runs.c.id == scan_id)).one()
        if _add_document(connection, scan_id, ENVELOPE, stored, now):
            known = {entry["keyId"] for entry in held.signatures}
            added = [entry for entry in _signatures(record) if entry["keyId"] not in known]
            merged = sorted([*held.signatures, *added], key=lambda entry: str(entry["keyId"]))
            changes = {"signatures": merged, "updated_at": now}
            connection.execute(sa.update(runs).where(runs.c.id == scan_id).values(**changes))
            _tell(connection, record, "evidence.envelope.added", now, {"envelope": stored.digest})
    return str(held.status)


def add_evidence(locker: Locker, record: Record, files: Mapping[str, Stored], *, now: datetime) -> None:
    """Add files of evidence to a run, by their names in the record; what is there already stays."""
    with locker.rows.write() as connection:
        added = [
            name
            for name, stored in sorted(files.items())
            if insert_absent(
                connection,
                rows.evidence,
                {
                    "run_id": record.manifest.scan.id,
                    "name": name,
                    "digest": hex_of(stored.digest),
                    "size": stored.size,
                    "location": stored.location,
                    "created_at": now,
                },
            )
        ]
        if added:
            _tell(connection, record, "evidence.proofs.added", now, {"files": added})


def fail(locker: Locker, scan_id: str, manifest_hash: str, tenant: str, error: StellaError, *, now: datetime) -> bool:
    """Make a run ``failed`` with its reason code; tell whether the refusal could be told of in the run's row."""
    changes = {"status": FAILED, "failure": error.reason, "updated_at": now}
    fresh = {
        **changes,
        "id": scan_id,
        "tenant": tenant,
        "manifest_hash": manifest_hash,
        "created_at": now,
        "signatures": [],
        "outputs": {},
    }
    with locker.rows.write() as connection:
        told = insert_absent(connection, runs, fresh)
        told = told or connection.execute(_unfinished(scan_id, manifest_hash).values(**changes)).rowcount == 1
        if told:
            details = {
                "scanId": scan_id,
                "manifestHash": manifest_hash,
                "reason": error.reason,
                "details": {name: str(value) for name, value in error.details.items()},
            }
            append_event(connection, tenant=tenant, at=now, kind="evidence.refused", details=details)
    return told


def mark_replayed(connection: sa.Connection, manifest_hash: str, *, now: datetime) -> None:
    """Make a verified run ``replayed``, since a site's strict replay gave the recorded bytes."""
    verified = sa.select(runs).where(runs.c.manifest_hash == manifest_hash, runs.c.status == VERIFIED)
    for run in connection.execute(verified).all():
        connection.execute(sa.update(runs).where(runs.c.id == run.id).values(status=REPLAYED, updated_at=now))
        details = {"scanId": run.id, "manifestHash": manifest_hash, "origin": "site"}
        append_event(connection, tenant=run.tenant, at=now, kind="replay.run.replayed", details=details)


def _unfinished(scan_id: str, manifest_hash: str) -> sa.Update:
    """Return an update of this very run, that touches nothing if it is verified or of another manifest by now."""
    return sa.update(runs).where(
        runs.c.id == scan_id, runs.c.manifest_hash == manifest_hash, runs.c.status.in_((PENDING, FAILED))
    )


def replayed_elsewhere(connection: sa.Connection, manifest_hash: str) -> bool:
    """Tell whether a site's strict replay of a manifest gave the recorded bytes."""
    table = rows.site_results.c
    found = sa.select(table.digest).where(
        table.manifest_hash == manifest_hash, table.mode == STRICT, table.verdict == results.VERIFIED
    )
    return connection.execute(found.limit(1)).first() is not None


def _signatures(record: Record) -> list[dict[str, object]]:
    keys = sorted(record.signers, key=lambda key: key.fingerprint)
    return [{"keyId": key.fingerprint, "profile": record.profiles[key.fingerprint], "verified": True} for key in keys]


def _map(connection: sa.Connection, scan_id: str, bundle: str, role: str) -> None:
    insert_absent(connection, rows.run_bundles, {"run_id": scan_id, "bundle_digest": hex_of(bundle), "role": role})


def _add_document(connection: sa.Connection, scan_id: str, kind: str, stored: Stored, now: datetime) -> bool:
    values = {"run_id": scan_id, "digest": hex_of(stored.digest), "type": kind, "size": stored.size}
    return insert_absent(connection, rows.documents, {**values, "location": stored.location, "created_at": now})


def _add_subject(connection: sa.Connection, manifest: Manifest) -> None:
    subject = manifest.subject
    if subject.oci_digest is None:
        return
    layers: list[dict[str, object]] = msgspec.to_builtins(subject.layers)
    if insert_absent(connection, rows.subjects, {"digest": subject.oci_digest, "layers": layers}) and layers:
        connection.execute(
            sa.insert(rows.subject_layers),
            [
                {"subject_digest": subject.oci_digest, "position": position, "layer_digest": layer.layer_digest}
                for position, layer in enumerate(subject.layers)
            ],
        )


def _tell(connection: sa.Connection, record: Record, kind: str, now: datetime, details: Mapping[str, object]) -> None:
    told = {"scanId": record.manifest.scan.id, "manifestHash": record.manifest_hash, **details}
    append_event(connection, tenant=record.tenant, at=now, kind=kind, details=told)
