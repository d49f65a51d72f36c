"""The timeline: what is asked for is found, and whoever is given it can check it without the locker."""

import base64
import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

import stella
from kit import locker_receipt
from kit.bytes import canonical, merkle
from kit.errors import LedgerProofWrong, LedgerSignatureInvalid, LedgerUnknown, StellaError, UsageError
from kit.ledger import checkpoint
from kit.ledger.checkpoint import Trust
from locker import audit, audit_keys, receipt, rows, sightings, timeline, timeline_kinds
from locker.acting import Acting
from locker.ingest import ingest
from locker.sync import take
from locker.timeline import Wanted
from tests.world import ROOT
from verifier import locker_notes

TYPED = "asked for by Bob"
"""Words of a person, too long to come about in a digest or a signature."""


@pytest.fixture
def told(world, locker, tmp_path, scan_ids):
    """A locker with two scans, a result of a site and a hold."""
    locker.rows.act(Acting("option:Ann", request="6b7d3d2e-0d5e-4b53-9c39-3f1f6d1f6d11"))
    record = world.record(tmp_path / "records", scan_ids[0])
    ingest(locker, record, now=world.now)
    ingest(locker, world.record(tmp_path / "records", scan_ids[1], content=b"other"), now=world.now, tenant="blue")
    world.run(tmp_path / "ops", record, "run-1")
    take(locker, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now + timedelta(hours=2))
    with locker.rows.write() as connection:
        details = {"scanId": scan_ids[0], "reason": f"case 4711, {TYPED}"}
        at = world.now + timedelta(hours=3)
        rows.append_event(connection, tenant="default", at=at, kind="replay.hold.created", details=details)
    return locker


def kinds(locker, **wanted) -> list[str]:
    return [one.event.kind for one in timeline.select(locker, Wanted(**wanted))]


def test_events_are_found_by_scan_tenant_kind_and_time(told, world, scan_ids) -> None:
    history = ["replay.hold.created", "replay.run.replayed", "replay.result.imported", "evidence.ingested"]
    assert kinds(told, scan=scan_ids[0]) == history
    assert kinds(told, tenant="blue") == ["evidence.ingested", "rootpack.accepted"]
    assert kinds(told, kind="replay") == history[:-1]
    assert kinds(told, kind="replay.hold") == history[:1]
    assert kinds(told, kind="replay.ho") == []
    assert kinds(told, since=world.now + timedelta(hours=3)) == history[:1]
    assert kinds(told, limit=2) == history[:2]


def test_who_and_why_are_told_until_they_are_purged(told) -> None:
    (hold,) = timeline.select(told, Wanted(kind="replay.hold"))
    shown = timeline.described(hold)
    assert (shown["actor"], shown["details"]["reason"]) == ("option:Ann", f"case 4711, {TYPED}")
    with told.rows.write() as connection:
        connection.execute(rows.event_texts.delete())
    shown = timeline.described(timeline.one(told, hold.event.sequence))
    assert (shown["actor"], shown["details"]["reason"]) == (timeline.PURGED, timeline.PURGED)
    with pytest.raises(UsageError):
        timeline.one(told, 10_000)


def test_every_exported_line_is_proven(told, world) -> None:
    signed = audit.sign(told, now=world.now)
    head, *lines = (json.loads(line) for line in timeline.export(told, Wanted(), signed))
    trust = Trust((audit_keys.key_of(told.path / "audit"),))
    opened = checkpoint.open_signed(head["checkpoint"].encode(), trust, path="head").checkpoint
    assert len(lines) == opened.size == head["size"]
    for line in lines:
        leaf = merkle.leaf_hash(canonical.encode(line["event"]))
        path = [bytes.fromhex(each) for each in line["proof"]]
        assert merkle.verify_inclusion(leaf, line["index"], opened.size, path, opened.root)
        assert TYPED not in json.dumps(line["event"])


def made_receipt(locker, scan: str, now) -> tuple[bytes, Trust]:
    return receipt.make(locker, scan, audit.sign(locker, now=now)), Trust((audit_keys.key_of(locker.path / "audit"),))


def test_a_receipt_proves_ingest_and_history(told, world, scan_ids) -> None:
    text, trust = made_receipt(told, scan_ids[0], world.now)
    proven = locker_receipt.check(text, trust, path="r")
    assert [event["kind"] for event in proven.events] == [
        "evidence.ingested",
        "replay.result.imported",
        "replay.run.replayed",
        "replay.hold.created",
    ]
    assert text.isascii() is False  # the dash of signed notes is the one character that is not
    extras = [base64.b64decode(line.split()[1]) for line in text.decode().splitlines() if line.startswith("extra ")]
    assert len(extras) == 4
    assert not [extra for extra in (text, *extras) if TYPED.encode() in extra]
    with pytest.raises(UsageError):
        made_receipt(told, "unknown", world.now)


FORGERIES = {
    "another time is shown": (rb"== event 2026", b"== event 2025", StellaError),
    "another kind is shown": (rb"Z evidence.ingested", b"Z evidence.refused", StellaError),
    "a hash is changed": (rb"(index \d+\n)\w", rb"\g<1>/", StellaError),
    "the index is changed": (rb"index \d", b"index 9", LedgerProofWrong),
    "an event is left out": (rb"events 4", b"events 3", StellaError),
    "another scan is named": (rb"scan \w{8}", b"scan 00000000", StellaError),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_receipt_is_refused(told, world, scan_ids, forgery: str) -> None:
    text, trust = made_receipt(told, scan_ids[0], world.now)
    found, instead, expected = FORGERIES[forgery]
    forged = re.sub(found, instead, text, count=1)
    assert forged != text
    with pytest.raises(expected):
        locker_receipt.check(forged, trust, path="r")


def test_a_receipt_of_another_locker_is_refused(told, world, scan_ids) -> None:
    text, trust = made_receipt(told, scan_ids[0], world.now)
    with pytest.raises(LedgerUnknown):
        locker_receipt.check(text, locker_notes.trust_of([world.kit_signer.public]), path="r")
    lines = text.decode().splitlines()
    name, _, value = lines[-1].rpartition(" ")
    swapped = value[:-8] + ("A" if value[-8] != "A" else "B") + value[-7:]
    with pytest.raises(LedgerSignatureInvalid):
        locker_receipt.check(text.replace(f"{name} {value}".encode(), f"{name} {swapped}".encode()), trust, path="r")


def test_the_command_checks_a_lockers_receipt(told, world, scan_ids, tmp_path, capsys) -> None:
    place = tmp_path / "scan.locker-receipt"
    place.write_bytes(made_receipt(told, scan_ids[0], world.now)[0])
    key = told.path / "audit/audit.pub.pem"
    assert stella.main(["receipt", "check", str(place), "--key", str(key), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["scan"] == scan_ids[0]
    assert stella.main(["receipt", "check", str(place), "--key", str(world.site.path / "site.pub.pem")]) == 24
    assert stella.main(["receipt", "check", str(place)]) == 2


def test_a_site_that_was_shown_another_tree_is_heard(told, world) -> None:
    signed = audit.sign(told, now=world.now).checkpoint
    honest = sightings.SeenLog(origin=signed.origin, size=signed.size, root=f"sha256:{signed.root.hex()}")
    other = sightings.SeenLog(origin=signed.origin, size=signed.size, root="sha256:" + "0" * 64)
    foreign = sightings.SeenLog(origin="log.example/1", size=1, root="sha256:" + "0" * 64)
    assert sightings.keep(told, "sha256:site", [honest, foreign], now=world.now) == ()
    for _ in range(2):
        assert sightings.keep(told, "sha256:site", [other], now=world.now) == (other,)
    assert kinds(told, kind=sightings.CONTRADICTED) == [sightings.CONTRADICTED]


def test_the_acknowledgement_names_results_by_site(told, world) -> None:
    found = locker_notes.parse(sightings.acknowledgement(told))
    assert list(found.sites) == [world.site.fingerprint]
    assert len(found.sites[world.site.fingerprint]) == 1


def test_the_page_the_table_and_the_code_name_the_same_kinds() -> None:
    section = (ROOT / "docs/locker.md").read_text().partition("## Timeline")[2].partition("\n## ")[0]
    written = set(re.findall(r"^\| `([a-z.-]+)` \|", section, re.MULTILINE))
    assert written == set(timeline_kinds.KINDS)
    code = "\n".join(path.read_text() for path in Path(ROOT, "locker").rglob("*.py") if path.stem != "timeline_kinds")
    used = set(
        re.findall(
            r'"((?:audit|evidence|replay|retention|rootpack|locker(?=\.[a-z]+\.))\.(?!dsse\.json)[a-z.-]+)"', code
        )
    )
    used -= {name for name in used if name.endswith(".pem")}
    assert used <= set(timeline_kinds.KINDS), used - set(timeline_kinds.KINDS)
