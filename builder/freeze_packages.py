"""Which packages of others got into the frozen program: asked of the interpreter that is frozen, by the spec.

A wheel may bring libraries that are no packages of Python: those it names itself (PEP 770), and those of two that name
none.
"""

import json
import platform
import re
from collections.abc import Iterable, Iterator
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from builder import frozen_contents
from kit.errors import EvidenceMissing

NAME = "packages.json"

_FREEZER = "pyinstaller"  # its start-up code is the program that people start
_INSIDE = {"pynacl": ("libsodium", "ISC"), "zstandard": ("zstd", "BSD-3-Clause OR GPL-2.0-only")}
_SODIUM = re.compile(r"libsodium`* to ([0-9][0-9A-Za-z.-]{0,30})", re.ASCII)
_KEPT = ("bom-ref", "hashes", "licenses", "name", "purl", "type", "version")
_COMMON = {
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
}


def write(target: Path, names: Iterable[str]) -> None:
    """Write the packages of the named modules and files as a list of CycloneDX components."""
    owners = metadata.packages_distributions()
    top = {re.split(r"[./]", name)[0] for name in names} - set(frozen_contents.ROOMS)
    found = {owner.lower().replace("_", "-") for name in top for owner in owners.get(name, [])}
    components = [_package(name) for name in sorted({*found, _FREEZER})]
    document = {"python": platform.python_version(), "packages": components}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document), encoding="utf-8")


def _package(name: str) -> dict[str, Any]:
    version = metadata.version(name)
    purl = f"pkg:pypi/{name}@{version}"
    made: dict[str, Any] = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
    made["licenses"] = _licences(name)
    inside = [_component(purl, one) for one in sorted(_told_by_the_wheel(name), key=lambda one: str(one["name"]))]
    if name in _INSIDE:
        own, licence = _INSIDE[name]
        number = _version_inside(name)
        one = {"type": "library", "name": own, "version": number, "purl": f"pkg:generic/{own}@{number}"}
        inside.append(_component(purl, one | {"licenses": [{"expression": licence}]}))
    return made | ({"components": inside} if inside else {})


def _licences(name: str) -> list[dict[str, Any]]:
    """Return a package's licence: an SPDX expression where it has one or a usual name, else its own words."""
    about = metadata.metadata(name)
    if "License-Expression" in about:
        return [{"expression": about["License-Expression"]}]
    classified = [one.rpartition(" :: ")[2] for one in about.get_all("Classifier") or () if one.startswith("License")]
    known = [_COMMON[one] for one in classified if one in _COMMON]
    if len(classified) == len(known) == 1:
        return [{"expression": known[0]}]
    words = about["License"] if "License" in about else "; ".join(classified) or "see the package's files"
    words = words.splitlines()[0]
    return [{"license": {"name": words}}]


def _told_by_the_wheel(name: str) -> Iterator[dict[str, Any]]:
    """Yield the components of the bills that the wheel itself brings."""
    for path in metadata.files(name) or ():
        if ".dist-info/sboms/" in path.as_posix() and path.suffix == ".json":
            yield from json.loads(path.read_text(encoding="utf-8")).get("components", ())


def _component(owner: str, one: dict[str, Any]) -> dict[str, Any]:
    """Return the parts of a component that the bill keeps, under a reference of its own."""
    kept = {key: one[key] for key in _KEPT if one.get(key)}
    return kept | {"bom-ref": f"{owner}#{one['name']}@{one.get('version', '')}", "type": kept.get("type", "library")}


def _version_inside(name: str) -> str:
    """Return the version of the library inside a wheel: as it says itself, or as the wheel's list of changes says."""
    if name == "zstandard":
        return ".".join(map(str, import_module(name).ZSTD_VERSION))
    found = _SODIUM.search(metadata.distribution(name).read_text("METADATA") or "")
    if found is None:
        raise EvidenceMissing(path=name, detail="its list of changes names no version of libsodium")
    return found[1]
