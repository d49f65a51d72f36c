"""The audit log: every event is a leaf, and whatever is changed behind its back is named."""

import contextlib
import shutil
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import canonical, merkle
from kit.errors import AuditForked, AuditRolledBack, AuditUnprotected, StellaError, UsageError
from kit.ledger import proof
from locker import acting, audit, audit_keys, audit_leaf, audit_verify, rows
from locker.acting import Acting
from locker.audit_leaf import Event
from locker.rows import Rows, tree
from locker.rows.migrations import append_only
from locker.store import Locker, open_locker

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def tell(locker: Locker, count: int, *, kind: str = "evidence.ingested", start: int = 0) -> None:
    with locker.rows.write() as connection:
        for number in range(start, start + count):
            details = {"scanId": f"scan-{number}", "reason": "typed by Ann"}
            at = AT + timedelta(seconds=number)
            rows.append_event(connection, tenant="t", at=at, kind=kind, details=details)


def faults(locker: Locker) -> list[str]:
    return [fault.reason for fault in audit_verify.verify(locker).faults]


def behind_our_back(locker: Locker, *statements: str) -> None:
    """Change rows as somebody does who has the database: triggers and references off, then on again."""
    if locker.rows.dialect == "postgresql":
        with locker.rows.write() as connection:
            for statement in ("SET LOCAL session_replication_role = replica", *statements):
                connection.exec_driver_sql(statement)
        return
    tables = rows.schema.APPEND_ONLY
    with contextlib.closing(sqlite3.connect(locker.path / "locker.db")) as raw, raw:
        for table in tables:
            for name in append_only.names("sqlite", table):
                raw.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            raw.execute(statement)
        for table in tables:
            for text in append_only.statements("sqlite", table):
                raw.execute(text)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 7, 8, 21])
def test_the_tree_is_that_of_the_events(locker: Locker, count: int) -> None:
    tell(locker, count)
    with locker.rows.read() as connection:
        found = connection.execute(sa.select(rows.events).order_by(rows.events.c.sequence)).mappings().all()
        leaves = [audit_leaf.hash_of(Event(**row)) for row in found]
        kept = tree.RowTree(connection)
        assert (kept.size, kept.root()) == (count, merkle.root(leaves))
        for index in range(count):
            assert kept.inclusion(index) == merkle.inclusion_proof(index, leaves)
            assert kept.consistency(index) == merkle.consistency_proof(index, leaves)
    assert faults(locker) == []


def test_a_leaf_has_no_word_that_a_person_typed(locker: Locker) -> None:
    locker.rows.act(Acting("option:Ann", request="r"))
    tell(locker, 1, kind="replay.hold.created")
    with locker.rows.read() as connection:
        row = connection.execute(sa.select(rows.events)).mappings().one()
        texts = {one.member: one for one in connection.execute(sa.select(rows.event_texts))}
    assert b"Ann" not in audit_leaf.encode(Event(**row))
    assert {name: one.text for name, one in texts.items()} == {"actor": "option:Ann", "details.reason": "typed by Ann"}
    assert len({one.salt for one in texts.values()}) == 2


def test_texts_can_be_purged_and_the_log_still_holds(locker: Locker) -> None:
    tell(locker, 3, kind="replay.hold.created")
    audit.sign(locker, now=AT)
    with locker.rows.write() as connection:
        connection.execute(sa.delete(rows.event_texts))
    assert faults(locker) == []


CHANGES = {
    "a changed event": ("UPDATE timeline_events SET tenant = 'u' WHERE sequence = 3", ["AuditEventChanged"]),
    "changed details": (
        'UPDATE timeline_events SET details = \'{"scanId":"x"}\' WHERE sequence = 2',
        ["AuditEventChanged"],
    ),
    "a removed event": ("DELETE FROM timeline_events WHERE sequence = 4", ["AuditEventMissing"]),
    "a changed text": ("UPDATE timeline_texts SET text = 'Bob' WHERE event = 2", ["AuditEventChanged"]),
    "a changed hash": (
        "UPDATE audit_nodes SET hash = {zero} WHERE level = 1 AND position = 0",
        ["AuditTreeDamaged"] * 2,
    ),
    "a removed hash": ("DELETE FROM audit_nodes WHERE level = 2", ["AuditTreeDamaged"]),
    "an event put in": (
        """INSERT INTO timeline_events (tenant, at, category, kind, details)
        VALUES ('t', '2026-03-01 12:00:00', 'evidence', 'k', '{}')""",
        ["AuditEventUnlogged"],
    ),
    "a removed checkpoint file's match": (
        "UPDATE audit_checkpoints SET note = 'none' WHERE size = 6",
        ["AuditForked"],
    ),
}


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_what_was_changed_behind_its_back_is_named(locker: Locker, change: str) -> None:
    locker.rows.act(Acting("option:Ann", request="r"))
    tell(locker, 6)
    audit.sign(locker, now=AT)
    statement, expected = CHANGES[change]
    zero = "X'00'" if locker.rows.dialect == "sqlite" else r"'\x00'"
    behind_our_back(locker, statement.replace("{zero}", zero))
    report = audit_verify.verify(locker)
    assert [fault.reason for fault in report.faults] == expected
    again = audit_verify.verify(locker)
    assert audit_verify.described(again) == audit_verify.described(report)


def set_hash(locker: Locker, table: str, value: bytes, where: str) -> str:
    literal = f"X'{value.hex()}'" if locker.rows.dialect == "sqlite" else rf"'\x{value.hex()}'"
    return f"UPDATE {table} SET hash = {literal} WHERE {where}"  # noqa: S608


def rewrite(locker: Locker) -> None:
    """Change an event, and everything in the database that follows from it, but for what is signed."""
    behind_our_back(locker, "UPDATE timeline_events SET kind = 'evidence.refused' WHERE sequence = 2")
    with locker.rows.read() as connection:
        found = connection.execute(sa.select(rows.events).order_by(rows.events.c.sequence)).mappings().all()
    level = {at: audit_leaf.hash_of(Event(**row)) for at, row in enumerate(found)}
    changes = [set_hash(locker, "audit_leaves", one, f"position = {at}") for at, one in level.items()]
    number = 1
    while len(level) > 1:
        level = {at: merkle.node_hash(level[2 * at], level[2 * at + 1]) for at in range(len(level) // 2)}
        changes += [
            set_hash(locker, "audit_nodes", one, f"level = {number} AND position = {at}") for at, one in level.items()
        ]
        number += 1
    behind_our_back(locker, *changes)


def test_a_history_that_was_rewritten_contradicts_its_checkpoints(locker: Locker) -> None:
    tell(locker, 1)
    audit.sign(locker, now=AT)
    tell(locker, 5, start=1)
    audit.sign(locker, now=AT)
    rewrite(locker)
    report = audit_verify.verify(locker)
    assert [fault.reason for fault in report.faults] == ["AuditForked"]
    assert report.faults[0].details["detail"] == "events 2 to 6"
    with pytest.raises(AuditForked):
        audit.sign(locker, now=AT)
    with pytest.raises(AuditForked), locker.writing():
        pass


def test_a_history_rewritten_with_its_checkpoints_contradicts_the_file(locker: Locker) -> None:
    tell(locker, 6)
    audit.sign(locker, now=AT)
    rewrite(locker)
    behind_our_back(locker, "DELETE FROM audit_checkpoints")
    assert faults(locker) == ["AuditForked"]


@pytest.mark.parametrize("verb", ["dropped", "disabled"])
def test_a_missing_trigger_is_told(locker: Locker, verb: str) -> None:
    table = "audit_leaves"
    with locker.rows.write() as connection:
        name = append_only.names(connection.dialect.name, table)[0]
        on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        if verb == "disabled" and on:
            connection.exec_driver_sql(f"ALTER TABLE {table} DISABLE TRIGGER {name}")
        else:
            connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")
    report = audit_verify.verify(locker)
    assert [(fault.reason, fault.details["path"]) for fault in report.faults] == [("AuditUnprotected", name)]


def test_a_missing_file_beside_the_database_is_told(locker: Locker) -> None:
    tell(locker, 2)
    audit.sign(locker, now=AT)
    (locker.path / "audit/checkpoint").unlink()
    assert faults(locker) == ["AuditUnprotected"]
    tell(locker, 1, start=2)
    with pytest.raises(AuditUnprotected):
        audit.sign(locker, now=AT)


@pytest.fixture
def rolled_back(world, tmp_path: Path) -> Path:
    """A locker whose database of yesterday was put in the place of today's."""
    path = tmp_path / "rolled"
    with world.make_locker(path) as opened:
        tell(opened, 3)
        audit.sign(opened, now=AT)
    shutil.copy(path / "locker.db", tmp_path / "older.db")
    with open_locker(path) as opened:
        tell(opened, 4, start=3)
        audit.sign(opened, now=AT)
    for leftover in path.glob("locker.db*"):
        leftover.unlink()
    shutil.copy(tmp_path / "older.db", path / "locker.db")
    return path


def test_an_older_database_in_its_place_is_caught(rolled_back: Path) -> None:
    with open_locker(rolled_back) as opened:
        assert faults(opened) == ["AuditRolledBack"]
        with pytest.raises(AuditRolledBack):
            audit.sign(opened, now=AT)
        with pytest.raises(AuditRolledBack), opened.writing():
            pass
        tell(opened, 9, start=3)
        assert faults(opened) == ["AuditForked"]


def test_a_log_that_lost_its_end_is_begun_anew_on_record(rolled_back: Path) -> None:
    with open_locker(rolled_back) as opened:
        before = audit_keys.key_of(rolled_back / "audit")
        with pytest.raises(UsageError):
            audit.restart(opened, " ", now=AT, entropy=fresh)
        signed = audit.restart(opened, "disk lost", now=AT, entropy=fresh)
        assert signed.checkpoint.origin != before.name
        report = audit_verify.verify(opened)
        assert report.faults == []
        assert any("begun anew" in remark for remark in report.remarks)
        with opened.writing():
            tell(opened, 1, start=9)
        assert audit.sign(opened, now=AT).checkpoint.size == 5
        with pytest.raises(UsageError, match="nothing to begin anew"):
            audit.restart(opened, "again", now=AT, entropy=fresh)


def fresh(size: int) -> bytes:
    return bytes(range(size))


def test_nothing_new_is_not_signed_again_and_young_ones_wait(locker: Locker) -> None:
    tell(locker, 1)
    first = audit.sign(locker, now=AT)
    assert first.fresh
    assert audit.sign(locker, now=AT + timedelta(days=1)).note == first.note
    tell(locker, 1, start=1)
    soon = AT + timedelta(minutes=59)
    assert not audit.sign(locker, now=soon, at_most_every=audit.HOURLY).fresh
    assert audit.sign(locker, now=AT + audit.HOURLY, at_most_every=audit.HOURLY).checkpoint.size == 2


def test_a_clock_that_was_set_back_does_not_keep_the_log_unsigned(locker: Locker) -> None:
    tell(locker, 1)
    audit.sign(locker, now=AT)
    with locker.rows.write() as connection:
        rows.append_event(connection, tenant="t", at=AT - timedelta(days=400), kind="k", details={})
    assert audit.sign(locker, now=AT - timedelta(days=400), at_most_every=audit.HOURLY).fresh
    report = audit_verify.verify(locker)
    assert report.faults == []
    assert any("clock went back" in remark for remark in report.remarks)


def test_checkpoints_are_proven_to_extend_one_another(locker: Locker) -> None:
    for size in (1, 4, 2, 9):
        tell(locker, size)
        signed = audit.sign(locker, now=AT)
    with locker.rows.read() as connection:
        proofs = audit.growth(connection, signed.checkpoint)
    read = proof.parse_consistency(proof.encode_consistency(proofs), "p")
    assert [one.size for one in proof.check_consistency(read, signed.checkpoint, path="p")] == [1, 5, 7]


def test_writers_at_once_make_one_tree(locker: Locker) -> None:
    def work(worker: int) -> None:
        own = Rows(str(locker.rows._engine.url.render_as_string(hide_password=False)))
        for number in range(10):
            with own.write() as connection:
                details = {"worker": worker, "number": number}
                rows.append_event(connection, tenant="t", at=AT, kind="k", details=details)
        own.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    audit.sign(locker, now=AT)
    report = audit_verify.verify(locker)
    assert (report.size, report.faults) == (40, [])


def test_a_transaction_that_is_undone_leaves_no_leaf(locker: Locker) -> None:
    def undone() -> None:
        with locker.rows.write() as connection:
            rows.append_event(connection, tenant="t", at=AT, kind="k", details={})
            raise KeyError

    tell(locker, 2)
    with pytest.raises(KeyError):
        undone()
    tell(locker, 2, start=2)
    report = audit_verify.verify(locker)
    assert (report.size, report.faults) == (4, [])


@given(given_name=st.text(max_size=200), variable=st.text(max_size=20))
@settings(max_examples=80, deadline=None)
def test_an_actor_is_a_line_and_says_where_it_comes_from(given_name: str, variable: str) -> None:
    try:
        found = acting.of_process(given_name, {"STELLA_ACTOR": variable})
    except StellaError:
        first = given_name or variable
        assert len(first) > 128 or not first.isprintable() or not first.strip()
        return
    source = "option" if given_name else "environment" if variable else "system"
    assert found.actor is not None
    assert found.actor.startswith(f"{source}:")
    assert canonical.encode({"actor": found.actor})


def test_the_commitment_needs_the_salt() -> None:
    one, other = (audit_leaf.commit("actor", "Ann", lambda size, by=by: bytes([by]) * size) for by in (1, 2))
    assert one.commitment != other.commitment
