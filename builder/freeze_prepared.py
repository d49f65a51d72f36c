"""What a frozen program has ready that a checkout works out anew: help texts, and templates as Python.

Both are modules of the generated package ``prepared``. Help needs the command-line library, which is half of a short
run; a report needs Jinja2's compiler, which is slower than all else in a report. A checkout has no such package, and
works the same without it.
"""

import io
import os
from collections.abc import Iterator
from contextlib import redirect_stdout
from importlib import import_module
from pathlib import Path

import stella
from builder import frozen_contents
from verifier import texts
from verifier.cli import _runner

PACKAGE = "prepared"
HELP = "help_texts"
TEMPLATES = "*.j2"

_COLUMNS = "80"


def write(root: Path, target: Path) -> list[str]:
    """Write the package below a directory and return the dotted names of its modules; ``root`` is the checkout."""
    package = target / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    sources = {"__init__": '"""Made while freezing."""\n', HELP: f"TEXTS = {help_texts()!r}\n"}
    for path in (root / "templates").glob(TEMPLATES):
        sources[texts.module_of(path.name).rpartition(".")[2]] = texts.compiled(path.name)
    for name, source in sources.items():
        (package / f"{name}.py").write_text(source, encoding="utf-8")
    return sorted([PACKAGE, *(f"{PACKAGE}.{name}" for name in sources if name != "__init__")])


def stand_ins(target: Path) -> list[tuple[str, str, str]]:
    """Write what is frozen in place of modules left out below a directory; return name, file and kind of each."""
    for name, source in frozen_contents.STAND_INS.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(source, encoding="utf-8")
    names = {path: ".".join(Path(path).with_suffix("").parts) for path in frozen_contents.STAND_INS}
    return sorted((name.removesuffix(".__init__"), str(target / path), "PYMODULE") for path, name in names.items())


def help_texts() -> dict[str, str]:
    """Return what ``--help`` prints after each of the installed commands, by the words before it."""
    os.environ["COLUMNS"] = _COLUMNS
    return {" ".join(words): _said([*words, "--help"]) for words in _commands()}


def _commands() -> Iterator[list[str]]:
    """Yield the words of every command and of every command of a group."""
    for name, command in sorted(stella.COMMANDS.items()):
        modules = stella.present(command)
        if not modules:
            continue
        yield [name]
        from typer.main import get_command

        for module in modules:
            group = getattr(import_module(module), "app", None)
            if group is not None:
                inner = get_command(group)
                yield from ([name, each] for each in sorted(getattr(inner, "commands", {inner.name: inner})))


def _said(words: list[str]) -> str:
    with redirect_stdout(io.StringIO()) as said:
        code = _runner.run(lambda: stella.dispatch(words))
    if code:
        raise SystemExit(code)
    return said.getvalue()
