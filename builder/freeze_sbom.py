"""The bill of materials of the frozen program: CycloneDX 1.6, one component for each package that got in.

It has no time and no random serial number: the same program has the same bill.
"""

import json
import platform
import re
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

import kit
from builder import frozen_contents

NAME = "stella.cdx.json"


def write(target: Path, names: Iterable[str]) -> None:
    """Write the bill for a program of the named modules and files; run by the interpreter that is frozen."""
    owners = metadata.packages_distributions()
    top = {re.split(r"[./]", name)[0] for name in names} - set(frozen_contents.ROOMS)
    packages = sorted({owner.lower().replace("_", "-") for name in top for owner in owners.get(name, [])})
    found = [(f"pkg:generic/python@{platform.python_version()}", "python", platform.python_version())]
    found += [(f"pkg:pypi/{name}@{metadata.version(name)}", name, metadata.version(name)) for name in packages]
    program = {"type": "application", "bom-ref": "stella", "name": "stella", "version": kit.__version__}
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program},
        "components": [
            {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}
            for purl, name, version in found
        ],
        "dependencies": [{"ref": "stella", "dependsOn": [purl for purl, _, _ in found]}],
    }
    (target / NAME).write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
