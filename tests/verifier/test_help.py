"""What the program says about itself: help, examples and next steps name commands and options that exist."""

import re
import shlex
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

import stella
from kit import errors
from tests.world import ROOT
from verifier.cli import _exit_codes

MENTION = re.compile(r"stella (?=[a-z])([^`\"'(){;|\n]*)")
WORD = re.compile(r"[a-z][a-z-]*")
PAGES = ("README.md", "docs/operator.md", "docs/auditor.md")
ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StellaError)]


def members_of(name: str, members: dict[str, Any]) -> dict[str, Any]:
    """Return the commands of a group by their words; a group in it has commands of its own."""
    found: dict[str, Any] = {}
    for word, each in members.items():
        below: dict[str, Any] = getattr(each, "commands", {})
        found |= members_of(f"{name} {word}", below) if below else {f"{name} {word}": each}
    return found


def tree() -> dict[str, Any]:
    """Return every command of the program by its words, such as ``offline init``."""
    found: dict[str, Any] = {}
    for name, command in stella.COMMANDS.items():
        for module in map(import_module, stella.present(command)):
            if hasattr(module, "command"):
                app = typer.Typer()
                app.command(name)(module.command)
                found[" ".join(filter(None, (name, getattr(module, "OPTION", None))))] = get_command(app)
            else:
                group = typer.Typer()
                group.callback()(lambda: None)
                group.add_typer(module.app)
                members: dict[str, Any] = vars(get_command(group))["commands"]
                found |= members_of(name, members)
                if default := getattr(module, "DEFAULT", None):
                    found[name] = members[default]
    return found


COMMANDS = tree()


GROUPS = {name.rpartition(" ")[0] or name for name in COMMANDS}


def resolve(words: list[str]) -> str | None:
    """Return the command that words of a text begin with; nothing but the name of a group is an empty one."""
    for length in (3, 2, 1):
        if " ".join(words[:length]) in COMMANDS:
            return " ".join(words[:length])
    return "" if words[0] == "help" or " ".join(words) in GROUPS else None


def mentions(text: str) -> Iterator[list[str]]:
    """Yield the words after each ``stella`` of a text, up to the end of the clause."""
    for match in MENTION.finditer(text):
        words = match[1].split()
        ends = (number for number, word in enumerate(words, start=1) if word[-1] in ".,:" and word[-3:] != "...")
        yield [word.rstrip(".,:") for word in words[: next(ends, None)]]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_next_step_of_a_reason_names_commands_that_exist(kind: type[errors.StellaError]) -> None:
    for words in mentions(f"{kind.sentence} {kind.next_step}"):
        assert resolve(words) is not None, words


def sources() -> list[Path]:
    return sorted(
        path for room in ("kit", "scanner", "verifier", "builder", "locker") for path in (ROOT / room).rglob("*.py")
    )


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_that_the_code_speaks_of_exist(path: Path) -> None:
    for words in mentions(path.read_text()):
        if WORD.fullmatch(words[0]) and words[0] in stella.COMMANDS:
            assert resolve(words) is not None, words


def examples() -> list[str]:
    modules = {module for command in stella.COMMANDS.values() for module in stella.present(command)}
    texts = [getattr(import_module(module), "EXAMPLES", "") for module in sorted(modules)]
    blocks = [block.strip() for text in texts for block in text.split("\n\n")]
    return [block.replace("\\\n", " ").partition(" | ")[0] for block in blocks if block.startswith("stella ")]


@pytest.mark.parametrize("example", examples())
def test_example_of_the_help_parses(example: str) -> None:
    words = shlex.split(example)[1:]
    command = resolve(words)
    assert command
    options = {name for option in COMMANDS[command].params for name in (*option.opts, *option.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("page", PAGES)
def test_commands_of_a_page_exist_with_their_options(page: str) -> None:
    for words in mentions((ROOT / page).read_text()):
        command = resolve(words)
        assert command is not None, words
        if command:
            options = {name for option in COMMANDS[command].params for name in option.opts}
            given = {word.partition("=")[0] for word in words if re.fullmatch(r"--[a-z-]+(=.*)?", word)}
            assert given <= options | {"--help"}, words


def test_every_command_has_its_own_exit_codes() -> None:
    assert set(_exit_codes.BY_COMMAND) <= set(COMMANDS)
    for name in (
        "look",
        "offline init",
        "offline status",
        "replay",
        "verify",
        "diff",
        "report",
        "receipt show",
        "receipt check",
        "receipt chain",
        "feed diff",
        "sync export",
    ):
        assert name in _exit_codes.BY_COMMAND
    for codes in _exit_codes.BY_COMMAND.values():
        assert set(codes) <= set(_exit_codes.EXIT_CODES) - set(_exit_codes.EVERYWHERE)


def test_help_shows_a_commands_own_codes_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert stella.main(["receipt", "show", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "  20  signature wrong\n" in shown
    assert "conflict" not in shown
    assert "a tool is not the recorded one" not in shown


def test_options_that_may_be_repeated_say_so(capsys: pytest.CaptureFixture[str]) -> None:
    assert stella.main(["scan", "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.count("May be repeated.") == 5
