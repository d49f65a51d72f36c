"""Moving a locker to servers, proved equal; on a real PostgreSQL and a real S3 server."""

import random
import shutil
import signal
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from kit.errors import DigestMismatch, LockerConflict, NotWritable, ServerUnreachable, UnsupportedVersion, UsageError
from locker import audit, audit_verify, cas, move, rows, settings, store, views
from locker.files import writer
from locker.ingest import ingest
from locker.rows import database as databases
from locker.settings import Settings, StoreSettings
from locker.store import open_locker
from locker.sync import take

FIRST = {
    "evidence_replay_bundles", "locker_facts", "quarantine", "replay_documents", "replay_run_bundles", "replay_runs",
    "replay_subject_layers", "replay_subjects", "rootpacks", "site_results", "timeline_events",
}  # fmt: skip
"""The tables of before there were migrations."""
"""Tables that later migrations made."""


@pytest.fixture
def filled(world, tmp_path, scan_ids):
    """Return the directory of a locker with two scans, a result of a site, a refusal and their events."""
    path = tmp_path / "locker"
    with world.make_locker(path) as made:
        record = world.record(tmp_path / "records", scan_ids[0])
        ingest(made, record, now=world.now)
        ingest(made, world.record(tmp_path / "records", scan_ids[1], content=b"other"), now=world.now)
        world.run(tmp_path / "ops", record, "run-1")
        take(made, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
        audit.sign(made, now=world.now)  # its text has a character that is not ASCII
    return path


def moved(path, database, place):
    return move.move(path, move.target_of(path, database=database, store=place))


def test_a_moved_locker_answers_as_before(filled, new_database, new_bucket, scan_ids) -> None:
    with open_locker(filled) as before:
        asked = [views.status(before), *(views.show_run(before, scan) for scan in scan_ids)]
        names = sorted(before.cas.names())
    done = moved(filled, new_database, new_bucket)
    assert done.objects == len(names)
    assert done.tables["replay_runs"][0] == 2
    assert done.left == ("locker.db.moved", "cas.moved")
    with open_locker(filled) as after:
        assert after.rows.dialect == "postgresql"
        assert [views.status(after), *(views.show_run(after, scan) for scan in scan_ids)] == asked
        assert sorted(after.cas.names()) == names


@pytest.mark.parametrize("which", ["rows", "objects"])
def test_rows_and_objects_move_one_after_the_other(world, filled, new_database, new_bucket, tmp_path, which) -> None:
    steps = [(new_database, None), (None, new_bucket)]
    for database, place in steps if which == "rows" else reversed(steps):
        moved(filled, database, place)
    with open_locker(filled) as after:
        assert ingest(after, world.record(tmp_path / "again"), now=world.now).known


def test_a_moved_locker_takes_in_more(world, filled, new_database, tmp_path) -> None:
    moved(filled, new_database, None)
    with open_locker(filled) as after:
        record = world.record(tmp_path / "later", "7a7a7a7a-8a07-4c43-b8c0-6b3f6a1f7d22", content=b"later")
        assert ingest(after, record, now=world.now).status == "verified"
        with after.rows.read() as connection:
            found = (
                connection.execute(sa.select(rows.events.c.sequence).order_by(rows.events.c.sequence)).scalars().all()
            )
    assert found == list(range(1, len(found) + 1))


def test_a_move_that_was_cut_off_before_its_settings_is_finished(filled, new_database, monkeypatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(move, "write_atomic", cut_off)
        with pytest.raises(KeyboardInterrupt):
            moved(filled, new_database, None)
    with open_locker(filled) as still:
        assert still.rows.dialect == "sqlite"
    moved(filled, new_database, None)
    with open_locker(filled) as after:
        assert after.rows.dialect == "postgresql"


def test_a_move_that_was_cut_off_after_its_settings_is_finished(filled, new_database, monkeypatch) -> None:
    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(move, "_put_aside", cut_off)
        with pytest.raises(KeyboardInterrupt):
            moved(filled, new_database, None)
    assert moved(filled, new_database, None).left == ("locker.db.moved",)
    with open_locker(filled) as after:
        assert after.rows.dialect == "postgresql"
    with pytest.raises(UsageError):
        move.target_of(filled, database=new_database, store=None)


def test_a_database_with_another_locker_is_not_written_to(world, filled, new_database, tmp_path) -> None:
    other = tmp_path / "other"
    world.make_locker(other).close()
    moved(other, new_database, None)
    with pytest.raises(LockerConflict):
        moved(filled, new_database, None)
    assert not (filled / settings.FILE).exists()
    with open_locker(other) as opened:
        assert views.status(opened)["events"] == 0


def test_an_object_that_is_not_what_its_name_says_stops_the_move(filled, new_bucket) -> None:
    victim = next((filled / "cas/replay").rglob(f"*{cas.BUNDLE}"))
    victim.write_bytes(victim.read_bytes()[:-1] + b"X")
    with pytest.raises(DigestMismatch):
        moved(filled, None, new_bucket)
    with open_locker(filled) as still:
        assert isinstance(still.cas, cas.DirectoryCas)


def test_a_locker_in_use_is_not_moved(filled, new_database) -> None:
    with writer(filled / store.LOCK, lambda: None), pytest.raises(LockerConflict):
        moved(filled, new_database, None)


def test_nothing_to_move_is_said(filled) -> None:
    with pytest.raises(UsageError):
        move.target_of(filled, database=None, store=None)


def test_a_server_that_is_gone_is_told_from_a_bug(filled, tmp_path) -> None:
    with pytest.raises(ServerUnreachable):
        moved(filled, f"postgresql+psycopg://locker@/nothing?host={tmp_path}", None)


def test_a_store_without_the_right_key_is_told_from_a_bug(filled, new_bucket, monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with pytest.raises(NotWritable):
        moved(filled, None, new_bucket)


def test_a_locker_of_before_migrations_is_brought_up_to_date(filled) -> None:
    with open_locker(filled) as opened, opened.rows.write() as connection:
        connection.exec_driver_sql("DROP TABLE alembic_version")
        for index in ("runs_createdAt", "events_kind"):
            connection.exec_driver_sql(f"DROP INDEX {index}")
        for table in reversed(rows.metadata.sorted_tables):
            if table.name not in FIRST:
                connection.exec_driver_sql(f"DROP TABLE {table.name}")
        for column in ("actor", "version", "request"):
            connection.exec_driver_sql(f"ALTER TABLE timeline_events DROP COLUMN {column}")
        connection.execute(sa.insert(rows.facts).values(name="schemaVersion", value="1"))
    with pytest.raises(UnsupportedVersion):
        open_locker(filled)
    shutil.rmtree(filled / "audit")
    assert move.upgrade(filled, entropy=random.Random(5).randbytes) == ("1", databases.HEAD)
    with open_locker(filled) as opened:
        signed = audit.sign(opened, now=datetime.now(UTC))
        report = audit_verify.verify(opened)
        with opened.rows.read() as connection:
            told = connection.execute(sa.select(sa.func.count()).select_from(rows.events)).scalar_one()
    assert signed.checkpoint.size == report.size == told > 0
    assert report.faults == []


@pytest.mark.parametrize(
    "text",
    [
        'database = "sqlite:///elsewhere.db"',
        'database = "postgresql+psycopg://locker:secret@host/name"',
        "database = 5",
        'elsewhere = "x"',
        '[store]\nurl = "https://bucket"',
        '[store]\nurl = "s3://key:secret@bucket"',
        '[store]\nurl = "s3://bucket"\nendpoint = "ftp://host"',
        "[store]",
        "not TOML",
    ],
)
def test_settings_that_cannot_be_used_are_the_operators_error(text: str) -> None:
    with pytest.raises(UsageError):
        settings.parse(text.encode())


@pytest.mark.parametrize(
    "chosen",
    [
        Settings(),
        Settings(database="postgresql+psycopg://locker@host/name?application_name=a%22b"),
        Settings(store=StoreSettings(url="s3://bucket/prefix", endpoint="http://127.0.0.1:1", region="eu")),
        Settings(database="postgresql+psycopg:///name", store=StoreSettings(url="s3://bucket")),
    ],
)
def test_settings_are_read_as_they_were_written(chosen: Settings) -> None:
    assert settings.parse(settings.to_toml(chosen)) == chosen


def test_acknowledged_rows_survive_the_server_being_killed(world, filled, postgresql, new_database, tmp_path) -> None:
    moved(filled, new_database, None)
    with open_locker(filled) as opened:
        postgresql.stop("immediate")
        try:
            with pytest.raises(ServerUnreachable):
                ingest(opened, world.record(tmp_path / "while"), now=world.now)
        finally:
            postgresql.start()
        assert ingest(opened, world.record(tmp_path / "after"), now=world.now).known


def test_acknowledged_objects_survive_the_store_being_killed(world, filled, bucket_server, new_bucket) -> None:
    moved(filled, None, new_bucket)
    with open_locker(filled) as opened:
        before = sorted(opened.cas.names())
        bucket_server.stop(signal.SIGKILL)
        bucket_server.start()
        assert sorted(opened.cas.names()) == before
        for name, size in before:
            digest = "sha256:" + name.rpartition("/")[2].partition(".")[0]
            assert opened.cas.digest_of(digest, "." + name.partition(".")[2]) == (digest, size)
