"""Package URLs, parsed (docs/matching.md section 1.1).

The parser follows the Package URL specification's "how to parse", and says in a word why a text is none.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import msgspec

MAX_LENGTH: Final = 4_096

_HEX: Final = "0123456789ABCDEFabcdef"
_BYTE_OF: Final[Mapping[str, int]] = {high + low: int(high + low, 16) for high in _HEX for low in _HEX}
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_TYPE_SIGNS: Final = _LETTERS | frozenset("0123456789.-+")
_KEY_SIGNS: Final = _LETTERS | frozenset("0123456789.-_")


class BadPurl(Exception):
    """A text is not a package URL; the argument says why. Never leaves the scanner."""


class Purl(msgspec.Struct, frozen=True):
    """A parsed package URL, percent-decoded; absent parts are empty, an absent version is ``None``."""

    type: str
    namespace: str
    name: str
    version: str | None
    qualifiers: tuple[tuple[str, str], ...]
    subpath: str

    def qualifier(self, key: str) -> str:
        """Return the value of a qualifier, empty where there is none."""
        return next((value for name, value in self.qualifiers if name == key), "")


@lru_cache(maxsize=1 << 14)
def parse_purl(text: str) -> Purl:
    """Parse one package URL.

    Stricter than the specification where leniency would guess: a broken percent escape, a control character, a repeated
    qualifier raise ``BadPurl``. Laxer where generators are known to err: an unescaped ``@`` of an npm scope.
    """
    if len(text) > MAX_LENGTH:
        raise BadPurl("too long")
    rest, _, fragment = text.partition("#")
    rest, _, query = rest.partition("?")
    scheme, colon, rest = rest.partition(":")
    if not colon or scheme.lower() != "pkg":
        raise BadPurl("the scheme is not pkg")
    kind, slash, rest = rest.strip("/").partition("/")
    kind = kind.lower()
    if not slash or not kind or kind[0] not in _LETTERS or not _TYPE_SIGNS.issuperset(kind):
        raise BadPurl("the type is missing or malformed")
    path, version = _split_version(rest)
    segments = [_decoded(segment) for segment in path.split("/") if segment]
    if not segments or not segments[-1]:
        raise BadPurl("the name is missing")
    return Purl(
        type=kind,
        namespace="/".join(segments[:-1]),
        name=segments[-1],
        version=_decoded(version) or None,
        qualifiers=_qualifiers(query) if query else (),
        subpath=_subpath(fragment) if fragment else "",
    )


def _split_version(rest: str) -> tuple[str, str]:
    path, at, version = rest.rpartition("@")
    # In "@scope/name" the sign opens a part of the path; a version follows a name.
    if not at or ((not path or path.endswith("/")) and "/" in version):
        return rest, ""
    return path, version


def _qualifiers(query: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for pair in query.split("&"):
        key, equals, value = pair.partition("=")
        key = key.lower()
        if not equals or not key or key[0] not in _LETTERS or not _KEY_SIGNS.issuperset(key):
            raise BadPurl("a qualifier is malformed")
        if key in found:
            raise BadPurl("a qualifier is given twice")
        found[key] = _decoded(value)
    return tuple(sorted((key, value) for key, value in found.items() if value))


def _subpath(fragment: str) -> str:
    parts = (_decoded(part) for part in fragment.split("/"))
    return "/".join(part for part in parts if part not in {"", ".", ".."})


def _decoded(text: str) -> str:
    if "%" in text:
        head, *escapes = text.split("%")
        raw = bytearray(head.encode())
        try:
            for escape in escapes:
                raw.append(_BYTE_OF[escape[:2]])
                raw += escape[2:].encode()
            text = raw.decode()
        except (KeyError, UnicodeError):
            raise BadPurl("a percent escape is malformed") from None
    # Control characters are never printable; what else is not printable differs between editions of Unicode.
    if not text.isprintable() and any(sign < " " or "\x7f" <= sign < "\xa0" for sign in text):
        raise BadPurl("a control character")
    return text
