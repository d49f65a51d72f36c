"""Evidence beside a record: judged as at a site, kept whole, named, and added to when there is more."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from builder import attest, signing
from builder import trust as ceremony
from kit import layout
from kit.errors import LedgerProofWrong, LimitExceeded
from kit.ledger import proof
from kit.trust.keys import PemSigner
from locker import cas, rows, views
from locker import ingest as ingests
from locker.ingest import ingest

LOG = PemSigner.from_seed("ed25519", bytes([77]) * 32)
STRANGE = {"tsa.tsr": b"\x30\x00", "notes/why.txt": b"asked for by the auditor\n"}


@pytest.fixture
def logged_world(world, locker):
    """Return the world once its RootPack trusts a log; the locker is pinned to its root."""
    at = world.now - timedelta(hours=9)
    ceremony.add_key(world.pack, world.keys, LOG.public, usage="log", owner="log.example/l", now=at)
    return world


@pytest.fixture
def record(logged_world, tmp_path: Path) -> Path:
    return logged_world.record(tmp_path)


def put_into_log(world, record: Path, log: Path) -> dict[str, bytes]:
    at = world.now.strftime("%Y-%m-%dT%H:%M:%SZ")
    attest.attest([record], signing.own_pack(world.pack), log, LOG, now=at)
    place = record / layout.EVIDENCE_DIRECTORY
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def shown(locker, scan_id: str) -> list[tuple[str, bytes]]:
    answer = views.show_run(locker, scan_id)["evidence"]
    return [
        (entry["name"], b"".join(locker.cas.read(f"sha256:{Path(entry['location']).stem}", cas.EVIDENCE)))
        for entry in answer
    ]


def test_every_file_of_evidence_is_kept_under_its_name(logged_world, record, locker, scan_ids, tmp_path) -> None:
    given = put_into_log(logged_world, record, tmp_path / "log") | STRANGE
    for name, data in STRANGE.items():
        place = record / layout.EVIDENCE_DIRECTORY / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    ingest(locker, record, now=logged_world.now)
    assert shown(locker, scan_ids[0]) == sorted(given.items())
    ingest(locker, record, now=logged_world.now + timedelta(hours=1))
    assert shown(locker, scan_ids[0]) == sorted(given.items())


def test_evidence_that_comes_later_is_added_and_none_replaced(logged_world, record, locker, scan_ids, tmp_path) -> None:
    ingest(locker, record, now=logged_world.now)
    assert shown(locker, scan_ids[0]) == []
    first = put_into_log(logged_world, record, tmp_path / "log")
    assert ingest(locker, record, now=logged_world.now).known
    other = logged_world.record(tmp_path / "other", "5f1c0f0e-8a07-4c43-b8c0-6b3f6a1f7d22")
    put_into_log(logged_world, other, tmp_path / "log")
    second = put_into_log(logged_world, record, tmp_path / "log")
    ingest(locker, record, now=logged_world.now + timedelta(hours=1))
    assert first != second
    assert sorted(shown(locker, scan_ids[0])) == sorted([*first.items(), *second.items()])
    with locker.rows.read() as connection:
        told = list(connection.execute(sa.select(rows.events.c.kind)).scalars())
    assert told.count("evidence.proofs.added") == 2


def test_kept_files_attest_the_record_again(logged_world, record, locker, scan_ids, tmp_path) -> None:
    given = put_into_log(logged_world, record, tmp_path / "log")
    ingest(locker, record, now=logged_world.now)
    shutil.rmtree(record / layout.EVIDENCE_DIRECTORY)
    (record / layout.EVIDENCE_DIRECTORY).mkdir()
    for name, data in shown(locker, scan_ids[0]):
        (record / layout.EVIDENCE_DIRECTORY / name).write_bytes(data)
    assert put_into_log(logged_world, record, tmp_path / "log") == given


def test_wrong_evidence_is_refused_and_nothing_of_it_kept(logged_world, record, locker, tmp_path) -> None:
    put_into_log(logged_world, record, tmp_path / "log")
    (place,) = record.glob("evidence/*.tlog-proof")
    read = proof.parse_inclusion(place.read_bytes(), "proof")
    place.write_bytes(proof.encode_inclusion(replace(read, index=5)))
    with pytest.raises(LedgerProofWrong):
        ingest(locker, record, now=logged_world.now)
    assert not [name for name, _ in locker.cas.names() if name.endswith(cas.EVIDENCE)]
    with locker.rows.read() as connection:
        assert connection.execute(sa.select(rows.runs.c.failure)).scalar_one() == "LedgerProofWrong"


def test_evidence_beyond_the_limits_is_refused(logged_world, record, locker, monkeypatch) -> None:
    place = record / layout.EVIDENCE_DIRECTORY
    place.mkdir()
    (place / "one.bin").write_bytes(bytes(100))
    (place / "two.bin").write_bytes(bytes(100))
    for limit, most in (("MAX_EVIDENCE_FILES", 1), ("MAX_EVIDENCE", 199)):
        with monkeypatch.context() as patch:
            patch.setattr(ingests, limit, most)
            with pytest.raises(LimitExceeded):
                ingest(locker, record, now=logged_world.now)
    ingest(locker, record, now=logged_world.now)
