"""The frozen verifier as an operator gets it: both forms, what is in them, and that they can be built again."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PyInstaller.archive.readers import CArchiveReader

import kit
import stella
from builder import freeze, frozen_contents
from scanner import engine

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.frozen


@pytest.fixture(params=["one_file", "folder_program"])
def program(request, frozen_verifier):
    return getattr(frozen_verifier, request.param)


@pytest.fixture
def run(program, tmp_path):
    """Run the frozen program with nothing but the words: no environment, no directory of ours."""

    def call(*words, **environment):
        return subprocess.run(
            [program, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    return call


@pytest.fixture(scope="module")
def archive(frozen_verifier):
    return CArchiveReader(str(frozen_verifier.one_file))


@pytest.fixture
def unchanged(frozen_verifier):
    """Skip where somebody has edited the sources since the session's build."""
    key = (ROOT / "build" / "frozen" / f"{freeze.platform()}.key").read_text()
    if freeze.source_key(ROOT) != key:
        pytest.skip("the sources changed while the tests ran")


def test_the_version_is_that_of_the_sources(run):
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"stella {kit.__version__}\n", "")


def test_the_air_gap_side_is_there_and_the_connected_side_is_not(run):
    done = run("--help")
    for name, command in stella.COMMANDS.items():
        listed = f"\n  {name:<10}" in done.stdout
        assert listed == any(
            stella._is_installed(module) for module in command.modules if module.startswith("verifier")
        )
    done = run("kit", "build")
    assert done.returncode == 2
    assert "belongs to the connected side, which is not installed here" in done.stderr


@pytest.mark.parametrize("name", [name for name, command in stella.COMMANDS.items() if command.side == stella.AIR_GAP])
def test_every_command_of_the_air_gap_side_has_its_help(run, name):
    if not stella.present(stella.COMMANDS[name]):
        pytest.skip(f"stella {name} is not written yet")
    done = run(name, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"Usage: stella {name} " in done.stdout
    assert "Exit codes:" in done.stdout


def test_a_usage_error_ends_with_a_verdict_and_json(run):
    done = run("verify", "--no-such-option", "--json")
    assert done.returncode == 2
    assert '"reason": "UsageError"' in done.stdout
    assert done.stderr.splitlines()[-1].startswith("VERDICT  UsageError (2)")


def test_the_single_file_leaves_nothing_behind(frozen_verifier, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    subprocess.run([frozen_verifier.one_file, "--version"], env={"TMPDIR": str(scratch)}, check=True)
    assert list(scratch.iterdir()) == []


def test_there_is_nothing_to_speak_to_a_network_with(frozen_verifier, archive):
    frozen = set(archive.open_embedded_archive("PYZ.pyz").toc)
    wrong = {
        name for name in frozen if any(name == out or name.startswith(f"{out}.") for out in frozen_contents.EXCLUDED)
    }
    assert wrong == {"email", "email.utils"}
    for path, text in frozen_contents.STAND_INS.items():
        name = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        code = archive.open_embedded_archive("PYZ.pyz").extract(name)
        assert code.co_consts == compile(text, code.co_filename, "exec").co_consts or not code.co_names
        assert not {"socket", "__import__"} & set(code.co_names)
    files = [path.name for path in frozen_verifier.directory.rglob("*")]
    assert not [name for name in files if "socket" in name or "ssl" in name]


def test_all_of_our_modules_and_data_are_there(frozen_verifier, unchanged, archive):
    frozen = set(archive.open_embedded_archive("PYZ.pyz").toc)
    assert set(frozen_contents.modules(ROOT)) <= frozen
    inside = frozen_verifier.folder_program.parent / "_internal"
    for path, directory in frozen_contents.data_files(ROOT):
        assert (inside / directory / Path(path).name).read_bytes() == Path(path).read_bytes()


def test_the_engine_inside_is_that_of_the_sources(frozen_verifier, unchanged):
    inside = frozen_verifier.folder_program.parent / "_internal" / frozen_contents.ENGINE_FILE
    assert inside.read_bytes() == engine.from_source(ROOT).encoded


def test_the_interpreter_varies_nothing(archive):
    assert set(frozen_contents.INTERPRETER_OPTIONS) <= set(archive.options)


def test_no_start_up_hook_of_the_freezer_is_left(archive):
    assert [name for name in archive.toc if name.startswith("pyi_rth_")] == []


def test_one_openssl_is_inside(frozen_verifier):
    """Long inputs are hashed by the signature library's OpenSSL (kit.bytes.sha256); there is no second one."""
    names = [path.name for path in frozen_verifier.directory.rglob("*")]
    assert not [name for name in names if name.startswith(("libcrypto", "libssl", "_hashlib"))]
    assert "_rust.abi3.so" in names


def test_the_guard_is_in_force_before_anything_is_read(program, tmp_path):
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    log = tmp_path / "trace"
    command = [strace, "-f", "-qq", "-e", "trace=%network,seccomp", "-o", log, program, "look", tmp_path]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    if "PTRACE" in done.stderr:
        pytest.skip("this machine forbids tracing")
    calls = [line.split(maxsplit=1)[1] for line in log.read_text().splitlines()]
    assert any(call.startswith("seccomp(SECCOMP_SET_MODE_FILTER") and call.endswith("= 0") for call in calls)
    opened = [call for call in calls if call.startswith(("socket(", "connect(")) and "= -1 EACCES" not in call]
    assert opened == []


def test_a_second_build_elsewhere_gives_the_same_bytes(frozen_verifier, unchanged, tmp_path, monkeypatch):
    copy, work = tmp_path / "another place" / "checkout", tmp_path / "work"
    for path in freeze._sources(ROOT):
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    work.mkdir()
    (work / "freeze-venv").symlink_to(ROOT / "build" / "freeze-venv")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PYTHONHASHSEED", "77")
    before = os.umask(0o077)
    try:
        again = freeze.freeze(copy, work)
    finally:
        os.umask(before)

    def contents(directory):
        return {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}

    first, second = contents(frozen_verifier.directory), contents(again.directory)
    assert [name for name in first.keys() | second.keys() if first.get(name) != second.get(name)] == []
