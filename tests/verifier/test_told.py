"""What an operator is told while a command works: checks in order, a sign of life, the way back, a scan by its id."""

import io
import sys
import time
from pathlib import Path

import pytest

from kit import errors
from kit.result import Check
from tests.verifier.conftest import Host
from tests.verifier.test_commands import AT, Terminal, terminal  # noqa: F401 - a fixture
from tests.world import SCAN_ID, World
from verifier import asked
from verifier.cli import pulse
from verifier.cli.console import Console
from verifier.cli.numbered import Numbered
from verifier.steps import ORDER


def told(*made: tuple[int, str]) -> list[str]:
    """Return what is told of checks by number and state."""
    lines: list[str] = []
    numbered = Numbered(lambda number, check: lines.append(f"{number} {check.state}"))
    for number, state in made:
        detail = "the check 'x' failed before it" if state == "unmade" else None
        known = "not-made" if state == "unmade" else state
        numbered.add(Check(number=number, name=ORDER[number - 1], state=known, detail=detail))
    numbered.end()
    return lines


def test_checks_are_told_in_the_order_of_their_numbers() -> None:
    assert told((1, "passed"), (3, "passed"), (2, "passed")) == ["1 passed", "2 passed", "3 passed"]


def test_what_was_not_made_after_a_failure_is_one_line() -> None:
    lines = told((1, "passed"), (2, "failed"), (3, "unmade"), (4, "unmade"), (5, "unmade"))
    assert lines == ["1 passed", "2 failed", "3 to 5 not-made"]
    assert told((1, "passed"), (3, "failed"), (2, "unmade"), (4, "unmade")) == [
        "1 passed", "2 not-made", "3 failed", "4 not-made",
    ]  # fmt: skip


def test_each_run_begins_anew_and_nothing_is_lost() -> None:
    assert told((1, "passed"), (2, "passed"), (1, "passed"), (4, "failed")) == [
        "1 passed", "2 passed", "1 passed", "4 failed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("progress", "wanted"), [("plain", b"running   starting, "), ("json", b'{"step": "at work"'), ("none", b"")]
)
def test_a_long_step_shows_that_it_is_at_work(
    progress: str, wanted: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "err").open("wb+") as log:
        stream = io.TextIOWrapper(log)
        monkeypatch.setattr(sys, "stderr", stream)
        with pulse.beating(Console(progress=progress)._beat, every=0.01):
            time.sleep(0.05)
        monkeypatch.undo()
        said = (tmp_path / "err").read_bytes()
        stream.detach()
    assert said.startswith(wanted)
    assert bool(said) == bool(wanted)
    assert b"\x1b" not in said
    assert b"\r" not in said


def test_the_way_back_is_named_where_there_is_one(world: World, host: Host, tmp_path: Path) -> None:
    first, second, third = (world.build_kit(tmp_path / str(number), sequence=number) for number in (1, 2, 3))
    host.take_in(first)
    with pytest.raises(errors.AlreadyAccepted) as known:
        host.take_in(first)
    assert "rollback" not in known.value.next_step
    host.take_in(second)
    with pytest.raises(errors.AlreadyAccepted) as known:
        host.take_in(second)
    assert "stella offline rollback --reason" in known.value.next_step
    assert "stella offline rollback --reason" in host.take_in(first).last.next_step
    host.take_in(third)
    assert "--force-activate" in host.take_in(first).last.next_step


def test_a_scan_of_an_active_kit_is_found_by_its_id(world: World, host: Host) -> None:
    with pytest.raises(errors.UsageError, match="no active kit is here"):
        asked.active_scan(host.store.root, SCAN_ID)
    host.take_in(world.kit)
    for name in (SCAN_ID, SCAN_ID[:4]):
        assert asked.active_scan(host.store.root, name).parent.name == SCAN_ID
    for name in ("", "../..", "ffff"):
        with pytest.raises(errors.UsageError, match="no active kit has this scan"):
            asked.active_scan(host.store.root, name)


def test_replay_takes_an_id_and_a_log_has_one_verdict(terminal: Terminal) -> None:  # noqa: F811
    terminal("offline", "import", "offline", *AT)
    done = terminal("replay", "--scan", SCAN_ID[:8], *AT)
    assert "VERDICT  VERIFIED (0)" in done.stderr
    assert "by its first digits" not in done.stdout
    terminal("replay", "--scan", SCAN_ID, terminal.manifest, expect=2)
    terminal("replay", expect=2)


def test_the_period_is_reported_from_the_command_line(terminal: Terminal) -> None:  # noqa: F811
    terminal("replay", terminal.manifest, *AT)
    year = f"{max((terminal.place / 'ops').glob('offline/replay/*/*')).name[:4]}"
    done = terminal("report", "--period", year, "--html", "q.html", "--out", "q.json")
    assert "1 receipt here" in done.stdout
    assert (terminal.place / "q.html").read_bytes().startswith(b"<!DOCTYPE html>")
    assert (terminal.place / "q.json").read_bytes().startswith(b"{")
    key = terminal("report", "--period", year, "--key", "ops/site/site.pub.pem", "--site", "nowhere", "--json")
    assert '"standing": "checked"' in key.stdout
    assert '"notChecked"' in terminal("report", "--period", year, "--site", "nowhere", "--json").stdout
    terminal("report", "--period", "soon", expect=2)
