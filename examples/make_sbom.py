#!/usr/bin/env python3
"""Write a CycloneDX 1.6 SBOM of the Python distributions installed below some directories.

The document depends on what is installed and on nothing else: no time stamp, no host, no path; its serial number is
derived from its content. Usage: make_sbom.py --name NAME --version VERSION [--extra FILE] DIRECTORY... > sbom.cdx.json
"""

import argparse
import json
import re
import sys
import uuid
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.stella-offline-kit.example")

Component = dict[str, Any]


def normalise(name: str) -> str:
    """Return a distribution name in the spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def library(name: str, version: str) -> Component:
    """Return the component of one distribution."""
    purl = f"pkg:pypi/{name}@{version}"
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def required(distribution: metadata.Distribution) -> set[str]:
    """Return the names that a distribution asks for where no extra is chosen."""
    names = set()
    for text in distribution.requires or []:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            continue
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            names.add(normalise(requirement.name))
    return names


def document(name: str, version: str, directories: Iterable[str], extra: list[Component]) -> dict[str, Any]:
    """Return the SBOM of a subject: components sorted by reference, edges from the distributions' own metadata."""
    found = {normalise(item.metadata["Name"]): item for item in metadata.distributions(path=list(directories))}
    libraries = {key: library(key, item.version) for key, item in found.items()}
    edges = {
        libraries[key]["bom-ref"]: sorted(libraries[need]["bom-ref"] for need in required(item) if need in libraries)
        for key, item in found.items()
    }
    reached = {ref for refs in edges.values() for ref in refs}
    subject = {"type": "application", "bom-ref": f"{name}@{version}", "name": name, "version": version}
    components = sorted([*libraries.values(), *extra], key=lambda item: item["bom-ref"])
    edges[subject["bom-ref"]] = sorted(item["bom-ref"] for item in components if item["bom-ref"] not in reached)
    body = {
        "metadata": {"component": subject},
        "components": components,
        "dependencies": [{"ref": ref, "dependsOn": edges[ref]} for ref in sorted(edges)],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(body, sort_keys=True, separators=(",", ":")))
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{serial}", "version": 1, **body}


def main() -> None:
    """Read the command line and write the SBOM to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--name", required=True, help="name of the application")
    parser.add_argument("--version", required=True, help="its version")
    parser.add_argument("--extra", type=Path, help="JSON array of components that no package manager knows")
    parser.add_argument("directories", nargs="+", metavar="DIRECTORY", help="a site-packages directory")
    options = parser.parse_args()
    extra = json.loads(options.extra.read_text(encoding="utf-8")) if options.extra else []
    sbom = document(options.name, options.version, options.directories, extra)
    sys.stdout.write(json.dumps(sbom, indent=2, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()
