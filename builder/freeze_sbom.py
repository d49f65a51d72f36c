"""The bill of materials of the frozen program: CycloneDX 1.6, with every package and library, and every file's digest.

It has no time and no random serial number: the same program has the same bill. It lies beside the program, lists every
file of that directory but itself, and is signed with them in every kit; ``verifier.programs`` holds it against them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kit
from kit.bytes import digest
from verifier.programs import BILL, PROGRAM

Component = Mapping[str, Any]


def wheels(report: Mapping[str, Any]) -> dict[str, str]:
    """Return the hexadecimal SHA-256 of each wheel by package, from the report of the program that installed them."""
    return {
        one["metadata"]["name"].lower().replace("_", "-"): one["download_info"]["archive_info"]["hashes"]["sha256"]
        for one in report["install"]
    }


def interpreter(version: str) -> Component:
    """Return the component of an interpreter of this machine's own, of whose making nothing is known."""
    purl = f"pkg:generic/python@{version}"
    licences = [{"expression": "Python-2.0"}]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": "python",
        "version": version,
        "purl": purl,
        "licenses": licences,
    }


def packages(contents: Mapping[str, Any], hashes: Mapping[str, str]) -> list[Component]:
    """Return the components of the packages that got in, with the digests of their wheels."""
    found = contents["packages"]
    return [one | ({"hashes": _hashes(hashes[one["name"]])} if one["name"] in hashes else {}) for one in found]


def write(directory: Path, components: Sequence[Component], vulnerabilities: Sequence[Component] = ()) -> None:
    """Write the bill of a frozen program's directory, as it is now."""
    files = sorted(path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file())
    listed = [_file(directory, name) for name in files if name != BILL]
    program: dict[str, Any] = {"type": "application", "bom-ref": "stella", "name": "stella", "version": kit.__version__}
    program |= {"licenses": [{"expression": "Apache-2.0"}]}
    program |= {"hashes": next((one["hashes"] for one in listed if one["name"] == PROGRAM), [])}
    parts = sorted(components, key=lambda one: str(one["bom-ref"]))
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program},
        "components": [*parts, *listed],
        "dependencies": [{"ref": "stella", "dependsOn": [one["bom-ref"] for one in parts]}],
    }
    if vulnerabilities:
        bill["vulnerabilities"] = list(vulnerabilities)
    text = json.dumps(bill, indent=1, sort_keys=True) + "\n"
    (directory / BILL).write_text(text, encoding="utf-8")


def parts(directory: Path) -> list[Component]:
    """Return the components of a bill that are no files, to be written into another."""
    bill = json.loads((directory / BILL).read_text(encoding="utf-8"))
    return [one for one in bill["components"] if one["type"] != "file"]


def _file(directory: Path, name: str) -> dict[str, Any]:
    found = digest.hex_of(digest.of_file(directory / name)[0])
    return {"type": "file", "bom-ref": f"file:{name}", "name": name, "hashes": _hashes(found)}


def _hashes(found: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": found}]
