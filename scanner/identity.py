"""Package identity: a package URL becomes an ecosystem and a package name of the advisory data (docs/matching.md, 1).

The parser follows the Package URL specification's "how to parse". What cannot be evaluated is a value with a stable
reason, never an exception, so that the accounting of an evaluation stays complete.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

Reason = Literal["no-purl", "bad-purl", "unsupported-ecosystem", "no-version"]

MAX_LENGTH: Final = 4_096

_HEX: Final = "0123456789ABCDEFabcdef"
_BYTE_OF: Final[Mapping[str, int]] = {high + low: int(high + low, 16) for high in _HEX for low in _HEX}
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz")
_TYPE_SIGNS: Final = _LETTERS | frozenset("0123456789.-+")
_KEY_SIGNS: Final = _LETTERS | frozenset("0123456789.-_")
_GO_STANDARD_LIBRARY: Final = frozenset({"go", "std", "stdlib"})
_PEP503: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", "abcdefghijklmnopqrstuvwxyz--")
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


class BadPurl(Exception):
    """A text is not a package URL; the argument says why. Never leaves the scanner."""


@dataclass(frozen=True, slots=True)
class Purl:
    """A parsed package URL, percent-decoded; absent parts are empty, an absent version is ``None``."""

    type: str
    namespace: str
    name: str
    version: str | None
    qualifiers: tuple[tuple[str, str], ...]
    subpath: str


@dataclass(frozen=True, slots=True)
class Package:
    """What is looked up in the feeds: name in the normal form of ``normalise``, version as the SBOM spells it."""

    ecosystem: str
    name: str
    version: str


@dataclass(frozen=True, slots=True)
class NotEvaluated:
    """A component that cannot be looked up, with a stable reason code and a detail for people."""

    reason: Reason
    detail: str = ""


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


def normalise(ecosystem: str, name: str) -> str:
    """Return the one spelling under which a package is indexed and looked up; total, for any two texts.

    PyPI: PEP 503 over ASCII. Go: lower case over ASCII, since the Package URL specification wants golang names so while
    the advisory data keep their capitals. Any other ecosystem: the name as it is.
    """
    family = ecosystem.partition(":")[0]
    if family == "Go":
        return name.translate(_LOWER)
    if family != "PyPI":
        return name
    name = name.translate(_PEP503)
    while "--" in name:
        name = name.replace("--", "-")
    return name


def from_purl(purl: str | None, *, version: str | None = None) -> Package | NotEvaluated:
    """Map a component's package URL to the package it is in the advisory data.

    ``version`` is the component's own version field; it counts only where the package URL names none.
    """
    if not purl:
        return NotEvaluated("no-purl")
    try:
        parsed = parse_purl(purl)
    except BadPurl as fault:
        return NotEvaluated("bad-purl", str(fault))
    version = (parsed.version or version or "").strip()
    place = locate(parsed, version)
    if isinstance(place, NotEvaluated):
        return place
    return Package(*place, version) if version else NotEvaluated("no-version")


def locate(purl: Purl, version: str) -> tuple[str, str] | NotEvaluated:
    """Return the ecosystem and normalised name of a package URL; ``version`` is the component's effective one."""
    mapper = _MAPPERS.get(purl.type)
    return mapper(purl, version) if mapper else NotEvaluated("unsupported-ecosystem", purl.type)


def _pypi(purl: Purl, _version: str) -> tuple[str, str] | NotEvaluated:
    if purl.namespace:
        return NotEvaluated("bad-purl", "pypi has no namespaces")
    return "PyPI", normalise("PyPI", purl.name)


def _golang(purl: Purl, version: str) -> tuple[str, str]:
    path = f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name
    if path in _GO_STANDARD_LIBRARY:
        path = "stdlib"
    suffix = purl.subpath.partition("/")[0]
    if _is_major_suffix(suffix, version) and not path.endswith(f"/{suffix}"):
        path = f"{path}/{suffix}"
    return "Go", normalise("Go", path)


def _is_major_suffix(segment: str, version: str) -> bool:
    """Tell whether a subpath's first part is the module's major version suffix and not merely a directory named so."""
    major = version.removeprefix("v").partition(".")[0]
    return segment == f"v{major}" and major not in {"0", "1"} and not version.endswith("+incompatible")


# The seam for further ecosystems: package URL type -> where the package is in the advisory data.
_MAPPERS: Final[Mapping[str, Callable[[Purl, str], tuple[str, str] | NotEvaluated]]] = {
    "golang": _golang,
    "pypi": _pypi,
}


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
