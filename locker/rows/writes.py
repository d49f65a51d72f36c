"""What several rooms of the locker write in the same way."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kit.bytes.digest import hex_of
from locker import audit_leaf
from locker.acting import NOBODY, Acting
from locker.cas import Stored
from locker.rows import tree
from locker.rows.schema import bundles, event_texts, events

CATEGORY = "evidence"
"""The category, of those that others know, that all events of a locker have."""


def insert_absent(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless one with its key is there; tell whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(statement).first() is not None


def add_bundle(connection: sa.Connection, stored: Stored, kind: str, content_root: str, *, at: datetime) -> None:
    """Add a bundle that is in the store, unless it is there."""
    values = {"digest": hex_of(stored.digest), "type": kind, "size": stored.size, "location": stored.location}
    insert_absent(connection, bundles, {**values, "content_root": content_root, "created_at": at})


def append_event(
    connection: sa.Connection, *, tenant: str, at: datetime, kind: str, details: Mapping[str, object]
) -> None:
    """Append to the timeline, and to the audit tree, in the transaction of the change that it tells of.

    Who acts is the connection's (:meth:`locker.rows.Rows.act`); names and words of people go into a table of their own.
    """
    acting: Acting = connection.get_execution_options().get("acting", NOBODY)
    kept, texts = audit_leaf.part(kind, details, acting.entropy)
    values: dict[str, object] = {"version": acting.version, "request": acting.request, "actor": None}
    if acting.actor is not None:
        name = audit_leaf.commit(audit_leaf.ACTOR, acting.actor, acting.entropy)
        values["actor"] = name.commitment
        texts.append(name)
    values |= {"tenant": tenant, "at": at, "category": CATEGORY, "kind": kind, "details": kept}
    sequence = connection.execute(sa.insert(events).values(**values).returning(events.c.sequence)).scalar_one()
    if texts:
        rows = [{"event": sequence, "member": one.member, "salt": one.salt, "text": one.text} for one in texts]
        connection.execute(sa.insert(event_texts), rows)
    event = audit_leaf.Event(sequence=sequence, **values)  # type: ignore[arg-type]
    tree.append(connection, sequence, audit_leaf.hash_of(event))
