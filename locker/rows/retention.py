"""Tables of retention and holds (docs/locker.md, "Retention", "Holds", "Tiers").

An object belongs to whoever has a declaration for it: ``retention_objects`` has no tenant, as the bundles have none,
and is never shown without the declarations, which have.
"""

import sqlalchemy as sa

from locker.rows.schema import Json, UtcTime, metadata

LIVE = "live"
MARKED = "marked"
"""Past its purge date; deleted when the days of grace are over."""
DELETING = "deleting"
"""Decided; its objects may be gone already."""
TOMBSTONE = "tombstone"
"""Gone; its certificate is in ``retention_tombstones``."""
STATES = (LIVE, MARKED, DELETING, TOMBSTONE)

HOT = "hot"
DEMOTING = "demoting"
"""The cold copy is there; the hot one is about to go."""
COLD = "cold"
TIERS = (HOT, DEMOTING, COLD)

DIGEST = "digest"
COMPONENT = "component"
TIME_RANGE = "time-range"
ALL = "all"
SCOPES = (DIGEST, COMPONENT, TIME_RANGE, ALL)

ACTIVE = "active"
RELEASED = "released"
HOLD_STATES = (ACTIVE, RELEASED)

declarations = sa.Table(
    "retention_declarations",
    metadata,
    sa.Column("digest", sa.ForeignKey("evidence_replay_bundles.digest"), primary_key=True),
    sa.Column("tenant", sa.String(128), primary_key=True),
    sa.Column("mapping", sa.String(64), primary_key=True),
    sa.Column("policy_id", sa.String(32), nullable=False),
    sa.Column("retention_days", sa.Integer, nullable=False),
    sa.Column("ingested_at", UtcTime, nullable=False),
    sa.Column("purge_after", UtcTime, nullable=False),
    sa.Column("envelope", sa.Text, nullable=False),
    sa.Index("declarations_tenant", "tenant", "purge_after"),
)
"""One promise a mapping: ``mapping`` is the scan's id, or the digest of a site's result."""

objects = sa.Table(
    "retention_objects",
    metadata,
    sa.Column("digest", sa.ForeignKey("evidence_replay_bundles.digest"), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("tier", sa.String(16), nullable=False),
    sa.Column("hot_since", UtcTime, nullable=False),
    sa.Column("purge_after", UtcTime, nullable=False),
    sa.Column("marked_at", UtcTime),
    sa.CheckConstraint(sa.column("state").in_(STATES), name="retention_objects_state"),
    sa.CheckConstraint(sa.column("tier").in_(TIERS), name="retention_objects_tier"),
    sa.Index("retention_objects_due", "state", "purge_after"),
    sa.Index("retention_objects_hot", "tier", "hot_since"),
)
"""What became of a bundle; ``hot_since`` and ``purge_after`` are the latest of its declarations."""

tombstones = sa.Table(
    "retention_tombstones",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("purged_at", UtcTime, nullable=False),
    sa.Column("event", sa.Integer, nullable=False),
    sa.Column("envelope", sa.Text, nullable=False),
    sa.Index("tombstones_digest", "digest"),
    sqlite_autoincrement=True,
)
"""One row a purge and tenant; the envelope is the disposal certificate."""

retention_runs = sa.Table(
    "retention_runs",
    metadata,
    sa.Column("sequence", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("who", sa.String(256), nullable=False),
    sa.Column("purging", sa.Integer, nullable=False),
    sa.Column("allowed", Json, nullable=False),
    sa.Index("retention_runs_tenant", "tenant", "sequence"),
    sqlite_autoincrement=True,
)

holds = sa.Table(
    "evidence_holds",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("scope", sa.String(16), nullable=False),
    sa.Column("asked", Json, nullable=False),
    sa.Column("future", sa.Boolean, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("created_by", sa.String(256), nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("released_by", sa.String(256)),
    sa.Column("released_at", UtcTime),
    sa.Column("release_reason", sa.Text),
    sa.CheckConstraint(sa.column("status").in_(HOLD_STATES), name="evidence_holds_status"),
    sa.CheckConstraint(sa.column("scope").in_(SCOPES), name="evidence_holds_scope"),
    sa.Index("evidence_holds_tenant", "tenant", "status"),
)

hold_objects = sa.Table(
    "evidence_hold_objects",
    metadata,
    sa.Column("hold_id", sa.ForeignKey("evidence_holds.id"), primary_key=True),
    sa.Column("digest", sa.ForeignKey("evidence_replay_bundles.digest"), primary_key=True),
    sa.Column("tenant", sa.String(128), nullable=False),
    sa.Column("added_at", UtcTime, nullable=False),
    sa.Column("store_bit", sa.String(256), nullable=False),
    sa.Index("evidence_hold_objects_digest", "digest"),
)
"""The frozen list of a hold; ``store_bit`` is what the store answered when its own hold was set."""

components = sa.Table(
    "replay_components",
    metadata,
    sa.Column("sbom", sa.String(71), primary_key=True),
    sa.Column("component", sa.Text, primary_key=True),
    sa.Column("version", sa.Text, primary_key=True),
    sa.Index("components_name", "component", "version"),
)
"""What an SBOM lists, by the SBOM's digest: the same software scanned every night is listed once."""

component_lists = sa.Table(
    "replay_component_lists",
    metadata,
    sa.Column("sbom", sa.String(71), primary_key=True),
    sa.Column("fault", sa.String(64)),
)
"""The SBOMs that were read, with the reason code of those that could not be."""

APPEND_ONLY = (tombstones.name,)
