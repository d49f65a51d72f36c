"""One locker's database: SQLite in a file, or PostgreSQL on a server (docs/locker.md, "Rows").

Writers take turns: on SQLite by ``BEGIN IMMEDIATE``, on PostgreSQL by an advisory lock that ends with the transaction.
So what a transaction has read stays true until it has written, and the timeline has no gap. A reader sees one moment.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from kit.bytes import canonical
from kit.errors import UnsupportedVersion
from locker.files import typed_errors
from locker.rows.schema import facts

HEAD = "0020"
"""The newest migration; a test holds it against the files."""

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=60000")
_WRITERS_LOCK = 0x57E11A
_DATABASE = "locker.db"
_FIRST_SCHEMA = "1"
_FIRST_MIGRATION = "0001"


def url_of_file(path: Path) -> str:
    """Return the URL of a SQLite database in a file."""
    return sa.URL.create("sqlite+pysqlite", database=str(path)).render_as_string()


class Rows:
    """The database of one locker, by its SQLAlchemy URL; a password is left to the server's own means."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, json_serializer=lambda value: canonical.encode(value).decode())
        self.dialect = self._engine.dialect.name
        self._writing = self._engine.execution_options(writing=True)
        if self.dialect == "sqlite":
            sa.event.listen(self._engine, "connect", _set_pragmas)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        else:
            sa.event.listen(self._engine, "begin", _begin_postgresql)

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
        make_schema(connection)
        connection.execute(sa.insert(facts), [{"name": name, "value": value} for name, value in sorted(values.items())])


def upgrade(rows: Rows) -> tuple[str, str]:
    """Bring the schema of an older program up to date in one transaction; return what it was, and what it is."""
    with rows.write() as connection:
        before = _revision(connection)
        make_schema(connection, stamp=_FIRST_MIGRATION if before == _FIRST_SCHEMA else None)
    return before or "none", HEAD


def read_facts(connection: sa.Connection) -> dict[str, str] | None:
    """Return the locker's facts, nothing where its making never ended.

    Raises :class:`UnsupportedVersion` for a schema that is not this program's.
    """
    if not sa.inspect(connection).has_table(facts.name):
        return None
    found = {row.name: row.value for row in connection.execute(sa.select(facts))}
    if (revision := _revision(connection)) != HEAD:
        raise UnsupportedVersion(path=_DATABASE, expected=HEAD, found=revision or "none").then(
            "If the locker is older than this program: stella locker migrate. If it is newer, use the newer program."
        )
    return found


def _revision(connection: sa.Connection) -> str | None:
    """Return the migration that a database is at; ``1`` for one that was made before there were migrations."""
    if sa.inspect(connection).has_table("alembic_version"):
        found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar_one_or_none()
        return None if found is None else str(found)
    return connection.execute(sa.select(facts.c.value).where(facts.c.name == "schemaVersion")).scalar_one_or_none()


def make_schema(connection: sa.Connection, stamp: str | None = None) -> None:
    """Run the migrations that a database lacks; with ``stamp``, first say which it has without running it."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    if stamp is not None:
        command.stamp(config, stamp)
    command.upgrade(config, "head")


def _set_pragmas(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own transaction control would begin late and deferred; the engine's "begin" says it instead.
    connection.isolation_level = None
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A deferred transaction that turns out to write fails at once where an immediate one waits for its turn.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if _is_writing(connection) else "BEGIN")


def _begin_postgresql(connection: sa.Connection) -> None:
    if _is_writing(connection):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITERS_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _is_writing(connection: sa.Connection) -> bool:
    return bool(connection.get_execution_options().get("writing", False))
