"""What a locker tells of a site's receipts: those that did not come home, and two that follow the same one."""

from pathlib import Path

from kit.bytes import digest
from locker import site_receipts, views
from locker.sync import described, take


def slip_of(run: Path) -> str:
    return digest.of_bytes((run / "receipt.json").read_bytes())


def test_receipt_that_did_not_come_home_is_named_until_it_does(world, trusting, tmp_path) -> None:
    runs = []
    for number in range(3):
        run = world.run(tmp_path / f"ops-{number}", None, f"run-{number}", "REFUSED")
        world.site.update(last_receipt=slip_of(run))
        runs.append(run)
    for number in (0, 2):
        taken = take(trusting, world.export(tmp_path / f"ops-{number}", tmp_path / f"out-{number}"), now=world.now)
    [warning] = site_receipts.warnings(taken.chains)
    assert slip_of(runs[1]) in warning
    [told] = described(taken)["receipts"]
    assert told["missing"] == [slip_of(runs[1])]
    assert views.status(trusting)["receipts"] == [told]
    taken = take(trusting, world.export(tmp_path / "ops-1", tmp_path / "out-1"), now=world.now)
    assert taken.chains[world.site.fingerprint].is_whole
    assert list(site_receipts.warnings(taken.chains)) == []


def test_two_receipts_that_follow_the_same_one_are_a_fork(world, trusting, tmp_path) -> None:
    runs = [world.run(tmp_path / "ops", None, f"run-{number}", "REFUSED") for number in range(2)]
    taken = take(trusting, world.export(tmp_path / "ops", tmp_path / "out"), now=world.now)
    [warning] = site_receipts.warnings(taken.chains)
    assert "FORK" in warning
    [told] = described(taken)["receipts"]
    assert sorted(told["forked"][0]) == sorted(map(slip_of, runs))
