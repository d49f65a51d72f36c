"""Man page and shell completions of the frozen program, made from its commands: ``man/`` and ``completions/``.

They lie beside the program as files, and are signed with it in every kit. Same commands, same bytes.
"""

from importlib import import_module
from pathlib import Path
from typing import Any

import kit
import stella
from builder import freeze_prepared

_MAN = "man/stella.1"
_BASH, _ZSH, _FISH = "completions/stella.bash", "completions/_stella", "completions/stella.fish"


def write(target: Path) -> None:
    """Write man page and completions below a directory."""
    options = _options()
    texts = {
        _MAN: man_page(freeze_prepared.help_texts()),
        _BASH: bash(options),
        _ZSH: "#compdef stella\nautoload -U +X bashcompinit && bashcompinit\n" + bash(options),
        _FISH: fish(options),
    }
    for name, text in texts.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(text, encoding="utf-8")


def man_page(helps: dict[str, str]) -> str:
    """Return the man page: the overview, then the help of every command as it is printed."""
    lines = [f'.TH STELLA 1 "" "stella {kit.__version__}"', ".SH NAME", "stella \\- verify and replay offline kits"]
    lines += [".SH OVERVIEW", *_as_printed(stella.overview())]
    for words, text in sorted(helps.items()):
        lines += [f".SH {words.upper()}", *_as_printed(text)]
    return "\n".join(lines) + "\n"


def bash(options: dict[str, list[str]]) -> str:
    """Return the completion for bash: commands, then their own commands and options, else files."""
    cases = [f"        {words!r}) offered={' '.join(offered)!r} ;;" for words, offered in options.items()]
    return "\n".join(
        [
            "_stella() {",
            '    local key="" offered="" word',
            '    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
            '        case "$key,$word" in',
            '            ,[a-z]*) key="$word" ;;',
            *(f"            {group},{word}) key={f'{group} {word}'!r} ;;" for group, word in _inner(options)),
            "        esac",
            "    done",
            '    case "$key" in',
            *cases,
            "    esac",
            '    COMPREPLY=($(compgen -W "$offered" -- "${COMP_WORDS[COMP_CWORD]}"))',
            "}",
            "complete -o default -F _stella stella",
            "",
        ]
    )


def fish(options: dict[str, list[str]]) -> str:
    """Return the completion for fish."""
    lines = []
    for words, offered in options.items():
        seen = [f"__fish_seen_subcommand_from {word}" for word in words.split()] or ["__fish_use_subcommand"]
        condition = "; and ".join(seen)
        for word in offered:
            what = f"-l {word[2:]}" if word.startswith("--") else f"-f -a {word}"
            lines.append(f"complete -c stella -n '{condition}' {what}")
    return "\n".join(lines) + "\n"


def _options() -> dict[str, list[str]]:
    """Return what may follow the words of each command, sorted; the key of the program itself is empty."""
    from verifier.cli import _assemble  # noqa: F401, I001  # first: it tells typer to leave its optional libraries alone
    from typer import Typer
    from typer.main import get_command

    found: dict[str, list[str]] = {"": sorted([*stella.COMMANDS, "help", "--help", "--version"])}
    found[""] = [word for word in found[""] if word not in stella.COMMANDS or stella.present(stella.COMMANDS[word])]
    for name, command in sorted(stella.COMMANDS.items()):
        parts = [import_module(module) for module in stella.present(command)]
        for part in parts:
            group = getattr(part, "app", None)
            if group is None:
                made: Any = Typer(add_completion=False)
                made.command(name)(part.command)
                found[name] = _of(get_command(made))
                continue
            inner: Any = get_command(group)
            below = getattr(inner, "commands", {inner.name: inner})
            found[name] = sorted({*found.get(name, []), *below})
            found |= {f"{name} {word}": _of(each) for word, each in sorted(below.items())}
    return dict(sorted(found.items()))


def _of(command: Any) -> list[str]:
    names = {name for option in command.params for name in option.opts if name.startswith("--")}
    return sorted({*names, "--help"})


def _inner(options: dict[str, list[str]]) -> list[tuple[str, str]]:
    return [(words.split()[0], words.split()[1]) for words in options if " " in words]


def _as_printed(text: str) -> list[str]:
    """Return lines that the formatter leaves alone."""
    shown = [line.replace("\\", "\\e").replace("-", "\\-") for line in text.strip().splitlines()]
    return [".nf", *(f"\\&{line}" if line[:1] in {".", "'"} else line for line in shown), ".fi"]
