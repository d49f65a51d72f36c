"""Packing results for the way back."""

import io
import shutil
from pathlib import Path

import pytest

from kit import errors, syncfile
from kit.bundle import BundleReader
from tests.world import NOW, SCAN_ID, Replay, World
from verifier import sync
from verifier.run_dir import stamp


def run_at(world: World, replay: Replay, tmp_path: Path, site, kit: Path | None = None) -> Path:
    _, run = replay(kit or world.kit, site=site)
    place = tmp_path / "ops" / "replay" / SCAN_ID / run.name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(run, place)
    return place


def unpacked(file: Path, tmp_path: Path, key) -> tuple[syncfile.SiteResults, BundleReader]:
    bundle = tmp_path / "bundle"
    with file.open("rb") as source, bundle.open("wb") as target:
        envelope = syncfile.split(source, target, max_bytes=1 << 30)
    results, _ = syncfile.verify(envelope, [key], threshold=1)
    reader = BundleReader(bundle, results.bundle)
    reader.verify()
    return results, reader


def test_every_finished_run_travels(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    broken = world.copy_kit(tmp_path / "kit")
    (broken / "README.txt").write_bytes(b"")
    run_at(world, replay, tmp_path, site)
    run_at(world, replay, tmp_path, site, broken)
    results, skipped = sync.export(tmp_path / "ops", site, tmp_path / "out", stamp(NOW))
    assert skipped == []
    found, reader = unpacked(tmp_path / "out", tmp_path, site.signer.public)
    assert found == results
    assert [entry.verdict for entry in results.runs] == ["VERIFIED", "REFUSED"]
    with reader:
        assert f"runs/{SCAN_ID}/run-0/result.dsse.json" in reader.names()


def test_same_runs_give_the_same_file(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    run_at(world, replay, tmp_path, site)
    for name in ("one", "two"):
        sync.export(tmp_path / "ops", site, tmp_path / name, stamp(NOW))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_cut_off_run_stays_and_is_named(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    run_at(world, replay, tmp_path, site)
    cut = run_at(world, replay, tmp_path, site) / "journal.ndjson"
    cut.write_bytes(b"".join(cut.read_bytes().splitlines(keepends=True)[:-1]))
    results, skipped = sync.export(tmp_path / "ops", site, tmp_path / "out", stamp(NOW))
    assert [entry.run_id for entry in results.runs] != []
    assert [run.path for run in skipped] == [f"{SCAN_ID}/run-1"]


def test_result_of_another_site_stays(world: World, replay: Replay, tmp_path: Path) -> None:
    run_at(world, replay, tmp_path, world.new_site(tmp_path / "other"))
    with pytest.raises(errors.UsageError, match="SignerUnknown"):
        sync.export(tmp_path / "ops", world.new_site(tmp_path / "site"), tmp_path / "out", stamp(NOW))
    assert not (tmp_path / "out").exists()


def test_edited_result_stays(world: World, replay: Replay, tmp_path: Path) -> None:
    site = world.new_site(tmp_path / "site")
    run_at(world, replay, tmp_path, site)
    result = run_at(world, replay, tmp_path, site) / "result.json"
    result.write_bytes(result.read_bytes().replace(b'"site clock"', b'"sure clock"').replace(b'"test"', b'"tset"'))
    _, skipped = sync.export(tmp_path / "ops", site, tmp_path / "out", stamp(NOW))
    assert [run.reason.partition(":")[0] for run in skipped] == ["DigestMismatch"]


def test_file_without_envelope_line_is_refused() -> None:
    with pytest.raises(errors.MalformedDocument):
        syncfile.split(io.BytesIO(b"no line feed"), io.BytesIO(), max_bytes=10)


def test_file_over_the_limit_is_refused() -> None:
    with pytest.raises(errors.LimitExceeded):
        syncfile.split(io.BytesIO(b"{}\n" + b"x" * 11), io.BytesIO(), max_bytes=10)
