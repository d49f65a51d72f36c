"""The locker's rows: one schema in SQLAlchemy Core, for SQLite now and PostgreSQL later (docs/locker.md, "Rows").

SQLite has no schemas, so ``evidence.replay_bundles`` and ``timeline.events`` are spelled with an underscore. Every time
is UTC and an argument of whoever writes it.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from kit.bytes import canonical
from kit.bytes.digest import hex_of
from kit.errors import UnsupportedVersion
from locker.cas import Stored
from locker.files import typed_errors

SCHEMA_VERSION = "1"

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

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000")
_DATABASE = "locker.db"


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
    sa.Column("type", sa.String(16), nullable=False),
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
    sa.Column("id", sa.String(96), primary_key=True),
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
    sa.Index("events_tenant_at", "tenant", "at"),
    sqlite_autoincrement=True,
)

for _verb in ("UPDATE", "DELETE"):
    sa.event.listen(
        events,
        "after_create",
        sa.DDL(  # type: ignore[no-untyped-call]
            f"CREATE TRIGGER timeline_events_no_{_verb.lower()} BEFORE {_verb} ON timeline_events "
            "BEGIN SELECT RAISE(ABORT, 'the timeline is append-only'); END"
        ).execute_if(dialect="sqlite"),
    )


class Rows:
    """The database of one locker."""

    def __init__(self, path: Path) -> None:
        self._engine = sa.create_engine(
            f"sqlite+pysqlite:///{path}",
            json_serializer=lambda value: canonical.encode(value).decode(),
        )
        self._writing = self._engine.execution_options(writing=True)
        sa.event.listen(self._engine, "connect", _set_pragmas)
        sa.event.listen(self._engine, "begin", _begin)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Open a transaction that sees one moment and changes nothing."""
        with typed_errors(_DATABASE), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """Open the one write transaction; it is on the disk when the block ends, and undone if the block raises."""
        with typed_errors(_DATABASE), self._writing.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def create(rows: Rows, values: Mapping[str, str]) -> None:
    """Create the schema and its facts in one transaction; a database without facts is no locker."""
    with rows.write() as connection:
        metadata.create_all(connection)
        entries = {**values, "schemaVersion": SCHEMA_VERSION}
        connection.execute(
            sa.insert(facts), [{"name": name, "value": value} for name, value in sorted(entries.items())]
        )


def read_facts(connection: sa.Connection) -> dict[str, str] | None:
    """Return the locker's facts, nothing where its making never ended.

    Raises :class:`UnsupportedVersion` for a schema that this program does not know.
    """
    if not sa.inspect(connection).has_table(facts.name):
        return None
    found = {row.name: row.value for row in connection.execute(sa.select(facts))}
    if (version := found.get("schemaVersion")) != SCHEMA_VERSION:
        raise UnsupportedVersion(path=_DATABASE, expected=SCHEMA_VERSION, found=version or "none")
    return found


def insert_absent(connection: sa.Connection, table: sa.Table, values: Mapping[str, object]) -> bool:
    """Insert a row unless one with its key is there; tell whether it was inserted."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    statement = dialect.insert(table).values(**values).on_conflict_do_nothing()
    return connection.execute(statement).rowcount == 1


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


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction control would begin late and deferred; the engine's "begin" says it instead.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    # A deferred transaction that turns out to write fails at once where an immediate one waits for its turn.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
