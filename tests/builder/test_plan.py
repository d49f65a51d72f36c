"""What stella kit plan says of a kit is true of the kit that is built then."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stella
from builder import plan as plans
from builder.assemble import KitRequest
from kit import layout
from kit.errors import UsageError
from tests.world import FEED, NOW, SCAN_ID, World
from verifier.medium import survey
from verifier.run_dir import stamp


@pytest.fixture
def program(tmp_path: Path) -> Path:
    made = tmp_path / "linux-x86_64"
    (made / "stella-onedir").mkdir(parents=True)
    (made / "stella").write_bytes(b"\x7fELF" * 5000)
    (made / "stella-onedir/stella").write_bytes(b"\x7fELF")
    return made


@pytest.fixture
def run(world: World, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*words: object) -> tuple[int, str, str]:
        code = stella.main(["kit", *map(str, words)])
        return (code, *capsys.readouterr())

    return call


def request(world: World, *programs: Path) -> KitRequest:
    return KitRequest([world.record], world.rootpack, programs, "default", 1, stamp(NOW), 24)


def test_planned_files_and_sizes_are_those_of_the_kit(world: World, program: Path, tmp_path: Path) -> None:
    planned = plans.make(request(world, program), tmp_path / "kit")
    kit = world.build_kit(tmp_path / "kit", programs=[program])
    built = {path.relative_to(kit).as_posix(): path.stat().st_size for path in kit.rglob("*") if path.is_file()}
    texts = {layout.KIT_FILE, layout.KIT_ENVELOPE, layout.README_FILE, layout.SUMS_FILE}
    assert {file.path: file.size for file in planned.files} == {
        path: size for path, size in built.items() if path not in texts
    }
    written = sum(built[path] for path in texts)
    assert written <= planned.texts_at_most <= written + 24_000
    assert planned.total >= sum(built.values())
    taken = sum(-(-path.lstat().st_size // plans.BLOCK) for path in kit.rglob("*") if path.is_file())
    taken += sum(1 for path in [kit, *kit.rglob("*")] if path.is_dir())
    assert planned.on_medium >= taken * plans.BLOCK
    (scan,) = planned.scans
    assert (scan.id, scan.subject) == (SCAN_ID, "orders-api")
    assert [(feed.name, feed.snapshot_time) for feed in scan.feeds] == [(FEED, "2026-05-29T00:00:00Z")]
    assert scan.feeds[0].size == sum(path.stat().st_size for path in world.feed.iterdir())
    assert [(each.platform, each.size) for each in planned.programs] == [("linux-x86_64", 20_004)]


def test_a_medium_that_is_too_small_is_told_of(world: World, program: Path, tmp_path: Path, run) -> None:
    words = ("plan", "--record", world.record, "--rootpack", world.rootpack, "--program", program)
    here = ("--out", tmp_path / "kit")
    code, out, err = run(*words, *here, "--medium-size", "1GB")
    assert (code, "medium      fits, " in out) == (0, True)
    assert err.startswith("VERDICT  PLANNED (0)  next: stella kit build --record ")
    code, out, err = run(*words, *here, "--medium-size", "20kB")
    assert (code, "medium      DOES NOT FIT, " in out) == (60, True)
    assert err.startswith("VERDICT  DOES NOT FIT (60)")
    planned = json.loads(run(*words, *here, "--json")[1])
    exact = str(planned["onMedium"])
    assert run(*words, *here, "--medium-size", exact)[0] == 0
    assert run(*words, *here, "--medium-size", str(planned["onMedium"] - 1))[0] == 60
    assert not (tmp_path / "kit").exists()


def test_free_space_is_that_of_the_place_where_the_kit_would_be(world: World, tmp_path: Path) -> None:
    planned = plans.make(request(world), tmp_path / "not" / "yet" / "kit")
    status = os.statvfs(tmp_path)
    assert abs(planned.free - status.f_bavail * status.f_frsize) < 1 << 30
    assert planned.fits


def test_a_dry_run_checks_and_plans_and_writes_nothing(world: World, tmp_path: Path, run, monkeypatch) -> None:
    from verifier import session

    monkeypatch.setattr(session, "clock", lambda: NOW)
    words = (
        "build", "--record", world.record, "--rootpack", world.rootpack, "--key", world.keys / "kit-1.key.pem",
        "--sequence", "1", "--out", tmp_path / "kit",
    )  # fmt: skip
    code, out, err = run(*words, "--dry-run")
    assert (code, SCAN_ID in out) == (0, True)
    assert err.startswith("VERDICT  PLANNED (0)")
    assert list(tmp_path.iterdir()) == []
    code, out, err = run(*words)
    assert code == 0
    root = world.rootpack / "metadata/1.root.json"
    assert err == f"VERDICT  BUILT (0)  next: stella kit rehearse {tmp_path / 'kit'} --root {root}\n"


SIZES = {
    "0": 0,
    "2048": 2048,
    "700MB": 700_000_000,
    "700 mb": 700_000_000,
    "4.7GB": 4_700_000_000,
    "25GiB": 25 << 30,
    "1.5KiB": 1536,
    "0.001kB": 1,
}


@pytest.mark.parametrize("text", SIZES)
def test_sizes_are_read_as_people_write_them(text: str) -> None:
    assert plans.parse_size(text) == SIZES[text]


@pytest.mark.parametrize("text", ["", "MB", "-1", "1e9", "4,7GB", "1..5MB", "1.MB", "5 bytes", "9" * 16, "\u0661MB"])
def test_what_is_no_size_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--medium-size"):
        plans.parse_size(text)


@given(st.text(max_size=20))
def test_no_text_breaks_the_reader_of_sizes(text: str) -> None:
    try:
        size = plans.parse_size(text)
    except UsageError:
        return
    assert size >= 0


@given(st.integers(0, 10**15))
def test_sizes_for_people_are_never_rounded_up(size: int) -> None:
    shown = plans.size_text(size)
    number, unit = shown.split()
    factor = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}[unit]
    tenths = round(float(number) * 10)
    assert tenths * factor <= size * 10 < (tenths + 1) * factor * (10 if unit == "B" else 1)


MISTAKES = [
    ("plan", "--record", "nowhere"),
    ("plan", "--record", "{home}"),
    ("plan", "--record", "{record}", "--record", "{record}"),
    ("plan", "--record", "{record}", "--program", "nowhere"),
    ("plan", "--record", "{record}", "--program", "{keys}"),
    ("plan", "--record", "{record}", "--medium-size", "big"),
    ("build", "--record", "nowhere", "--key", "{key}", "--sequence", "1", "--out", "x"),
    ("build", "--record", "{record}", "--key", "nowhere", "--sequence", "1", "--out", "x"),
    ("build", "--record", "{record}", "--key", "{key}", "--sequence", "1", "--out", "x", "--channel", "Site 7"),
    ("build", "--record", "{record}", "--key", "{key}", "--sequence", "1", "--out", "x", "--time", "yesterday"),
    ("build", "--record", "{record}", "--key", "{key}", "--sequence", "0", "--out", "x"),
    ("rehearse", "nowhere", "--root", "x"),
    ("rehearse", "{record}", "--root", "x"),
    ("rehearse", "{kit}", "--root", "nowhere"),
]


@pytest.mark.parametrize("words", MISTAKES, ids=" ".join)
def test_a_mistyped_path_or_value_is_a_usage_error(world: World, run, tmp_path, monkeypatch, words) -> None:
    monkeypatch.chdir(tmp_path)
    known = {
        "home": world.home,
        "record": world.record,
        "keys": world.keys,
        "kit": world.kit,
        "key": world.keys / "kit-1.key.pem",
    }
    pack = () if words[0] == "rehearse" else ("--rootpack", world.rootpack)
    code, _, err = run(*(word.format(**known) for word in words), *pack)
    assert code == 2
    assert err.startswith("stella: UsageError: ")
    assert list(tmp_path.iterdir()) == []


def test_plan_look_and_build_count_the_same_files(world: World, tmp_path: Path, capsys) -> None:
    place = tmp_path / "kit"
    common = ["--record", str(world.record), "--rootpack", str(world.rootpack)]
    assert stella.main(["kit", "plan", *common]) == 0
    planned = capsys.readouterr().out
    key = str(world.keys / "kit-1.key.pem")
    built = ["kit", "build", *common, "--key", key, "--sequence", "1", "--time", stamp(NOW), "--out", str(place)]
    assert stella.main([*built, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    on_disk = [path.stat().st_size for path in place.rglob("*") if path.is_file()]
    assert (said["files"], said["bytes"]) == (len(on_disk), sum(on_disk))
    assert f" bytes in {len(on_disk)} files" in planned
    assert len(survey(place).sizes) == len(on_disk)  # what stella look counts
