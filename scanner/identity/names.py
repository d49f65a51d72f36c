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
    while scheme := next((one for one in _SCHEMES if name.startswith(one)), None):
        name = name[len(scheme) :]
    while name.endswith((".git", "/")):
        name = name.removesuffix("/").removesuffix(".git")
    return name


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
