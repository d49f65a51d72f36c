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
    for each in (command, *getattr(command, "commands", {}).values()):
        each.epilog = _epilog(*(getattr(part, "EXAMPLES", "") for part in parts), table())
    return command.main(words, prog_name=f"stella {name}", standalone_mode=False)


def _group() -> None:
    """Make a group of even a single command."""


def _epilog(*blocks: str) -> str:
    """Join blocks of text; the backspace before each tells the help formatter to keep its lines as they are."""
    return "\n\n".join("\b\n" + "\n".join(filter(str.strip, block.splitlines())) for block in blocks if block)
