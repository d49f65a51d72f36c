"""The release replays where there is no C library, no writable directory, or none that takes programs."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

EMPTY = ()
READ_ONLY = ("--remount-ro", "/")
NO_NAMESPACES = ("--unshare-user", "--disable-userns", "--cap-drop", "ALL")


@pytest.mark.parametrize("user", [None, 65534], ids=["root", "nobody"])
@pytest.mark.parametrize("options", [EMPTY, READ_ONLY], ids=["empty root", "read-only root"])
def test_single_file_replays_without_a_c_library(host, options, user) -> None:
    if user is None and os.geteuid() != 0:
        user = os.geteuid()
    replace(host, options=options, user=user).result("/bin/stella")


def test_both_forms_and_the_sources_give_the_same_bytes(host, world, replay) -> None:
    single = host.result("/bin/stella")
    here, _ = replay(world.kit)
    assert [(one["path"], one["replayed"]) for one in single["outputs"]] == [
        (one.path, one.replayed) for one in here.outputs
    ]


def test_without_proc_it_says_what_to_do(host) -> None:
    done = host.adding("--tmpfs", "/proc").run("/bin/stella", "--version")
    assert done.returncode == 60
    assert "/proc is not there" in done.stderr
    assert "stella-onedir/stella" in done.stderr.splitlines()[-1]


def test_where_nothing_takes_programs_it_names_tmpdir_and_the_folder_form(host) -> None:
    done = replace(host, options=(*NO_NAMESPACES, *READ_ONLY)).run("/bin/stella", "--version")
    assert done.returncode == 60
    assert "TMPDIR" in done.stderr
    assert "stella-onedir/stella" in done.stderr


def test_without_namespaces_it_unpacks_below_tmpdir_and_leaves_nothing(host) -> None:
    host = replace(host, options=NO_NAMESPACES, variables=(("TMPDIR", "/out"),))
    done = host.run("/bin/stella", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert list((host.place / "out").iterdir()) == []


def test_a_file_cut_short_says_so(released, tmp_path) -> None:
    cut = tmp_path / "stella"
    cut.write_bytes(released.one_file.read_bytes()[:-600])
    cut.chmod(0o755)
    done = subprocess.run([cut, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 60
    assert "incomplete" in done.stderr


def test_folder_replays_in_an_old_debian(host, tool) -> None:
    old = Path(os.environ.get("STELLA_OLD_ROOT", Path(__file__).parents[2] / "build" / "release" / "bullseye"))
    if not (old / "etc" / "debian_version").is_file():
        subprocess.run([tool("debootstrap"), "--variant=minbase", "bullseye", old], check=True, capture_output=True)
    parts = [word for name in ("lib", "lib64", "usr", "etc") for word in ("--ro-bind", old / name, f"/{name}")]
    host.adding(*parts).result("/bin/stella-onedir/stella")
