"""What several rooms of the locker write in the same way."""

from collections.abc import Mapping
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kit.bytes.digest import hex_of
from locker.cas import Stored
from locker.rows.schema import bundles, events


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
    """Append to the timeline, in the transaction of the change that it tells of."""
    connection.execute(
        sa.insert(events).values(tenant=tenant, at=at, category="evidence", kind=kind, details=dict(details))
    )
