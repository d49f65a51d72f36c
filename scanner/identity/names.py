"""The one spelling under which a package is indexed and looked up (docs/matching.md section 1.3)."""

from collections.abc import Callable, Mapping
from typing import Final

_PEP503: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ_.", "abcdefghijklmnopqrstuvwxyz--")
_LOWER: Final = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")
_SCHEMES: Final = ("https://", "http://", "git://", "ssh://git@")


def normalise(ecosystem: str, name: str) -> str:
    """Return the one spelling of a package's name in its ecosystem; total and idempotent, for any two texts.

    The same function builds the index of a feed snapshot, so that a look-up is one exact comparison.
    """
    rule = _RULES.get(ecosystem.partition(":")[0])
    return rule(name) if rule else name


def pep503(name: str) -> str:
    """Return a name as PEP 503 spells it, over ASCII: lower case, one hyphen for each run of ``-``, ``_``, ``.``."""
    name = name.translate(_PEP503)
    while "--" in name:
        name = name.replace("--", "-")
    return name


def lower(name: str) -> str:
    """Return a name with its ASCII letters in lower case."""
    return name.translate(_LOWER)


def _git_url(name: str) -> str:
    """Return host and path of a repository: the advisory data have both ``github.com/a/b`` and its address."""
    name = name.translate(_LOWER)
    start, end = 0, len(name)
    while scheme := next((one for one in _SCHEMES if name.startswith(one, start)), None):
        start += len(scheme)
    while ending := next((one for one in (".git", "/") if name.endswith(one, start, end)), None):
        end -= len(ending)
    return name[start:end]


# What is not here is compared as it is spelled.
_RULES: Final[Mapping[str, Callable[[str], str]]] = {
    "Bitnami": lower,
    "GitHub Actions": lower,
    # The Package URL specification wants golang names in lower case while the advisory data keep their capitals.
    "Go": lower,
    "Hex": lower,
    "NuGet": lower,
    "Packagist": lower,
    "Pub": lower,
    "PyPI": pep503,
    "SwiftURL": _git_url,
}


def is_name(ecosystem: str, name: str) -> bool:
    """Tell whether a package of an ecosystem can have this name, by the signs that the ecosystem allows.

    Names that nothing has are found nowhere, which is not the same as having no advisory.
    """
    kind = ecosystem.partition(":")[0]
    signs, parts = _FORMS.get(kind, (_ANY, 1))
    if kind == "npm" and name.startswith("@"):
        parts = 2
    segments = name.split(":" if kind == "Maven" else "/")
    return parts in {0, len(segments)} and all(segment and signs.issuperset(segment) for segment in segments)


_WORD: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_ANY: Final = frozenset(chr(code) for code in range(0x21, 0x7F)) - {"/"}
# Ecosystem -> the signs of a segment of its names, and how many segments; 0 is any number. Others: one of any ASCII.
_FORMS: Final[Mapping[str, tuple[frozenset[str], int]]] = {
    "Bioconductor": (_WORD, 1),
    "Bitnami": (_WORD, 1),
    "CRAN": (_WORD, 1),
    "GitHub Actions": (_WORD, 0),
    "Go": (_ANY, 0),
    "Hackage": (_WORD, 1),
    "Hex": (_WORD, 0),
    "Julia": (_WORD, 1),
    "Maven": (_WORD, 2),
    "NuGet": (_WORD, 1),
    "Packagist": (_WORD, 2),
    "Pub": (_WORD, 1),
    "PyPI": (_WORD, 1),
    "RubyGems": (_WORD, 1),
    "SwiftURL": (_ANY, 0),
    "crates.io": (_WORD, 1),
}
