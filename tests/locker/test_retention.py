"""Retention: what is kept, what is marked, what is purged, and what is left of it."""

from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, MalformedDocument, SignatureInvalid, StellaError, UsageError
from locker import cas, rows, settings
from locker.ingest import ingest
from locker.retention import certificate, declaration, due, policy
from locker.retention.run import Order, dry_run, forecast, run
from locker.rows.retention import declarations, objects, retention_runs, tombstones
from locker.settings import Policy, RetentionSettings
from locker.sync import take

DAY = timedelta(days=1)
DUE = 731
THIRD = "7a7a7a7a-8a07-4c43-b8c0-6b3f6a1f7d22"
ALL = {"share": "a test", "growth": "a test", "clock": "a test"}


@pytest.fixture
def at(world):
    """Return the order of a run so many days after the ingest, with every brake released."""
    return lambda days, **changes: Order(
        **({"who": "keeper", "now": world.now + days * DAY, "allowed": ALL} | changes)  # type: ignore[arg-type]
    )


@pytest.fixture
def filled(world, locker, tmp_path, scan_ids):
    """A locker with two scans and a site's result for the first of them."""
    record = world.record(tmp_path / "records", scan_ids[0])
    ingest(locker, record, now=world.now)
    ingest(locker, world.record(tmp_path / "records", scan_ids[1], content=b"other"), now=world.now)
    world.run(tmp_path / "ops", record, "run-1")
    take(locker, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    return locker


def states(locker) -> set[str]:
    with locker.rows.read() as connection:
        return set(connection.execute(sa.select(objects.c.state)).scalars())


def kinds(locker) -> list[str]:
    with locker.rows.read() as connection:
        return list(connection.execute(sa.select(rows.events.c.kind).order_by(rows.events.c.sequence)).scalars())


def bundles(locker) -> set[str]:
    return {name for name, _ in locker.cas.names() if name.endswith(cas.BUNDLE)}


def with_settings(locker, **changes) -> None:
    locker.settings = msgspec.structs.replace(locker.settings, **changes)


def test_every_bundle_is_declared_at_its_ingest(filled, world) -> None:
    with filled.rows.read() as connection:
        declared = connection.execute(sa.select(declarations)).all()
        kept = connection.execute(sa.select(objects)).all()
    assert len(declared) == 5
    for row in declared:
        found = declaration.verify(row.envelope.encode(), f"sha256:{row.digest}", filled.site.signer.public)
        assert set(found) == {
            "retention_policy_id",
            "tenant_id",
            "dataset",
            "bundle_type",
            "retention_days",
            "legal_hold",
            "purge_after",
            "checksum",
            "created_at",
        }
        assert (found["retention_days"], found["legal_hold"], found["purge_after"]) == (
            730,
            False,
            "2028-02-29T12:00:00Z",
        )
        assert row.purge_after == world.now + 730 * DAY
    assert {row.state for row in kept} == {"live"}
    assert {row.tier for row in kept} == {"hot"}


def test_a_declaration_about_another_bundle_or_by_another_key_is_refused(filled, world) -> None:
    with filled.rows.read() as connection:
        row = connection.execute(sa.select(declarations)).first()
    with pytest.raises(DigestMismatch):
        declaration.verify(row.envelope.encode(), digest.of_bytes(b"other"), filled.site.signer.public)
    with pytest.raises(StellaError):
        declaration.verify(row.envelope.encode(), f"sha256:{row.digest}", world.kit_signer.public)


def declared(**changes: object) -> dict[str, object]:
    from tests.locker.conftest import NOW

    made = declaration.make(Policy(), "default", "input", ingested_at=NOW, now=NOW, held=False) | changes
    rest = {name: value for name, value in made.items() if name != "checksum"}
    value = digest.hex_of(digest.of_bytes(canonical.encode(rest)))
    return made | ({} if "checksum" in changes else {"checksum": {"algorithm": "sha256", "value": value}})


def test_a_declaration_that_we_make_is_valid() -> None:
    assert declaration.check(declared())["bundle_type"] == "sealed_bundle"


@pytest.mark.parametrize(
    "changes",
    [
        {"created_at": "nope"},
        {"created_at": "2026-02-30T00:00:00Z"},
        {"purge_after": "2026-03-01"},
        {"retention_policy_id": ""},
        {"retention_policy_id": "p" * 33},
        {"retention_policy_id": "a b"},
        {"tenant_id": ""},
        {"tenant_id": "t" * 129},
        {"dataset": "d" * 65},
        {"bundle_type": "input"},
        {"retention_days": 0},
        {"retention_days": 3651},
        {"retention_days": "730"},
        {"legal_hold": "no"},
        {"checksum": {"algorithm": "md5", "value": "0" * 64}},
        {"checksum": {"algorithm": "sha256", "value": "0" * 63}},
        {"checksum": {"algorithm": "sha256", "value": "0" * 64, "more": 1}},
        {"more": 1},
    ],
)
def test_a_declaration_that_breaks_the_schema_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MalformedDocument):
        declaration.check(declared(**changes))


def test_a_declaration_without_dataset_is_what_others_write(filled) -> None:
    made = {name: value for name, value in declared().items() if name not in ("dataset", "checksum")}
    value = digest.hex_of(digest.of_bytes(canonical.encode(made))).upper()
    assert declaration.check(made | {"checksum": {"algorithm": "sha256", "value": value}})
    without = {name: value for name, value in declared().items() if name != "tenant_id"}
    with pytest.raises(MalformedDocument):
        declaration.check(without)


def test_a_declaration_with_a_wrong_checksum_is_refused() -> None:
    with pytest.raises(DigestMismatch):
        declaration.check(declared(checksum={"algorithm": "sha256", "value": "0" * 64}))


def test_nothing_is_purged_before_its_date_and_its_grace(filled, at) -> None:
    before = bundles(filled)
    assert [one.marked for one in run(filled, at(729))] == [0]
    assert [(one.marked, one.purged) for one in run(filled, at(DUE))] == [(5, 0)]
    assert states(filled) == {"marked"}
    assert [one.purged for one in run(filled, at(DUE + 6))] == [0]
    assert bundles(filled) == before
    assert [one.purged for one in run(filled, at(DUE + 7))] == [5]
    assert states(filled) == {"tombstone"}
    assert len(bundles(filled)) == 1, "the RootPack stays"
    found = kinds(filled)
    assert [found.count(f"retention.{kind}") for kind in ("marked", "deleting", "purged")] == [5, 5, 5]
    assert [one.purged for one in run(filled, at(DUE + 8))] == [0]


def test_a_purged_bundle_has_a_signed_certificate(filled, at, world) -> None:
    run(filled, at(DUE))
    run(filled, at(DUE + 7))
    with filled.rows.read() as connection:
        stone = connection.execute(sa.select(tombstones)).first()
        event = connection.execute(sa.select(rows.events).where(rows.events.c.sequence == stone.event)).one()
    named = f"sha256:{stone.digest}"
    envelope = certificate.find(filled, named, "default")
    told = certificate.verify(envelope, filled.site.signer.public)
    assert (told["object"], told["by"], told["policies"], told["event"]) == (named, "keeper", ["standard"], stone.event)
    assert told["purgedAt"] == "2028-03-08T12:00:00Z"
    assert told["removal"] in ("removed", "removed with every version")
    assert (event.kind, event.details["object"]) == ("retention.purged", named)
    with pytest.raises(StellaError):
        certificate.verify(envelope, world.kit_signer.public)
    with pytest.raises(UsageError):
        certificate.find(filled, named, "other")


def test_a_certificate_cannot_be_taken_back(filled, at) -> None:
    run(filled, at(DUE))
    run(filled, at(DUE + 7))
    with pytest.raises(sa.exc.IntegrityError, match="append-only"), filled.rows.write() as connection:
        connection.execute(sa.delete(tombstones))


def test_what_was_purged_can_be_ingested_again_and_lives_as_long_as_new(filled, at, world, tmp_path, scan_ids) -> None:
    run(filled, at(DUE))
    run(filled, at(DUE + 7))
    record = world.record(tmp_path / "again", scan_ids[0])
    # The trust of this world has long expired by then; retention asks the rows, not the clock of the ingest.
    assert ingest(filled, record, now=world.now + DAY).status == "replayed"
    assert states(filled) == {"live", "tombstone"}
    with filled.rows.read() as connection:
        promised = connection.execute(
            sa.select(declarations.c.purge_after).where(declarations.c.mapping == scan_ids[0]).distinct()
        ).scalars()
        assert list(promised) == [world.now + 731 * DAY]
    for name in bundles(filled):
        named = "sha256:" + name.rpartition("/")[2].partition(".")[0]
        assert filled.cas.digest_of(named, cas.BUNDLE)[0] == named


def test_a_bundle_of_two_scans_goes_with_the_later_one(world, locker, tmp_path, scan_ids, at) -> None:
    ingest(locker, world.record(tmp_path / "a", scan_ids[0]), now=world.now)
    ingest(locker, world.record(tmp_path / "b", scan_ids[1]), now=world.now + 30 * DAY, tenant="other")
    with locker.rows.read() as connection:
        counted = connection.execute(
            sa.select(declarations.c.digest, sa.func.count())
            .group_by(declarations.c.digest)
            .having(sa.func.count() == 2)
        ).all()
    assert len(counted) == 1, "both scans have the same outputs"
    run(locker, at(DUE))
    assert sum(one.purged for one in run(locker, at(DUE + 7))) == 1
    assert locker.cas.has(f"sha256:{counted[0].digest}", cas.BUNDLE)
    run(locker, at(DUE + 30))
    assert sum(one.purged for one in run(locker, at(DUE + 37))) == 2
    shared = f"sha256:{counted[0].digest}"
    for tenant in ("default", "other"):
        told = certificate.verify(certificate.find(locker, shared, tenant), locker.site.signer.public)
        assert [one["mapping"] for one in told["promises"]] == [scan_ids[0] if tenant == "default" else scan_ids[1]]


def test_evidence_of_before_retention_is_declared_from_its_ingest(filled, at, world) -> None:
    with filled.rows.write() as connection:
        connection.execute(sa.delete(declarations))
        connection.execute(sa.delete(objects))
    planned, _ = dry_run(filled, at(1))[0]
    assert planned.undeclared == 5
    assert [(one.declared, one.marked) for one in run(filled, at(1))] == [(5, 0)]
    with filled.rows.read() as connection:
        assert set(connection.execute(sa.select(declarations.c.purge_after)).scalars()) == {world.now + 730 * DAY}


def test_a_longer_policy_counts_at_once_and_a_shorter_one_only_when_two_people_say_so(filled, at) -> None:
    with_settings(filled, retention=RetentionSettings(tenants={"default": Policy(policy="long", cold_days=1000)}))
    assert [one.lengthened for one in run(filled, at(1))] == [5]
    assert [one.marked for one in run(filled, at(DUE))] == [0]
    with_settings(filled, retention=RetentionSettings(policy="short", hot_days=10, cold_days=100))
    assert [(one.marked, one.kept_longer) for one in run(filled, at(DUE + 1))] == [(0, 5)]
    words = {"who": "Berg (account a)", "reason": "contract", "now": at(DUE + 2).now}
    for second in ("", "berg", " Berg  (account b)"):
        with pytest.raises(UsageError):
            policy.release(filled, "default", **words, second=second)
    with pytest.raises(UsageError):
        policy.release(filled, "default", **(words | {"reason": " "}), second="Ruiz")
    assert policy.release(filled, "default", **words, second="Ruiz") == 5
    assert "retention.shortened" in kinds(filled)
    assert [one.marked for one in run(filled, at(DUE + 3))] == [5]


def test_a_dry_run_and_a_forecast_change_nothing(filled, at) -> None:
    before = kinds(filled)
    planned, stop = dry_run(filled, at(DUE))[0]
    assert (planned.mark.count, planned.total, stop) == (5, 5, None)
    assert len(planned.mark.first) == 5
    assert [plan.mark.count for plan in forecast(filled, at(DUE).now)] == [5]
    assert kinds(filled) == before
    assert states(filled) == {"live"}


@pytest.mark.parametrize(
    ("days", "allowed", "reason"),
    [
        (-1, {}, "ClockNotPlausible"),
        (365, {}, "ClockNotPlausible"),
        (-365, {}, "ClockNotPlausible"),
        (2.1, {}, "ClockNotPlausible"),
        (1.9, {}, None),
        (365, {"clock": "the locker was in storage"}, None),
        (365, {"share": "no"}, "ClockNotPlausible"),
    ],
)
def test_a_clock_that_is_not_plausible_stops_the_run(filled, at, days, allowed, reason) -> None:
    before = kinds(filled)
    order = at(days, allowed=allowed)
    _, stop = dry_run(filled, order)[0]
    assert (stop.reason if stop else None) == reason
    if reason is None:
        assert [one.error for one in run(filled, order)] == [None]
        assert ("retention.brake.released" in kinds(filled)) == ("clock" in allowed)
    else:
        with pytest.raises(StellaError) as caught:
            run(filled, order)
        assert (caught.value.reason, caught.value.exit_code) == (reason, 70)
        assert kinds(filled) == before


def test_a_refused_run_does_not_become_the_last_one(filled, at) -> None:
    for _ in range(2):
        with pytest.raises(StellaError):
            run(filled, at(365, allowed={}))
    with filled.rows.read() as connection:
        assert connection.execute(sa.select(retention_runs)).all() == []


def test_a_brake_needs_its_reason(filled, at) -> None:
    with pytest.raises(UsageError):
        run(filled, at(DUE, allowed={"share": "  "}))


def test_a_run_that_would_purge_much_of_a_tenant_stops_and_says_so(filled, at) -> None:
    run(filled, at(DUE))
    order = at(DUE + 7, allowed={"clock": "a test"})
    [done] = run(filled, order)
    assert (done.purged, done.error.reason, done.error.exit_code) == (0, "RetentionBrake", 70)
    assert states(filled) == {"marked"}
    assert dry_run(filled, order)[0][1].reason == "RetentionBrake"
    [done] = run(filled, at(DUE + 7))
    assert (done.purged, done.error) == (5, None)
    with filled.rows.read() as connection:
        told = connection.execute(
            sa.select(rows.events.c.details).where(rows.events.c.kind == "retention.brake.released")
        ).scalars()
        assert {"share", "growth"} <= {each["brake"] for each in told}


def test_a_run_that_would_purge_twice_the_last_one_stops(filled, at) -> None:
    with filled.rows.write() as connection:
        values = {"tenant": "default", "at": at(DUE).now, "who": "x", "purging": 2, "allowed": {}}
        connection.execute(sa.insert(retention_runs).values(values))
    run(filled, at(DUE))
    [done] = run(filled, at(DUE + 7, allowed={"clock": "a", "share": "b"}))
    assert done.error.details["detail"] == "--allow-growth"


def test_one_tenants_failure_does_not_stop_the_others(world, locker, tmp_path, scan_ids, at) -> None:
    for number, tenant in enumerate(("anna", "berta")):
        record = world.record(tmp_path / tenant, scan_ids[number], content=tenant.encode())
        ingest(locker, record, now=world.now, tenant=tenant)
    run(locker, at(DUE))
    with locker.rows.write() as connection:
        values = {"tenant": "anna", "at": at(DUE).now, "who": "x", "purging": 1, "allowed": {}}
        connection.execute(sa.insert(retention_runs).values(values | {"purging": 1}))
        mine = sa.select(declarations.c.digest).where(declarations.c.tenant == "anna").limit(1)
        connection.execute(sa.update(objects).where(objects.c.digest.in_(mine)).values(marked_at=at(DUE + 30).now))
    first, second = run(locker, at(DUE + 7, allowed={"clock": "a", "growth": "b"}))
    assert (first.tenant, first.error.reason, first.purged) == ("anna", "RetentionBrake", 0)
    assert (second.tenant, second.error.reason) == ("berta", "RetentionBrake")
    done = run(locker, at(DUE + 7, tenant="berta"))
    assert [(one.tenant, one.purged, one.error) for one in done] == [("berta", 2, None)]


def test_an_ingest_during_a_deletion_is_kept(filled, at, world, tmp_path, scan_ids) -> None:
    """The bytes go between the ingest's put and its rows: they are put again."""
    from locker.retention import purge

    run(filled, at(DUE))
    leaving = purge.decide(filled, "default", who="keeper", allowed=ALL, now=at(DUE + 7).now)
    record = world.record(tmp_path / "again", scan_ids[0])
    put, once = filled.cas.put_file, []

    def put_then_purge(*words, **named):
        stored = put(*words, **named)
        if not once and named["digest"].removeprefix("sha256:") in leaving:
            once.append(stored)
            purge.finish(filled, digest.hex_of(stored.digest), who="keeper", now=at(DUE + 7).now, tenant="default")
            assert not filled.cas.has(stored.digest, cas.BUNDLE)
        return stored

    filled.cas.put_file = put_then_purge
    ingest(filled, record, now=world.now + DAY)
    assert once
    with filled.rows.read() as connection:
        mine = sa.select(objects).join(declarations, declarations.c.digest == objects.c.digest)
        found = connection.execute(mine.where(declarations.c.mapping == scan_ids[0])).all()
    assert {row.state for row in found} == {"live"}
    for row in found:
        assert filled.cas.digest_of(f"sha256:{row.digest}", cas.BUNDLE)[0] == f"sha256:{row.digest}"
    assert "retention.revived" in kinds(filled)


@pytest.mark.parametrize(
    "text",
    [
        "[retention]\nhot-days = 0",
        "[retention]\ncold-days = 3651",
        "[retention]\nhot-days = 200\ncold-days = 100",
        '[retention]\npolicy = "a b"',
        "[retention.tenants.blue]\nhot-days = 900",
        "[retention]\nforever = true",
        '[holds]\nsecond-person = "yes"',
        '[cold]\nurl = "https://x"',
        '[cold]\nurl = "file://host/cold"',
        '[store]\nurl = "file:///hot"',
        '[store]\nurl = "s3://one"\n[cold]\nurl = "s3://one"',
    ],
)
def test_settings_of_retention_that_cannot_be_used_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        settings.parse(text.encode())


def test_settings_of_retention_are_read_as_they_were_written() -> None:
    text = (
        '[cold]\nurl = "file:///srv/cold"\n\n[retention]\ngrace-days = 14\nhot-days = 90\n\n'
        '[retention.tenants."blue.1"]\npolicy = "long"\ncold-days = 3650\n\n[holds]\nsecond-person = true\n'
    )
    parsed = settings.parse(text.encode())
    assert parsed.retention.of("blue.1").cold_days == 3650
    assert (parsed.retention.of("red").hot_days, parsed.holds.second_person) == (90, True)
    assert settings.parse(settings.to_toml(parsed)) == parsed


def test_signatures_of_declarations_are_those_of_the_lockers_key(filled) -> None:
    with filled.rows.read() as connection:
        row = connection.execute(sa.select(declarations)).first()
    document = canonical.decode(row.envelope.encode())
    document["signatures"][0]["sig"] = document["signatures"][0]["sig"][::-1]
    with pytest.raises((SignatureInvalid, StellaError)):
        declaration.verify(canonical.encode(document), f"sha256:{row.digest}", filled.site.signer.public)


def test_due_counts_only_a_tenants_own(world, locker, tmp_path, scan_ids) -> None:
    for number, tenant in enumerate(("anna", "berta")):
        ingest(
            locker,
            world.record(tmp_path / tenant, scan_ids[number], content=tenant.encode()),
            now=world.now,
            tenant=tenant,
        )
    with locker.rows.read() as connection:
        assert due.tenants(connection) == ["anna", "berta"]
        assert [due.total(connection, tenant) for tenant in ("anna", "berta", "carla")] == [2, 2, 0]
