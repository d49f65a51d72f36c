"""Turns the modules of one command into a parser, without colours, boxes and completion code."""

import os
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

os.environ["TYPER_USE_RICH"] = "0"  # read while typer is imported; decides for modules' own apps as well

import typer
from typer.main import get_command

from verifier.cli._exit_codes import WHOLE_TABLE, table_of


def run(name: str, summary: str, parts: Sequence[ModuleType], words: list[str]) -> object:
    """Parse the words after the command's name, run the command and return what it returned."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    part = _asked_for(parts, words)
    single = getattr(part, "command", None)
    if single is not None:
        app.command(name)(single)
    else:
        app.callback(help=summary)(_group)
        for part in parts:
            app.add_typer(part.app)
        words = words or ["--help"]
    command = get_command(app)
    words = _with_default(words, command, getattr(parts[0], "DEFAULT", None))
    examples = "\n\n".join(getattr(part, "EXAMPLES", "") for part in parts)
    called = " ".join(filter(None, (name, getattr(part, "OPTION", None))))
    _describe_all(command, called, examples, getattr(parts[0], "DEFAULT", None))
    return command.main(words, prog_name=f"stella {name}", standalone_mode=False)


def _asked_for(parts: Sequence[ModuleType], words: list[str]) -> ModuleType:
    """Return the part of a command whose own option was given, the first where none was."""
    given = {word.partition("=")[0] for word in words}
    return next((part for part in parts if getattr(part, "OPTION", None) in given), parts[0])


def _with_default(words: list[str], group: object, default: str | None) -> list[str]:
    """Return the words with the group's default command before them, where they name none of its commands."""
    commands: Mapping[str, object] = getattr(group, "commands", {})
    if default is None or not words or words[0] in commands or words == ["--help"]:
        return words
    return [default, *words]


def _describe_all(command: Any, name: str, examples: str, default: str | None = None) -> None:
    """Describe a command, or a group and all its commands; a group's own help has the options of its default."""
    subcommands: Mapping[str, object] = getattr(command, "commands", {})
    if not subcommands:
        _describe(command, name, examples)
        return
    options = _options(subcommands[default], default) if default is not None else ""
    command.epilog = _epilog(options, _examples(examples, f"stella {name}"), f"Exit codes: {WHOLE_TABLE}")
    for word, each in subcommands.items():
        _describe_all(each, f"{name} {word}", examples)


def _options(command: Any, word: str) -> str:
    """Return the options of a group's default command, whose word may be left out."""
    context = command.make_context(word, [], resilient_parsing=True)
    formatter = context.make_formatter()
    command.format_options(context, formatter)
    text: str = formatter.getvalue()
    return text.strip("\n").replace("\n\nOptions:", f"\n\n\b\nOptions of {word}, a word that may be left out:", 1)


def _describe(command: Any, name: str, examples: str) -> None:
    """Put a command's own examples and exit codes under its help, and mark the options that may be repeated."""
    command.epilog = _epilog(_examples(examples, f"stella {name}"), table_of(name))
    for option in command.params:
        if getattr(option, "multiple", False):
            option.help = f"{option.help} May be repeated."


def _examples(text: str, prefix: str = "stella ") -> str:
    """Return those of a module's examples that call a command, under their heading; nothing where none does."""
    kept = [block.strip() for block in text.split("\n\n") if f"{block.strip()} ".startswith(f"{prefix.rstrip()} ")]
    return "\n".join(["Examples:", *(f"  {line}" for block in kept for line in block.splitlines())]) if kept else ""


def _group() -> None:
    """Make a group of even a single command."""


def _epilog(*blocks: str) -> str:
    """Join blocks of text; the backspace before each tells the help formatter to keep its lines as they are."""
    return "\n\n".join("\b\n" + block for block in blocks if block)
