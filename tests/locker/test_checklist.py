"""The maintenance checklist: no answer without something behind it."""

from datetime import UTC, datetime, timedelta

import pytest

from kit import __version__
from locker import checklist
from locker.checklist import BREACH, OK, UNKNOWN, WARN, Facts

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def days(count: float) -> datetime:
    return NOW - timedelta(days=count)


def facts(**changes: object) -> Facts:
    good = {
        "now": NOW,
        "rootpack_accepted": days(10),
        "rootpack_expires": days(-60),
        "rootpack_fault": None,
        "retention_ran": days(0.5),
        "night_finished": days(0.5),
        "lanes": {"x64": days(0.5), "arm64": days(1)},
        "drill_held": days(20),
        "instructions_version": __version__,
        "worm": "none",
    }
    return Facts(**(good | changes))


def states(**changes: object) -> dict[str, str]:
    return {item.name: item.state for item in checklist.answer(facts(**changes))}


def test_all_is_well_where_everything_was_done() -> None:
    assert set(states().values()) == {OK}
    assert checklist.exit_code(checklist.worst(checklist.answer(facts()))) == 0


@pytest.mark.parametrize(
    ("item", "changes", "state"),
    [
        ("rootpack-rotated", {"rootpack_accepted": days(80)}, WARN),
        ("rootpack-rotated", {"rootpack_accepted": days(93)}, BREACH),
        ("rootpack-rotated", {"rootpack_accepted": None}, UNKNOWN),
        ("rootpack-rotated", {"rootpack_accepted": days(-1)}, UNKNOWN),
        ("rootpack-valid", {"rootpack_expires": days(-3)}, WARN),
        ("rootpack-valid", {"rootpack_fault": "TrustExpired: old"}, BREACH),
        ("rootpack-valid", {"rootpack_expires": None}, UNKNOWN),
        ("retention-ran", {"retention_ran": days(1.01)}, BREACH),
        ("retention-ran", {"retention_ran": None}, UNKNOWN),
        ("night-verified", {"night_finished": days(1.2)}, BREACH),
        ("metrics-x64", {"lanes": {"arm64": days(1)}}, UNKNOWN),
        ("metrics-arm64", {"lanes": {"x64": days(1), "arm64": days(8)}}, BREACH),
        ("drill-held", {"drill_held": days(85)}, WARN),
        ("drill-held", {"drill_held": days(200)}, BREACH),
        ("instructions-current", {"instructions_version": "0.0.1"}, BREACH),
        ("instructions-current", {"instructions_version": None}, UNKNOWN),
    ],
)
def test_each_item_by_itself(item: str, changes: dict[str, object], state: str) -> None:
    found = states(**changes)
    assert found[item] == state
    assert {name for name, other in found.items() if other != OK} == {item}


@pytest.mark.parametrize(("state", "code"), [(OK, 0), (WARN, 0), (UNKNOWN, 22), (BREACH, 52)])
def test_the_worst_item_decides_the_exit_code(state: str, code: int) -> None:
    assert checklist.exit_code(state) == code


@pytest.mark.parametrize("locker", ["directory"], indirect=True)
def test_a_new_locker_knows_nothing_and_says_so(locker, world) -> None:
    found = checklist.answer(checklist.gather(locker, now=world.now))
    assert {item.state for item in found} == {UNKNOWN}
    checklist.record(locker, checklist.DRILL_HELD, now=world.now, note="T-OPA-008")
    checklist.record(locker, checklist.INSTRUCTIONS_CHECKED, now=world.now, note="read")
    now = {item.name: item.state for item in checklist.answer(checklist.gather(locker, now=world.now))}
    assert (now["drill-held"], now["instructions-current"], now["retention-ran"]) == (OK, OK, UNKNOWN)


def test_an_expired_rootpack_is_a_breach_with_its_reason(trusting, world) -> None:
    later = world.now + timedelta(days=4000)
    found = {item.name: item for item in checklist.answer(checklist.gather(trusting, now=later))}
    assert found["rootpack-valid"].state == BREACH
    assert "TrustExpired" in found["rootpack-valid"].reason
