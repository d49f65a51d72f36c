"""Taking recorded scans in: what is kept, what is refused and how a refusal is recorded."""

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from kit import layout
from kit.bytes import canonical, digest
from kit.errors import (
    DigestMismatch,
    LockerConflict,
    MalformedDocument,
    SigstoreBundleWrong,
    StellaError,
    TrustExpired,
    UsageError,
)
from kit.trust import sigstore
from kit.trust.keys import PemSigner
from locker import registry, rows, views
from locker.ingest import ingest
from locker.store import Locker
from verifier.medium import Medium

STRANGER = PemSigner.from_seed("ecdsa-p256-sha256", bytes(range(48)))


def events(locker: Locker) -> list[str]:
    with locker.rows.read() as connection:
        return list(connection.execute(sa.select(rows.events.c.kind).order_by(rows.events.c.sequence)).scalars())


def run_of(locker: Locker, scan_id: str) -> dict[str, object] | None:
    found = [run for run in views.list_runs(locker, status=None, tenant=None, limit=100) if run["id"] == scan_id]
    return found[0] if found else None


def quarantined(locker: Locker) -> list[Path]:
    return sorted(locker.quarantine.glob("*/*"))


def object_of(location: str) -> tuple[str, str]:
    """Return the digest and the suffix that a location is made of."""
    name, dot, suffix = location.rpartition("/")[2].partition(".")
    return f"sha256:{name}", dot + suffix


def test_a_record_is_kept_with_everything_that_its_row_points_at(world, locker, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    done = ingest(locker, record, now=world.now)
    assert (done.scan_id, done.status, done.known) == (scan_ids[0], "verified", False)
    shown = views.show_run(locker, scan_ids[0])
    assert [bundle["role"] for bundle in shown["bundles"]] == ["input", "output", "rootpack"]
    assert [document["type"] for document in shown["documents"]] == ["manifest", "manifest-envelope"]
    (signature,) = shown["signatures"]
    assert signature == {
        "keyId": world.kit_signer.public.fingerprint,
        "profile": "ecdsa-p256-sha256",
        "verified": True,
        "owner": "release",
    }
    assert set(shown["outputs"]) == {"sbom", "findings", "vex", "verdict", "log"}
    for kept in (*shown["bundles"], *shown["documents"]):
        named, suffix = object_of(kept["location"])
        assert locker.cas.digest_of(named, suffix) == (named, kept["size"])
    manifest = b"".join(locker.cas.read(*object_of(shown["documents"][0]["location"])))
    assert manifest == (record / layout.MANIFEST_FILE).read_bytes()
    assert events(locker) == ["rootpack.accepted", "evidence.ingested"]


def test_sigstore_bundles_beside_a_record_are_those_of_its_envelope(world, locker, tmp_path) -> None:
    record = world.record(tmp_path)
    envelope = (record / layout.MANIFEST_ENVELOPE).read_bytes()
    ((name, data),) = sigstore.bundles(envelope, [world.kit_signer.public], name="").items()
    (record / name).write_bytes(data + b"\n")
    with pytest.raises(SigstoreBundleWrong):
        ingest(locker, record, now=world.now)
    (record / name).write_bytes(data)
    assert ingest(locker, record, now=world.now).status == "verified"
    (record / name).write_bytes(data[:-1])
    with pytest.raises(SigstoreBundleWrong):
        ingest(locker, record, now=world.now)


def test_the_subject_and_its_layers_are_found_by_layer(world, locker, tmp_path) -> None:
    ingest(locker, world.record(tmp_path), now=world.now)
    with locker.rows.read() as connection:
        layer = digest.of_bytes(b"layer")
        wanted = sa.select(rows.subject_layers.c.subject_digest).where(rows.subject_layers.c.layer_digest == layer)
        assert connection.execute(wanted).scalars().all() == [digest.of_bytes(b"image")]


def test_the_same_record_twice_is_one(world, locker, tmp_path) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now)
    done = ingest(locker, record, now=world.now + timedelta(hours=1))
    assert done.known
    assert events(locker).count("evidence.ingested") == 1


def test_two_at_once_are_one(world, locker, tmp_path) -> None:
    record = world.record(tmp_path)
    other = world.record(tmp_path / "other", "5f1c0f0e-8a07-4c43-b8c0-6b3f6a1f7d22")
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda path: ingest(locker, path, now=world.now), [record, other] * 6))
    assert {each.status for each in done} == {"verified"}
    assert sum(not each.known for each in done) == 2
    assert sorted(events(locker)) == ["evidence.ingested"] * 2 + ["rootpack.accepted"]
    assert list(locker.cas.staged()) == []


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def strip_signatures(record: Path) -> None:
    envelope = json.loads((record / layout.MANIFEST_ENVELOPE).read_bytes())
    (record / layout.MANIFEST_ENVELOPE).write_bytes(canonical.encode(envelope | {"signatures": []}))


def link(record: Path) -> None:
    (record / "outside").symlink_to("/etc/passwd")


WELL_FORMED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped byte in the input bundle": (lambda record: flip(record / layout.INPUT_BUNDLE), "DigestMismatch"),
    "a flipped byte in the output bundle": (lambda record: flip(record / layout.OUTPUT_BUNDLE), "DigestMismatch"),
    "a truncated bundle": (
        lambda record: (record / layout.INPUT_BUNDLE).write_bytes((record / layout.INPUT_BUNDLE).read_bytes()[:-1]),
        "SizeMismatch",
    ),
    "a missing bundle": (lambda record: (record / layout.OUTPUT_BUNDLE).unlink(), "FileMissing"),
    "a missing envelope": (lambda record: (record / layout.MANIFEST_ENVELOPE).unlink(), "EvidenceMissing"),
    "an envelope without signatures": (strip_signatures, "EvidenceMissing"),
    "a file that nobody signed": (lambda record: (record / "extra.txt").write_bytes(b"x"), "FileUndeclared"),
    "a symbolic link": (link, "FileUndeclared"),
    "a broken RootPack": (
        lambda record: flip(record / "rootpack/metadata/timestamp.json"),
        "TrustRootRefused",
    ),
}


@pytest.mark.parametrize("fault", WELL_FORMED)
def test_a_refusal_is_the_status_of_the_run(world, locker, tmp_path, scan_ids, fault: str) -> None:
    spoil, reason = WELL_FORMED[fault]
    record = world.record(tmp_path)
    spoil(record)
    with pytest.raises(StellaError) as refusal:
        ingest(locker, record, now=world.now)
    assert refusal.value.reason == reason
    run = run_of(locker, scan_ids[0])
    assert (run["status"], run["failure"]) == ("failed", reason)
    assert quarantined(locker) == []
    assert events(locker)[-1] == "evidence.refused"
    with locker.rows.read() as connection:
        assert connection.execute(sa.select(rows.run_bundles)).all() == []


def test_a_stranger_is_refused(world, locker, tmp_path, scan_ids) -> None:
    with pytest.raises(StellaError) as refusal:
        ingest(locker, world.record(tmp_path, signers=(STRANGER,)), now=world.now)
    assert refusal.value.reason == "SignerUnknown"
    assert run_of(locker, scan_ids[0])["failure"] == "SignerUnknown"


def test_a_record_with_its_feeds_is_kept(world, locker, tmp_path) -> None:
    assert ingest(locker, world.record(tmp_path, feed_changes={}), now=world.now).status == "verified"


@pytest.mark.parametrize(
    "misstated",
    [
        {"merkle_root": digest.of_bytes(b"x")},
        {"index_root": digest.of_bytes(b"x")},
        {"snapshot_time": "2026-02-03T00:00:00Z"},
    ],
)
def test_a_feed_that_is_not_the_named_one_is_refused(world, locker, tmp_path, scan_ids, misstated) -> None:
    with pytest.raises(StellaError) as refusal:
        ingest(locker, world.record(tmp_path, feed_changes=misstated), now=world.now)
    assert refusal.value.reason == "MerkleRootMismatch"
    assert run_of(locker, scan_ids[0])["failure"] == "MerkleRootMismatch"


def test_a_failed_run_becomes_verified_when_the_record_is_right(world, locker, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    flip(record / layout.INPUT_BUNDLE)
    with pytest.raises(StellaError):
        ingest(locker, record, now=world.now)
    good = world.record(tmp_path / "again")
    assert ingest(locker, good, now=world.now).status == "verified"
    assert "failure" not in run_of(locker, scan_ids[0])


def test_a_forged_record_does_not_take_the_place_of_the_true_one(world, locker, tmp_path, scan_ids) -> None:
    forged = world.record(tmp_path / "forged", content=b"forged", signers=(STRANGER,))
    with pytest.raises(StellaError):
        ingest(locker, forged, now=world.now)
    true = ingest(locker, world.record(tmp_path / "true"), now=world.now)
    assert true.status == "verified"
    with pytest.raises(StellaError):
        ingest(locker, forged, now=world.now)
    run = run_of(locker, scan_ids[0])
    assert (run["status"], run["manifestHash"]) == ("verified", true.manifest_hash)
    (entry,) = quarantined(locker)
    assert "-SignerUnknown-" in entry.name


def test_a_damaged_copy_of_a_verified_record_changes_nothing(world, locker, tmp_path, scan_ids) -> None:
    ingest(locker, world.record(tmp_path / "good"), now=world.now)
    bad = world.record(tmp_path / "bad")
    (bad / layout.MANIFEST_ENVELOPE).write_bytes(b"{}")
    with pytest.raises(MalformedDocument):
        ingest(locker, bad, now=world.now)
    assert run_of(locker, scan_ids[0])["status"] == "verified"
    assert len(quarantined(locker)) == 1


@pytest.mark.parametrize(
    "fault",
    [
        "a flipped byte in the input bundle",
        "a flipped byte in the output bundle",
        "a truncated bundle",
        "a missing bundle",
        "a file that nobody signed",
    ],
)
def test_a_damaged_copy_of_a_known_record_is_not_known(world, locker, tmp_path, scan_ids, fault: str) -> None:
    ingest(locker, world.record(tmp_path / "good"), now=world.now)
    spoil, reason = WELL_FORMED[fault]
    bad = world.record(tmp_path / "bad")
    spoil(bad)
    with pytest.raises(StellaError) as refusal:
        ingest(locker, bad, now=world.now)
    assert refusal.value.reason == reason
    run = run_of(locker, scan_ids[0])
    assert (run["status"], "failure" in run) == ("verified", False)
    (entry,) = quarantined(locker)
    assert f"-{reason}-" in entry.name


def test_each_bundle_of_a_known_record_is_read_once(world, locker, tmp_path, monkeypatch) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now)
    read: list[str] = []
    measure = Medium.digest
    monkeypatch.setattr(Medium, "digest", lambda medium, path: (read.append(path), measure(medium, path))[1])
    assert ingest(locker, record, now=world.now).known
    assert sorted(read) == sorted([layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE])


def test_of_a_manifest_of_another_kind_nothing_is_kept(world, locker, tmp_path) -> None:
    foreign = tmp_path / "extension"
    foreign.mkdir()
    (foreign / layout.MANIFEST_FILE).write_text('{"manifest_version": 3, "name": "a browser extension"}')
    with pytest.raises(UsageError, match="another kind"):
        ingest(locker, foreign, now=world.now)
    assert (quarantined(locker), events(locker)) == ([], [])


def test_a_record_without_a_scan_id_goes_to_the_quarantine_untouched(world, locker, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    (record / layout.MANIFEST_FILE).write_bytes(b'{"scan":"?"}')
    for _ in range(2):
        with pytest.raises(StellaError):
            ingest(locker, record, now=world.now)
    (entry,) = quarantined(locker)
    assert entry.parent.name == "default"
    assert entry.name.startswith("20260301T120000Z-DigestMismatch-")
    assert (entry / "manifest.json").read_bytes() == b'{"scan":"?"}'
    assert (entry / "failure-reason.txt").read_text().startswith("DigestMismatch: A file's bytes are not the signed")
    log = (entry / "verification.log").read_text().splitlines()
    assert log == [
        "01 media passed",
        "02 rootpack passed",
        "06 manifest-envelope passed",
        "07 manifest-content failed DigestMismatch",
    ]
    described = json.loads((entry / "quarantine.json").read_bytes())
    assert described["reason"] == "DigestMismatch"
    assert described["exitCode"] == 30
    assert {file["name"] for file in described["files"]} == {"manifest.json", "manifest.dsse.json"}
    assert {file["name"] for file in described["leftBehind"]} == {layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE}
    assert str(tmp_path) not in (entry / "quarantine.json").read_text()
    assert run_of(locker, scan_ids[0]) is None
    assert events(locker).count("evidence.quarantined") == 1


def test_another_manifest_under_the_same_scan_id_is_a_conflict(world, locker, tmp_path, scan_ids) -> None:
    first = ingest(locker, world.record(tmp_path / "first"), now=world.now)
    with pytest.raises(LockerConflict):
        ingest(locker, world.record(tmp_path / "second", content=b"other"), now=world.now)
    assert run_of(locker, scan_ids[0])["manifestHash"] == first.manifest_hash
    (entry,) = quarantined(locker)
    assert "-LockerConflict-" in entry.name
    assert events(locker)[-1] == "evidence.quarantined"


def test_a_scan_id_that_changed_hands_midway_is_a_conflict(world, locker, tmp_path, scan_ids, monkeypatch) -> None:
    first, second = world.record(tmp_path / "first"), world.record(tmp_path / "second", content=b"other")
    put_file = locker.cas.put_file

    def meanwhile(*arguments: object, **options: object) -> object:
        monkeypatch.setattr(locker.cas, "put_file", put_file)
        claimed = digest.of_file(first / layout.MANIFEST_FILE)[0]
        assert registry.fail(locker, scan_ids[0], claimed, "default", DigestMismatch(path="x"), now=world.now)
        assert ingest(locker, second, now=world.now).status == "verified"
        return put_file(*arguments, **options)

    monkeypatch.setattr(locker.cas, "put_file", meanwhile)
    with pytest.raises(LockerConflict):
        ingest(locker, first, now=world.now)
    shown = views.show_run(locker, scan_ids[0])
    assert shown["manifestHash"] == digest.of_file(second / layout.MANIFEST_FILE)[0]
    assert len(shown["bundles"]) == 3


def test_a_record_belongs_to_one_tenant(world, locker, tmp_path) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now, tenant="blue")
    with pytest.raises(LockerConflict):
        ingest(locker, record, now=world.now, tenant="green")
    assert [run["tenant"] for run in views.list_runs(locker, status=None, tenant="blue", limit=9)] == ["blue"]
    assert views.list_runs(locker, status=None, tenant="green", limit=9) == []


@pytest.mark.parametrize("tenant", ["", "../up", "a/b", "Upper", "x" * 65])
def test_a_tenant_is_a_name(world, locker, tmp_path, tenant: str) -> None:
    with pytest.raises(MalformedDocument):
        ingest(locker, world.record(tmp_path), now=world.now, tenant=tenant)


def test_a_second_signer_adds_an_envelope(world, locker, tmp_path, scan_ids) -> None:
    from builder import trust

    second = PemSigner.from_seed("ecdsa-p256-sha256", bytes(48)[:-1] + b"\x09")
    trust.add_key(world.pack, world.keys, second.public, usage="kit", owner="qa", now=world.now - timedelta(hours=1))
    ingest(locker, world.record(tmp_path / "one"), now=world.now)
    both = world.record(tmp_path / "two", signers=(world.kit_signer, second))
    for _ in range(2):
        assert ingest(locker, both, now=world.now).known
    shown = views.show_run(locker, scan_ids[0])
    expected = sorted([world.kit_signer.public.fingerprint, second.public.fingerprint])
    assert [signature["keyId"] for signature in shown["signatures"]] == expected
    assert [document["type"] for document in shown["documents"]].count("manifest-envelope") == 2
    assert events(locker).count("evidence.envelope.added") == 1


def test_an_object_that_was_lost_is_put_back(world, locker, tmp_path, scan_ids) -> None:
    record = world.record(tmp_path)
    ingest(locker, record, now=world.now)
    lost = views.show_run(locker, scan_ids[0])["bundles"][0]
    locker.cas.remove(*object_of(lost["location"]))
    assert ingest(locker, record, now=world.now).known
    assert locker.cas.holds(*object_of(lost["location"]), lost["size"])
    assert events(locker).count("evidence.ingested") == 1


def test_a_record_may_come_without_its_rootpack(world, locker, tmp_path, scan_ids) -> None:
    bare = world.record(tmp_path, rootpack=False)
    with pytest.raises(UsageError, match="--rootpack"):
        ingest(locker, bare, now=world.now)
    assert run_of(locker, scan_ids[0]) is None
    assert quarantined(locker) == []
    assert ingest(locker, bare, now=world.now, rootpack_directory=world.pack).status == "verified"
    other = world.record(tmp_path / "other", scan_ids[1], rootpack=False)
    assert ingest(locker, other, now=world.now).status == "verified"


def test_trust_that_was_newer_once_stays_in_force(world, locker, tmp_path, scan_ids) -> None:
    old = world.record(tmp_path / "old", rootpack=True)
    kept = shutil.copytree(world.pack, tmp_path / "old-pack", ignore=shutil.ignore_patterns(".*", "lock"))
    world.enrol(world.new_site("site-8", 8))
    newer = world.record(tmp_path / "new", scan_ids[1])
    assert ingest(locker, newer, now=world.now).status == "verified"
    floors = locker.site.state.floors
    assert ingest(locker, old, now=world.now).status == "verified"
    assert ingest(locker, old, now=world.now, rootpack_directory=kept).known
    assert locker.site.state.floors == floors
    roles = {
        scan: [bundle["location"] for bundle in views.show_run(locker, scan)["bundles"] if bundle["role"] == "rootpack"]
        for scan in scan_ids
    }
    assert roles[scan_ids[0]] == roles[scan_ids[1]]


def test_expired_trust_is_no_fault_of_the_record(world, locker, tmp_path, scan_ids) -> None:
    with pytest.raises(TrustExpired):
        ingest(locker, world.record(tmp_path), now=world.now + timedelta(days=900))
    assert run_of(locker, scan_ids[0]) is None
    assert quarantined(locker) == []


def test_a_directory_that_is_no_record_is_a_mistake_of_the_caller(world, locker, tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        with pytest.raises(UsageError):
            ingest(locker, tmp_path / place, now=world.now)
    assert quarantined(locker) == []
    assert events(locker) == []


def test_a_status_that_does_not_exist_is_a_mistake_of_the_caller(locker) -> None:
    with pytest.raises(UsageError):
        views.list_runs(locker, status="done", tenant=None, limit=1)
    with pytest.raises(UsageError):
        views.show_run(locker, "nowhere")
