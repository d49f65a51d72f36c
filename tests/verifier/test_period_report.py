"""The auditor's report of a period: what is believed, what is missing, what was out of the ordinary."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from kit import errors
from kit.bytes import canonical
from tests.verifier.conftest import Host
from tests.world import NOW, World
from verifier import activate, guard, period, period_report, period_runs, period_sources, period_text, prune, quarantine
from verifier.period_rows import CLAIM, MEMORY, SIGNED, Report
from verifier.period_runs import CHECKED, CUT_OFF, REFUTED, UNCHECKED
from verifier.site import AcceptedKit

LATER = NOW + timedelta(hours=1)
Make = Callable[..., tuple[Report, tuple[str, int, str]]]


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("2026", "2026-01-01", "2027-01-01"),
        ("2026-Q1", "2026-01-01", "2026-04-01"),
        ("2026-Q4", "2026-10-01", "2027-01-01"),
        ("2026-12", "2026-12-01", "2027-01-01"),
        ("2028-02-29", "2028-02-29", "2028-03-01"),
        ("2026-07-14..2026-Q3", "2026-07-14", "2026-10-01"),
    ],
)
def test_periods_are_whole_days(text: str, first: str, end: str) -> None:
    found = period.parse(text)
    assert (f"{found.first:%Y-%m-%d}", f"{found.end:%Y-%m-%d}") == (first, end)


@pytest.mark.parametrize(
    "text",
    [
        "", "..", "26", "2026-Q5", "2026-q3", "2026-13", "2026-1", "2026-02-30", "2026..2025", "9999", "+2026",
        "2026-Q1-1", "\u0662\u0660\u0662\u0666", "2026-07-1", "2026-", "2026..", "2026...2027",
    ],
)  # fmt: skip
def test_what_is_no_period_is_the_operators_mistake(text: str) -> None:
    with pytest.raises(errors.UsageError):
        period.parse(text)


@pytest.fixture
def made(host: Host) -> Make:
    """Return what makes the report of a host, and its verdict."""

    def make(asked: str = "2026", *, key: bool = True, memory: bool = True) -> tuple[Report, tuple[str, int, str]]:
        site = host.site
        span = period.parse(asked)
        runs = period_runs.audit([host.home / "ops"], site.signer.public if key else None, span)
        sources = period_sources.Sources(
            period=span,
            runs=runs,
            site=site.fingerprint if key else None,
            root=None,
            state=site.state if memory else None,
            quarantine=host.store.quarantine,
        )
        report = period_report.make(sources, LATER)
        text, page = period_text.text(report), period_text.page(report)
        assert text.isascii()
        assert max(map(len, text.splitlines())) <= 80
        assert b"<script" not in page
        assert canonical.encode_record(report)
        return report, period_report.verdict(report, runs)

    return make


def kits(world: World, tmp_path: Path, *numbers: int) -> list[Path]:
    return [world.build_kit(tmp_path / f"kit-{number}", sequence=number) for number in numbers]


def newest(host: Host) -> Path:
    return max((host.home / "ops").glob("replay/*/*"), key=lambda path: (path / "journal.ndjson").stat().st_mtime_ns)


def test_an_ordinary_period_is_all_signed(world: World, host: Host, made: Make, tmp_path: Path) -> None:
    for kit in kits(world, tmp_path, 1, 2):
        host.take_in(kit)
    report, verdict = made()
    assert [(row.sequence, row.outcome, row.basis) for row in report.kits] == [
        (1, "activated", SIGNED),
        (2, "activated", SIGNED),
    ]
    assert {row.standing for row in report.runs} == {CHECKED}
    assert {signer.owner for row in report.kits for signer in row.signers} == {"release engineering"}
    assert report.gaps == ()
    assert [row.kind for row in report.exceptions] == ["guard layers missing"] * 2  # the tests have no guard
    assert verdict == ("REPORTED", 0, "")
    assert made("2025")[0].runs == ()
    assert made("2025")[0].outside == 2


def test_missing_refused_and_quarantined_numbers_are_told_apart(
    world: World, host: Host, made: Make, tmp_path: Path
) -> None:
    first, third, ninth = kits(world, tmp_path, 1, 3, 9)
    broken = shutil.copytree(world.build_kit(tmp_path / "kit-5", sequence=5), tmp_path / "broken")
    bundle = next(broken.rglob("outputbundle.tar.zst"))
    bundle.write_bytes(bundle.read_bytes()[:-1] + b"\0")
    forged = shutil.copytree(world.build_kit(tmp_path / "kit-7", sequence=7), tmp_path / "forged")
    (forged / "kit.dsse.json").write_bytes(b"{}")
    for kit in (first, third, broken, forged, ninth):
        host.take_in(kit)
    report, _ = made()
    assert [(row.first, row.last, row.outcome.partition(":")[0]) for row in report.gaps] == [
        (2, 2, "never seen"),
        (4, 4, "never seen"),
        (5, 5, "refused"),
        (6, 6, "never seen"),
        (7, 7, "only in quarantine"),
        (8, 8, "never seen"),
    ]
    assert period_text.tallies(report)[1][:2] == ("numbers missing", "6")


def test_a_huge_number_costs_nothing(world: World, host: Host, made: Make, tmp_path: Path) -> None:
    for kit in kits(world, tmp_path, 1, 900_000):
        host.take_in(kit)
    (gap,) = made()[0].gaps
    assert (gap.first, gap.last) == (2, 899_999)


def test_many_kits_without_a_gap_have_none(made: Make, host: Host) -> None:
    accepted = tuple(
        AcceptedKit(
            channel="default", sequence=number, kit_id=f"default-{number:06}-000000000000",
            digest=f"sha256:{number:064x}", accepted_at="2026-03-01T00:00:00Z",
        )
        for number in range(1, 1201)
        if number != 1100
    )  # fmt: skip
    host.site.update(accepted=accepted)
    (host.home / "ops").mkdir()
    assert [(gap.first, gap.last) for gap in made()[0].gaps] == [(1100, 1100)]


def test_where_nothing_is_nothing_looks_checked(made: Make, host: Host) -> None:
    (host.home / "ops").mkdir()
    report, verdict = made()
    assert (report.runs, report.kits) == ((), ())
    assert verdict[:2] == ("REPORTED, NOTHING HERE", 0)
    page = period_text.page(report)
    assert b"<h1>NOTHING HERE<" in page
    assert b'class="banner good"' not in page


def test_a_damaged_memory_is_told_and_keeps_the_page_from_being_clean(
    world: World, host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LAYERS", ())  # the tests have no guard, which would stand among the exceptions
    (kit,) = kits(world, tmp_path, 1)
    host.take_in(kit)
    site = host.site.path

    def page() -> tuple[bytes, tuple[str, int, str]]:
        places = [host.home / "ops"]
        found = period_sources.gather(
            period.parse("2026"), places, key=None, site=site, kits=host.store.quarantine.parent
        )
        report = period_report.make(found, LATER)
        return period_text.page(report), period_report.verdict(report, found.runs)

    assert b"<h1>CHECKED<" in page()[0]
    state = (site / "state.json").read_bytes()
    (site / "state.json").write_bytes(state.replace(b'"sequence":1', b'"sequence":0'))
    shown, verdict = page()
    assert b"<h1>LOOK HERE<" in shown
    assert verdict[:2] == ("REPORTED, SiteDamaged", 60)


def test_a_run_without_an_end_keeps_the_page_from_being_clean(
    world: World, host: Host, made: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "LAYERS", ())  # the tests have no guard, which would stand among the exceptions
    first, second = kits(world, tmp_path, 1, 2)
    host.take_in(first)
    assert b"<h1>CHECKED<" in period_text.page(made(memory=False)[0])
    host.take_in(second)
    log = newest(host) / "journal.ndjson"
    log.write_bytes(b"".join(log.read_bytes().splitlines(keepends=True)[:-1]))
    page = period_text.page(made(memory=False)[0])
    assert b"<h1>LOOK HERE<" in page
    assert b"1 run without an end" in page.lower()


def test_numbers_before_the_period_are_no_gap(world: World, host: Host, made: Make, tmp_path: Path) -> None:
    first, fourth = kits(world, tmp_path, 1, 4)
    host.take_in(first)
    host.take_in(fourth, now=NOW + timedelta(days=5))
    report, _ = made("2026-06-06")
    assert [row.sequence for row in report.kits] == [4]
    assert [(row.first, row.last) for row in report.gaps] == [(2, 3)]
    assert report.outside == 1


def test_what_was_out_of_the_ordinary_is_told(world: World, host: Host, made: Make, tmp_path: Path) -> None:
    first, second, _ = kits(world, tmp_path, 1, 2, 3)
    host.take_in(first)
    host.take_in(second)
    host.take_in(first, reason="the second lacks a service")
    activate.roll_back(host.site, host.store.root, "default", "it was fine", LATER)
    host.take_in(tmp_path / "kit-3")
    prune.prune(host.site, prune.Wanted(host.store.root, host.home / "ops", keep=0), LATER)
    with host.site.locked():
        host.site.reset_floor("2026-01-01T00:00:00Z", "the clock ran ahead")
    report, _ = made()
    found = {row.kind: (row.said, row.basis) for row in report.exceptions}
    assert found["order overruled"] == ("the second lacks a service", SIGNED)
    assert found["rolled back"][0].endswith("it was fine")
    assert found["rolled back"][1] == found["pruned"][1] == found["time floor set by hand"][1] == MEMORY


def test_a_clock_that_is_wrong_takes_no_run_out_of_its_period(
    world: World, host: Host, made: Make, tmp_path: Path
) -> None:
    first, second, third = kits(world, tmp_path, 1, 2, 3)
    host.take_in(first)
    host.take_in(second, now=NOW.replace(year=1970))
    host.take_in(third, now=NOW.replace(year=2106))  # refused: everything has expired by then
    host.take_in(third, now=LATER)
    report, _ = made("2026-06")
    assert len(report.runs) == 4
    kinds = [row.kind for row in report.exceptions]
    assert {"clock behind", "clock ahead", "clock went back"} <= set(kinds)


@pytest.mark.parametrize(
    "name", ["result.json", "receipt.json", "journal.ndjson", "result.dsse.json", "receipt.dsse.json"]
)
def test_a_changed_run_is_never_believed(host: Host, world: World, made: Make, name: str) -> None:
    host.take_in(world.kit)
    path = newest(host) / name
    data = bytearray(path.read_bytes())
    at = data.index(b"INTACT") if b"INTACT" in data else len(data) // 2
    data[at] ^= 1
    path.write_bytes(data)
    report, (word, code, _) = made(memory=False)
    (run,) = report.runs
    assert run.standing == REFUTED
    assert report.kits == ()
    assert (word, code != 0) == ("REPORTED, 1 NOT BELIEVED", True)
    line = period_text.runs_of(report)[0]
    assert (line.verdict, line.tone) == ("NOT BELIEVED", "bad")


def test_without_a_key_nothing_looks_verified(host: Host, world: World, made: Make) -> None:
    host.take_in(world.kit)
    report, (word, code, _) = made(key=False, memory=False)
    assert [row.standing for row in report.runs] == [UNCHECKED]
    assert (word, code) == ("REPORTED, NOT CHECKED", 0)
    assert b"NOT CHECKED" in period_text.page(report)
    assert [line.verdict for line in period_text.runs_of(report)] == ["NOT CHECKED"]
    assert {row.basis for row in report.kits} == {CLAIM}


def test_another_sites_runs_are_not_this_ones(host: Host, world: World, made: Make, tmp_path: Path) -> None:
    host.take_in(world.kit)
    shutil.rmtree(host.home / "site")
    world.new_site(host.home / "site")
    (host.home / "site" / "site.key.pem").unlink()
    shutil.copyfile(world.new_site(tmp_path / "other").path / "site.key.pem", host.home / "site" / "site.key.pem")
    (host.home / "site" / "site.key.pem").chmod(0o600)
    report, (_, code, _) = made(memory=False)
    assert [row.standing for row in report.runs] == [REFUTED]
    assert code == 21


def test_a_run_copied_under_another_name_counts_once(host: Host, world: World, made: Make) -> None:
    host.take_in(world.kit)
    run = newest(host)
    shutil.copytree(run, run.with_name("20260602T000000Z-00000000"))
    report, _ = made()
    assert sorted(row.standing for row in report.runs) == [CHECKED, REFUTED]
    assert report.kits[0].verdicts == {"INTACT": 1}


def test_a_missing_receipt_and_a_cut_off_run_are_seen(world: World, host: Host, made: Make, tmp_path: Path) -> None:
    first, second = kits(world, tmp_path, 1, 2)
    host.take_in(first)
    gone = newest(host)
    host.take_in(second, now=LATER)
    journal = newest(host) / "journal.ndjson"
    shutil.rmtree(gone)
    report, (word, code, _) = made()
    assert len(report.chain.gaps) == 1
    assert (word, code) == ("REPORTED, ReceiptMissing", 22)
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]))
    report, (word, _, _) = made()
    assert [row.standing for row in report.runs] == [CUT_OFF]
    assert report.runs[0].verdict is None
    assert report.chain.newest_is_here is False
    assert word == "REPORTED, ReceiptMissing"


def test_what_was_removed_from_quarantine_is_told(host: Host, tampered: Path, made: Make) -> None:
    entry = host.take_in(tampered).quarantined or ""
    quarantine.remove(host.store.quarantine, entry, "looked into", now="2026-06-01T13:00:00Z")
    rows = [row for row in made()[0].exceptions if row.kind == "removed from quarantine"]
    assert [row.said for row in rows] == [f"{entry}: looked into"]


def test_the_report_changes_nothing(host: Host, world: World, made: Make) -> None:
    host.take_in(world.kit)
    before = {path: path.read_bytes() for path in host.home.rglob("*") if path.is_file()}
    made()
    assert {path: path.read_bytes() for path in host.home.rglob("*") if path.is_file()} == before
