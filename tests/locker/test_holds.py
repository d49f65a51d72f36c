"""Legal holds: what they cover, what they stop, how they end."""

import random
from datetime import UTC, datetime, timedelta

import boto3
import msgspec
import pytest
import sqlalchemy as sa

from kit.bytes import canonical, digest
from kit.errors import RefusedByHold, UsageError
from locker import cas, rows
from locker.cas.bucket import BucketCas
from locker.holds import components, legal, object_lock
from locker.holds.legal import Scope
from locker.ingest import ingest
from locker.retention import certificate, purge
from locker.retention.run import Order, run
from locker.rows.retention import hold_objects, objects
from locker.settings import HoldSettings, StoreSettings
from locker.sync import take

DAY = timedelta(days=1)
ALL = {"share": "a test", "growth": "a test", "clock": "a test"}


def sbom(*purls: str) -> bytes:
    listed = [{"ref": purl, "name": "n", "purl": purl, "version": "9"} for purl in purls]
    return canonical.encode({"components": listed})


@pytest.fixture
def scan(world, locker, tmp_path, monkeypatch):
    """Ingest a scan whose SBOM lists the given components; the records of this world hold other bytes otherwise."""

    def made(scan_id: str, *purls: str, tenant: str = "default", days: int = 0) -> None:
        listed = components.Listed(tuple(sorted(components._names(canonical.decode(sbom(*purls))))))
        with monkeypatch.context() as patch:
            if purls:
                patch.setattr(components, "read", lambda _: listed)
            record = world.record(tmp_path / scan_id, scan_id, content=scan_id.encode())
            ingest(locker, record, now=world.now + days * DAY, tenant=tenant)

    return made


@pytest.fixture
def hold(world, locker):
    def made(scope: str, tenant: str = "default", future: bool = False, who: str = "anna", **values: object):
        entropy = random.Random(repr(values) + scope).randbytes
        wanted = Scope(scope, **values)  # type: ignore[arg-type]
        return legal.create(
            locker, tenant, wanted, who=who, reason="case 17", now=world.now, entropy=entropy, future=future
        )

    return made


def purge_all(locker, world, days: int = 731) -> int:
    for each in (days, days + 7):
        done = run(locker, Order("keeper", world.now + each * DAY, ALL))
        assert [one.error for one in done if one.error] == []
    return sum(one.purged for one in done)


def left(locker) -> int:
    return sum(name.endswith(cas.BUNDLE) for name, _ in locker.cas.names()) - 1


def test_a_hold_on_everything_stops_every_purge_until_it_is_released(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0])
    scan(scan_ids[1])
    made = hold("all")
    assert (made.held, made.too_late) == (4, ())
    assert purge_all(locker, world) == 0
    assert left(locker) == 4
    now = world.now + 740 * DAY
    legal.release(locker, "default", made.id[:8], who="anna", reason="closed", now=now)
    assert purge_all(locker, world, 741) == 4
    with locker.rows.read() as connection:
        kinds = list(connection.execute(sa.select(rows.events.c.kind)).scalars())
        one = connection.execute(sa.select(objects.c.digest)).scalars().first()
    assert (kinds.count("replay.hold.created"), kinds.count("replay.hold.released")) == (1, 1)
    told = certificate.verify(certificate.find(locker, f"sha256:{one}", "default"), locker.site.signer.public)
    assert [(each["hold"], each["releasedBy"], each["reason"]) for each in told["holds"]] == [
        (made.id, "anna", "case 17")
    ]


def test_a_bundle_with_two_holds_stays_until_both_are_released(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0])
    one, other = hold("all"), hold("time-range", start="2026-02-28T00:00:00Z", end="2026-03-01T00:00:00Z")
    assert (one.held, other.held) == (2, 2)
    legal.release(locker, "default", one.id, who="anna", reason="closed", now=world.now)
    assert purge_all(locker, world) == 0
    legal.release(locker, "default", other.id, who="anna", reason="closed", now=world.now + 740 * DAY)
    assert purge_all(locker, world, 741) == 2


def test_a_mark_goes_when_a_hold_comes(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0])
    run(locker, Order("keeper", world.now + 731 * DAY, ALL))
    hold("all")
    [done] = run(locker, Order("keeper", world.now + 732 * DAY, ALL))
    assert (done.unmarked, done.purged) == (2, 0)


def test_a_hold_that_comes_after_the_announcement_brings_back_what_is_there(
    world, locker, scan, hold, scan_ids
) -> None:
    scan(scan_ids[0])
    run(locker, Order("keeper", world.now + 731 * DAY, ALL))
    now = world.now + 738 * DAY
    leaving = purge.decide(locker, "default", who="keeper", allowed=ALL, now=now)
    locker.tiers.remove(f"sha256:{leaving[0]}")  # as a run does that is killed before it could confirm
    made = hold("digest", digests=tuple(f"sha256:{each}" for each in leaving))
    assert (made.held, made.too_late) == (1, (f"sha256:{leaving[0]}",))
    [done] = run(locker, Order("keeper", now, ALL))
    assert (done.purged, done.error) == (1, None)
    with locker.rows.read() as connection:
        states = dict(connection.execute(sa.select(objects.c.digest, objects.c.state)).all())
    assert states == {leaving[0]: "tombstone", leaving[1]: "live"}
    assert locker.cas.has(f"sha256:{leaving[1]}", cas.BUNDLE)


@pytest.mark.parametrize("what", ["bundle", "manifest", "image"])
def test_a_digest_may_be_that_of_a_bundle_a_manifest_or_an_image(world, locker, scan, hold, scan_ids, what) -> None:
    scan(scan_ids[0])
    with locker.rows.read() as connection:
        manifest = connection.execute(sa.select(rows.runs.c.manifest_hash)).scalar_one()
        bundle = connection.execute(
            sa.select(rows.run_bundles.c.bundle_digest).where(rows.run_bundles.c.role == "output")
        ).scalar_one()
    asked = {"bundle": f"sha256:{bundle}", "manifest": manifest, "image": digest.of_bytes(b"image")}[what]
    assert hold("digest", digests=(asked,)).held == (1 if what == "bundle" else 2)


def test_what_a_site_said_of_a_held_scan_is_held_too(world, locker, tmp_path, hold, scan_ids) -> None:
    record = world.record(tmp_path / "r", scan_ids[0])
    ingest(locker, record, now=world.now)
    world.run(tmp_path / "ops", record, "run-1")
    take(locker, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    assert hold("digest", digests=(digest.of_bytes(b"image"),)).held == 3


def test_a_component_is_found_in_the_lists_of_the_sboms(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0], "pkg:pypi/Requests@2.31.0", "pkg:npm/%40babel/core@7.0.0")
    scan(scan_ids[1], "pkg:pypi/urllib3@2.0.0")
    scan("7a7a7a7a-8a07-4c43-b8c0-6b3f6a1f7d22", "pkg:pypi/requests@2.0.0", tenant="other")
    assert hold("component", purl="pkg:pypi/requests").held == 2
    assert hold("component", purl="pkg:pypi/requests@2.31.0").held == 2
    assert hold("component", purl="pkg:npm/@babel/core").held == 2
    for nothing in ("pkg:pypi/requests@1.0.0", "pkg:pypi/flask", "pkg:pypi/request"):
        with pytest.raises(UsageError):
            hold("component", purl=nothing)


def test_a_scan_whose_sbom_cannot_be_read_is_held_by_any_component(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0], "pkg:pypi/urllib3@2.0.0")
    scan(scan_ids[1])
    assert hold("component", purl="pkg:pypi/flask").held == 2


def test_scans_of_before_there_were_lists_are_read_once(world, locker, scan, hold, scan_ids, monkeypatch) -> None:
    scan(scan_ids[0], "pkg:pypi/urllib3@2.0.0")
    with locker.rows.write() as connection:
        connection.exec_driver_sql("DELETE FROM replay_components")
        connection.exec_driver_sql("DELETE FROM replay_component_lists")
    read: list[object] = []

    def counted(reader) -> components.Listed:
        read.append(reader)
        return components.Listed((("pypi/flask", "1"),))

    monkeypatch.setattr(components, "read", counted)
    assert [hold("component", purl=purl).held for purl in ("pkg:pypi/flask", "pkg:pypi/flask@1")] == [2, 2]
    assert len(read) == 1


def test_a_hold_that_looks_ahead_takes_what_is_ingested_later(world, locker, scan, hold, scan_ids) -> None:
    looking = hold("component", purl="pkg:pypi/requests", future=True)
    frozen = hold("all", future=False) if looking.held else None
    assert (looking.held, frozen) == (0, None)
    scan(scan_ids[0], "pkg:pypi/requests@2.31.0")
    scan(scan_ids[1], "pkg:pypi/flask@1")
    shown = legal.show(locker, "default", looking.id)
    assert shown["objects"] == 2
    assert purge_all(locker, world) == 2
    with locker.rows.read() as connection:
        kinds = list(connection.execute(sa.select(rows.events.c.kind)).scalars())
    assert kinds.count("replay.hold.extended") == 1


def test_a_frozen_hold_does_not_grow(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0])
    made = hold("all")
    scan(scan_ids[1])
    assert legal.show(locker, "default", made.id)["objects"] == 2


def test_a_hold_is_its_tenants_own(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0], tenant="anna")
    scan(scan_ids[1], tenant="berta")
    made = hold("all", tenant="anna")
    assert made.held == 2
    assert legal.list_holds(locker, "berta") == []
    with pytest.raises(UsageError):
        legal.show(locker, "berta", made.id)
    with pytest.raises(UsageError):
        legal.release(locker, "berta", made.id, who="x", reason="y", now=world.now)


def test_a_second_person_releases_where_that_is_asked_for(world, locker, scan, hold, scan_ids) -> None:
    scan(scan_ids[0])
    made = hold("all", who="Anna (account a)")
    locker.settings = msgspec.structs.replace(locker.settings, holds=HoldSettings(second_person=True))
    for who in ("Anna (account b)", "anna", " ANNA "):
        with pytest.raises(RefusedByHold):
            legal.release(locker, "default", made.id, who=who, reason="closed", now=world.now)
    answer = legal.release(locker, "default", made.id, who="Berta (account a)", reason="closed", now=world.now)
    assert (answer["status"], answer["releasedBy"]) == ("released", "Berta (account a)")
    with pytest.raises(UsageError):
        legal.release(locker, "default", made.id, who="Berta", reason="again", now=world.now)


def test_a_hold_and_its_event_are_one_transaction(world, locker, scan, hold, scan_ids, monkeypatch) -> None:
    scan(scan_ids[0])

    def fails(*_words: object, **_named: object) -> None:
        raise KeyError

    with monkeypatch.context() as patch:
        patch.setattr(rows, "append_event", fails)
        with pytest.raises(KeyError):
            hold("all")
    assert legal.list_holds(locker, "default") == []
    with locker.rows.read() as connection:
        assert connection.execute(sa.select(hold_objects)).all() == []


@pytest.mark.parametrize(
    "scope",
    [
        Scope("everything"),
        Scope("digest"),
        Scope("digest", digests=("sha256:00",)),
        Scope("digest", digests=("sha256:" + "0" * 64,), purl="pkg:pypi/a"),
        Scope("component"),
        Scope("component", purl="requests"),
        Scope("time-range", start="2026-01-01T00:00:00Z"),
        Scope("time-range", start="2026-01-02T00:00:00Z", end="2026-01-01T00:00:00Z"),
        Scope("time-range", start="yesterday", end="today"),
        Scope("all", purl="pkg:pypi/a"),
    ],
)
def test_a_scope_that_says_too_little_or_too_much_is_refused(scope: Scope) -> None:
    with pytest.raises(UsageError):
        scope.asked()


def test_a_hold_needs_a_reason(world, locker) -> None:
    with pytest.raises(UsageError):
        legal.create(
            locker, "default", Scope("all"), who="a", reason=" ", now=world.now, entropy=random.Random(1).randbytes
        )


@pytest.fixture
def locking(bucket_server, new_bucket):
    """A bucket with Object Lock, and one without."""
    client = boto3.client(
        "s3",
        endpoint_url=bucket_server.endpoint,
        aws_access_key_id=bucket_server.credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=bucket_server.credentials["AWS_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    if "locking" not in {each["Name"] for each in client.list_buckets()["Buckets"]}:
        client.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
    client.close()
    prefix = new_bucket.prefix
    return BucketCas(StoreSettings(url=f"s3://locking/{prefix}", endpoint=new_bucket.endpoint)), BucketCas(new_bucket)


def test_a_lock_is_believed_only_if_it_holds(locking, tmp_path) -> None:
    now = datetime.now(UTC)
    enforcing, plain = locking
    assert object_lock.probe(enforcing, now=now) == object_lock.ENFORCED
    assert object_lock.probe(plain, now=now) in (object_lock.NONE, object_lock.NOT_ENFORCED)
    cas.DirectoryCas.create(tmp_path / "d")
    assert object_lock.probe(cas.DirectoryCas(tmp_path / "d"), now=now) == object_lock.NONE


def test_the_stores_own_hold_stops_a_removal_of_every_version(locking) -> None:
    enforcing, _ = locking
    stored = enforcing.put_bytes(b"evidence", cas.BUNDLE)
    assert object_lock.set_hold(enforcing, stored.digest, on=True) == object_lock.SET
    with pytest.raises(RefusedByHold):
        object_lock.remove(enforcing, stored.digest)
    assert enforcing.digest_of(stored.digest, cas.BUNDLE)[0] == stored.digest
    assert object_lock.set_hold(enforcing, stored.digest, on=False) == object_lock.CLEARED
    assert object_lock.remove(enforcing, stored.digest) == "removed with every version"
    assert not enforcing.has(stored.digest, cas.BUNDLE)


def test_a_hold_on_what_is_not_there_is_a_failure_that_is_told(locking) -> None:
    enforcing, _ = locking
    assert object_lock.set_hold(enforcing, digest.of_bytes(b"nothing"), on=True).startswith("failed: ")
