"""The floor of time: whose word moves it, and how far (docs/format.md section 4.8)."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from kit.errors import UsageError
from kit.result import REFUSED, VERIFIED, ReferenceTime
from kit.trust.evidence import STAMP, WITNESS, Existence, newest_agreed
from tests.world import NOW, Replay, World
from verifier import session, site_time
from verifier import site as sites
from verifier.run_dir import stamp
from verifier.site_time import TimeFloor

DAY = timedelta(days=1)
BOUND = timedelta(days=400)
FAR = NOW + timedelta(days=500)
BASE = TimeFloor(time=stamp(NOW), source=site_time.KIT, evidence="kit")


def vouched(by: str, time: datetime, source: str = STAMP) -> Existence:
    return Existence(
        signer="s", time=stamp(time), earliest=stamp(time), source=source, by=by, name=f"name of {by}", file=f"{by}.tsr"
    )


@dataclass(frozen=True)
class Case:
    name: str
    base: TimeFloor | None
    times: tuple[Existence, ...]
    days: float | None
    source: str


CASES = [
    Case("nobody says anything", BASE, (), 0, site_time.KIT),
    Case("one authority, near", BASE, (vouched("a", NOW + 10 * DAY),), 10, STAMP),
    Case("one authority, at the bound", BASE, (vouched("a", NOW + BOUND),), 400, STAMP),
    Case("one authority, beyond the bound", BASE, (vouched("a", NOW + BOUND + DAY),), 0, site_time.KIT),
    Case("one authority twice is one", BASE, (vouched("a", FAR), vouched("a", FAR + DAY)), 0, site_time.KIT),
    Case(
        "one name with two keys is one",
        BASE,
        (vouched("a", FAR), replace(vouched("b", FAR + DAY), name="name of a")),
        0,
        site_time.KIT,
    ),
    Case("two agree beyond the bound", BASE, (vouched("a", FAR), vouched("b", FAR + DAY, WITNESS)), 500, STAMP),
    Case("one lies far ahead, one is near", BASE, (vouched("a", FAR), vouched("b", NOW + 5 * DAY)), 5, STAMP),
    Case("an older word lowers nothing", BASE, (vouched("a", NOW - DAY), vouched("b", NOW - DAY)), 0, site_time.KIT),
    Case("one without a floor", None, (vouched("a", NOW),), None, ""),
    Case("two without a floor", None, (vouched("a", NOW), vouched("b", NOW + DAY)), 0, STAMP),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_floor_follows_what_others_vouch_for_within_its_bound(case: Case) -> None:
    found = site_time.vouched(case.base, case.times, BOUND)
    expected = None if case.days is None else (stamp(NOW + case.days * DAY), case.source)
    assert (found and (found.time, found.source)) == expected


def test_two_sources_agree_on_the_older_of_both() -> None:
    found = newest_agreed([vouched("a", NOW), vouched("b", NOW + DAY), vouched("c", NOW + 2 * DAY)])
    assert found is not None
    assert found.by == "b"


# Clocks, one run after the other at one site that accepted a kit at NOW.
CLOCKS = {
    "right": (NOW, (VERIFIED, "Ok")),
    "an hour behind": (NOW - timedelta(hours=1), (VERIFIED, "Ok")),
    "a year behind": (NOW - 365 * DAY, (VERIFIED, "Ok")),
    "1970": (datetime(1970, 1, 1, tzinfo=UTC), (VERIFIED, "Ok")),
    "a day ahead": (NOW + DAY, (VERIFIED, "Ok")),
    "a year ahead": (NOW + 365 * DAY, (REFUSED, "TrustExpired")),
    "2038": (datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC), (REFUSED, "TrustExpired")),
    "2106": (datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC), (REFUSED, "TrustExpired")),
    "9999": (datetime(9999, 12, 31, 0, 0, 0, tzinfo=UTC), (REFUSED, "TrustExpired")),
}


@pytest.mark.parametrize("clock", CLOCKS.values(), ids=CLOCKS)
def test_wrong_clock_is_answered_by_the_floor(
    clock: tuple[datetime, tuple[str, str]], world: World, replay: Replay, tmp_path
) -> None:
    site = world.new_site(tmp_path / "clock-site")
    replay(world.kit, site=site, now=NOW)
    now, expected = clock
    result, _ = replay(world.kit, site=site, now=now)
    assert (result.verdict, result.reason) == expected
    assert result.reference_time.time == stamp(max(now, NOW))
    assert (result.reference_time.clock is not None) == (now < NOW)
    # A clock far ahead moves nothing; the next run with a right one is not spoiled.
    if now - NOW > BOUND:
        again, _ = replay(world.kit, site=site, now=NOW)
        assert again.verdict == VERIFIED


def test_lost_clock_at_a_new_site_is_the_operators_to_set(world: World, replay: Replay, tmp_path) -> None:
    site, lost = world.new_site(tmp_path / "new-site"), datetime(1970, 1, 1, tzinfo=UTC)
    assert replay(world.kit, site=site, now=lost)[0].reason == "TrustFromFuture"
    site.reset_floor(stamp(NOW), "the clock's battery is empty; the date is that of the courier's note")
    result, _ = replay(world.kit, site=site, now=lost)
    assert result.verdict == VERIFIED
    assert site_time.OPERATOR in result.reference_time.source
    (reset,) = sites.load(site.path).state.floor_resets
    assert reset.before is None


def test_run_may_be_judged_by_the_floor_alone(world: World, replay: Replay, tmp_path) -> None:
    site = world.new_site(tmp_path / "floor-site")
    with pytest.raises(UsageError, match="no floor"):
        session.floor_time(site)
    replay(world.kit, site=site, now=NOW)
    found = session.floor_time(site)
    assert found == ReferenceTime(time=stamp(NOW), source=f"floor, {site.state.time_floor.source} (--at floor)")
