"""Next steps that fit their cause: a key not valid yet, a wrong file, a tampered run, a command of the other side."""

import contextlib
import json
import os
import pty
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from kit import errors
from kit.bytes import digest
from kit.trust.keys import grouped
from tests.attacks import forge
from tests.world import NOW, ROOT, World
from verifier import site as sites
from verifier.run_dir import stamp

AT = ("--at", stamp(NOW))


@pytest.mark.parametrize(("days", "reason"), [(1.5, "SignerNotYetValid (21)"), (400, "TrustFromFuture (52)")])
def test_key_or_rootpack_that_is_not_valid_yet_points_at_the_clock(
    world: World, tmp_path: Path, days: float, reason: str
) -> None:
    world.new_site(tmp_path / "ops" / "site")
    done = forge.stella("replay", world.kit, "--at", stamp(NOW - timedelta(days=days)), cwd=tmp_path)
    assert f"REFUSED: {reason}  next: Check the site's clock" in done.err


def test_file_that_is_no_root_is_called_the_wrong_file(world: World, tmp_path: Path) -> None:
    other = next((world.rootpack / "metadata").glob("*targets.json")).read_bytes()
    with pytest.raises(errors.TrustRootRefused) as refused:
        sites.init(tmp_path / "site", other, digest.of_bytes(other), entropy=bytes)
    assert "1.root.json" in refused.value.next_step


def test_both_fingerprints_stand_in_the_same_groups(world: World, tmp_path: Path) -> None:
    with pytest.raises(errors.RootNotExpected) as refused:
        sites.init(tmp_path / "site", world.root, "SHA256:" + "0" * 64, entropy=bytes)
    found = grouped(digest.of_bytes(world.root))
    assert refused.value.details == {"expected": "SHA256: " + " ".join(["0000"] * 16), "found": f"SHA256: {found}"}
    assert [len(group) for group in found.split(" ")] == [4] * 16


@pytest.mark.parametrize("name", ["result.json", "result.dsse.json"])
def test_tampered_run_is_not_blamed_on_the_medium(world: World, tmp_path: Path, name: str) -> None:
    world.new_site(tmp_path / "ops" / "site")
    forge.stella("replay", world.kit, *AT, cwd=tmp_path)
    (run,) = (tmp_path / "ops" / "offline" / "replay").glob("*/*")
    text = (run / name).read_bytes()
    (run / name).write_bytes(text.replace(b'"VERIFIED"', b'"DIFFERED"') if name == "result.json" else b"{}")
    done = forge.stella("report", run, cwd=tmp_path)
    assert done.code != 0
    assert "This file is not what the run wrote" in done.err.splitlines()[-1]


def test_run_of_another_site_asks_for_that_site(world: World, tmp_path: Path) -> None:
    world.new_site(tmp_path / "ops" / "site")
    other = world.new_site(tmp_path / "other").path
    forge.stella("replay", world.kit, *AT, cwd=tmp_path)
    (run,) = (tmp_path / "ops" / "offline" / "replay").glob("*/*")
    done = forge.stella("receipt", run, "--site", other, cwd=tmp_path)
    assert done.code == errors.SignerUnknown.exit_code
    assert "--site DIR" in done.err.splitlines()[-1]


def test_export_without_runs_says_to_replay_first(world: World, tmp_path: Path) -> None:
    world.new_site(tmp_path / "ops" / "site")
    done = forge.stella("sync", "export", "--out", "file", cwd=tmp_path)
    assert done.code == errors.UsageError.exit_code
    assert "next: Run stella replay first" in done.err


def test_command_of_the_other_side_is_said_to_be_there() -> None:
    code = (
        "import sys\n"
        "sys.modules['locker'] = None\n"
        "import stella\n"
        "stella._is_installed = lambda module: not module.startswith('locker')\n"
        "sys.exit(stella.main(['sync', 'import', 'file', '--json']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == errors.UsageError.exit_code
    assert "belongs to the connected side" in done.stdout
    assert json.loads(done.stdout)["nextStep"].startswith("Run stella sync import at the connected site")


@pytest.mark.parametrize("both", [True, False])
def test_terminal_is_told_verdict_and_next_step_once(world: World, tmp_path: Path, both: bool) -> None:
    world.new_site(tmp_path / "ops" / "site")
    ours, theirs = pty.openpty()
    words = [sys.executable, "-m", "stella", "replay", str(world.kit), "--progress", "none", *AT]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    out = theirs if both else subprocess.DEVNULL
    subprocess.run(words, cwd=tmp_path, env=environment, stdout=out, stderr=theirs, check=True)
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # EIO at the end
        while part := os.read(ours, 65536):
            said += part
    os.close(ours)
    assert said.count(b"VERDICT") == 1
    assert said.count(b"stella receipt") == 1
    assert (b"\nmanifest" in said) == both


def test_usage_error_begins_with_what_is_wrong() -> None:
    said = str(errors.UsageError(path="x", detail="there is no x here"))
    assert said == "there is no x here. (path x)"
    assert str(errors.UsageError(path="x")) == f"{errors.UsageError.sentence} (path x)"
