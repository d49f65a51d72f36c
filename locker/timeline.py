"""Reading the timeline: a list, one event, an export in which each has its proof (docs/locker.md, "Timeline")."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from kit.bytes import canonical
from kit.errors import UsageError
from kit.ledger.proof import InclusionProof
from locker import audit_leaf, audit_verify
from locker.audit_keys import Signed
from locker.audit_leaf import Event
from locker.rows import EVERY_TENANT, audit_leaves, event_texts, events
from locker.rows.tree import RowTree
from locker.store import Locker

SCHEMA_VERSION = "1.0"
PURGED = "(purged)"

_NAMES = ("sequence", "tenant", "at", "category", "kind", "details", "actor", "version", "request")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are asked for; a tenant's are its own and those about the whole locker."""

    scan: str | None = None
    tenant: str | None = None
    since: datetime | None = None
    kind: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An event, its place in the audit tree, and its texts by member, as far as they were not purged."""

    event: Event
    leaf: int
    texts: dict[str, str]


def select(locker: Locker, wanted: Wanted) -> list[Told]:
    """Return events, the newest first."""
    with locker.rows.read() as connection:
        return list(_read(connection, _query(wanted).order_by(events.c.sequence.desc()).limit(wanted.limit)))


def one(locker: Locker, sequence: int) -> Told:
    """Return one event by its number; raises :class:`UsageError`."""
    with locker.rows.read() as connection:
        found = list(_read(connection, _query(Wanted()).where(events.c.sequence == sequence)))
    if not found:
        raise UsageError(detail="the timeline has no such event", found=sequence)
    return found[0]


def described(told: Told) -> dict[str, object]:
    """Return an event as people read it: with the texts that belong to it."""
    event = told.event
    details = {
        name: told.texts.get(f"details.{name}", PURGED) if _is_kept_apart(value) else value
        for name, value in event.details.items()
    }
    answer: dict[str, object] = {
        "sequence": event.sequence,
        "at": audit_leaf.moment(event.at),
        "tenant": event.tenant,
        "kind": event.kind,
        "details": details,
        "leaf": told.leaf,
    }
    if event.actor is not None:
        answer["actor"] = told.texts.get(audit_leaf.ACTOR, PURGED)
    optional = {"version": event.version, "request": event.request}
    return answer | {name: value for name, value in optional.items() if value is not None}


def export(locker: Locker, wanted: Wanted, signed: Signed) -> Iterator[bytes]:
    """Yield lines of canonical JSON: the checkpoint, then each event under it with its proof, the oldest first.

    The member ``event`` of a line is the leaf: its canonical bytes are what the proof leads from.
    """
    head = {"schemaVersion": SCHEMA_VERSION, "origin": signed.checkpoint.origin, "size": signed.checkpoint.size}
    yield canonical.encode({**head, "checkpoint": signed.note.decode()}) + b"\n"
    with locker.rows.read() as connection:
        tree = RowTree(connection, signed.checkpoint.size)
        query = _query(wanted).where(audit_leaves.c.position < tree.size).order_by(events.c.sequence)
        for told in _read(connection, query.limit(wanted.limit)):
            line = {
                "event": canonical.decode(audit_leaf.encode(told.event)),
                "index": told.leaf,
                "proof": [each.hex() for each in tree.inclusion(told.leaf)],
                "texts": told.texts,
            }
            yield canonical.encode(line) + b"\n"


def proof_of(connection: sa.Connection, told: Told, signed: Signed) -> InclusionProof:
    """Return the proof that an event is in the tree of a checkpoint, with the event's leaf in it."""
    tree = RowTree(connection, signed.checkpoint.size)
    return InclusionProof(told.leaf, tuple(tree.inclusion(told.leaf)), signed.note, audit_leaf.encode(told.event))


def of_scan(connection: sa.Connection, scan: str) -> list[Told]:
    """Return all events of one scan, the oldest first."""
    return list(_read(connection, _query(Wanted(scan=scan)).order_by(events.c.sequence)))


def _query(wanted: Wanted) -> sa.Select[tuple[object, ...]]:
    joined = sa.join(events, audit_leaves, events.c.sequence == audit_leaves.c.event)
    query = sa.select(events, audit_leaves.c.position).select_from(joined)
    if wanted.scan is not None:
        query = query.where(events.c.details["scanId"].as_string() == wanted.scan)
    if wanted.tenant is not None:
        query = query.where(events.c.tenant.in_((wanted.tenant, EVERY_TENANT)))
    if wanted.since is not None:
        query = query.where(events.c.at >= wanted.since)
    if wanted.kind is not None:
        # Kinds are a tree of words: replay.hold means all that begins with it.
        below = events.c.kind.startswith(f"{wanted.kind.removesuffix('.')}.", autoescape=True)
        query = query.where(sa.or_(events.c.kind == wanted.kind, below))
    return query


def _read(connection: sa.Connection, query: sa.Select[tuple[object, ...]]) -> Iterator[Told]:
    for row in connection.execute(query).mappings().all():
        kept = sa.select(event_texts).where(event_texts.c.event == row["sequence"]).order_by(event_texts.c.member)
        event = Event(**{name: row[name] for name in _NAMES})
        texts = {
            text.member: text.text
            for text in connection.execute(kept)
            if audit_verify.committed(text.member, event.actor, event.details)
            == audit_leaf.Text(text.member, text.salt, text.text).commitment
        }
        yield Told(event, row["position"], texts)


def _is_kept_apart(value: object) -> bool:
    return isinstance(value, dict) and value.keys() == {audit_leaf.COMMITMENT}
