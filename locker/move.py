"""Moving a locker's rows and objects elsewhere, and proving that both sides are equal (docs/locker.md, "Growing").

Rows go in one transaction of the target, objects one by one; the settings are written when both were compared, and only
then is anything of the old place renamed. Cut off at any moment, the locker is where it was, or where it was to be.
"""

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast

import msgspec
import sqlalchemy as sa

from kit.bytes import canonical
from kit.errors import DigestMismatch, LockerConflict, MalformedDocument, SizeMismatch, UsageError
from locker import audit_keys, settings
from locker import rows as tables
from locker.cas import SUFFIXES, Cas, Pieces, open_store
from locker.files import sole_writer, sync_directory, typed_errors
from locker.rows import Rows
from locker.settings import Settings
from locker.store import AUDIT, DATABASE, LOCK, OBJECTS, open_locker, open_rows
from verifier.durable import write_atomic

MOVED = ".moved"
"""What the old file or directory has at the end of its name, until somebody removes it."""
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Moved:
    """What was moved and found equal: rows by table with their digest, objects and their bytes."""

    tables: dict[str, tuple[int, str]]
    objects: int
    size: int
    left: tuple[str, ...]


def target_of(path: Path, *, database: str | None, store: settings.StoreSettings | None) -> Settings:
    """Return a locker's settings with other places; :class:`UsageError` where nothing would be moved."""
    present = settings.read(path)
    wanted = msgspec.structs.replace(present, database=database or present.database, store=store or present.store)
    if wanted == present and not _unused(path, present):  # what a cut-off move left is put aside by the next one
        raise UsageError(detail="nothing to move: the locker is there already", found=database or "")
    return settings.checked(wanted)


def upgrade(path: Path, *, entropy: Callable[[int], bytes]) -> tuple[str, str]:
    """Bring a locker's rows to this program's schema; return the migration they were at, and the one they are at.

    A locker that has no key for its audit log gets one, made of ``entropy``.
    """
    with typed_errors(path.name), sole_writer(path / LOCK):
        rows = open_rows(path, settings.read(path))
        try:
            audit_keys.make_key(path / AUDIT, entropy)
            return tables.upgrade(rows)
        finally:
            rows.close()


def move(path: Path, wanted: Settings) -> Moved:
    """Move a locker to where the settings say.

    Raises :class:`LockerConflict` where the target has another locker or this one is being written to, the errors of
    :func:`locker.store.open_locker`, and :class:`DigestMismatch` for an object that is not what its name says.
    """
    with typed_errors(path.name), sole_writer(path / LOCK), open_locker(path) as locker, ExitStack() as opened:
        present = settings.read(path)
        count = size = 0
        if wanted.store != present.store:
            count, size = _copy_objects(locker.cas, open_store(wanted.store, path / OBJECTS))
        compared: dict[str, tuple[int, str]] = {}
        if wanted.database != present.database:
            target = open_rows(path, wanted)
            opened.callback(target.close)
            compared = _copy_rows(locker.rows, target)
        write_atomic(path / settings.FILE, settings.to_toml(wanted))
    return Moved(compared, count, size, _put_aside(path, wanted))


def _copy_objects(source: Cas, target: Cas) -> tuple[int, int]:
    """Copy every object, then read each back; return how many there are, and their bytes."""
    count = size = 0
    for name, length in source.names():
        digest, suffix = _named(name)
        if not target.holds(digest, suffix, length) or target.digest_of(digest, suffix) != (digest, length):
            target.put(cast("BinaryIO", Pieces(source.read(digest, suffix))), suffix, digest=digest, size=length)
            if (found := target.digest_of(digest, suffix)) != (digest, length):
                raise DigestMismatch(path=f"cas://{name}", expected=digest, found=found[0])
        count, size = count + 1, size + length
    if (there := sum(1 for _ in target.names())) < count:
        raise SizeMismatch(path="cas", detail="objects in the target", expected=count, found=there)
    return count, size


def _named(name: str) -> tuple[str, str]:
    """Return the digest and the suffix that an object's key is made of."""
    for suffix in SUFFIXES:
        if name.endswith(suffix):
            return f"sha256:{name.rpartition('/')[2].removesuffix(suffix)}", suffix
    raise MalformedDocument(path=f"cas://{name}", detail="not the name of an object")


def _copy_rows(source: Rows, target: Rows) -> dict[str, tuple[int, str]]:
    """Copy every row into an empty database, all or none; return how many each table has, and their digest."""
    with source.read() as old, target.write() as new:
        if not sa.inspect(new).has_table(tables.facts.name):
            tables.make_schema(new)
            for table in tables.metadata.sorted_tables:
                _copy_table(old, new, table)
        compared = {table.name: _digest(old, table) for table in tables.metadata.sorted_tables}
        for table in tables.metadata.sorted_tables:
            # A target that has these very rows is what a cut-off move left; with others it is another locker.
            if (found := _digest(new, table)) != compared[table.name]:
                raise LockerConflict(path=table.name, expected=compared[table.name][1], found=found[1])
    return compared


def _copy_table(old: sa.Connection, new: sa.Connection, table: sa.Table) -> None:
    for batch in _ordered(old, table).mappings().partitions(_BATCH):
        new.execute(sa.insert(table), [dict(row) for row in batch])
    if new.dialect.name == "postgresql":
        for column in table.columns:
            if column is table.autoincrement_column:
                last = sa.func.coalesce(sa.func.max(column), 0)
                sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
                new.execute(sa.select(sa.func.setval(sequence, last + 1, sa.false())))


def _digest(connection: sa.Connection, table: sa.Table) -> tuple[int, str]:
    """Return how many rows a table has, and the SHA-256 over their canonical JSON, a line each, by primary key."""
    hashed, count = hashlib.sha256(), 0
    for row in _ordered(connection, table).mappings():
        # The names are a text of SQLAlchemy's own kind, which is none of canonical JSON.
        plain = {str(name): _plain(value) for name, value in row.items() if value is not None}
        hashed.update(canonical.encode(plain) + b"\n")
        count += 1
    return count, f"sha256:{hashed.hexdigest()}"


def _ordered(connection: sa.Connection, table: sa.Table) -> sa.CursorResult[tuple[object, ...]]:
    # By bytes on both sides: a server's collation may order text otherwise.
    collation = "BINARY" if connection.dialect.name == "sqlite" else "C"
    keys = [key.collate(collation) if isinstance(key.type, sa.String) else key for key in table.primary_key]
    return connection.execution_options(yield_per=_BATCH).execute(sa.select(table).order_by(*keys))


def _plain(value: object) -> canonical.JsonValue:
    if isinstance(value, datetime):
        return value.isoformat()
    return cast("canonical.JsonValue", msgspec.to_builtins(value))


def _put_aside(path: Path, wanted: Settings) -> tuple[str, ...]:
    """Rename what the locker no longer uses, so that nobody takes it for the locker."""
    left = _unused(path, wanted)
    for name in left:
        (path / name).rename(path / f"{name}{MOVED}")
    sync_directory(path)
    return tuple(f"{name}{MOVED}" for name in left)


def _unused(path: Path, chosen: Settings) -> list[str]:
    """Return what lies in the directory under the name of a part that these settings keep elsewhere."""
    names = [] if chosen.database is None else [DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"]
    names += [] if chosen.store is None else [OBJECTS]
    return [name for name in names if (path / name).exists()]
