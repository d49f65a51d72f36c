"""What the nightly verification chose, found and counted."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0020"
down_revision = "0010"

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Create the tables, and the indexes by which scans are listed and the last event of a kind is found."""
    op.create_index("runs_createdAt", "replay_runs", [sa.text("created_at DESC"), "id"])
    op.create_index("events_kind", "timeline_events", ["kind", "sequence"])
    op.create_table(
        "verify_nights",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("latest", sa.Integer(), nullable=False),
        sa.Column("mode", sa.String(16), nullable=False),
        sa.Column("pack", sa.String(71), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.Column("state", sa.String(16), nullable=False),
        sa.CheckConstraint("state IN ('running', 'finished', 'abandoned')", name="verify_nights_state"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("verify_nights_startedAt", "verify_nights", ["tenant", sa.text("started_at DESC")])
    op.create_table(
        "verify_results",
        sa.Column("night", sa.String(36), nullable=False),
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("result", sa.String(16), nullable=True),
        sa.Column("code", sa.String(64), nullable=True),
        sa.Column("faults", JSON, nullable=False),
        sa.Column("replay", sa.String(64), nullable=True),
        sa.Column("difference", sa.Text(), nullable=True),
        sa.Column("arch", sa.String(16), nullable=True),
        sa.Column("checked_at", TIME, nullable=True),
        sa.CheckConstraint("result IN ('verified', 'failed', 'error', 'skipped')", name="verify_results_known"),
        sa.ForeignKeyConstraint(["night"], ["verify_nights.id"]),
        sa.ForeignKeyConstraint(["run_id"], ["replay_runs.id"]),
        sa.PrimaryKeyConstraint("night", "run_id"),
    )
    op.create_index("verify_results_run", "verify_results", ["run_id", sa.text("checked_at DESC")])
    op.create_index("verify_results_tenant", "verify_results", ["tenant", sa.text("checked_at DESC")])
    op.create_table(
        "verify_blobs",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("night", sa.String(36), nullable=False),
        sa.Column("checked_at", TIME, nullable=False),
        sa.Column("code", sa.String(64), nullable=True),
        sa.Column("fault", JSON, nullable=True),
        sa.Column("decoded", sa.String(71), nullable=True),
        sa.Column("decoded_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["digest"], ["evidence_replay_bundles.digest"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "verify_totals",
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("result", sa.String(16), nullable=False),
        sa.Column("arch", sa.String(16), nullable=False),
        sa.Column("lane", sa.String(16), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("tenant", "result", "arch", "lane"),
    )
