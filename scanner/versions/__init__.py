"""Version schemes, one file each: a version string becomes a sortable key (docs/matching.md section 3)."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from scanner.versions import go, pep440, semver
from scanner.versions.unparsable import Unparsable

__all__ = ["Unparsable", "comparator_name", "key"]

# npm, crates.io and Hex admit nothing but SemVer at publication.
_SCHEMES: Final[Mapping[str, tuple[str, Callable[[str], Any]]]] = {
    "Go": ("go", go.key),
    "Hex": ("semver", semver.key),
    "PyPI": ("pep440", pep440.key),
    "crates.io": ("semver", semver.key),
    "npm": ("semver", semver.key),
}


def comparator_name(ecosystem: str) -> str | None:
    """Return the name of the scheme that orders an ecosystem's versions, ``None`` where there is none here."""
    scheme = _SCHEMES.get(ecosystem.partition(":")[0])
    return scheme[0] if scheme else None


@lru_cache(maxsize=1 << 16)
def key(ecosystem: str, version: str) -> Any:
    """Return a key that is ordered, equal and hashable among the keys of the same ecosystem.

    Raises ``Unparsable`` for a text that is no version there, and for every text of an ecosystem without a scheme.
    """
    scheme = _SCHEMES.get(ecosystem.partition(":")[0])
    if scheme is None:
        raise Unparsable(version)
    return scheme[1](version)
