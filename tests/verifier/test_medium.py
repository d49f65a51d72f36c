"""Reading from a medium: names of whatever lies there, files that are none, frames that name their member."""

import os
from pathlib import Path

import pytest

from kit import errors
from kit.bundle import BundleReader
from tests.attacks import forge
from tests.world import Replay, World
from verifier import medium

HOSTILE = ["a:b", "con", "trailing.", "space ", "\u202egnp", "line\nfeed", "back\\slash", "\x1b[2J"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("below", ["", "replay/"])
def test_empty_directory_of_a_hostile_name_is_refused(
    world: World, replay: Replay, tmp_path: Path, name: str, below: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / f"{below}{name}").mkdir()
    result, _ = replay(kit)
    assert (result.reason, result.exit_code) == ("HostileName", 31)


@pytest.mark.parametrize("name", ["REPLAY", "readme.TXT", "rootpack/METADATA"])
def test_empty_directory_that_another_system_takes_for_a_file_of_the_kit_is_refused(
    world: World, replay: Replay, tmp_path: Path, name: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (kit / name).mkdir()
    assert replay(kit)[0].reason == "NameCollision"


def test_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(errors.FileMissing, match="not a regular file"):
        medium.read_file(tmp_path / "pipe", limit=10)


PIPES = {
    "root": ("offline", "init", "--root", "pipe", "--expect-root", "SHA256:" + "0" * 64),
    "policy": ("replay", "kit", "--what-if", "policy", "--with", "pipe"),
    "report": ("report", "run"),
    "receipt": ("receipt", "run"),
    "diff": ("diff", "run", "run"),
    "manifest": ("replay", "run/manifest.json"),
}


@pytest.mark.parametrize("command", PIPES)
def test_command_does_not_hang_on_a_pipe(world: World, tmp_path: Path, command: str) -> None:
    world.copy_kit(tmp_path / "kit")
    world.new_site(tmp_path / "ops" / "site")
    (tmp_path / "run").mkdir()
    for name in ("journal.ndjson", "result.json", "receipt.json", "manifest.json"):
        os.mkfifo(tmp_path / "run" / name)
    os.mkfifo(tmp_path / "pipe")
    done = forge.stella(*PIPES[command], cwd=tmp_path, timeout=60)
    assert done.code in (2, 32), done.err
    assert "Copy the medium again" not in done.err


RUN_TYPOS = {
    "nothing": ("nowhere", "there is no such directory"),
    "scan's runs": ("ops/offline/replay/5e11a000-0000-4000-8000-00000000000a", "no run's directory"),
    "cut off": ("cut", "was cut off"),
}


@pytest.mark.parametrize("command", ["report", "receipt"])
@pytest.mark.parametrize("typo", RUN_TYPOS)
def test_path_that_is_no_run_says_so(world: World, tmp_path: Path, command: str, typo: str) -> None:
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / "journal.ndjson").write_bytes(b"")
    run = tmp_path / "ops/offline/replay/5e11a000-0000-4000-8000-00000000000a/20260601T120000Z-00000000"
    run.mkdir(parents=True)
    (run / "journal.ndjson").write_bytes(b"")
    path, said = RUN_TYPOS[typo]
    done = forge.stella(command, path, cwd=tmp_path)
    assert done.code == 2
    assert said in done.err
    assert (f"The latest run here: {path}/{run.name}" in done.err) == (typo == "scan's runs")


def test_malformed_frame_names_its_member(world: World, tmp_path: Path) -> None:
    content = forge.members_of(world)
    record = forge.pack(tmp_path / "bundle", content)
    data = bytearray((tmp_path / "bundle").read_bytes())
    middle = len(data) // 2
    data[middle : middle + 64] = bytes(64)
    (tmp_path / "bundle").write_bytes(data)
    damaged = type(record)(
        **{name: getattr(record, name) for name in record.__struct_fields__}
        | {"archive_digest": forge.digest_of(tmp_path / "bundle")}
    )
    with BundleReader(tmp_path / "bundle", damaged) as reader, pytest.raises(errors.MalformedFrame) as refused:
        reader.verify()
    assert refused.value.details["path"] in content
