"""Taking in what sites send back: verified, idempotent, order-free, never dropped and never mistaken for our own."""

import io
import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kit import result as results
from kit import syncfile
from kit.bytes import canonical, digest
from kit.errors import LimitExceeded, NotSiteResults, SignerRetired, SignerUnknown, StellaError, UsageError
from locker import cas, rows, site_results, sync, views
from locker.ingest import ingest
from locker.store import Locker
from locker.sync import take


def events(locker: Locker) -> list[str]:
    with locker.rows.read() as connection:
        return list(connection.execute(sa.select(rows.events.c.kind).order_by(rows.events.c.sequence)).scalars())


def kept(locker: Locker) -> list[tuple[str, str, str]]:
    table = rows.site_results.c
    with locker.rows.read() as connection:
        found = connection.execute(sa.select(table.run_id, table.mode, table.verdict).order_by(table.run_id))
        return [tuple(row) for row in found]


def quarantined(locker: Locker) -> list[Path]:
    return sorted(locker.quarantine.glob("*/*"))


def status(locker: Locker, scan_id: str) -> str:
    return str(views.show_run(locker, scan_id)["status"])


def test_a_strict_replay_that_verified_makes_the_run_replayed(world, locker, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now)
    world.run(tmp_path / "ops", record, "run-1")
    taken = take(locker, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert [(run.outcome, run.conflicts) for run in taken.runs] == [("imported", ())]
    assert status(locker, scan_ids[0]) == "replayed"
    (result,) = views.show_run(locker, scan_ids[0])["siteResults"]
    assert (result["origin"], result["site"], result["verdict"]) == ("site", world.site.fingerprint, "VERIFIED")
    assert events(locker)[2:] == ["replay.result.imported", "replay.run.replayed"]


@pytest.mark.parametrize(
    ("verdict", "mode"),
    [
        ("INTACT", "verify"),
        ("DIFFERS", "strict"),
        ("REFUSED", "strict"),
        ("WHAT-IF", "what-if:feeds"),
        ("VERIFIED", "verify"),
    ],
)
def test_nothing_but_a_verified_strict_replay_counts(
    world, locker, tmp_path, scan_ids, verdict: str, mode: str
) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now)
    world.run(tmp_path / "ops", record, "run-1", verdict, mode=mode)
    take(locker, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert status(locker, scan_ids[0]) == "verified"
    assert kept(locker) == [("run-1", mode, verdict)]


def test_a_result_may_come_before_its_record(world, trusting, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    world.run(tmp_path / "ops", record, "run-1")
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert ingest(trusting, record, now=world.now).status == "replayed"
    assert events(trusting)[1:] == ["replay.result.imported", "evidence.ingested", "replay.run.replayed"]


def test_a_site_does_not_verify_for_us(world, trusting, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    world.run(tmp_path / "ops", record, "run-1")
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert views.list_runs(trusting, status=None, tenant=None, limit=9) == []


def test_a_refusal_without_a_manifest_is_kept(world, trusting, tmp_path) -> None:
    world.run(tmp_path / "ops", None, "run-1", "REFUSED", reason="EvidenceMissing", exit_code=22)
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert kept(trusting) == [("run-1", "strict", "REFUSED")]


def test_the_same_file_twice_is_one(world, trusting, tmp_path) -> None:
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    take(trusting, out, now=world.now)
    told = events(trusting)
    again = take(trusting, out, now=world.now + timedelta(days=1))
    assert [run.outcome for run in again.runs] == ["known"]
    assert events(trusting) == told
    assert list(trusting.work.iterdir()) == []


def test_the_order_of_files_does_not_matter(world, tmp_path) -> None:
    record = world.record(tmp_path)
    outs = []
    for number in (1, 2, 3):
        world.run(tmp_path / f"ops-{number}", record, f"run-{number}", "DIFFERS" if number == 2 else "VERIFIED")
        outs.append(world.export(tmp_path / f"ops-{number}", tmp_path / f"out-{number}"))
    found = []
    for name, order in (("a", (0, 1, 2)), ("b", (2, 1, 0)), ("c", (1, 0, 1, 2))):
        with world.make_locker(tmp_path / name) as locker:
            ingest(locker, record, now=world.now)
            for number in order:
                take(locker, outs[number], now=world.now)
            found.append((kept(locker), status(locker, record.name), set(events(locker))))
    assert found[0] == found[1] == found[2]
    assert "replay.result.conflict" in found[0][2]


def test_contradicting_results_are_both_kept_and_told_of(world, trusting, tmp_path) -> None:
    record = world.record(tmp_path)
    world.run(tmp_path / "ops", record, "run-1", "DIFFERS")
    world.run(tmp_path / "ops", record, "run-2", "VERIFIED")
    world.run(tmp_path / "ops", record, "run-3", "INTACT", mode="verify")
    taken = take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert [run.outcome for run in taken.runs] == ["imported"] * 3
    first = taken.runs[0].entry.result_digest
    assert [run.conflicts for run in taken.runs] == [(), (first,), ()]
    assert events(trusting).count("replay.result.conflict") == 1
    assert sync.verdict(taken, fail_on_conflict=False)[1] == 0
    assert sync.verdict(taken, fail_on_conflict=True)[:2] == ("LockerConflict", 71)


@pytest.mark.parametrize(
    ("verdicts", "mode"),
    [
        (("REFUSED", "VERIFIED"), "strict"),
        (("VERIFIED", "REFUSED"), "strict"),
        (("REFUSED", "DIFFERS"), "strict"),
        (("REFUSED", "INTACT"), "verify"),
        (("VERIFIED", "VERIFIED"), "strict"),
        (("DIFFERS", "DIFFERS"), "strict"),
        (("WHAT-IF", "REFUSED"), "what-if:feeds"),
    ],
)
def test_a_bad_copy_beside_a_good_one_is_no_conflict(
    world, trusting, tmp_path, verdicts: tuple[str, str], mode: str
) -> None:
    record = world.record(tmp_path)
    for number, verdict in enumerate(verdicts):
        world.run(tmp_path / "ops", record, f"run-{number}", verdict, mode=mode)
    taken = take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert [run.conflicts for run in taken.runs] == [(), ()]
    assert "replay.result.conflict" not in events(trusting)
    assert sync.verdict(taken, fail_on_conflict=True)[:2] == ("IMPORTED", 0)


def test_results_of_other_inputs_are_no_conflict(world, trusting, tmp_path, scan_ids) -> None:
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1", "DIFFERS")
    world.run(tmp_path / "ops", world.record(tmp_path / "other", content=b"other"), "run-2", "VERIFIED")
    taken = take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert [run.conflicts for run in taken.runs] == [(), ()]


def test_two_sites_may_disagree_without_contradicting_themselves(world, trusting, tmp_path) -> None:
    record = world.record(tmp_path)
    world.run(tmp_path / "ops", record, "run-1", "VERIFIED")
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    other = world.new_site("site-8", 8)
    world.enrol(other)
    world.site = other
    world.run(tmp_path / "ops-8", record, "run-1", "DIFFERS")
    out = world.export(tmp_path / "ops-8", tmp_path / "out-8")
    taken = take(trusting, out, now=world.now, rootpack_directory=world.pack)
    assert [run.conflicts for run in taken.runs] == [()]


def flipped(data: bytes, at: int) -> bytes:
    changed = bytearray(data)
    changed[at] ^= 1
    return bytes(changed)


FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no end of the envelope line": (lambda data: data.replace(b"\n", b" ", 1)[:100], "MalformedDocument"),
    "a truncated bundle": (lambda data: data[:-1], "SizeMismatch"),
    "a flipped byte in the bundle": (lambda data: flipped(data, len(data) - 40), "DigestMismatch"),
    "bytes after the bundle": (lambda data: data + b"x", "SizeMismatch"),
    "no signature": (
        lambda data: canonical.encode(json.loads(data.split(b"\n", 1)[0]) | {"signatures": []}) + b"\n",
        "EvidenceMissing",
    ),
}


@pytest.mark.parametrize("fault", FILES)
def test_a_file_that_cannot_be_verified_lies_in_the_quarantine(world, trusting, tmp_path, fault: str) -> None:
    spoil, reason = FILES[fault]
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    out.write_bytes(spoil(out.read_bytes()))
    for _ in range(2):
        with pytest.raises(StellaError) as refusal:
            take(trusting, out, now=world.now)
        assert refusal.value.reason == reason
    (entry,) = quarantined(trusting)
    assert f"-{reason}-" in entry.name
    assert (entry / "results.stella-sync").read_bytes() == out.read_bytes()
    assert kept(trusting) == []
    assert events(trusting).count("evidence.quarantined") == 1
    assert list(trusting.work.iterdir()) == []


SECRET = b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----\n"


def first_byte_flipped(data: bytes) -> bytes:
    return flipped(data, 0)


OTHERS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "a private key": lambda _: SECRET,
    "a JSON document": lambda _: b'{"password": "hunter2"}\n',
    "an envelope of another kind": lambda _: b'{"payload":"eyJhIjoxfQ==","payloadType":"application/json"}\n',
    "an envelope spelt in another way": lambda data: data.replace(b":", b": ", 1),
    "a damaged beginning": first_byte_flipped,
    "a beginning alone": lambda _: syncfile.BEGINNING[:-1],
    "a large file of zeros": lambda _: b"\0" * (1 << 20),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_nothing_is_kept_or_told_of_a_file_of_another_kind(world, trusting, tmp_path, kind: str) -> None:
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    out.write_bytes(OTHERS[kind](out.read_bytes()))
    before = {path for path in trusting.path.rglob("*") if path.is_file()}
    told = events(trusting)
    with pytest.raises(NotSiteResults) as refusal:
        take(trusting, out, now=world.now)
    assert refusal.value.details == {"path": "out"}
    assert events(trusting) == told
    assert {path for path in trusting.path.rglob("*") if path.is_file()} == before


@given(data=st.binary(max_size=200))
def test_only_the_one_beginning_is_that_of_site_results(data: bytes) -> None:
    source = io.BytesIO(data)
    if not data.startswith(syncfile.BEGINNING):
        with pytest.raises(NotSiteResults):
            syncfile.check_beginning(source)
    source = io.BytesIO(syncfile.BEGINNING + data)
    syncfile.check_beginning(source)
    assert source.tell() == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_byte_gets_in(world, trusting, tmp_path, data: st.DataObject) -> None:
    out = tmp_path / "out"
    if not out.exists():
        world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
        world.export(tmp_path / "ops", out)
    whole = out.read_bytes()
    bad = tmp_path / "bad"
    at = data.draw(st.integers(0, len(whole) - 1))
    bad.write_bytes(flipped(whole, at))
    # The key id is a hint that nobody signs (DSSE): whatever it says, what counts is what the site signed.
    hint = whole.index(b'"keyid":"')
    try:
        take(trusting, bad, now=world.now)
    except StellaError:
        return
    assert hint <= at <= whole.index(b'"sig"', hint)
    assert kept(trusting) == [("run-1", "strict", "VERIFIED")]


def test_an_unknown_site_lies_in_the_quarantine(world, trusting, tmp_path) -> None:
    world.site = world.new_site("stranger", 9)
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    with pytest.raises(StellaError) as refusal:
        take(trusting, out, now=world.now)
    assert refusal.value.reason == "SignerUnknown"
    (entry,) = quarantined(trusting)
    assert (entry / "results.stella-sync").read_bytes() == out.read_bytes()


def test_an_enrolled_site_is_known_by_a_newer_rootpack(world, trusting, tmp_path) -> None:
    world.site = world.new_site("site-9", 9)
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    with pytest.raises(StellaError):
        take(trusting, out, now=world.now)
    world.enrol(world.site)
    assert take(trusting, out, now=world.now, rootpack_directory=world.pack).runs[0].outcome == "imported"


def test_a_site_out_of_its_window_is_refused(world, trusting, tmp_path) -> None:
    world.site = world.new_site("site-9", 9)
    world.enrol(world.site, valid_until=world.now - timedelta(hours=1))
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    with pytest.raises(StellaError) as refusal:
        take(trusting, out, now=world.now, rootpack_directory=world.pack)
    assert (refusal.value.reason, refusal.value.exit_code) == ("SignerRetired", 21)
    assert refusal.value.details["signer"] == world.site.fingerprint
    assert len(quarantined(trusting)) == 1


def test_a_site_is_judged_by_the_time_of_the_import_not_by_what_it_says(world, trusting, tmp_path) -> None:
    """Whoever took a retired key could date a file back: only the locker's own time counts."""
    world.site = world.new_site("site-9", 9)
    ends = world.now + timedelta(hours=1)
    world.enrol(world.site, valid_until=ends)
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    pack = world.pack
    with pytest.raises(SignerRetired):
        take(trusting, out, now=ends + timedelta(seconds=1), rootpack_directory=pack)
    assert kept(trusting) == []
    assert take(trusting, out, now=ends, rootpack_directory=pack).runs[0].outcome == "imported"


def test_a_retired_site_beside_a_current_one_does_not_count(world, tmp_path) -> None:
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    with world.export(tmp_path / "ops", tmp_path / "out").open("rb") as source:
        envelope = syncfile.split(source, io.BytesIO(), max_bytes=1 << 20)
    signer, other = world.site.signer.public, world.new_site("site-9", 9).signer.public
    assert syncfile.verify(envelope, [signer], threshold=1, retired=[other])[1] == (signer,)
    with pytest.raises(SignerRetired):
        syncfile.verify(envelope, [other], threshold=1, retired=[signer])
    with pytest.raises(SignerUnknown):
        syncfile.verify(envelope, [other], threshold=1)


def test_a_kit_signer_is_no_site(world, trusting, tmp_path) -> None:
    world.site.signer = world.kit_signer
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    with pytest.raises(StellaError) as refusal:
        take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert refusal.value.reason == "SignerUnknown"


def of(members: dict[str, bytes], name: str, run: str = "run-1") -> str:
    return next(path for path in members if path.endswith(f"{run}/{name}"))


def without(name: str) -> Callable[[dict[str, bytes], list[syncfile.RunEntry]], None]:
    return lambda members, entries: members.pop(of(members, name)) and None


def swap_results(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    first, second = of(members, "result.json"), of(members, "result.json", "run-2")
    members[first], members[second] = members[second], members[first]


def swap_receipts(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    for name in ("receipt.json", "receipt.dsse.json"):
        members[of(members, name)] = members[of(members, name, "run-2")]


def better_verdict(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    import msgspec

    entries[0] = msgspec.structs.replace(entries[0], verdict="VERIFIED", reason="Ok")


def cut_journal(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    path = of(members, "journal.ndjson")
    members[path] = b"".join(members[path].splitlines(keepends=True)[:-1])


def torn_journal(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    members[of(members, "journal.ndjson")] = members[of(members, "journal.ndjson")][:-1]


def other_journal(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    members[of(members, "journal.ndjson")] = members[of(members, "journal.ndjson", "run-2")]


RUNS: dict[str, tuple[Callable[[dict[str, bytes], list[syncfile.RunEntry]], None], str]] = {
    "no result": (without("result.json"), "EvidenceMissing"),
    "no envelope": (without("result.dsse.json"), "EvidenceMissing"),
    "no receipt": (without("receipt.json"), "EvidenceMissing"),
    "no journal": (without("journal.ndjson"), "EvidenceMissing"),
    "swapped results": (swap_results, "DigestMismatch"),
    "another run's receipt": (swap_receipts, "MalformedDocument"),
    "a better verdict in the list": (better_verdict, "MalformedDocument"),
    "a journal that was cut off": (cut_journal, "EvidenceMissing"),
    "a torn journal": (torn_journal, "MalformedDocument"),
    "another run's journal": (other_journal, "DigestMismatch"),
}


@pytest.mark.parametrize("fault", RUNS)
def test_a_run_that_does_not_stand_lies_in_the_quarantine_by_itself(world, trusting, tmp_path, fault: str) -> None:
    spoil, reason = RUNS[fault]
    record = world.record(tmp_path)
    world.run(tmp_path / "ops", record, "run-1", "DIFFERS")
    world.run(tmp_path / "ops", record, "run-2", "VERIFIED")
    world.run(tmp_path / "ops", record, "run-3", "VERIFIED")
    out = world.reseal(world.export(tmp_path / "ops", tmp_path / "out"), spoil)
    taken = take(trusting, out, now=world.now)
    bad = [run for run in taken.runs if run.outcome == "quarantined"]
    assert bad[0].entry.run_id == "run-1"
    assert bad[0].error.reason == reason
    assert taken.runs[-1].outcome == "imported"
    assert all(run_id != "run-1" for run_id, _, _ in kept(trusting))
    assert len(quarantined(trusting)) == len(bad)
    assert f"-{reason}-" in " ".join(entry.name for entry in quarantined(trusting))
    assert sync.verdict(taken, fail_on_conflict=False)[0] == reason


def hostile_place(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    import msgspec

    entries[0] = msgspec.structs.replace(entries[0], path="runs/elsewhere/run-1")


def undeclared(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    members[of(members, "result.json").replace("result.json", "report.html")] = b"<html>"


def foreign(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    members["tools/run.sh"] = b"#!"


def twice(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    entries.append(entries[0])


def too_many(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    entries *= site_results.MAX_RUNS + 1


def too_large(members: dict[str, bytes], entries: list[syncfile.RunEntry]) -> None:
    members[of(members, "journal.ndjson")] = b"x" * (site_results.MAX_MEMBER + 1)


WHOLES = {
    "a place that is no scan": (hostile_place, "MalformedDocument"),
    "a file that does not travel": (undeclared, "FileUndeclared"),
    "a member of no run": (foreign, "FileUndeclared"),
    "a run listed twice": (twice, "MalformedDocument"),
    "too many runs": (too_many, "LimitExceeded"),
    "a member that is too large": (too_large, "LimitExceeded"),
}


@pytest.mark.parametrize("fault", WHOLES)
def test_a_signed_file_of_the_wrong_shape_is_refused_as_a_whole(world, trusting, tmp_path, fault: str) -> None:
    spoil, reason = WHOLES[fault]
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.reseal(world.export(tmp_path / "ops", tmp_path / "out"), spoil)
    with pytest.raises(StellaError) as refusal:
        take(trusting, out, now=world.now)
    assert refusal.value.reason == reason
    assert kept(trusting) == []
    assert len(quarantined(trusting)) == 1


def test_a_file_over_the_limit_is_told_of_but_not_copied(world, trusting, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(sync, "MAX_FILE", 100)
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    with pytest.raises(LimitExceeded):
        take(trusting, out, now=world.now)
    (entry,) = quarantined(trusting)
    left = json.loads((entry / "quarantine.json").read_bytes())["leftBehind"]
    assert left == [{"name": "out", "size": out.stat().st_size}]
    assert not (entry / "results.stella-sync").exists()


def test_without_a_rootpack_nothing_is_judged(world, locker, tmp_path) -> None:
    world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    out = world.export(tmp_path / "ops", tmp_path / "out")
    with pytest.raises(UsageError, match="--rootpack"):
        take(locker, out, now=world.now)
    assert quarantined(locker) == []
    assert take(locker, out, now=world.now, rootpack_directory=world.pack).runs[0].outcome == "imported"
    with pytest.raises(UsageError):
        take(locker, tmp_path / "nowhere", now=world.now)


def test_a_result_keeps_every_file_of_its_run(world, trusting, tmp_path) -> None:
    directory = world.run(tmp_path / "ops", world.record(tmp_path), "run-1", "DIFFERS")
    (directory / "diff.json").write_bytes(b"{}")
    (directory / "report.html").write_bytes(b"<html>")
    take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    with trusting.rows.read() as connection:
        wanted = sa.select(rows.bundles.c.location).where(rows.bundles.c.type == "site-result")
        location = connection.execute(wanted).scalar_one()
    import zstandard

    name = "sha256:" + location.rpartition("/")[2].removesuffix(cas.BUNDLE)
    with trusting.cas.file(name, cas.BUNDLE, trusting.work) as path, path.open("rb") as source:
        stream = zstandard.ZstdDecompressor().stream_reader(source, read_across_frames=True).read()
    for name in ("diff.json", "result.json", "receipt.json", "journal.ndjson"):
        assert (directory / name).read_bytes() in stream
    assert b"<html>" not in stream


def test_a_result_about_another_tenants_scan_is_theirs(world, locker, tmp_path) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now, tenant="blue")
    world.run(tmp_path / "ops", record, "run-1")
    take(locker, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now, tenant="green")
    with locker.rows.read() as connection:
        assert connection.execute(sa.select(rows.site_results.c.tenant)).scalars().all() == ["blue"]


def test_every_verdict_of_a_verifier_is_kept(world, trusting, tmp_path) -> None:
    record = world.record(tmp_path)
    for number, verdict in enumerate(results.VERDICTS):
        world.run(tmp_path / "ops", record, f"run-{number}", verdict, mode=f"mode-{number}")
    taken = take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert {run.outcome for run in taken.runs} == {"imported"}
    assert len(kept(trusting)) == len(results.VERDICTS)
    shutil.rmtree(tmp_path / "ops")


def test_a_digest_names_what_it_names(world, trusting, tmp_path) -> None:
    directory = world.run(tmp_path / "ops", world.record(tmp_path), "run-1")
    taken = take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert taken.runs[0].entry.result_digest == digest.of_file(directory / "result.json")[0]
    assert sync.described(taken)["runs"][0]["result"] == taken.runs[0].entry.result_digest
