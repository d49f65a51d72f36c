"""Where things stand in a TOML document (TOML 1.0): the line of every table, key and list item.

The standard library's reader says what a document means and not where; a person who has to mend a policy needs the
line. This walks a document that the reader has accepted, so it need not find faults itself.
"""

import re
import tomllib
from collections.abc import Sequence

Path = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_TEXTS = (
    re.compile(r'"""(?:[^\\"]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)
"""Texts, the longer delimiters first. Each alternative begins with another character, so none can backtrack."""

_TOKEN = re.compile(
    rf"(?P<blank>[ \t]+)|(?P<dot>\.)|(?P<part>(?s:{'|'.join(one.pattern for one in _TEXTS)}|{_BARE_KEY.pattern}))"
    r"|(?P<other>#[^\n]*|[^\0])"
)
"""What a document is made of where only dotted keys matter."""


def lines(text: str) -> dict[Path, int]:
    """Return the line, from 1, of every key, table and item of a valid document; the document's own path is ``()``."""
    return _Walk(text).places


def line_of(places: dict[Path, int], path: Sequence[str | int]) -> int:
    """Return the line of a place, or of the nearest thing that holds it."""
    given = tuple(path)
    while given not in places:
        given = given[:-1]
    return places[given]


def longest_key(text: str) -> int:
    """Return the number of parts of the longest dotted key, of any text up to where it is no TOML.

    The standard library's reader takes memory by the square of that number, so this is asked before.
    """
    longest = parts = 0
    after_dot = False
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "part":
                parts = parts + 1 if after_dot else 1
                after_dot = False
                longest = max(longest, parts)
            case "dot":
                after_dot = parts > 0
            case "other":
                parts, after_dot = 0, False
    return longest


class _Walk:
    """One pass over a document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._counted_to = 0
        self._line = 1
        self._items: dict[Path, int] = {}
        self.places: dict[Path, int] = {(): 1}
        table: Path = ()
        self._skip(_BLANK)
        while self._position < len(text):
            if text[self._position] == "[":
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)

    def _header(self) -> Path:
        """Read ``[a.b]`` or ``[[a.b]]`` and return the path of the table that it opens."""
        many = self._text.startswith("[[", self._position)
        line = self._here()
        self._position += 2 if many else 1
        keys = self._key()
        self._skip(_SPACE)
        self._position += 2 if many else 1
        path: Path = ()
        for key in keys[:-1]:
            path = self._inside((*path, key))
            self.places.setdefault(path, line)
        path = (*path, keys[-1])
        if many:
            self.places.setdefault(path, line)
            self._items[path] = self._items.get(path, -1) + 1
            path = (*path, self._items[path])
        self.places[path] = line
        return path

    def _inside(self, path: Path) -> Path:
        """Return the last item of a list of tables, the path itself of anything else."""
        return (*path, self._items[path]) if path in self._items else path

    def _pair(self, table: Path) -> None:
        """Read ``key = value``."""
        line = self._here()
        path = table
        for key in self._key():
            path = (*path, key)
            self.places.setdefault(path, line)
        self._skip(_SPACE)
        self._position += 1  # the sign =
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        """Read a key, dotted or not."""
        parts = []
        while True:
            self._skip(_SPACE)
            start = self._position
            if self._text[start] in "\"'":
                self._skip_text()
                quoted = self._text[start : self._position]
                parts.append(next(iter(tomllib.loads(f"{quoted} = 0"))))
            else:
                self._skip(_BARE_KEY)
                parts.append(self._text[start : self._position])
            self._skip(_SPACE)
            if self._text[self._position] != ".":
                return parts
            self._position += 1

    def _value(self, path: Path) -> None:
        sign = self._text[self._position]
        if sign in "\"'":
            self._skip_text()
        elif sign == "[":
            self._list(path)
        elif sign == "{":
            self._inline_table(path)
        else:
            self._skip(_SCALAR)

    def _list(self, path: Path) -> None:
        self._position += 1
        self._skip(_BLANK)
        count = 0
        while self._text[self._position] != "]":
            item = (*path, count)
            self.places[item] = self._here()
            self._value(item)
            self._after_item()
            count += 1
        self._position += 1

    def _inline_table(self, path: Path) -> None:
        self._position += 1
        self._skip(_BLANK)
        while self._text[self._position] != "}":
            self._pair(path)
            self._after_item()
        self._position += 1

    def _after_item(self) -> None:
        self._skip(_BLANK)
        if self._text[self._position] == ",":
            self._position += 1
            self._skip(_BLANK)

    def _skip_text(self) -> None:
        for pattern in _TEXTS:
            found = pattern.match(self._text, self._position)
            if found:
                self._position = found.end()
                return

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._position)
        if found:
            self._position = found.end()

    def _here(self) -> int:
        """Return the line of the position."""
        self._line += self._text.count("\n", self._counted_to, self._position)
        self._counted_to = self._position
        return self._line
