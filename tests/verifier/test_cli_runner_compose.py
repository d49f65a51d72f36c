"""The composed command line: what is listed, what is imported, and what happens to a word that nobody knows."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
import typer

import kit
import stella
from verifier.cli._exit_codes import EXIT_CODES
from verifier.cli.console import Console, Verdict

ROOT = Path(__file__).parents[2]
INSTALLED = [name for name, command in stella.COMMANDS.items() if stella.present(command)]


@pytest.fixture
def module(monkeypatch):
    """Return a function that puts a module of the given content in place, as if it were installed."""

    def add(name, **content):
        made = ModuleType(name)
        made.__spec__ = find_spec("json")
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)

    return add


@pytest.fixture
def commands(monkeypatch):
    """Return a function that sets the table of commands."""

    def put(**modules):
        table = {name: stella.Command(stella.AIR_GAP, f"Do {name}.", names) for name, names in modules.items()}
        monkeypatch.setattr(stella, "COMMANDS", table)

    return put


@pytest.fixture
def split_group(module, commands):
    """Make a group of two modules, and a command of one."""
    for name in ("one", "two"):
        app = typer.Typer(no_args_is_help=True)
        app.command(name)(lambda: Console().verdict("DONE", 0))
        module(f"fake_{name}", app=app)

    def single(word: str, count: int = 1) -> Verdict:
        print(word * count)
        return Console().verdict("PRINTED", 0)

    module("fake_single", command=single, EXAMPLES="\nExamples:\n\n  stella single x\n")
    commands(group=("fake_one", "absent_room.module", "fake_two"), single=("fake_single",), gone=("absent_module",))


def imported_by(*words):
    """Return the modules that a fresh process has imported after running the words."""
    code = f"import sys, stella; stella.main({list(words)!r}); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stderr.splitlines()[-1].split())


def test_the_version_is_answered_without_the_command_line_library(capsys):
    assert stella.main(["--version"]) == 0
    assert capsys.readouterr().out == f"stella {kit.__version__}\n"
    assert not {"typer", "msgspec", "verifier"} & imported_by("--version")


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]])
def test_the_overview_lists_what_is_installed(capsys, split_group, words):
    assert stella.main(words) == 0
    assert capsys.readouterr().out == (
        "Usage: stella COMMAND [OPTIONS] ...\n"
        "       stella help COMMAND\n"
        "\n"
        "Air gap:\n"
        "  group     Do group.\n"
        "  single    Do single.\n"
        "\n"
        "  help exit-codes   Print what the exit codes mean.\n"
        "  --version         Print the version.\n"
        "  --help            Print this text.\n"
    )


def test_the_overview_imports_no_command():
    loaded = imported_by("--help")
    assert "typer" not in loaded
    assert not {module for command in stella.COMMANDS.values() for module in command.modules} & loaded


@pytest.mark.parametrize("name", INSTALLED)
def test_only_the_named_command_is_imported(name):
    named = set(stella.COMMANDS[name].modules)
    others = {module for command in stella.COMMANDS.values() for module in command.modules} - named
    assert not (others | {"rich", "socket", "http.client"}) & imported_by(name, "--help")


@pytest.mark.parametrize("name", INSTALLED)
def test_every_command_has_ascii_help_that_leads_to_the_exit_codes(capsys, name):
    assert stella.main([name, "--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert out.isascii()
    assert out.startswith(f"Usage: stella {name} ")
    assert "stella help exit-codes" in out
    assert stella.main(["help", name]) == 0
    assert capsys.readouterr().out == out


def test_whole_table_of_exit_codes_is_printed_on_request(capsys):
    assert stella.main(["help", "exit-codes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == [f"{code:>5}  {meaning}" for code, meaning in EXIT_CODES.items()]


def test_a_group_may_be_split_over_modules(capsys, split_group):
    assert stella.main(["group"]) == 0
    out = capsys.readouterr().out
    assert out.index("  one") < out.index("  two")
    assert stella.main(["group", "two"]) == 0
    assert capsys.readouterr().err == "VERDICT  DONE (0)\n"


def test_examples_keep_their_lines(capsys, split_group):
    assert stella.main(["single", "--help"]) == 0
    assert "  Examples:\n    stella single x\n\n  Exit codes:\n" in capsys.readouterr().out


def test_examples_of_a_group_stand_under_their_own_commands(capsys):
    stella.main(["offline", "status", "--help"])
    shown = capsys.readouterr().out
    assert "stella offline status --json" in shown
    assert "stella offline init" not in shown


def test_a_single_command_gets_its_words(capsys, split_group):
    assert stella.main(["single", "ab", "--count", "2"]) == 0
    assert capsys.readouterr() == ("abab\n", "VERDICT  PRINTED (0)\n")


@pytest.mark.parametrize(
    ("words", "detail"),
    [
        (["singel"], "no command 'singel'; did you mean 'single'?"),
        (["\x1b[2J"], "no command '\x1b[2J'; stella --help lists them"),
        (["gone"], "'gone' belongs to the air gap side, which is not installed here"),
        (["single"], "Missing argument 'WORD'."),
        (["single", "x", "--count", "y"], "Invalid value for '--count': 'y' is not a valid integer."),
        (["group", "three"], "No such command 'three'."),
    ],
)
def test_a_usage_error_is_a_sentence_and_json(capsys, split_group, words, detail):
    assert stella.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.isascii()
    assert err.splitlines()[-1] == "VERDICT  UsageError (2)  next: See the command's --help."
    assert stella.main([*words, "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert found["reason"] == "UsageError"
    if "No such option" not in found["details"]["detail"]:
        assert found["details"]["detail"] == detail


def test_a_package_that_is_not_installed_is_named(capsys, monkeypatch, commands, tmp_path):
    (tmp_path / "needs_more.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    commands(more=("needs_more",))
    assert stella.main(["more"]) == 2
    assert "'more' needs the package a_package_that_is_not_there" in capsys.readouterr().err
