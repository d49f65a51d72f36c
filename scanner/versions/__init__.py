"""Version schemes, one file each: a version string becomes a sortable key (docs/matching.md section 3)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from scanner.versions import (
    apk,
    bitnami,
    built,
    composer,
    dpkg,
    gem,
    go,
    maven,
    nuget,
    numeric,
    opam,
    pep440,
    rpm,
    semver,
    semver_tag,
)
from scanner.versions.form import Unparsable

__all__ = ["SEMVER_SCHEMES", "Unparsable", "comparator_name", "key"]

_SCHEMES: Final[Mapping[str, Callable[[str], Any]]] = {
    "apk": apk.key,
    "bitnami": bitnami.key,
    "composer": composer.key,
    "cran": numeric.cran_key,
    "dpkg": dpkg.key,
    "gem": gem.key,
    "ghc": numeric.ghc_key,
    "go": go.key,
    "hackage": numeric.hackage_key,
    "julia": built.julia_key,
    "maven": maven.key,
    "nuget": nuget.key,
    "opam": opam.key,
    "pep440": pep440.key,
    "pub": built.pub_key,
    "rpm": rpm.key,
    "semver": semver.key,
    "semver-tag": semver_tag.key,
}

SEMVER_SCHEMES: Final = frozenset({"bitnami", "go", "julia", "pub", "semver", "semver-tag"})
"""Schemes that are SemVer with the spellings or the order of their ecosystem, so that they order ``SEMVER`` ranges."""

# Names as the OSV schema has them, without the release that may follow a colon.
_ECOSYSTEMS: Final[Mapping[str, str]] = {
    "AlmaLinux": "rpm",
    "Alpaquita": "apk",
    "Alpine": "apk",
    "Azure Linux": "rpm",
    "BellSoft Hardened Containers": "apk",
    "Bioconductor": "cran",
    "Bitnami": "bitnami",
    "CRAN": "cran",
    "Chainguard": "apk",
    "CleanStart": "apk",
    "Debian": "dpkg",
    "Echo": "dpkg",
    "GHC": "ghc",
    "GitHub Actions": "semver-tag",
    "Go": "go",
    "Hackage": "hackage",
    "Hex": "semver",
    "Julia": "julia",
    "Mageia": "rpm",
    "Maven": "maven",
    "MinimOS": "apk",
    "NuGet": "nuget",
    "Packagist": "composer",
    "Photon OS": "rpm",
    "Pub": "pub",
    "PyPI": "pep440",
    "Red Hat": "rpm",
    "Rocky Linux": "rpm",
    "RubyGems": "gem",
    "SUSE": "rpm",
    "SwiftURL": "semver-tag",
    "Ubuntu": "dpkg",
    "VSCode": "semver",
    "Wolfi": "apk",
    "crates.io": "semver",
    "npm": "semver",
    "openEuler": "rpm",
    "openSUSE": "rpm",
    "opam": "opam",
}

# Echo rebuilds packages of other ecosystems, and counts its builds of npm packages in the build metadata.
_WITH_SUFFIX: Final[Mapping[str, str]] = {"Echo:Maven": "maven", "Echo:PyPI": "pep440", "Echo:npm": "pub"}


def comparator_name(ecosystem: str) -> str | None:
    """Return the name of the scheme that orders an ecosystem's versions, ``None`` where there is none here."""
    return _WITH_SUFFIX.get(ecosystem) or _ECOSYSTEMS.get(ecosystem.partition(":")[0])


def key(ecosystem: str, version: str) -> Any:
    """Return a key that is ordered, equal and hashable among the keys of the same ecosystem.

    Raises ``Unparsable`` for a text that is no version there, and for every text of an ecosystem without a scheme.
    """
    scheme = comparator_name(ecosystem)
    if scheme is None:
        raise Unparsable(version)
    return _SCHEMES[scheme](version)
