"""Deriving the audit log anew from the rows, and comparing all that was ever signed (docs/locker.md, "Audit log").

Reads one moment of the database and changes nothing; the same rows give the same answer. Faults are values, in a fixed
order: one row that was changed is named as that row, and what else is there is still looked at.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from kit.bytes import digest, merkle
from kit.errors import (
    AuditEventChanged,
    AuditEventMissing,
    AuditEventUnlogged,
    AuditForked,
    AuditRolledBack,
    AuditTreeDamaged,
    AuditUnprotected,
    StellaError,
)
from kit.ledger.checkpoint import Checkpoint
from kit.ledger.note import NoteKey
from locker import audit_leaf
from locker.audit_keys import CHECKPOINT_FILE, DIRECTORY, RETIRED, key_of, keys_of, open_note, remembered
from locker.audit_leaf import Event, Text
from locker.rows import (
    audit_checkpoints,
    audit_leaves,
    audit_nodes,
    audit_sightings,
    event_texts,
    events,
)
from locker.rows.migrations.append_only import missing_triggers
from locker.rows.schema import APPEND_ONLY
from locker.store import Locker

MAX_FAULTS = 100
"""Faults that a report names; more are counted."""
_BATCH = 2000
_SEVERITY = (24, 30, 32)


@dataclass(slots=True)
class Report:
    """What was found: the tree of the rows, how much was compared with it, faults, and what a reader should know."""

    origin: str
    size: int = 0
    root: str = ""
    checkpoints: int = 0
    sightings: int = 0
    texts: int = 0
    newest: int = 0
    faults: list[StellaError] = field(default_factory=list)
    untold: int = 0
    remarks: list[str] = field(default_factory=list)

    def fault(self, error: StellaError) -> None:
        """Add a fault."""
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(error)
        else:
            self.untold += 1

    @property
    def worst(self) -> StellaError | None:
        """Return the fault that the verdict names: of the past that was changed, of a row, of what is missing."""
        return min(self.faults, key=lambda fault: _SEVERITY.index(fault.exit_code), default=None)


def verify(locker: Locker) -> Report:
    """Compare rows, tree, checkpoints, the file beside the database, triggers, and what sites were shown."""
    place = locker.path / DIRECTORY
    keys = keys_of(place)
    report = Report(key_of(place).name)
    with locker.rows.read() as connection:
        for name in missing_triggers(connection, APPEND_ONLY):
            report.fault(AuditUnprotected(path=name, detail="the trigger that keeps the table append-only"))
        signed = _checkpoints(connection, keys, report)
        highest = _highest(place, signed, report)
        seen = connection.execute(sa.select(audit_sightings).order_by(audit_sightings.c.site, audit_sightings.c.size))
        sightings = seen.all()
        sizes = {one.size for one in (*signed, *highest)} | {row.size for row in sightings}
        roots = _events(connection, report, sizes)
        _nodes(connection, report)
        _texts(connection, report)
    _compare(report, roots, [*signed, *highest])
    for row in sightings:
        _compare_sighting(report, roots, row)
    _tell_retired(place, report)
    report.checkpoints, report.sightings = len(signed), len(sightings)
    report.newest = max((one.size for one in (*signed, *highest)), default=0)
    if report.newest < report.size:
        report.remarks.append(f"{report.size - report.newest} events are not under a checkpoint yet")
    return report


def described(report: Report) -> dict[str, object]:
    """Return a report as plain values."""
    return {
        "origin": report.origin,
        "size": report.size,
        "root": report.root,
        "checkpoints": report.checkpoints,
        "checkpointSize": report.newest,
        "sightings": report.sightings,
        "texts": report.texts,
        "faults": [
            {"reason": fault.reason, "exitCode": fault.exit_code, "sentence": str(fault), "details": fault.details}
            for fault in report.faults
        ],
        "furtherFaults": report.untold,
        "remarks": list(report.remarks),
    }


def _checkpoints(connection: sa.Connection, keys: tuple[NoteKey, ...], report: Report) -> list[Checkpoint]:
    """Return every stored checkpoint that is signed and is about the size that its row says."""
    found = []
    for row in connection.execute(sa.select(audit_checkpoints).order_by(audit_checkpoints.c.size)):
        try:
            opened = open_note(row.note.encode(), keys)
        except StellaError as error:
            report.fault(AuditForked(path=audit_checkpoints.name, size=row.size, detail=f"{error.reason}: {error}"))
            continue
        if opened.size != row.size:
            report.fault(AuditForked(path=audit_checkpoints.name, expected=row.size, found=opened.size))
        found.append(opened)
    return found


def _highest(place: Path, signed: list[Checkpoint], report: Report) -> list[Checkpoint]:
    """Return the checkpoint of the file beside the database, which is never behind those in it."""
    path = f"{DIRECTORY}/{CHECKPOINT_FILE}"
    highest = remembered(place)
    own = [one for one in signed if one.origin == report.origin]
    if highest is None:
        if own:
            report.fault(AuditUnprotected(path=path, detail="the file is missing"))
        return []
    if own and own[-1].size > highest.checkpoint.size:
        detail = "the file beside the database is older than the database"
        report.fault(AuditRolledBack(path=path, detail=detail, expected=own[-1].size, found=highest.checkpoint.size))
    return [highest.checkpoint]


def _events(connection: sa.Connection, report: Report, sizes: set[int]) -> dict[int, bytes]:
    """Hold every event against its leaf; return the root of the leaves at each of some sizes."""
    tree = merkle.Tree()
    roots = {0: merkle.EMPTY_ROOT}
    latest: datetime | None = None
    joined = sa.join(audit_leaves, events, audit_leaves.c.event == events.c.sequence, isouter=True)
    columns = (audit_leaves.c.position, audit_leaves.c.event, audit_leaves.c.hash, *events.c)
    wanted = sa.select(*columns).select_from(joined).order_by(audit_leaves.c.position)
    for row in connection.execution_options(yield_per=_BATCH).execute(wanted):
        while tree.size < row.position:
            # Nothing can stand for a leaf that is gone; what follows is still held against its event.
            report.fault(AuditEventMissing(leaf=tree.size, detail="the leaf is gone"))
            tree.append(merkle.EMPTY_ROOT)
        _hold(row, report)
        if row.at is not None:
            if latest is not None and row.at < latest:
                report.remarks.append(
                    f"the clock went back before event {row.event}: {_shown(latest)} {_shown(row.at)}"
                )
            latest = row.at
        tree.append(bytes(row.hash))
        if tree.size in sizes:
            roots[tree.size] = tree.root()
    without = sa.select(events.c.sequence).where(events.c.sequence.not_in(sa.select(audit_leaves.c.event)))
    for sequence in connection.execute(without.order_by(events.c.sequence)).scalars():
        report.fault(AuditEventUnlogged(event=sequence))
    report.size, report.root = tree.size, tree.root().hex()
    return roots


def _hold(row: sa.Row[tuple[object, ...]], report: Report) -> None:
    if row.sequence is None:
        report.fault(AuditEventMissing(event=row.event, leaf=row.position))
        return
    names = ("sequence", "tenant", "at", "category", "kind", "details", "actor", "version", "request")
    try:
        found = audit_leaf.hash_of(Event(**{name: getattr(row, name) for name in names}))
    except (StellaError, TypeError, AttributeError):  # somebody wrote what no program of ours writes
        found = b""
    if found != bytes(row.hash):
        report.fault(AuditEventChanged(event=row.event, leaf=row.position, tenant=str(row.tenant), kind=str(row.kind)))


def _nodes(connection: sa.Connection, report: Report) -> None:
    """Hold every kept subtree against the two below it, and find those that are not there."""
    below = _hashes(connection, sa.select(audit_leaves.c.position, audit_leaves.c.hash))
    level = 1
    while below:
        kept = _hashes(
            connection, sa.select(audit_nodes.c.position, audit_nodes.c.hash).where(audit_nodes.c.level == level)
        )
        made = {
            at // 2: merkle.node_hash(below[at], below[at + 1])
            for at in range(0, max(below), 2)
            if at in below and at + 1 in below
        }
        for position in sorted(made.keys() | kept.keys()):
            if made.get(position) != kept.get(position):
                report.fault(AuditTreeDamaged(level=level, position=position))
        below, level = kept, level + 1


def _hashes(connection: sa.Connection, wanted: sa.Select[int, bytes]) -> dict[int, bytes]:
    return {position: bytes(found) for position, found in connection.execute(wanted)}


def _texts(connection: sa.Connection, report: Report) -> None:
    """Hold every text that was not purged against the commitment of its event."""
    joined = sa.join(event_texts, events, event_texts.c.event == events.c.sequence)
    wanted = sa.select(event_texts, events.c.details, events.c.actor).select_from(joined)
    ordered = wanted.order_by(event_texts.c.event, event_texts.c.member)
    for row in connection.execution_options(yield_per=_BATCH).execute(ordered):
        report.texts += 1
        try:
            found = Text(row.member, row.salt, row.text).commitment
        except ValueError:
            found = ""
        if found != committed(row.member, row.actor, row.details):
            report.fault(AuditEventChanged(event=row.event, detail=f"the text of {row.member} is another"))


def committed(member: str, actor: str | None, details: Mapping[str, object]) -> object:
    """Return what an event commits to for a text that is kept apart."""
    if member == audit_leaf.ACTOR:
        return actor
    held = details.get(member.removeprefix("details."))
    return held.get(audit_leaf.COMMITMENT) if isinstance(held, dict) else None


def _compare(report: Report, roots: Mapping[int, bytes], signed: list[Checkpoint]) -> None:
    """Hold each signed checkpoint against the rows; the first that fails tells after which one the past was changed."""
    held = 0
    for one in sorted(set(signed), key=lambda each: (each.size, each.root)):
        if one.size > report.size:
            report.fault(AuditRolledBack(origin=one.origin, expected=one.size, found=report.size))
        elif roots[one.size] != one.root:
            where = f"events {held + 1} to {one.size}"
            report.fault(AuditForked(size=one.size, expected=one.root.hex(), found=roots[one.size].hex(), detail=where))
        else:
            held = one.size


def _compare_sighting(report: Report, roots: Mapping[int, bytes], row: sa.Row[tuple[object, ...]]) -> None:
    size = int(str(row.size))
    if size > report.size:
        report.fault(AuditRolledBack(site=str(row.site), expected=size, found=report.size))
    elif (found := digest.of_raw(roots[size])) != row.root:
        report.fault(AuditForked(site=str(row.site), size=size, expected=str(row.root), found=found))


def _tell_retired(place: Path, report: Report) -> None:
    for path in sorted((place / RETIRED).glob("*.checkpoint")):
        report.remarks.append(
            f"the log was begun anew; what it had signed before lies in {DIRECTORY}/{RETIRED}/{path.name}"
        )


def _shown(moment: datetime) -> str:
    return audit_leaf.moment(moment)


def reasons(report: Report) -> Iterator[str]:
    """Yield each fault as a line: reason code and sentence."""
    for fault in report.faults:
        yield f"{fault.reason}: {fault}"
    if report.untold:
        yield f"and {report.untold} more"
