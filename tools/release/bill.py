"""What a release has beside its packages of Python, as components of the bill of materials: from ``sources.toml``.

Debian mends its versions by patches, so a version says less than the patches do: each is in the component's pedigree,
with the CVEs that it names. What a newer version mends beyond them is told with the reason why it does no harm, or
that it does.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tools.release import sources

_CVE = re.compile(r"CVE[- ](\d{4})-(\d{4,7})", re.ASCII)
_CHANGED = re.compile(r"^\+\+\+ (\S+)", re.MULTILINE)
_DIFF = re.compile(r"^(?:---|diff |Index:)", re.MULTILINE)
_OF_THE_BASE = ("libffi", "libgcc-s1", "python3.11", "zlib")


def of_base(fetched: Path, machine: str) -> tuple[Mapping[str, Any], ...]:
    """Return the components of an interpreter and its libraries."""
    return tuple(one for one in _components(fetched, machine) if one["name"] in _OF_THE_BASE)


def of_single_file(fetched: Path, machine: str, zig: Path) -> list[Mapping[str, Any]]:
    """Return the components that only the single file has: C library, decompressor, and that of its launcher."""
    version = next(path.name.split("-")[1] for path in zig.parents[1].glob("ziglang-*.dist-info"))
    purl = f"pkg:pypi/ziglang@{version}"
    launcher = {
        "type": "library",
        "bom-ref": f"{purl}#musl",
        "name": "musl",
        "version": f"as in ziglang {version}",
        "purl": purl,
        "licenses": [{"expression": "MIT"}],
        "description": "the C library that the launcher is linked with",
    }
    return [launcher, *(one for one in _components(fetched, machine) if one["name"] not in _OF_THE_BASE)]


def vulnerabilities() -> list[Mapping[str, Any]]:
    """Return what newer versions of the sources mend, and why it does no harm here."""
    found = []
    for one in _listed("source"):
        for told in one.get("vulnerability", ()):
            analysis = {"state": "not_affected", "justification": told["justification"], "detail": told["detail"]}
            found += [
                {"bom-ref": each, "id": each, "analysis": analysis, "affects": [{"ref": _purl(one, "source")}]}
                for each in told["ids"]
            ]
    return sorted(found, key=lambda one: str(one["id"]))


def _listed(kind: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = tomllib.loads(sources.LOCK.read_text())[kind]
    return listed


def _components(fetched: Path, machine: str) -> Iterator[dict[str, Any]]:
    for kind in ("source", "binary"):
        pinned = {one.name: one for one in sources.packages(kind, machine)}
        for one in _listed(kind):
            package = pinned[one["package"]]
            purl = _purl(one, package.architecture or "source")
            made = {"type": "library", "bom-ref": purl, "name": package.name, "version": package.version, "purl": purl}
            made["licenses"] = [{"expression": one["licence"]}]
            made["externalReferences"] = [
                {
                    "type": "source-distribution" if kind == "source" else "distribution",
                    "url": quote(name),
                    "hashes": [{"alg": "SHA-256", "content": found}],
                }
                for name, found in sorted(package.files.items())
            ]
            if patches := list(_patches(fetched / package.directory / "debian" / "patches")):
                made["pedigree"] = {"patches": patches}
            yield made


def _purl(one: Mapping[str, Any], architecture: str) -> str:
    return f"pkg:deb/debian/{one['package']}@{quote(one['version'], safe='.-~')}?arch={architecture}"


def _patches(directory: Path) -> Iterator[dict[str, Any]]:
    """Yield the patches of a source in their order: the name, and the CVEs that name or description tell."""
    series = directory / "series"
    lines = series.read_text().splitlines() if series.is_file() else []
    for name in (line.split()[0] for line in lines if line.strip() and not line.startswith("#")):
        text = (directory / name).read_text(errors="replace")
        description = _DIFF.split(text, maxsplit=1)[0] if any(map(_is_code, _CHANGED.findall(text))) else ""
        told = _CVE.findall(f"{name}\n{description}") if description else ()  # tests alone mend nothing
        solved = sorted({f"CVE-{year}-{number}" for year, number in told})
        resolves = [{"type": "security", "id": each} for each in solved]
        resolves = resolves or [{"type": "defect", "name": name}]
        yield {"type": "backport" if solved else "unofficial", "resolves": resolves}


def _is_code(path: str) -> bool:
    return "/test/" not in path and path != "/dev/null"
