"""The rows on a real SQLite."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from kit.errors import MalformedDocument, NotWritable, UnsupportedVersion
from locker import rows
from locker.rows import Rows
from locker.rows import database as database_module

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rows]:
    file = rows.url_of_file(tmp_path / "locker.db")
    opened = Rows(file if request.param == "sqlite" else request.getfixturevalue("new_database"))
    rows.create(opened, {"pinnedRoot": "sha256:00"})
    yield opened
    opened.close()


def quarantine_row(name: str) -> dict[str, object]:
    return {"id": name, "tenant": "t", "reason": "r", "source": "s", "entry": "e", "created_at": AT}


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_the_database_survives_a_power_cut_and_keeps_its_references(database: Rows) -> None:
    with database.read() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60000}


def test_the_names_are_those_that_others_know(database: Rows) -> None:
    with database.read() as connection:
        inspector = sa.inspect(connection)
        indexes = {index["name"] for table in inspector.get_table_names() for index in inspector.get_indexes(table)}
        tables = set(inspector.get_table_names())
    assert {"replay_runs", "evidence_replay_bundles", "replay_subjects", "timeline_events"} <= tables
    assert {
        "runs_manifestHash_unique",
        "runs_status_createdAt",
        "bundles_type",
        "bundles_location",
        "subjects_layerDigest",
    } <= indexes


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30))])
def test_a_time_comes_back_as_the_same_moment_in_utc(database: Rows, zone: timezone) -> None:
    with database.write() as connection:
        rows.insert_absent(connection, rows.quarantine, quarantine_row("a") | {"created_at": AT.astimezone(zone)})
        found = connection.execute(sa.select(rows.quarantine.c.created_at)).scalar_one()
    assert found == AT
    assert found.tzinfo is UTC


def test_a_time_without_zone_is_a_bug(database: Rows) -> None:
    with pytest.raises(sa.exc.StatementError, match="without zone"), database.write() as connection:
        rows.insert_absent(connection, rows.quarantine, quarantine_row("a") | {"created_at": AT.replace(tzinfo=None)})


@pytest.mark.parametrize("statement", [sa.update(rows.events).values(kind="other"), sa.delete(rows.events)])
def test_the_timeline_is_append_only(database: Rows, statement: sa.sql.Executable) -> None:
    with database.write() as connection:
        rows.append_event(connection, tenant="t", at=AT, kind="evidence.ingested", details={"b": 1, "a": [True]})
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), database.write() as connection:
        connection.execute(statement)
    with database.read() as connection:
        assert connection.execute(sa.select(rows.events.c.details)).scalar_one() == {"a": [True], "b": 1}


def test_a_row_is_inserted_once(database: Rows) -> None:
    with database.write() as connection:
        assert rows.insert_absent(connection, rows.quarantine, quarantine_row("a"))
        assert not rows.insert_absent(connection, rows.quarantine, quarantine_row("a") | {"reason": "other"})
        assert connection.execute(sa.select(rows.quarantine.c.reason)).scalars().all() == ["r"]


def test_a_transaction_that_raises_leaves_nothing(database: Rows) -> None:
    def half() -> None:
        with database.write() as connection:
            rows.insert_absent(connection, rows.quarantine, quarantine_row("a"))
            raise KeyError

    with pytest.raises(KeyError):
        half()
    with database.read() as connection:
        assert connection.execute(sa.select(rows.quarantine)).all() == []


def test_writers_wait_for_one_another(database: Rows) -> None:
    def add(worker: int) -> None:
        for number in range(25):
            with database.write() as connection:
                held = connection.execute(sa.select(sa.func.count()).select_from(rows.quarantine)).scalar_one()
                rows.insert_absent(connection, rows.quarantine, quarantine_row(f"{worker}-{number}-{held}"))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(4)))
    with database.read() as connection:
        assert len(connection.execute(sa.select(rows.quarantine)).all()) == 100


def test_an_unknown_schema_is_refused(database: Rows) -> None:
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnsupportedVersion), database.read() as connection:
        rows.read_facts(connection)


def test_a_damaged_database_is_told_apart_from_a_bug(tmp_path: Path) -> None:
    (tmp_path / "locker.db").write_bytes(b"not a database, but long enough to be read as a header" * 100)
    broken = Rows(rows.url_of_file(tmp_path / "locker.db"))
    with pytest.raises(MalformedDocument), broken.read() as connection:
        rows.read_facts(connection)
    broken.close()


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_migrations_make_the_tables_that_the_code_uses(database: Rows) -> None:
    with database.read() as connection:
        assert compare_metadata(MigrationContext.configure(connection), rows.metadata) == []


def test_the_newest_migration_is_the_one_that_the_program_asks_for() -> None:
    migrations = Path(database_module.__file__).with_name("migrations")
    assert ScriptDirectory(str(migrations)).get_heads() == [database_module.HEAD]


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_timeline_cannot_be_emptied(database: Rows) -> None:
    with pytest.raises(sa.exc.DatabaseError, match="append-only"), database.write() as connection:
        connection.exec_driver_sql("TRUNCATE timeline_events")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_reader_cannot_write(database: Rows) -> None:
    with pytest.raises(NotWritable), database.read() as connection:
        rows.append_event(connection, tenant="t", at=AT, kind="k", details={})
