"""Triggers that let nobody change or remove a table's rows."""

from collections.abc import Iterable, Iterator

import sqlalchemy as sa

_SQLITE = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
_FUNCTION = """
CREATE OR REPLACE FUNCTION locker_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$
"""
_POSTGRESQL = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION locker_append_only()
"""


def statements(dialect: str, table: str) -> Iterator[str]:
    """Yield the statements that make a table append-only."""
    if dialect == "sqlite":
        yield from (_SQLITE.format(table=table, verb=verb) for verb in ("update", "delete"))
    else:
        yield _FUNCTION
        yield _POSTGRESQL.format(table=table)


def names(dialect: str, table: str) -> list[str]:
    """Return the names of the triggers that make a table append-only."""
    return [f"{table}_no_{verb}" for verb in ("update", "delete")] if dialect == "sqlite" else [f"{table}_append_only"]


def missing_triggers(connection: sa.Connection, tables: Iterable[str]) -> list[str]:
    """Return the triggers of some tables that are not there as they were made, or are switched off, in order."""
    dialect = connection.dialect.name
    if dialect == "sqlite":
        made = {_flat(text) for table in tables for text in statements(dialect, table)}
        found = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
        there = {name for name, text in found if _flat(text) in made}
    else:
        # A trigger whose function was replaced is as good as none.
        found = connection.exec_driver_sql(
            "SELECT t.tgname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid WHERE t.tgenabled IN ('O', 'A') "
            "AND p.proname = 'locker_append_only' AND strpos(p.prosrc, 'RAISE EXCEPTION') > 0"
        )
        there = {row[0] for row in found}
    return sorted({name for table in tables for name in names(dialect, table)} - there)


def _flat(text: str) -> str:
    return " ".join(text.split())
