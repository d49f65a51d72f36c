"""A host whose clock stands in 1970 or in 2106: no command takes it for the truth, and none falls over it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.verifier.conftest import Host
from tests.world import NOW, Replay, World
from verifier import period, period_report, period_runs, period_sources, site_text, site_view
from verifier.run import VERIFY, Plan

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
AFTER_32_BITS = datetime(2106, 2, 7, 6, 28, 16, tzinfo=UTC)
STRICT = Plan("strict")


@pytest.mark.parametrize("plan", [Plan(VERIFY), STRICT], ids=lambda plan: plan.mode)
@pytest.mark.parametrize(("clock", "reason"), [(EPOCH, "SignerNotYetValid"), (AFTER_32_BITS, "TrustExpired")])
def test_a_run_at_a_new_site_is_refused_for_the_time_and_for_nothing_else(
    world: World, replay: Replay, plan: Plan, clock: datetime, reason: str
) -> None:
    result, run = replay(world.kit, plan, now=clock)
    assert result.verdict == "REFUSED"
    assert result.reason in {reason, "TrustFromFuture", "KitFromFuture"}
    assert "clock" in result.next_step
    assert (run / "receipt.txt").is_file()


@pytest.mark.parametrize("clock", [EPOCH, AFTER_32_BITS])
def test_an_import_at_a_wrong_clock_activates_nothing_new(
    world: World, host: Host, clock: datetime, tmp_path: Path
) -> None:
    taken = host.take_in(world.kit, now=clock)
    assert (taken.last.verdict, taken.activation) == ("REFUSED", None)
    assert host.site.state.activations == ()
    assert host.take_in(world.kit).activation is not None  # and it has left nothing that is in the way


def test_a_site_that_knows_better_does_not_believe_a_clock_in_1970(world: World, host: Host, tmp_path: Path) -> None:
    host.take_in(world.kit)
    taken = host.take_in(world.build_kit(tmp_path / "next", sequence=2), now=EPOCH)
    assert taken.activation is not None
    assert "BEHIND" in taken.last.reference_time.source
    assert host.site.state.accepted[-1].accepted_at >= host.site.state.accepted[0].accepted_at


@pytest.mark.parametrize(("clock", "state"), [(EPOCH, "ok"), (AFTER_32_BITS, "TrustExpired")])
def test_status_and_report_can_be_read_at_any_clock(world: World, host: Host, clock: datetime, state: str) -> None:
    host.take_in(world.kit)
    document, fault = site_view.status(host.site, host.store, host.home / "ops", clock)
    assert (fault.reason if fault is not None else "ok") in {state, "KitStale"}
    assert max(map(len, site_text.status(document).splitlines())) <= 80
    site = host.site
    span = period.parse("2026")
    runs = period_runs.audit([host.home / "ops"], site.signer.public, span)
    sources = period_sources.Sources(span, runs, site.fingerprint, None, site.state, None)
    kinds = {row.kind for row in period_report.make(sources, clock).exceptions}
    assert ("clock ahead" in kinds) == (clock < NOW)
