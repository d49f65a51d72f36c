"""Two tiers: nothing leaves the hot store before its cold copy was read again."""

from datetime import timedelta

import msgspec
import pytest
import sqlalchemy as sa

from kit.errors import FileMissing, ServerUnreachable
from locker import cas, rows
from locker.holds import legal
from locker.holds.legal import Scope
from locker.ingest import ingest
from locker.retention import demotion
from locker.retention.run import Order, run
from locker.rows.retention import objects
from locker.settings import Policy, RetentionSettings, StoreSettings
from locker.tiers import open_cold

DAY = timedelta(days=1)
ALL = {"share": "a test", "growth": "a test", "clock": "a test"}


@pytest.fixture(params=["directory", "bucket"])
def cold(request, locker, tmp_path):
    """Give the locker a cold store."""
    if request.param == "directory":
        for name in ("replay", "tmp"):
            (tmp_path / "cold" / name).mkdir(parents=True)
        chosen = StoreSettings(url=(tmp_path / "cold").as_uri())
    else:
        hot = request.getfixturevalue("new_bucket")
        chosen = msgspec.structs.replace(hot, url=f"{hot.url}-cold")
    locker.settings = msgspec.structs.replace(locker.settings, cold=chosen)
    return locker.tiers.cold


@pytest.fixture
def filled(world, locker, tmp_path):
    ingest(locker, world.record(tmp_path / "r"), now=world.now)
    return locker


def at(world, days: float) -> Order:
    return Order("keeper", world.now + days * DAY, ALL)


def tiers(locker) -> set[str]:
    with locker.rows.read() as connection:
        return set(connection.execute(sa.select(objects.c.tier)).scalars())


def digests(locker) -> list[str]:
    with locker.rows.read() as connection:
        return [f"sha256:{each}" for each in connection.execute(sa.select(objects.c.digest)).scalars()]


def test_what_is_old_moves_to_the_cold_store_and_is_read_from_there(world, filled, cold, tmp_path) -> None:
    assert [one.demoted for one in run(filled, at(world, 179))] == [0]
    assert [(one.demoted, one.error) for one in run(filled, at(world, 180))] == [(2, None)]
    assert tiers(filled) == {"cold"}
    for each in digests(filled):
        assert not filled.cas.has(each, cas.BUNDLE)
        assert cold.digest_of(each, cas.BUNDLE)[0] == each
        assert filled.tiers.digest_of(each)[0] == each
        with filled.tiers.file(each, filled.work) as path:
            assert path.stat().st_size > 0
    assert ingest(filled, world.record(tmp_path / "again"), now=world.now).known
    assert tiers(filled) == {"cold"}, "a known record need not come back"


def test_a_damaged_cold_copy_keeps_the_hot_one(world, filled, cold, monkeypatch) -> None:
    real = cold.digest_of

    def damaged(digest: str, suffix: str) -> tuple[str, int]:
        return ("sha256:" + "0" * 64, real(digest, suffix)[1])

    with monkeypatch.context() as patch:
        patch.setattr(cold, "digest_of", damaged)
        [done] = run(filled, at(world, 180))
    assert (done.demoted, done.error.reason) == (0, "DigestMismatch")
    assert all(filled.cas.digest_of(each, cas.BUNDLE)[0] == each for each in digests(filled))
    [done] = run(filled, at(world, 181))
    assert (done.demoted, done.error) == (2, None)


def test_a_cold_copy_that_rotted_after_it_was_announced_keeps_the_hot_one(world, filled, cold, monkeypatch) -> None:
    seen: list[str] = []
    whole = type(filled.tiers).cold_is_whole

    def second_time_bad(self, digest: str, size: int) -> bool:
        seen.append(digest)
        return whole(self, digest, size) and seen.count(digest) < 3

    monkeypatch.setattr(type(filled.tiers), "cold_is_whole", second_time_bad)
    [done] = run(filled, at(world, 180))
    assert (done.demoted, done.error.reason) == (0, "DigestMismatch")
    assert tiers(filled) == {"demoting"}
    assert all(filled.cas.has(each, cas.BUNDLE) for each in digests(filled))


def test_a_hold_stops_the_way_to_the_cold_store(world, filled, cold) -> None:
    legal.create(
        filled, "default", Scope("all"), who="a", reason="case", now=world.now, entropy=lambda count: b"\1" * count
    )
    assert [one.demoted for one in run(filled, at(world, 180))] == [0]
    assert all(filled.cas.has(each, cas.BUNDLE) for each in digests(filled))


def test_a_hold_between_copy_and_removal_stops_the_removal(world, filled, cold, monkeypatch) -> None:
    whole = type(filled.tiers).cold_is_whole
    held: list[str] = []

    def then_held(self, digest: str, size: int) -> bool:
        answer = whole(self, digest, size)
        if tiers(filled) >= {"demoting"} and not held:
            held.append(
                legal.create(
                    filled, "default", Scope("all"), who="a", reason="case", now=world.now,
                    entropy=lambda count: b"\1" * count,
                ).id
            )  # fmt: skip
        return answer

    monkeypatch.setattr(type(filled.tiers), "cold_is_whole", then_held)
    [done] = run(filled, at(world, 180))
    assert (done.demoted, done.error, len(held)) == (0, None, 1)
    assert tiers(filled) == {"hot"}
    assert all(filled.cas.has(each, cas.BUNDLE) for each in digests(filled))


def test_a_purge_empties_both_stores(world, filled, cold) -> None:
    run(filled, at(world, 180))
    gone = digests(filled)
    run(filled, at(world, 731))
    assert sum(one.purged for one in run(filled, at(world, 738))) == 2
    assert not any(store.has(each, cas.BUNDLE) for each in gone for store in (filled.cas, cold))


def test_with_one_store_the_tier_is_a_word(world, filled) -> None:
    assert [one.demoted for one in run(filled, at(world, 180))] == [2]
    assert tiers(filled) == {"cold"}
    assert all(filled.cas.has(each, cas.BUNDLE) for each in digests(filled))


def test_with_one_store_damage_is_told_when_the_tier_changes(world, filled) -> None:
    victim = digests(filled)[0]
    filled.cas.remove(victim, cas.BUNDLE)
    [done] = run(filled, at(world, 180))
    assert (done.demoted, done.error.reason) == (1, "DigestMismatch")
    with pytest.raises(FileMissing):
        filled.tiers.digest_of(victim)


def test_a_tenant_stays_hot_as_long_as_its_policy_says(world, filled) -> None:
    own = RetentionSettings(tenants={"default": Policy(policy="long", hot_days=400)})
    filled.settings = msgspec.structs.replace(filled.settings, retention=own)
    assert [one.demoted for one in run(filled, at(world, 399))] == [0]
    assert [one.demoted for one in run(filled, at(world, 400))] == [2]


def test_a_shared_bundle_stays_hot_for_the_tenant_that_wants_it_longest(world, locker, tmp_path, scan_ids) -> None:
    for number, tenant in enumerate(("brief", "long")):
        ingest(locker, world.record(tmp_path / tenant, scan_ids[number]), now=world.now, tenant=tenant)
    own = RetentionSettings(hot_days=300, tenants={"brief": Policy(hot_days=10), "long": Policy(hot_days=400)})
    locker.settings = msgspec.structs.replace(locker.settings, retention=own)
    assert [one.demoted for one in run(locker, at(world, 11))] == [1, 0]
    assert [one.demoted for one in run(locker, at(world, 400))] == [1, 1]


def test_a_cold_store_that_is_not_mounted_is_not_taken_for_an_empty_one(tmp_path) -> None:
    with pytest.raises(ServerUnreachable):
        open_cold(StoreSettings(url=(tmp_path / "not-there").as_uri()))


def test_an_event_comes_before_the_hot_copy_goes(world, filled, cold, monkeypatch) -> None:
    def killed(self, digest: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(filled.tiers), "drop_hot", killed)
        with pytest.raises(KeyboardInterrupt):
            demotion.demote(
                filled, digests(filled)[0].removeprefix("sha256:"), tenant="default", now=at(world, 180).now
            )
    with filled.rows.read() as connection:
        kinds = list(connection.execute(sa.select(rows.events.c.kind)).scalars())
    assert kinds.count("retention.demoting") == 1
    assert "retention.demoted" not in kinds
    assert [one.demoted for one in run(filled, at(world, 180))] == [2]
