"""The audit tree over the timeline, its checkpoints, and who acted; what happened before gets its leaves now."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

from locker import audit_leaf
from locker.rows import tree
from locker.rows.migrations import append_only

revision = "0030"
down_revision = "0020"

TIME = sa.DateTime(timezone=True)
TABLES = ("audit_leaves", "audit_nodes", "audit_checkpoints", "audit_sightings")


def upgrade() -> None:
    """Create the tables, and one leaf for each event."""
    for name, size in (("actor", 71), ("version", 32), ("request", 36)):
        op.add_column("timeline_events", sa.Column(name, sa.String(size), nullable=True))
    op.create_table(
        "timeline_texts",
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("member", sa.String(64), nullable=False),
        sa.Column("salt", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["timeline_events.sequence"]),
        sa.PrimaryKeyConstraint("event", "member"),
    )
    op.create_table(
        "audit_leaves",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["event"], ["timeline_events.sequence"]),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("event"),
    )
    op.create_table(
        "audit_nodes",
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "position"),
    )
    op.create_table(
        "audit_checkpoints",
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("size"),
    )
    op.create_table(
        "audit_sightings",
        sa.Column("site", sa.String(71), nullable=False),
        sa.Column("size", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("root", sa.String(71), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("site", "size", "root"),
    )
    _leave_old_events(op.get_bind())
    for table in TABLES:
        for statement in append_only.statements(op.get_bind().dialect.name, table):
            op.execute(statement)


def _leave_old_events(connection: sa.Connection) -> None:
    """Make the leaves of the events that are there, in their order."""
    table = sa.table(
        "timeline_events",
        *(sa.column(name) for name in ("sequence", "tenant", "category", "kind")),
        sa.column("at", TIME),
        sa.column("details", sa.JSON()),
    )
    found = sa.select(table).order_by(table.c.sequence)
    for row in connection.execute(found).all():
        at: datetime = row.at if row.at.tzinfo else row.at.replace(tzinfo=UTC)
        event = audit_leaf.Event(row.sequence, row.tenant, at, row.category, row.kind, row.details)
        tree.append(connection, row.sequence, audit_leaf.hash_of(event))
