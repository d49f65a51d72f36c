"""Which components an operating-system package installed (docs/matching.md section 2.6).

A distribution patches what it packages, so that a finding by the upstream version of such a component is often none. It
is marked, never dropped: what follows from it is a policy's matter.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from scanner.identity import SYSTEM_TYPES, NotEvaluated, Purl, pep503
from scanner.sbom.found import Found

# (Package URL type of the system, type of the component) -> directories of the system's packages, and what those are
# called before the component's name. A * is the rest of a segment. On Debian no language's own installer writes there;
# elsewhere name and version decide.
_PLACES: Final[Mapping[tuple[str, str], tuple[tuple[str, str], ...]]] = {
    ("deb", "pypi"): (("usr/lib/python3/dist-packages/", "python3-"), ("usr/lib/python2.7/dist-packages/", "python-")),
    ("deb", "npm"): (("usr/share/nodejs/", "node-"),),
    ("deb", "gem"): (("usr/share/rubygems-integration/", "ruby-"),),
    ("apk", "pypi"): (("usr/lib/python*/site-packages/", "py3-"),),
    ("rpm", "pypi"): (
        ("usr/lib/python*/site-packages/", "python3-"),
        ("usr/lib64/python*/site-packages/", "python3-"),
    ),
}
_LETTERS_DIGITS_DOT: Final = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.")


def owners_of(
    components: Sequence[Found], purls: Mapping[str, Purl | NotEvaluated], stated: Mapping[str, str]
) -> dict[str, str]:
    """Return the owners by the refs of the owned, as the generator states them or else as place and name tell.

    ``purls`` and ``stated`` are by ref. Only a package of an operating system owns, and only what is none is owned.
    """
    parsed = {ref: purl for ref, purl in purls.items() if isinstance(purl, Purl)}
    systems = {ref for ref, purl in parsed.items() if purl.type in SYSTEM_TYPES}
    if not systems:
        return {}
    owners = {owned: owner for owned, owner in stated.items() if owner in systems and owned not in systems}
    packages: dict[tuple[str, str, str], str] = {}
    for one in components:
        purl = parsed.get(one.ref)
        if purl and one.ref in systems:
            key = (_kind(purl), pep503(purl.name), _upstream_version(purl.version or one.version or ""))
            packages[key] = min(one.ref, packages.get(key, one.ref))
    for one in components:
        purl = parsed.get(one.ref)
        if purl and one.locations and one.ref not in systems and one.ref not in owners:
            owner = _by_place(one, purl, packages)
            if owner is not None:
                owners[one.ref] = owner
    return owners


def _by_place(one: Found, purl: Purl, packages: Mapping[tuple[str, str, str], str]) -> str | None:
    """Return the package of the system that has the component's place, name and version."""
    version = purl.version or one.version
    for kind in ("apk", "deb", "rpm") if version else ():
        for directory, prefix in _PLACES.get((kind, purl.type), ()):
            owner = packages.get((kind, pep503(prefix + purl.name), version or ""))
            if owner is not None and all(_is_below(path, directory) for path in one.locations):
                return owner
    return None


def _is_below(path: str, directory: str) -> bool:
    if ".." in path.split("/"):
        return False
    path = path.lstrip("/")
    head, star, tail = directory.partition("*")
    if not star:
        return path.startswith(directory)
    return path.startswith(head) and path[len(head) :].partition("/")[2].startswith(tail[1:])


def _upstream_version(version: str) -> str:
    """Return a package's version without its epoch and without what the distribution adds, as of the first sign."""
    version = version.rpartition(":")[2]
    end = next((place for place, sign in enumerate(version) if sign not in _LETTERS_DIGITS_DOT), len(version))
    return version[:end]


def _kind(purl: Purl) -> str:
    return "apk" if purl.type == "alpine" else purl.type
