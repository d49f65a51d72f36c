"""The release replays where there is no C library, no writable directory, or none that takes programs."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from kit.bytes import digest
from tests.world import NOW, SCAN_ID, World
from verifier.run_dir import stamp

PINNED = "/out/site"


@pytest.fixture
def place(world: World, released) -> Path:
    """Return a directory that anybody can enter, with programs, kit, root and a place for results."""
    import shutil
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="stella-hosts-", dir="/var/tmp"))
    shutil.copytree(released.directory, made / "bin")
    world.copy_kit(made / "kit")
    (made / "root.json").write_bytes(world.root)
    (made / "out").mkdir()
    subprocess.run(["chmod", "-R", "a+rX", made], check=True)
    (made / "out").chmod(0o777)
    yield made
    shutil.rmtree(made)


def inside(tool, place: Path, *words: str, options=(), user: int | None = None, variables=()):
    """Run words in a root that holds nothing but the place's parts and /proc."""
    root = ["--unshare-pid", "--proc", "/proc", "--bind", place / "out", "/out"]
    for name in ("bin", "kit", "root.json"):
        root += ["--ro-bind", place / name, f"/{name}"]
    command = [tool("bwrap"), "--clearenv", *root, *options, *(x for pair in variables for x in ("--setenv", *pair))]
    if user is not None:
        command = [tool("setpriv"), f"--reuid={user}", f"--regid={user}", "--clear-groups", *command]
    return subprocess.run(
        [*map(str, command), "--", *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def replayed(tool, place: Path, program: str, **how):
    expected = "SHA256:" + digest.hex_of(digest.of_bytes((place / "root.json").read_bytes()))
    pinning = ("offline", "init", "--root", "/root.json", "--expect-root", expected, "--site", PINNED)
    done = inside(tool, place, program, *pinning, **how)
    assert done.returncode == 0, done.stderr
    manifest = f"/kit/replay/{SCAN_ID}/manifest.json"
    options = ["--strict", "--offline", "--json", "--at", stamp(NOW), "--site", PINNED, "--ops", "/out/ops"]
    done = inside(tool, place, program, "replay", manifest, *options, **how)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["verdict"] == "VERIFIED"
    return result


EMPTY = ()
READ_ONLY = ("--remount-ro", "/")


@pytest.mark.parametrize("user", [None, 65534], ids=["root", "nobody"])
@pytest.mark.parametrize("options", [EMPTY, READ_ONLY], ids=["empty root", "read-only root"])
def test_single_file_replays_without_a_c_library(released, tool, place, options, user) -> None:
    if user is None and os.geteuid() != 0:
        user = os.geteuid()
    replayed(tool, place, "/bin/stella", options=options, user=user)


def test_both_forms_and_the_sources_give_the_same_bytes(released, tool, place, world, replay) -> None:
    single = replayed(tool, place, "/bin/stella")
    here, _ = replay(world.kit)
    assert [(one["path"], one["replayed"]) for one in single["outputs"]] == [
        (one.path, one.replayed) for one in here.outputs
    ]


def test_without_proc_it_says_what_to_do(released, tool, place) -> None:
    done = inside(tool, place, "/bin/stella", "--version", options=("--tmpfs", "/proc"))
    assert done.returncode == 60
    assert "/proc is not there" in done.stderr
    assert "stella-onedir/stella" in done.stderr.splitlines()[-1]


def test_where_nothing_takes_programs_it_names_tmpdir_and_the_folder_form(released, tool, place) -> None:
    options = ("--unshare-user", "--disable-userns", "--cap-drop", "ALL", "--remount-ro", "/")
    done = inside(tool, place, "/bin/stella", "--version", options=options)
    assert done.returncode == 60
    assert "TMPDIR" in done.stderr
    assert "stella-onedir/stella" in done.stderr


def test_without_namespaces_it_unpacks_below_tmpdir_and_leaves_nothing(released, tool, place) -> None:
    options = ("--unshare-user", "--disable-userns", "--cap-drop", "ALL")
    done = inside(tool, place, "/bin/stella", "--version", options=options, variables=[("TMPDIR", "/out")])
    assert (done.returncode, done.stderr) == (0, "")
    assert list((place / "out").iterdir()) == []


def test_a_file_cut_short_says_so(released, tmp_path) -> None:
    cut = tmp_path / "stella"
    cut.write_bytes(released.one_file.read_bytes()[:-600])
    cut.chmod(0o755)
    done = subprocess.run([cut, "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == 60
    assert "incomplete" in done.stderr


def test_folder_replays_in_an_old_debian(released, tool, place) -> None:
    old = Path(os.environ.get("STELLA_OLD_ROOT", Path(__file__).parents[2] / "build" / "release" / "bullseye"))
    if not (old / "etc" / "debian_version").is_file():
        subprocess.run([tool("debootstrap"), "--variant=minbase", "bullseye", old], check=True, capture_output=True)
    options = [word for name in ("lib", "lib64", "usr", "etc") for word in ("--ro-bind", old / name, f"/{name}")]
    replayed(tool, place, "/bin/stella-onedir/stella", options=options)
