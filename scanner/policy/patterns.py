"""Patterns for package URLs: ``*`` within a segment, one ``**`` for any number of segments (docs/matching.md 7.2).

No backtracking: a segment is searched once for each literal part, and what stands before and after ``**`` is anchored,
so the time is linear in pattern and package URL.
"""

import msgspec

from scanner.spelling import comparable, folded

MAX_LENGTH = 512


class BadPattern(Exception):
    """A text is not a pattern; the argument says why. Never leaves the policy."""


class Pattern(msgspec.Struct, frozen=True):
    """A compiled pattern.

    ``head`` and ``tail`` are the segments of type, namespace and name before and after ``**``; ``tail`` is ``None``
    where there is none. ``version`` is ``None`` where any will do.
    """

    head: tuple[str, ...]
    tail: tuple[str, ...] | None
    version: str | None

    @property
    def cost(self) -> int:
        """The comparisons of one match at most."""
        return 1 + len(self.head) + len(self.tail or ())

    def matches(self, purl: str) -> bool:
        """Tell whether a component's package URL, qualifiers and subpath aside, is of this pattern."""
        found = comparable(purl)
        if found is None:
            return False
        segments, version = found
        if self.version is not None and not fits(self.version, version):
            return False
        if self.tail is None:
            return len(segments) == len(self.head) and _all_fit(self.head, segments)
        rest = len(segments) - len(self.tail)
        return rest >= len(self.head) and _all_fit(self.head, segments) and _all_fit(self.tail, segments[rest:])


def compile_pattern(text: str) -> Pattern:
    """Return a compiled pattern ``pkg:TYPE/[NAMESPACE/]NAME[@VERSION]``; raises :class:`BadPattern`."""
    if len(text) > MAX_LENGTH or not text.isprintable():
        raise BadPattern(f"a printable text of at most {MAX_LENGTH} characters is needed")
    if not text.startswith("pkg:"):
        raise BadPattern("a pattern begins with pkg:")
    if "?" in text or "#" in text or "%" in text:
        raise BadPattern("a pattern has no qualifiers, no subpath and no percent escapes")
    path, version = _split(text.removeprefix("pkg:"))
    segments = path.split("/")
    if len(segments) < 2 or "" in segments:
        raise BadPattern("a pattern has a type and a name: pkg:TYPE/NAME")
    if any("**" in segment and segment != "**" for segment in segments) or segments[0] == "**":
        raise BadPattern("** stands for whole segments after the type")
    if segments.count("**") > 1:
        raise BadPattern("** stands once in a pattern")
    if version is not None and (not version or "**" in version):
        raise BadPattern("the version is empty or has **")
    kind = segments[0].lower()
    spelled = (kind, *(segment if segment == "**" else folded(kind, segment) for segment in segments[1:]))
    if "**" not in spelled:
        return Pattern(spelled, None, version)
    place = spelled.index("**")
    return Pattern(spelled[:place], spelled[place + 1 :], version)


def fits(pattern: str, text: str) -> bool:
    """Tell whether a text is of a pattern in which ``*`` stands for any characters, or none."""
    if pattern == "*":
        return True
    first, *parts = pattern.split("*")
    if not parts:
        return text == first
    last = parts.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    place, end = len(first), len(text) - len(last)
    for part in parts:
        place = text.find(part, place, end)
        if place < 0:
            return False
        place += len(part)
    return True


def _all_fit(patterns: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    return all(map(fits, patterns, segments))


def _split(text: str) -> tuple[str, str | None]:
    """Split off the version; the sign that opens an npm scope is part of the path."""
    path, at, version = text.rpartition("@")
    if not at or path.endswith("/") or "/" in version:
        return text, None
    return path, version
