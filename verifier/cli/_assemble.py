"""Turns the modules of one command into a parser, without colours, boxes and completion code."""

import os
from collections.abc import Sequence
from types import ModuleType

os.environ["TYPER_USE_RICH"] = "0"  # read while typer is imported; decides for modules' own apps as well

import typer
from typer.main import get_command

from verifier.cli._exit_codes import table


def run(name: str, summary: str, parts: Sequence[ModuleType], words: list[str]) -> object:
    """Parse the words after the command's name, run the command and return what it returned."""
    app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    single = getattr(parts[0], "command", None)
    if single is not None:
        app.command(name)(single)
    else:
        app.callback(help=summary)(_group)
        for part in parts:
            app.add_typer(part.app)
        words = words or ["--help"]
    command = get_command(app)
    commands = getattr(command, "commands", {})
    everything = _epilog(*(text for part in parts for text in _examples(part)), table(_codes(parts, None)))
    command.epilog = everything
    for each_name, each in commands.items():
        examples = [text for part in parts for text in _examples(part, each_name)]
        each.epilog = _epilog(*examples, table(_codes(parts, each_name)))
    return command.main(words, prog_name=f"stella {name}", standalone_mode=False)


def _examples(part: ModuleType, name: str | None = None) -> list[str]:
    """Return what a module shows as examples of a command, of all its commands for none.

    ``EXAMPLES`` is one text for all commands of a module, or a text by command.
    """
    shown = getattr(part, "EXAMPLES", "")
    if isinstance(shown, str):
        return [shown]
    chosen = shown.get(name, "") if name else "\n".join(shown.values())
    return [f"Examples:\n{chosen}"] if chosen else []


def _codes(parts: Sequence[ModuleType], name: str | None) -> Sequence[int] | None:
    """Return the exit codes that a command can have; None where no module says.

    ``EXIT_CODES`` are those of a module's only command, or those by command.
    """
    found: set[int] = set()
    for part in parts:
        codes = getattr(part, "EXIT_CODES", None)
        if isinstance(codes, dict):
            codes = codes.get(name, ()) if name else [code for each in codes.values() for code in each]
        found.update(codes or ())
    return sorted(found) or None


def _group() -> None:
    """Make a group of even a single command."""


def _epilog(*blocks: str) -> str:
    """Join blocks of text; the backspace before each tells the help formatter to keep its lines as they are."""
    return "\n\n".join("\b\n" + "\n".join(filter(str.strip, block.splitlines())) for block in blocks if block)
