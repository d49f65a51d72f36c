"""Retention, holds, tiers."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from locker.rows.migrations import append_only

revision = "0010"
down_revision = "0002"

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    _retention()
    _holds()
    for statement in append_only.statements(op.get_bind().dialect.name, "retention_tombstones"):
        op.execute(statement)


def _retention() -> None:
    op.create_table(
        "retention_declarations",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("mapping", sa.String(64), nullable=False),
        sa.Column("policy_id", sa.String(32), nullable=False),
        sa.Column("retention_days", sa.Integer(), nullable=False),
        sa.Column("ingested_at", TIME, nullable=False),
        sa.Column("purge_after", TIME, nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["evidence_replay_bundles.digest"]),
        sa.PrimaryKeyConstraint("digest", "tenant", "mapping"),
    )
    op.create_index("declarations_tenant", "retention_declarations", ["tenant", "purge_after"])
    op.create_table(
        "retention_objects",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("tier", sa.String(16), nullable=False),
        sa.Column("hot_since", TIME, nullable=False),
        sa.Column("purge_after", TIME, nullable=False),
        sa.Column("marked_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('live', 'marked', 'deleting', 'tombstone')", name="retention_objects_state"),
        sa.CheckConstraint("tier IN ('hot', 'demoting', 'cold')", name="retention_objects_tier"),
        sa.ForeignKeyConstraint(["digest"], ["evidence_replay_bundles.digest"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("retention_objects_due", "retention_objects", ["state", "purge_after"])
    op.create_index("retention_objects_hot", "retention_objects", ["tier", "hot_since"])
    op.create_table(
        "retention_tombstones",
        sa.Column("sequence", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("purged_at", TIME, nullable=False),
        sa.Column("event", sa.Integer(), nullable=False),
        sa.Column("envelope", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("tombstones_digest", "retention_tombstones", ["digest"])
    op.create_table(
        "retention_runs",
        sa.Column("sequence", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("who", sa.String(256), nullable=False),
        sa.Column("purging", sa.Integer(), nullable=False),
        sa.Column("allowed", JSON, nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("retention_runs_tenant", "retention_runs", ["tenant", "sequence"])


def _holds() -> None:
    op.create_table(
        "evidence_holds",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("scope", sa.String(16), nullable=False),
        sa.Column("asked", JSON, nullable=False),
        sa.Column("future", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(256), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("released_by", sa.String(256), nullable=True),
        sa.Column("released_at", TIME, nullable=True),
        sa.Column("release_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("status IN ('active', 'released')", name="evidence_holds_status"),
        sa.CheckConstraint("scope IN ('digest', 'component', 'time-range', 'all')", name="evidence_holds_scope"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("evidence_holds_tenant", "evidence_holds", ["tenant", "status"])
    op.create_table(
        "evidence_hold_objects",
        sa.Column("hold_id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("added_at", TIME, nullable=False),
        sa.Column("store_bit", sa.String(256), nullable=False),
        sa.ForeignKeyConstraint(["hold_id"], ["evidence_holds.id"]),
        sa.ForeignKeyConstraint(["digest"], ["evidence_replay_bundles.digest"]),
        sa.PrimaryKeyConstraint("hold_id", "digest"),
    )
    op.create_index("evidence_hold_objects_digest", "evidence_hold_objects", ["digest"])
    op.create_table(
        "replay_components",
        sa.Column("sbom", sa.String(71), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sbom", "component", "version"),
    )
    op.create_index("components_name", "replay_components", ["component", "version"])
    op.create_table(
        "replay_component_lists",
        sa.Column("sbom", sa.String(71), nullable=False),
        sa.Column("fault", sa.String(64), nullable=True),
        sa.PrimaryKeyConstraint("sbom"),
    )
