"""Pruning at a site: what stays, what goes, what is written down first, and what a receipt has promised."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from kit import errors
from tests.verifier.conftest import Host
from tests.world import NOW, World
from verifier import activate, prune, site_text
from verifier.prune import Pruned, Wanted

LATER = NOW + timedelta(hours=1)


@pytest.fixture
def used(world: World, host: Host, tmp_path: Path) -> Host:
    """Return a host that has taken in kits 1, 2 and 3."""
    for number in (1, 2, 3):
        host.take_in(world.build_kit(tmp_path / f"kit-{number}", sequence=number))
    return host


def pruned(host: Host, **wanted: object) -> Pruned:
    return prune.prune(host.site, Wanted(host.store.root, host.home / "ops", **wanted), LATER)  # type: ignore[arg-type]


def there(host: Host) -> set[int]:
    return {int(path.name.split("-")[1]) for path in host.store.kits.iterdir()}


def test_the_active_kit_and_the_one_before_stay(used: Host) -> None:
    found = pruned(used)
    assert there(used) == {2, 3}
    assert found.size > 0
    (entry,) = used.site.state.prunings
    assert ([name.split("-")[1] for name in entry.kits], entry.size) == (["000001"], found.size)
    assert pruned(used).removed == ()
    assert len(used.site.state.prunings) == 1


@pytest.mark.parametrize(("keep", "stay"), [(0, {3}), (1, {2, 3}), (2, {1, 2, 3})])
def test_so_many_earlier_kits_stay_as_are_asked_for(used: Host, keep: int, stay: set[int]) -> None:
    pruned(used, keep=keep)
    assert there(used) == stay


def test_a_dry_run_changes_nothing(used: Host) -> None:
    before = (used.home / "site" / "state.json").read_bytes()
    found = pruned(used, keep=0, dry_run=True)
    assert len(found.removed) == 2
    assert there(used) == {1, 2, 3}
    assert (used.home / "site" / "state.json").read_bytes() == before
    assert "would go" in site_text.pruned(found, dry_run=True)


def test_after_a_rollback_what_was_left_can_be_activated_again(used: Host) -> None:
    activate.roll_back(used.site, used.store.root, "default", "why", LATER)
    pruned(used)
    assert there(used) == {2, 3}
    assert activate.roll_back(used.site, used.store.root, "default", "and back", LATER)[0].sequence == 3


def test_what_the_newest_accepting_receipt_names_stays_until_it_is_forgotten(
    world: World, used: Host, tmp_path: Path
) -> None:
    again = used.take_in(tmp_path / "kit-1")
    assert again.last.reason == "OlderThanAccepted"  # a refusal promises nothing
    used.take_in(tmp_path / "kit-1", reason="asked to")
    activate.roll_back(used.site, used.store.root, "default", "to 3 again", LATER)
    found = pruned(used, keep=0)
    assert there(used) == {1, 3}
    assert [one.why for one in found.kept if "000001" in one.path.name] == [
        "the newest receipt has told the sender that it is here"
    ]
    with pytest.raises(errors.UsageError, match="reason is kept"):
        pruned(used, keep=0, forget=" ")
    pruned(used, keep=0, forget="the sender was told")
    assert there(used) == {3}
    assert used.site.state.prunings[-1].forgot == "the sender was told"


def test_without_its_receipts_a_site_prunes_nothing(used: Host) -> None:
    shutil.rmtree(used.home / "ops")
    with pytest.raises(errors.UsageError, match="nobody can tell what it has promised"):
        pruned(used)
    assert there(used) == {1, 2, 3}
    pruned(used, forget="the runs were lost with a disk")
    assert there(used) == {2, 3}


def test_a_forged_receipt_promises_nothing(used: Host) -> None:
    newest = max((used.home / "ops").glob("replay/*/*/receipt.json"), key=lambda path: path.stat().st_mtime_ns)
    newest.write_bytes(newest.read_bytes().replace(b"000003", b"000001"))
    with pytest.raises(errors.UsageError, match="nobody can tell"):
        pruned(used)


def test_a_copy_on_its_way_stays_unless_asked_for(used: Host, tampered: Path) -> None:
    used.take_in(tampered)
    left = used.store.incoming / ("0" * 16)
    (left / "kit").mkdir(parents=True)
    (left / "kit" / "README.txt").write_bytes(b"half of a kit")
    assert [one.path for one in pruned(used).kept if one.kind == "unfinished"] == [left]
    assert left.is_dir()
    pruned(used, unfinished=True)
    assert not left.exists()
    assert used.site.state.prunings[-1].unfinished == ("0" * 16,)


def test_what_a_removal_left_goes_without_another_word(used: Host) -> None:
    doomed = next(path for path in used.store.kits.iterdir() if "000001" in path.name)
    pruned(used)
    left = used.store.kits / f".{doomed.name}.0123456789ab.part"
    left.mkdir()
    assert [one.kind for one in pruned(used).removed] == ["leftover"]
    assert len(used.site.state.prunings) == 1


def test_two_do_not_prune_at_once(used: Host) -> None:
    with used.store.locked(), pytest.raises(errors.NotWritable, match="another command"):
        pruned(used, keep=0)
    assert there(used) == {1, 2, 3}


def test_going_back_to_what_was_pruned_asks_for_its_medium(used: Host) -> None:
    pruned(used, keep=0)
    with pytest.raises(errors.FileMissing) as refused:
        activate.roll_back(used.site, used.store.root, "default", "why", LATER)
    assert "bring its medium" in refused.value.next_step
