"""Output of every command: data on stdout, talk on stderr, one verdict line at the end.

All of it is printable ASCII, whatever a kit's names hold; only ``raw`` passes bytes on as they are, and never to a
terminal.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, TextIO

from kit.errors import UsageError
from verifier import stopping
from verifier.cli.numbered import Numbered

if TYPE_CHECKING:
    from kit.result import Check

_WIDTH_OF_STATES = 8
_WIDTH_OF_NAMES = 12


class Progress(StrEnum):
    """How steps are shown: ``auto`` adds a status line on a terminal, ``json`` is one object a step on stderr."""

    AUTO = "auto"
    PLAIN = "plain"
    JSON = "json"
    NONE = "none"


class Verdict(NamedTuple):
    """How a run ended; a command returns it, and its code becomes the exit code."""

    word: str
    exit_code: int
    next_step: str


class Console:
    """What a command says. With ``json`` the data are one JSON document instead of text."""

    def __init__(self, *, json: bool = False, progress: str = Progress.AUTO) -> None:
        if progress not in set(Progress):
            raise UsageError(detail=f"--progress takes {', '.join(Progress)}", found=progress).then(
                "Give --progress auto, plain, json or none."
            )
        self.json = json
        self.progress = Progress(progress)
        self._status = ""
        self._at_work = "starting"
        self._numbered = Numbered(self._show_check)

    @property
    def is_conversation(self) -> bool:
        """Tell whether one pair of eyes reads both streams, so that nothing need be said on both.

        That is a terminal, or one file, log or pipe that takes both.
        """
        return not self.json and ((_is_terminal(sys.stdout) and _is_terminal(sys.stderr)) or _are_one())

    @property
    def on_terminal(self) -> bool:
        """Tell whether the data go to a terminal."""
        return _is_terminal(sys.stdout)

    def data(self, text: str) -> None:
        """Print lines of the result for people; nothing under ``--json``."""
        if not self.json:
            self._clear_status()
            write(sys.stdout, ascii_text(text) + "\n")

    def document(self, value: object) -> None:
        """Print the result: one line of JSON under ``--json``, else indented text. Takes whatever msgspec encodes."""
        import msgspec

        plain = msgspec.to_builtins(value, str_keys=True)
        if self.json:
            import json

            self._clear_status()
            write(sys.stdout, json.dumps(plain, sort_keys=True) + "\n")
        else:
            self.data("\n".join(_outline(plain, "")))

    def told(self, value: object, text: str) -> None:
        """Print the result: the document under ``--json``, else the text that was made of it for people."""
        if self.json:
            self.document(value)
        else:
            self.data(text)

    def raw(self, encoded: bytes) -> None:
        """Print a JSON document that is encoded already: byte for byte, but escaped to ASCII on a terminal."""
        self._clear_status()
        if _is_terminal(sys.stdout):
            import json

            write(sys.stdout, json.dumps(json.loads(encoded), separators=(",", ":")) + "\n")
        else:
            write(sys.stdout, encoded.decode() + "\n", encoding="utf-8")

    def drawing(self, lines: str) -> None:
        """Print lines that a terminal is to draw, colours and blocks included; nothing under ``--json``."""
        if not self.json:
            self._clear_status()
            write(sys.stdout, lines, encoding="utf-8")

    def text(self, encoded: bytes) -> None:
        """Print finished ASCII lines as they are."""
        self._clear_status()
        write(sys.stdout, encoded.decode("ascii"))

    def talk(self, text: str) -> None:
        """Say something that is not part of the result."""
        self._clear_status()
        write(sys.stderr, ascii_text(text) + "\n")

    def step(self, name: str, state: str, detail: str = "") -> None:
        """Show a step: ``running`` only as the status line of a terminal, any other state (``passed``, …) for good."""
        if self.progress is Progress.NONE:
            return
        if self.progress is Progress.JSON:
            import json

            fields = {"step": name, "state": state} | ({"detail": detail} if detail else {})
            write(sys.stderr, json.dumps(fields) + "\n")
            return
        line = one_line(f"{state:{_WIDTH_OF_STATES}}  {name}" + (f": {detail}" if detail else ""))
        if state == "running":
            self._at_work = f"{name.strip()} {detail}"
        if state != "running":
            self.talk(line)
        elif self.progress is Progress.AUTO and _is_terminal(sys.stderr):
            self._show_status(line)

    def check(self, check: "Check") -> None:
        """Show one numbered check of a run: for people in the order of numbers, and the unmade after a failure as one.

        A program that reads along hears of each as it is made.
        """
        self._at_work = f"after check {check.number} {check.name}"
        if self.progress is Progress.JSON:
            self._show_check(str(check.number), check)
        else:
            self._numbered.add(check)

    def _show_check(self, number: str, check: "Check") -> None:
        name = check.name if number.isdigit() else "checks"
        self.step(f"{number:>2} {name}", check.state, check.detail or "")

    def beating(self) -> AbstractContextManager[None]:
        """Return what lets a long command say every half minute that it is at work."""
        from verifier.cli import pulse

        return pulse.beating(self._beat)

    def _beat(self, seconds: int) -> None:
        """Say what is at work; straight to the descriptor, for a line may be half written to the stream just now."""
        if self.progress is Progress.NONE or sys.stderr is None:
            return
        if self.progress is Progress.JSON:
            line = f'{{"step": "at work", "state": "running", "detail": "{seconds} s"}}\n'
        else:
            self._status = ""
            line = one_line(f"running   {self._at_work}, {seconds} s") + "\n"
        with suppress(OSError):
            os.write(sys.stderr.fileno(), line.encode("ascii"))

    def verdict(self, word: str, exit_code: int, next_step: str = "") -> Verdict:
        """Print the verdict line, the last of the run, and return what the command returns in its turn.

        What it says is the exit code: no request to stop comes in between.
        """
        stopping.settle()
        self._numbered.end()
        self.talk(one_line(f"VERDICT  {word} ({exit_code})" + (f"  next: {next_step}" if next_step else "")))
        return Verdict(word, exit_code, next_step)

    def _show_status(self, line: str) -> None:
        self._clear_status()
        self._status = line[: columns() - 1]
        write(sys.stderr, self._status)

    def _clear_status(self) -> None:
        if self._status:
            write(sys.stderr, "\r" + " " * len(self._status) + "\r")
            self._status = ""


def ascii_text(text: str) -> str:
    """Return printable ASCII: any other character but newline and tab as its backslash escape.

    A file name in a hostile kit may hold anything, terminal commands included.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character if character in "\n\t" or (character.isascii() and character.isprintable()) else _escape(character)
        for character in text
    )


def one_line(text: str) -> str:
    """Return printable ASCII without newlines and tabs, which become escapes as well."""
    return ascii_text(text).replace("\n", "\\n").replace("\t", "\\t")


def write(stream: TextIO | None, text: str, encoding: str = "ascii") -> None:
    """Write and flush. A reader that went away is no error: the run goes on, and its exit code tells the truth."""
    if stream is None:  # the caller closed the descriptor
        return
    try:
        stream.flush()
        stream.buffer.write(text.encode(encoding))
        stream.flush()
    except OSError as error:
        _silence(stream)
        if not isinstance(error, BrokenPipeError):
            raise


def _silence(stream: TextIO) -> None:
    """Point the stream at nothing, so that what it still holds cannot fail again when the program ends."""
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, stream.fileno())
    os.close(sink)


def _outline(value: object, indent: str) -> Iterator[str]:
    """Yield the lines of a document as people read it: members by name, elements by a dash."""
    match value:
        case dict() if value:
            for name, member in value.items():
                if isinstance(member, dict | list | tuple) and member:
                    yield f"{indent}{name}"
                    yield from _outline(member, indent + "  ")
                else:
                    yield f"{indent}{name:<{_WIDTH_OF_NAMES}} {_scalar(member)}"
        case list() | tuple() if value:
            for element in value:
                first, *rest = _outline(element, "")
                yield f"{indent}- {first}"
                yield from (f"{indent}  {line}" for line in rest)
        case _:
            yield indent + _scalar(value)


def _scalar(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value in (None, [], (), {}, "") else one_line(str(value))


def _escape(character: str) -> str:
    return f"\\x{ord(character):02x}" if character.isascii() else character.encode("ascii", "backslashreplace").decode()


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


def _are_one() -> bool:
    """Tell whether both streams lead to the same place."""
    try:
        return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # closed, or not of the operating system
        return False


def columns() -> int:
    """Return the width of the terminal, 80 where there is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
