"""From a component to the package that is looked up (docs/matching.md sections 1.2 to 1.6).

What cannot be looked up is a value with a stable reason, never an exception, so that the accounting stays complete.
"""

from collections.abc import Callable, Mapping
from typing import Final

from scanner.identity.distributions import DISTRIBUTIONS, ecosystem_of, from_distro, system, system_id
from scanner.identity.model import NotEvaluated, Package, Source, System
from scanner.identity.names import is_name, normalise
from scanner.identity.purl import BadPurl, Purl, parse_purl

SYSTEM_TYPES: Final = frozenset({"alpine", "apk", "deb", "rpm"})
"""Package URL types of operating-system packages; ``alpine`` is how older generators spell ``apk``."""

_GO_STANDARD_LIBRARY: Final = frozenset({"go", "std", "stdlib"})
_DIGITS: Final = frozenset("0123456789")


def from_purl(
    purl: str | None, *, version: str | None = None, source: Source | None = None, host: System | None = None
) -> Package | NotEvaluated:
    """Map a component's package URL to the package it is in the advisory data.

    ``version`` is the component's own version field; it counts only where the package URL names none. ``source`` is the
    source package that the generator names beside the package URL, ``host`` the operating system that the SBOM
    describes; both count for packages of operating systems, where the package URL does not say.
    """
    parsed = read_purl(purl)
    if isinstance(parsed, NotEvaluated):
        return parsed
    return identify(parsed, version=version, source=source, host=host)


def read_purl(purl: str | None) -> Purl | NotEvaluated:
    """Return a component's package URL, parsed, or why there is none."""
    if not purl:
        return NotEvaluated("no-purl")
    try:
        return parse_purl(purl)
    except BadPurl as fault:
        return NotEvaluated("bad-purl", str(fault))


def identify(
    purl: Purl, *, version: str | None = None, source: Source | None = None, host: System | None = None
) -> Package | NotEvaluated:
    """Map a parsed package URL as ``from_purl`` does."""
    version = (purl.version or version or "").strip()
    if purl.type in SYSTEM_TYPES:
        return _system_package(purl, version, source, host)
    place = locate(purl, version)
    if isinstance(place, NotEvaluated):
        return place
    return Package(*place, version) if version else NotEvaluated("no-version")


def locate(purl: Purl, version: str) -> tuple[str, str] | NotEvaluated:
    """Return the ecosystem and normalised name of what a package URL itself names; ``version`` is the effective one.

    For a package of an operating system these are the ecosystem without release and the binary package's name.
    """
    if purl.type in SYSTEM_TYPES:
        known = system_id(purl.namespace) if purl.namespace else _DEFAULT_SYSTEM.get(purl.type)
        if known is None or DISTRIBUTIONS[known].kind != _kind(purl):
            return NotEvaluated("unsupported-ecosystem", _place_of(purl))
        place: tuple[str, str] | NotEvaluated = DISTRIBUTIONS[known].ecosystem, purl.name
    elif mapper := _MAPPERS.get(purl.type):
        place = mapper(purl, version)
    else:
        return NotEvaluated("unsupported-ecosystem", purl.type)
    if isinstance(place, NotEvaluated) or is_name(*place):
        return place
    return _no_name(place[0])


def _no_name(ecosystem: str) -> NotEvaluated:
    return NotEvaluated("bad-purl", f"no package of {ecosystem} can have this name")


def _system_package(purl: Purl, version: str, source: Source | None, host: System | None) -> Package | NotEvaluated:
    found = _system_of(purl, host)
    if isinstance(found, NotEvaluated):
        return found
    distribution = DISTRIBUTIONS[found.id]
    version = _with_epoch(version, purl.qualifier("epoch"))
    name = purl.name
    if not distribution.binary:
        source = _upstream(purl, version) or source
        if source:
            name, version = source.name, _without_zero(source.version or version)
    if found.id == "ubuntu" and found.release and "esm" in version:
        ecosystem: str | NotEvaluated = f"Ubuntu:Pro:{found.release}"
    else:
        ecosystem = ecosystem_of(found)
    if isinstance(ecosystem, NotEvaluated):
        return ecosystem
    if not is_name(ecosystem, purl.name) or not is_name(ecosystem, name):
        return _no_name(ecosystem)
    return Package(ecosystem, normalise(ecosystem, name), version) if version else NotEvaluated("no-version")


def _system_of(purl: Purl, host: System | None) -> System | NotEvaluated:
    """Return the system of a package and its release, from the package URL or else from the SBOM's own system."""
    expected = system_id(purl.namespace) if purl.namespace else _DEFAULT_SYSTEM.get(purl.type)
    if purl.namespace and (expected is None or DISTRIBUTIONS[expected].kind != _kind(purl)):
        return NotEvaluated("unsupported-ecosystem", _place_of(purl))
    found: System | None = None
    distro, name = purl.qualifier("distro"), purl.qualifier("os_name")
    if distro:
        found = from_distro(distro, expected)
    elif name:
        found = system(name, purl.qualifier("os_version"))
        found = found if found and expected in {None, found.id} else None
    if (found is None or found.release is None) and not distro and host and expected in {None, host.id}:
        found = host
    if found is None and expected is not None:
        found = System(expected, None)
    if found is None or DISTRIBUTIONS[found.id].kind != _kind(purl):
        return NotEvaluated("unsupported-ecosystem" if found else "no-release", _place_of(purl))
    return found


def _kind(purl: Purl) -> str:
    return "apk" if purl.type == "alpine" else purl.type


def _place_of(purl: Purl) -> str:
    return f"{purl.type}/{purl.namespace}" if purl.namespace else purl.type


def _upstream(purl: Purl, version: str) -> Source | None:
    """Return what ``upstream`` names: ``name``, ``name@version``, or of an RPM the file name of the source package."""
    text = purl.qualifier("upstream")
    for ending in (".src.rpm", ".nosrc.rpm"):
        if text.endswith(ending):
            # The file name has no epoch; a package has that of its source unless its recipe says otherwise.
            rest, _, release = text.removesuffix(ending).rpartition("-")
            name, _, number = rest.rpartition("-")
            epoch, colon, _ = version.partition(":")
            return (
                Source(name, f"{epoch}{colon}{number}-{release}" if colon else f"{number}-{release}") if name else None
            )
    name, _, given = text.partition("@")
    return Source(name, given or None) if name else None


def _with_epoch(version: str, epoch: str) -> str:
    """Return a version with the epoch that a qualifier gives, unless it has one; the epoch 0 is no epoch."""
    if version and epoch and _DIGITS.issuperset(epoch) and ":" not in version:
        version = f"{epoch}:{version}"
    return _without_zero(version)


def _without_zero(version: str) -> str:
    return version.removeprefix("0:")


def _plain(ecosystem: str) -> Callable[[Purl, str], tuple[str, str] | NotEvaluated]:
    """Return the rule of a type whose packages have a name and nothing else."""

    def rule(purl: Purl, _version: str) -> tuple[str, str] | NotEvaluated:
        if purl.namespace:
            return NotEvaluated("bad-purl", f"{purl.type} has no namespaces")
        return ecosystem, normalise(ecosystem, purl.name)

    return rule


def _joined(ecosystem: str, separator: str = "/") -> Callable[[Purl, str], tuple[str, str] | NotEvaluated]:
    """Return the rule of a type whose packages have a namespace and a name, in the advisory data joined by a sign."""

    def rule(purl: Purl, _version: str) -> tuple[str, str] | NotEvaluated:
        if not purl.namespace:
            return NotEvaluated("bad-purl", f"{purl.type} needs a namespace")
        return ecosystem, normalise(ecosystem, f"{purl.namespace}{separator}{purl.name}")

    return rule


def _npm(purl: Purl, _version: str) -> tuple[str, str] | NotEvaluated:
    if purl.namespace and (not purl.namespace.startswith("@") or "/" in purl.namespace):
        return NotEvaluated("bad-purl", "an npm namespace is a scope, which begins with @")
    return "npm", f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name


def _hex(purl: Purl, _version: str) -> tuple[str, str]:
    return "Hex", normalise("Hex", f"{purl.namespace}/{purl.name}" if purl.namespace else purl.name)


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


_DEFAULT_SYSTEM: Final[Mapping[str, str]] = {"alpine": "alpine"}

# Package URL type -> where the package is in the advisory data.
_MAPPERS: Final[Mapping[str, Callable[[Purl, str], tuple[str, str] | NotEvaluated]]] = {
    "bioconductor": _plain("Bioconductor"),
    "bitnami": _plain("Bitnami"),
    "cargo": _plain("crates.io"),
    "composer": _joined("Packagist"),
    "cran": _plain("CRAN"),
    "gem": _plain("RubyGems"),
    "github": _joined("GitHub Actions"),
    "golang": _golang,
    "hackage": _plain("Hackage"),
    "hex": _hex,
    "julia": _plain("Julia"),
    "maven": _joined("Maven", ":"),
    "npm": _npm,
    "nuget": _plain("NuGet"),
    "opam": _plain("opam"),
    "pub": _plain("Pub"),
    "pypi": _plain("PyPI"),
    "swift": _joined("SwiftURL"),
}
