"""T-OFFLINE-007: the frozen binary replays from the kit alone, with no network, no Python and an empty environment."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from kit.bytes import digest
from tests.world import NOW, SCAN_ID, World
from verifier.run_dir import stamp

pytestmark = pytest.mark.frozen


def programs(frozen_verifier) -> dict[str, Path]:
    return {"one-file": frozen_verifier.one_file, "one-folder": frozen_verifier.folder_program}


@pytest.fixture
def place(world: World, tmp_path: Path) -> Path:
    world.copy_kit(tmp_path / "offline")
    return tmp_path


def stella(program: Path, place: Path, *words: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    environment = {"TMPDIR": str(place), "LC_ALL": "C", "TZ": "Pacific/Kiritimati"}
    command = [*prefix, str(program), *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)


def pinned(program: Path, world: World, place: Path) -> None:
    (place / "root.json").write_bytes(world.root)
    expected = "SHA256:" + digest.hex_of(digest.of_bytes(world.root))
    done = stella(program, place, "offline", "init", "--root", "root.json", "--expect-root", expected)
    assert done.returncode == 0, done.stderr


def replayed(program: Path, place: Path, *words: str, prefix: tuple[str, ...] = ()):
    manifest = f"offline/replay/{SCAN_ID}/manifest.json"
    options = ["--strict", "--offline", "--json", "--at", stamp(NOW), *words]
    return stella(program, place, "replay", manifest, *options, prefix=prefix)


@pytest.mark.parametrize("form", ["one-file", "one-folder"])
def test_t_offline_007_replay_from_the_kit_alone(frozen_verifier, world: World, place: Path, form: str) -> None:
    program = programs(frozen_verifier)[form]
    pinned(program, world, place)
    done = replayed(program, place, prefix=("unshare", "--net"))
    result = json.loads(done.stdout)
    assert (done.returncode, result["verdict"]) == (0, "VERIFIED"), done.stderr
    layers = {layer["name"]: layer["inForce"] for layer in result["guard"]["layers"]}
    assert layers["seccomp"] is True
    assert layers["no-new-privileges"] is True


def test_t_offline_007_frozen_and_unfrozen_agree(frozen_verifier, world: World, place: Path, replay) -> None:
    program = frozen_verifier.folder_program
    pinned(program, world, place)
    frozen = json.loads(replayed(program, place).stdout)
    here, _ = replay(world.kit)
    assert [(entry["path"], entry["replayed"]) for entry in frozen["outputs"]] == [
        (entry.path, entry.replayed) for entry in here.outputs
    ]
    assert frozen["verifier"]["digest"] == here.verifier.digest


def test_t_offline_007_no_socket_is_ever_opened(frozen_verifier, world: World, place: Path) -> None:
    program = frozen_verifier.folder_program
    pinned(program, world, place)
    trace = place / "trace"
    calls = "socket,connect,bind,sendto,io_uring_setup"
    done = replayed(program, place, prefix=("strace", "-f", "-o", str(trace), "-e", f"trace={calls}"))
    assert done.returncode == 0, done.stderr
    attempts = [line for line in trace.read_text().splitlines() if re.search(r"\b(socket|connect|bind|sendto)\(", line)]
    assert attempts, "the guard's own probe asks for a socket and must be refused"
    assert [line for line in attempts if "= -1 EACCES" not in line] == []


@pytest.mark.parametrize("change", ["flip", "cut", "remove"])
def test_tampered_kit_is_refused_by_the_frozen_binary(frozen_verifier, world: World, place: Path, change: str) -> None:
    program = frozen_verifier.folder_program
    pinned(program, world, place)
    bundle = place / "offline" / "replay" / SCAN_ID / "outputbundle.tar.zst"
    data = bytearray(bundle.read_bytes())
    if change == "remove":
        bundle.unlink()
    else:
        data[len(data) // 2] ^= 1
        bundle.write_bytes(data if change == "flip" else data[:-1])
    done = replayed(program, place)
    result = json.loads(done.stdout)
    expected = {"flip": ("DigestMismatch", 30), "cut": ("SizeMismatch", 30), "remove": ("FileMissing", 32)}[change]
    assert (result["verdict"], result["reason"], done.returncode) == ("REFUSED", *expected)


def test_unpinned_site_verifies_nothing(frozen_verifier, world: World, place: Path) -> None:
    done = replayed(frozen_verifier.folder_program, place)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["reason"]) == (23, "TrustRootNotPinned")
    assert answer["details"]["rootInTheKit"] == "SHA256:" + digest.hex_of(digest.of_bytes(world.root))
    assert not (place / "ops").exists()
