"""What the operator means by a path: a manifest, a scan's directory, a kit; and what is a mistake before any run."""

import shutil
from pathlib import Path

import pytest

from kit import errors, layout
from tests.attacks import forge
from tests.world import NOW, SCAN_ID, World, scan_request
from verifier import asked
from verifier.run_dir import stamp

OTHER_ID = "5e11a000-0000-4000-8000-00000000000c"


@pytest.mark.parametrize("named", [f"replay/{SCAN_ID}/manifest.json", f"replay/{SCAN_ID}", ".", ".."])
def test_scan_is_found_by_manifest_directory_kit_or_medium(world: World, tmp_path: Path, named: str) -> None:
    kit = world.copy_kit(tmp_path / "medium" / "offline")
    found = asked.place(kit / named)
    assert found.manifest == kit / "replay" / SCAN_ID / "manifest.json"
    assert found.kit == kit
    assert (found.taken is None) == named.endswith(".json")


def test_kit_of_several_scans_names_them(world: World, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    shutil.copytree(kit / "replay" / SCAN_ID, kit / "replay" / OTHER_ID)
    with pytest.raises(errors.UsageError) as refused:
        asked.place(kit)
    assert refused.value.details["found"] == f"{SCAN_ID}, {OTHER_ID}"
    assert str(kit / "replay" / SCAN_ID / "manifest.json") in refused.value.next_step


MISTAKES = {
    "no such scan": ("kit/replay/nosuch/manifest.json", "there is no nosuch in"),
    "no such kit": ("kot/replay/x/manifest.json", "there is no kot in"),
    "other file of the scan": (f"kit/replay/{SCAN_ID}/inputbundle.tar.zst", "this file is no manifest"),
    "KIT.json": ("kit/KIT.json", "this file is no manifest"),
    "through a file": ("kit/KIT.json/manifest.json", "is no directory"),
    "directory of neither": ("kit/rootpack", "neither a kit nor a scan's"),
    "record that lies in no kit": ("records/scan/manifest.json", "lies in no kit"),
    "foreign manifest": ("web/manifest.json", "no signed record beside it"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistaken_path_says_what_is_there(world: World, tmp_path: Path, mistake: str) -> None:
    world.copy_kit(tmp_path / "kit")
    shutil.copytree(world.record, tmp_path / "records" / "scan")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "manifest.json").write_text("{}")
    path, said = MISTAKES[mistake]
    with pytest.raises(errors.UsageError) as refused:
        asked.place(tmp_path / path)
    assert said in str(refused.value.details["detail"])
    assert refused.value.next_step != errors.UsageError.next_step


def test_one_scan_nearby_is_proposed(world: World, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    with pytest.raises(errors.UsageError) as refused:
        asked.place(kit / "replay" / "nosuch" / "manifest.json")
    assert refused.value.next_step == f"Did you mean {kit}/replay/{SCAN_ID}/manifest.json?"


@pytest.mark.parametrize(
    "gone", ["KIT.json", f"replay/{SCAN_ID}/manifest.json", f"replay/{SCAN_ID}/manifest.dsse.json"]
)
def test_file_gone_from_a_kit_is_for_the_run_to_say(world: World, tmp_path: Path, gone: str) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / gone).unlink()
    assert asked.place(kit / "replay" / SCAN_ID / "manifest.json").kit == kit


@pytest.mark.parametrize("kept", [True, False])
def test_lone_scan_is_one_by_its_name_or_its_envelope(world: World, tmp_path: Path, kept: bool) -> None:
    scan = shutil.copytree(world.kit / forge.SCAN, tmp_path / "scan")
    if not kept:
        (scan / layout.MANIFEST_ENVELOPE).unlink()
        with pytest.raises(errors.UsageError):
            asked.place(scan, scan_only=True)
    else:
        assert asked.place(scan, scan_only=True).manifest == scan / "manifest.json"


TYPOS: dict[str, tuple[str, ...]] = {
    "manifest": ("replay", "kit/replay/nosuch/manifest.json"),
    "manifest of verify": ("verify", "kit/replay/nosuch/manifest.json"),
    "feed": ("replay", "kit", "--what-if", "feeds", "--with", "nosuch"),
    "feed of another name": ("replay", "kit", "--what-if", "feeds", "--with", "other-feed"),
    "feed that is a file": ("replay", "kit", "--what-if", "feeds", "--with", "kit/README.txt"),
    "policy": ("replay", "kit", "--what-if", "policy", "--with", "nosuch"),
    "policy that is a directory": ("replay", "kit", "--what-if", "policy", "--with", "kit/rootpack"),
    "policy that is none": ("replay", "kit", "--what-if", "policy", "--with", "kit/README.txt"),
    "other scan": ("replay", "kit", "--what-if", "policy", "--with", "kit/replay/nosuch/manifest.json"),
    "time": ("replay", "kit", "--at", "2026-6-1"),
    "time of verify": ("verify", "kit", "--at", "now"),
    "time of look": ("look", "kit", "--at", "2026-02-30T00:00:00Z"),
    "kit": ("look", "kot"),
    "no kit": ("look", "kit/rootpack"),
}


@pytest.mark.parametrize("typo", TYPOS)
def test_typo_is_usage_and_leaves_no_evidence(world: World, tmp_path: Path, typo: str) -> None:
    world.copy_kit(tmp_path / "kit")
    world.new_site(tmp_path / "ops" / "site")
    shutil.copytree(world.later_feed, tmp_path / "other-feed")
    described = tmp_path / "other-feed" / "snapshot.json"
    described.write_bytes(described.read_bytes().replace(b'"name":"example-pypi"', b'"name":"another"'))
    done = forge.stella(*TYPOS[typo], cwd=tmp_path)
    assert done.code == 2, done.err
    assert "Copy the medium again" not in done.err
    assert not [path for path in (tmp_path / "ops").rglob("*.json") if "site" not in path.parts]


SCAN_TYPOS = [("--time", "2026-06-01"), ("--scan-id", "scan-1")]


@pytest.mark.parametrize(("option", "value"), SCAN_TYPOS)
def test_typo_in_a_recording_names_the_option(world: World, tmp_path: Path, option: str, value: str) -> None:
    inputs = scan_request(world.feed)
    (tmp_path / "sbom").write_bytes(inputs.sbom)
    (tmp_path / "policy").write_bytes(inputs.policy)
    words = ("--sbom", "sbom", "--policy", "policy", "--feed", f"example-pypi={world.feed}", option, value)
    done = forge.stella("scan", "--record", *words, "--key", world.keys / "kit-1.key.pem", "--out", "out", cwd=tmp_path)
    assert done.code == 2
    assert f"option {option}" in done.err


def test_surroundings_of_a_manifest_in_no_kit_are_not_looked_through(world: World, tmp_path: Path) -> None:
    # Three names of a hostile kind lie where a kit would be; nobody asked about them.
    home = tmp_path / "home"
    scan = shutil.copytree(world.kit / forge.SCAN, home / "replay" / SCAN_ID)
    (home / "private:name").mkdir()
    world.new_site(tmp_path / "site")
    done = forge.stella("verify", scan, "--site", tmp_path / "site", "--at", stamp(NOW), cwd=tmp_path / "work")
    assert done.code == errors.EvidenceMissing.exit_code
    assert "private" not in done.out + done.err
