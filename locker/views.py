"""What a locker answers when it is asked: plain values, in a fixed order, for tables and JSON alike."""

from collections.abc import Iterable, Mapping
from datetime import datetime

import sqlalchemy as sa

from kit.bytes import digest
from kit.errors import DigestMismatch, StellaError, UsageError
from locker import cas, rows, site_receipts, trust
from locker.retention import run as retention
from locker.rows import bundles, documents, events, run_bundles, runs, site_results
from locker.rows.retention import STATES, TIERS, objects
from locker.store import Locker
from verifier.run_dir import stamp

Answer = dict[str, object]
SHORT = 8
"""Digits of a scan id by which it is shown and can be asked for."""
_LISTED = (
    *("id", "tenant", "status", "manifest_hash", "created_at", "updated_at", "scan_time"),
    *("subject_name", "subject_digest", "failure"),
)
"""What a list shows of a run: signatures and outputs would be decoded for nothing."""
_NOBODY = "not in the RootPack"


def status(locker: Locker) -> Answer:
    """Return what the locker holds, in numbers, and whose trust it follows."""
    with locker.rows.read() as connection:
        counted = connection.execute(sa.select(runs.c.status, sa.func.count()).group_by(runs.c.status)).all()
        by_status = {name: int(number) for name, number in counted}
        size = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(bundles.c.size), 0))).scalar_one()
        newest = connection.execute(sa.select(sa.func.max(runs.c.updated_at))).scalar_one()
        answer: Answer = {
            "pinnedRoot": (rows.read_facts(connection) or {}).get("pinnedRoot", ""),
            "signingKey": locker.site.fingerprint,
            "runs": {name: by_status.get(name, 0) for name in rows.STATUSES},
            "bundles": _count(connection, bundles),
            "bundleBytes": int(size),
            "states": _counted(connection, objects.c.state, STATES),
            "tiers": _counted(connection, objects.c.tier, TIERS),
            "worm": _locks(connection),
            "siteResults": _count(connection, site_results),
            "quarantined": _count(connection, rows.quarantine),
            "events": _count(connection, events),
            "receipts": site_receipts.described(site_receipts.chains(connection)),
        }
    if newest is not None:
        answer["lastChange"] = stamp(newest)
    if (floors := locker.site.state.floors) is not None:
        answer["rootPack"] = {"root": floors.root, "timestamp": floors.timestamp}
    return answer


def list_runs(locker: Locker, *, status: str | None, tenant: str | None, limit: int) -> list[Answer]:
    """Return runs, the newest first."""
    if status is not None and status not in rows.STATUSES:
        raise UsageError(expected=" | ".join(rows.STATUSES), found=status)
    shown = [runs.c[name] for name in _LISTED]
    wanted = sa.select(*shown).order_by(runs.c.created_at.desc(), runs.c.id).limit(limit)
    if status is not None:
        wanted = wanted.where(runs.c.status == status)
    if tenant is not None:
        wanted = wanted.where(runs.c.tenant == tenant)
    with locker.rows.read() as connection:
        return [_run(row) for row in connection.execute(wanted)]


def show_run(locker: Locker, asked: str) -> Answer:
    """Return everything that the locker knows of one scan, by its id or the id's first digits.

    Keys are named by their owners, as the newest RootPack has them. Raises :class:`UsageError` for an unknown scan.
    """
    found_id, owners = scan_id(locker, asked), _owners(locker)
    joined = sa.join(run_bundles, bundles, run_bundles.c.bundle_digest == bundles.c.digest)
    joined = sa.outerjoin(joined, objects, objects.c.digest == bundles.c.digest)
    kept_as = (objects.c.state, objects.c.tier, objects.c.purge_after)
    held = sa.select(run_bundles.c.role, bundles, *kept_as).select_from(joined).where(run_bundles.c.run_id == found_id)
    with locker.rows.read() as connection:
        row = connection.execute(sa.select(runs).where(runs.c.id == found_id)).one_or_none()
        if row is None:
            raise UsageError(detail="the locker does not know this scan", found=found_id[:64])
        answer = _run(row)
        answer["signatures"] = [{**one, "owner": owners.get(one["keyId"], _NOBODY)} for one in row.signatures]
        answer["outputs"] = row.outputs
        ordered = held.order_by(run_bundles.c.role, bundles.c.digest)
        answer["bundles"] = [_bundle(found) for found in connection.execute(ordered)]
        answer["worm"] = _locks(connection)
        kept = sa.select(documents).where(documents.c.run_id == found_id).order_by(documents.c.type, documents.c.digest)
        answer["documents"] = [
            {"type": found.type, "size": found.size, "location": found.location} for found in connection.execute(kept)
        ]
        answer["evidence"] = _evidence(connection, found_id)
        told = sa.select(site_results).where(site_results.c.manifest_hash == row.manifest_hash)
        ordered = told.order_by(site_results.c.finished_at, site_results.c.digest)
        answer["siteResults"] = [_result(found, owners) for found in connection.execute(ordered)]
        if (night := connection.execute(_last_night(found_id)).first()) is not None:
            answer["lastNight"] = _night(night)
    return answer


def difference(locker: Locker, asked: str) -> bytes:
    """Return how the outputs of a scan's last replay that differed do so; :class:`UsageError` where none is kept."""
    table, found_id = rows.verify_results, scan_id(locker, asked)
    with locker.rows.read() as connection:
        wanted = _last_night(found_id).where(table.c.difference.is_not(None))
        night = connection.execute(wanted).first()
    if night is None:
        raise UsageError(detail="no difference of this scan is kept", found=found_id[:64]).then(
            "stella verify --latest N --explain keeps one for each replay that differs."
        )
    name = f"sha256:{night.difference.rpartition('/')[2].removesuffix(cas.DOCUMENT)}"
    data = b"".join(locker.cas.read(name, cas.DOCUMENT))
    if (found := digest.of_bytes(data)) != name:
        raise DigestMismatch(path=night.difference, expected=name, found=found)
    return data


def _last_night(found_id: str) -> sa.Select[tuple[object, ...]]:
    table = rows.verify_results
    judged = sa.select(table).where(table.c.run_id == found_id, table.c.result.is_not(None))
    return judged.order_by(table.c.checked_at.desc(), table.c.night).limit(1)


def _night(row: sa.Row[tuple[object, ...]]) -> Answer:
    answer: Answer = {"at": stamp(row.checked_at), "night": row.night, "result": row.result}
    optional = {"code": row.code, "replay": row.replay, "difference": row.difference, "faults": row.faults or None}
    return answer | {name: value for name, value in optional.items() if value is not None}


def _bundle(row: sa.Row[tuple[object, ...]]) -> Answer:
    """Return a bundle of a scan; a RootPack's is under no retention, and has neither state nor tier."""
    answer: Answer = {"role": row.role, "size": row.size, "location": row.location, "contentRoot": row.content_root}
    if row.state is None:
        return answer
    return answer | {"state": row.state, "tier": row.tier, "purgeAfter": stamp(row.purge_after)}


def _counted(connection: sa.Connection, column: sa.Column[str], names: Iterable[str]) -> dict[str, int]:
    counted = connection.execute(sa.select(column, sa.func.count()).group_by(column)).all()
    found = {name: int(number) for name, number in counted}
    return {name: found.get(name, 0) for name in names}


def _locks(connection: sa.Connection) -> Answer:
    """Return what the stores did when a canary was put under their locks the last time, and when that was."""
    wanted = sa.select(events.c.at, events.c.details).where(events.c.kind == retention.LOCKS_CHECKED)
    last = connection.execute(wanted.order_by(events.c.sequence.desc()).limit(1)).first()
    if last is None:
        return {"state": "unknown: no retention run asked yet"}
    return {**last.details, "at": stamp(last.at)}


def _evidence(connection: sa.Connection, scan_id: str) -> list[Answer]:
    """Return the files of evidence of a scan, the latest of a name last."""
    table = rows.evidence
    wanted = sa.select(table).where(table.c.run_id == scan_id)
    ordered = wanted.order_by(table.c.name, table.c.created_at, table.c.digest)
    return [
        {"name": found.name, "size": found.size, "location": found.location, "addedAt": stamp(found.created_at)}
        for found in connection.execute(ordered)
    ]


def scan_id(locker: Locker, asked: str) -> str:
    """Return the one scan id that begins as asked for; what is asked for where there is none or more than one."""
    wanted = sa.select(runs.c.id).where(runs.c.id.startswith(asked, autoescape=True)).order_by(runs.c.id).limit(2)
    with locker.rows.read() as connection:
        found = list(connection.execute(wanted).scalars())
    return str(found[0]) if len(found) == 1 and len(asked) >= SHORT else asked


def _owners(locker: Locker) -> dict[str, str]:
    """Return the owners of the keys in the newest RootPack by fingerprint; it may have expired since it was accepted.

    Names are shown and decide nothing: where there is no RootPack that can be read, there are none.
    """
    with locker.rows.read() as connection:
        accepted = connection.execute(sa.select(sa.func.max(rows.rootpacks.c.accepted_at))).scalar_one()
    if accepted is None:
        return {}
    try:
        pack, _ = trust.in_force(locker, None, now=accepted)
    except StellaError:
        return {}
    return {key.public.fingerprint: key.owner for key in pack.trusted_keys}


def _run(row: sa.Row[tuple[object, ...]]) -> Answer:
    answer: Answer = {
        "id": row.id,
        "tenant": row.tenant,
        "status": row.status,
        "manifestHash": row.manifest_hash,
        "createdAt": stamp(row.created_at),
        "updatedAt": stamp(row.updated_at),
    }
    optional = {
        "scanTime": _written(row.scan_time),
        "subject": row.subject_name,
        "ociDigest": row.subject_digest,
        "failure": row.failure,
    }
    return answer | {name: value for name, value in optional.items() if value is not None}


def _result(row: sa.Row[tuple[object, ...]], owners: Mapping[str, str]) -> Answer:
    return {
        "origin": row.origin,
        "site": row.site,
        "siteOwner": owners.get(str(row.site), _NOBODY),
        "runId": row.run_id,
        "mode": row.mode,
        "verdict": row.verdict,
        "reason": row.reason,
        "finishedAt": stamp(row.finished_at),
        "receivedAt": stamp(row.received_at),
        "result": f"sha256:{row.digest}",
    }


def _written(moment: datetime | None) -> str | None:
    return stamp(moment) if moment is not None else None


def _count(connection: sa.Connection, table: sa.Table) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
