"""Triggers that let nobody change or remove a table's rows."""

from collections.abc import Iterator

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
