"""The locker's tables, in SQLAlchemy Core, the same on SQLite and PostgreSQL (docs/locker.md, "Rows").

SQLite has no schemas, so ``evidence.replay_bundles`` and ``timeline.events`` are spelled with an underscore. Every time
is UTC and an argument of whoever writes it. A change here needs a migration beside it: a test compares the two.
"""

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

PENDING = "pending"
"""Signed and well-formed, but not every artifact is in the store yet."""
VERIFIED = "verified"
"""Every artifact was verified and is in the store."""
FAILED = "failed"
"""The record was refused; ``failure`` has the reason code."""
REPLAYED = "replayed"
"""Verified, and a site's strict replay gave the recorded bytes."""
STATUSES = (PENDING, VERIFIED, FAILED, REPLAYED)

EVERY_TENANT = "*"
"""Tenant of an event that concerns the whole locker."""


class UtcTime(sa.TypeDecorator[datetime]):
    """A UTC time that comes back with its zone from every database."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Refuse a time without zone, which would mean another moment on another machine."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise TypeError("a time without zone")
        moved = value.astimezone(UTC)
        return moved.replace(tzinfo=None) if dialect.name == "sqlite" else moved

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

metadata = sa.MetaData()

facts = sa.Table(
    "locker_facts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("value", sa.Text, nullable=False),
)

runs = sa.Table(
    "replay_runs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("manifest_hash", sa.String(71), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
    sa.Column("scan_time", UtcTime),
    sa.Column("subject_name", sa.Text),
    sa.Column("subject_digest", sa.String(71)),
    sa.Column("signatures", Json, nullable=False),
    sa.Column("outputs", Json, nullable=False),
    sa.Column("failure", sa.String(64)),
    sa.CheckConstraint(sa.column("status").in_(STATUSES), name="runs_status_known"),
    sa.Index("runs_manifestHash_unique", "manifest_hash", unique=True),
    sa.Index("runs_status_createdAt", "status", sa.desc("created_at")),
    sa.Index("runs_tenant_createdAt", "tenant", sa.desc("created_at")),
    sa.Index("runs_createdAt", sa.desc("created_at"), "id"),
)

bundles = sa.Table(
    "evidence_replay_bundles",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("content_root", sa.String(71), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Index("bundles_type", "type", sa.desc("created_at")),
    sa.Index("bundles_location", "location"),
)

run_bundles = sa.Table(
    "replay_run_bundles",
    metadata,
    sa.Column("run_id", sa.ForeignKey("replay_runs.id"), primary_key=True),
    sa.Column("bundle_digest", sa.ForeignKey("evidence_replay_bundles.digest"), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Index("run_bundles_digest", "bundle_digest"),
)

documents = sa.Table(
    "replay_documents",
    metadata,
    sa.Column("run_id", sa.ForeignKey("replay_runs.id"), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("type", sa.String(32), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)

evidence = sa.Table(
    "replay_evidence",
    metadata,
    sa.Column("run_id", sa.ForeignKey("replay_runs.id"), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("location", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)
"""Files that lay in a record's ``evidence/``; of one name there may be several, a fresher proof beside an older one."""

subjects = sa.Table(
    "replay_subjects",
    metadata,
    sa.Column("digest", sa.String(71), primary_key=True),
    sa.Column("layers", Json, nullable=False),
)

subject_layers = sa.Table(
    "replay_subject_layers",
    metadata,
    sa.Column("subject_digest", sa.ForeignKey("replay_subjects.digest"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("layer_digest", sa.String(71), nullable=False),
    sa.Index("subjects_layerDigest", "layer_digest"),
)

rootpacks = sa.Table(
    "rootpacks",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("bundle_digest", sa.ForeignKey("evidence_replay_bundles.digest"), nullable=False, unique=True),
    sa.Column("record", sa.Text, nullable=False),
    sa.Column("accepted_at", UtcTime, nullable=False),
    sqlite_autoincrement=True,
)

site_results = sa.Table(
    "site_results",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("site", sa.String(71), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("scan_id", sa.String(36)),
    sa.Column("manifest_hash", sa.String(71)),
    sa.Column("mode", sa.String(64), nullable=False),
    sa.Column("verdict", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("exit_code", sa.Integer, nullable=False),
    sa.Column("finished_at", UtcTime, nullable=False),
    sa.Column("received_at", UtcTime, nullable=False),
    sa.Column("bundle_digest", sa.ForeignKey("evidence_replay_bundles.digest"), nullable=False),
    sa.CheckConstraint("origin = 'site'", name="site_results_origin"),
    sa.Index("site_results_manifest", "manifest_hash", "site", "mode"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", sa.String(256), primary_key=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("source", sa.String(16), nullable=False),
    sa.Column("entry", sa.Text, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
)

events = sa.Table(
    "timeline_events",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("category", sa.String(16), nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("details", Json, nullable=False),
    sa.Column("actor", sa.String(71)),
    sa.Column("version", sa.String(32)),
    sa.Column("request", sa.String(36)),
    sa.Index("events_tenant_at", "tenant", "at"),
    sa.Index("events_kind", "kind", "sequence"),
    sqlite_autoincrement=True,
)
"""``actor`` is a commitment to a name that stands in :data:`event_texts`."""

verify_nights = sa.Table(
    "verify_nights",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("latest", sa.Integer, nullable=False),
    sa.Column("mode", sa.String(16), nullable=False),
    sa.Column("pack", sa.String(71), nullable=False),
    sa.Column("started_at", UtcTime, nullable=False),
    sa.Column("finished_at", UtcTime),
    sa.Column("state", sa.String(16), nullable=False),
    sa.CheckConstraint(sa.column("state").in_(("running", "finished", "abandoned")), name="verify_nights_state"),
    sa.Index("verify_nights_startedAt", "tenant", sa.desc("started_at")),
)
"""One pass of the nightly verification over one tenant's latest scans, or over every tenant's."""

verify_results = sa.Table(
    "verify_results",
    metadata,
    sa.Column("night", sa.ForeignKey("verify_nights.id"), primary_key=True),
    sa.Column("run_id", sa.ForeignKey("replay_runs.id"), primary_key=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("result", sa.String(16)),
    sa.Column("code", sa.String(64)),
    sa.Column("faults", Json, nullable=False),
    sa.Column("replay", sa.String(64)),
    sa.Column("difference", sa.Text),
    sa.Column("arch", sa.String(16)),
    sa.Column("checked_at", UtcTime),
    sa.CheckConstraint(
        sa.column("result").in_(("verified", "failed", "error", "skipped")), name="verify_results_known"
    ),
    sa.Index("verify_results_run", "run_id", sa.desc("checked_at")),
    sa.Index("verify_results_tenant", "tenant", sa.desc("checked_at")),
)
"""What a night chose and, once ``result`` is there, found of a scan; ``difference`` is an object of the store."""

verify_blobs = sa.Table(
    "verify_blobs",
    metadata,
    sa.Column("digest", sa.ForeignKey("evidence_replay_bundles.digest"), primary_key=True),
    sa.Column("night", sa.String(36), nullable=False),
    sa.Column("checked_at", UtcTime, nullable=False),
    sa.Column("code", sa.String(64)),
    sa.Column("fault", Json),
    sa.Column("decoded", sa.String(71)),
    sa.Column("decoded_at", UtcTime),
)
"""When a bundle's bytes were last read, in which night, and for which record they were last decoded whole."""

verify_totals = sa.Table(
    "verify_totals",
    metadata,
    sa.Column("tenant", sa.String(128), primary_key=True),
    sa.Column("result", sa.String(16), primary_key=True),
    sa.Column("arch", sa.String(16), primary_key=True),
    sa.Column("lane", sa.String(16), primary_key=True),
    sa.Column("total", sa.BigInteger, nullable=False),
    sa.Column("updated_at", UtcTime, nullable=False),
)
"""How many verifications ended how, ever: what a counter shows that no process has to live for."""

event_texts = sa.Table(
    "timeline_texts",
    metadata,
    sa.Column("event", sa.ForeignKey("timeline_events.sequence"), primary_key=True),
    sa.Column("member", sa.String(64), primary_key=True),
    sa.Column("salt", sa.String(64), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
)
"""What people are called and what they typed: the one part of the timeline that may be purged."""

audit_leaves = sa.Table(
    "audit_leaves",
    metadata,
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("event", sa.ForeignKey("timeline_events.sequence"), nullable=False, unique=True),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
"""The leaves of the audit tree, one an event, in the order in which they committed."""

audit_nodes = sa.Table(
    "audit_nodes",
    metadata,
    sa.Column("level", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("position", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
)
"""The hash of every complete subtree of 2^level leaves, from level 1."""

audit_checkpoints = sa.Table(
    "audit_checkpoints",
    metadata,
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
)

audit_sightings = sa.Table(
    "audit_sightings",
    metadata,
    sa.Column("site", sa.String(71), primary_key=True),
    sa.Column("size", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("root", sa.String(71), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
)
"""Trees of this locker's audit log that sites say they were shown."""

APPEND_ONLY = tuple(table.name for table in (events, audit_leaves, audit_nodes, audit_checkpoints, audit_sightings))
"""Tables whose rows the database itself lets nobody change or remove, by triggers."""
