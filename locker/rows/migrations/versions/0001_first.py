"""The first schema: scans, bundles, site results, quarantine, timeline."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from locker.rows.migrations import append_only

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "evidence_replay_bundles",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("content_root", sa.String(71), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("bundles_location", "evidence_replay_bundles", ["location"])
    op.create_table(
        "locker_facts",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", sa.String(256), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "replay_runs",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("manifest_hash", sa.String(71), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.Column("scan_time", TIME, nullable=True),
        sa.Column("subject_name", sa.Text(), nullable=True),
        sa.Column("subject_digest", sa.String(71), nullable=True),
        sa.Column("signatures", JSON, nullable=False),
        sa.Column("outputs", JSON, nullable=False),
        sa.Column("failure", sa.String(64), nullable=True),
        sa.CheckConstraint("status IN ('pending', 'verified', 'failed', 'replayed')", name="runs_status_known"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("runs_manifestHash_unique", "replay_runs", ["manifest_hash"], unique=True)
    op.create_table(
        "replay_subjects",
        sa.Column("digest", sa.String(71), nullable=False),
        sa.Column("layers", JSON, nullable=False),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_table(
        "timeline_events",
        sa.Column("sequence", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("category", sa.String(16), nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("details", JSON, nullable=False),
        sa.PrimaryKeyConstraint("sequence"),
        sqlite_autoincrement=True,
    )
    op.create_index("events_tenant_at", "timeline_events", ["tenant", "at"])
    op.create_table(
        "replay_documents",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("location", sa.Text(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["replay_runs.id"],
        ),
        sa.PrimaryKeyConstraint("run_id", "digest"),
    )
    op.create_table(
        "replay_run_bundles",
        sa.Column("run_id", sa.String(36), nullable=False),
        sa.Column("bundle_digest", sa.String(64), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.ForeignKeyConstraint(
            ["bundle_digest"],
            ["evidence_replay_bundles.digest"],
        ),
        sa.ForeignKeyConstraint(
            ["run_id"],
            ["replay_runs.id"],
        ),
        sa.PrimaryKeyConstraint("run_id", "bundle_digest"),
    )
    op.create_index("run_bundles_digest", "replay_run_bundles", ["bundle_digest"])
    op.create_table(
        "replay_subject_layers",
        sa.Column("subject_digest", sa.String(71), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("layer_digest", sa.String(71), nullable=False),
        sa.ForeignKeyConstraint(
            ["subject_digest"],
            ["replay_subjects.digest"],
        ),
        sa.PrimaryKeyConstraint("subject_digest", "position"),
    )
    op.create_index("subjects_layerDigest", "replay_subject_layers", ["layer_digest"])
    op.create_table(
        "rootpacks",
        sa.Column("sequence", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("bundle_digest", sa.String(64), nullable=False),
        sa.Column("record", sa.Text(), nullable=False),
        sa.Column("accepted_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["bundle_digest"],
            ["evidence_replay_bundles.digest"],
        ),
        sa.PrimaryKeyConstraint("sequence"),
        sa.UniqueConstraint("bundle_digest"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "site_results",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("origin", sa.String(16), nullable=False),
        sa.Column("tenant", sa.String(128), nullable=False),
        sa.Column("site", sa.String(71), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("scan_id", sa.String(36), nullable=True),
        sa.Column("manifest_hash", sa.String(71), nullable=True),
        sa.Column("mode", sa.String(64), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("reason", sa.String(64), nullable=False),
        sa.Column("exit_code", sa.Integer(), nullable=False),
        sa.Column("finished_at", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("bundle_digest", sa.String(64), nullable=False),
        sa.CheckConstraint("origin = 'site'", name="site_results_origin"),
        sa.ForeignKeyConstraint(
            ["bundle_digest"],
            ["evidence_replay_bundles.digest"],
        ),
        sa.PrimaryKeyConstraint("digest"),
    )
    op.create_index("site_results_manifest", "site_results", ["manifest_hash", "site", "mode"])
    op.create_index("bundles_type", "evidence_replay_bundles", ["type", sa.text("created_at DESC")])
    op.create_index("runs_status_createdAt", "replay_runs", ["status", sa.text("created_at DESC")])
    op.create_index("runs_tenant_createdAt", "replay_runs", ["tenant", sa.text("created_at DESC")])
    for statement in append_only.statements(op.get_bind().dialect.name, "timeline_events"):
        op.execute(statement)
