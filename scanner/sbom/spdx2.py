"""SPDX 2.2 and 2.3 in JSON: packages, relationships, subject, operating system (docs/matching.md section 2.2)."""

from typing import Final

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, items, record, required, text
from scanner.identity import Package, from_purl
from scanner.sbom.model import Component, Inventory, Sbom, first_of_type

SPEC_VERSIONS: Final = ("SPDX-2.2", "SPDX-2.3")

# Trivy before 0.44 wrote DESCRIBE.
_DESCRIBES: Final = frozenset({"DESCRIBES", "DESCRIBE", "DESCRIBED_BY"})
_EDGES: Final = frozenset({"CONTAINS", "CONTAINED_BY", "DEPENDS_ON", "DEPENDENCY_OF"})
_BACKWARD: Final = frozenset({"CONTAINED_BY", "DEPENDENCY_OF", "DESCRIBED_BY"})
# BUILD_DEPENDENCY_OF, DEV_DEPENDENCY_OF, OPTIONAL_DEPENDENCY_OF and so on
_BACKWARD_ENDING: Final = "_DEPENDENCY_OF"
_NO_VALUE: Final = frozenset({"NOASSERTION", "NONE"})


def read(document: Record, digest: str) -> Sbom:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    spec_version = required(document, "spdxVersion", "")
    if spec_version not in SPEC_VERSIONS:
        raise UnsupportedVersion(detail="SPDX", expected="SPDX-2.2 or SPDX-2.3", found=ascii(spec_version)[:40])
    inventory = Inventory()
    for index, value in enumerate(items(document, "packages", "")):
        pointer = f"/packages/{index}"
        try:
            _package(inventory, record(value, pointer), pointer)
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
    described = {ref for ref in items(document, "documentDescribes", "") if isinstance(ref, str)}
    _relationships(inventory, items(document, "relationships", ""), text(document, "SPDXID", ""), described)
    subjects = [inventory.components[ref] for ref in sorted(described) if ref in inventory.components]
    components = inventory.in_order()
    return Sbom(
        format="SPDX",
        spec_version=spec_version.removeprefix("SPDX-"),
        name=text(document, "name", ""),
        digest=digest,
        subject=subjects[0] if len(subjects) == 1 else None,
        operating_system=first_of_type(components, "operating-system"),
        components=components,
        dependencies=inventory.graph(),
        skipped=inventory.unread.in_order(),
    )


def _package(inventory: Inventory, fields: Record, pointer: str) -> None:
    ref = text(fields, "SPDXID", pointer)
    name = required(fields, "name", pointer)
    version = text(fields, "versionInfo", pointer)
    purpose = text(fields, "primaryPackagePurpose", pointer)
    if version in _NO_VALUE:
        version = None
    if purpose is not None:
        purpose = purpose.lower().replace("_", "-")
    elif ref is not None and ref.startswith("SPDXRef-OperatingSystem-"):
        purpose = "operating-system"
    purl = _purl(inventory, items(fields, "externalRefs", pointer), f"{pointer}/externalRefs")
    ref = inventory.place(ref, pointer, "SPDXID")
    inventory.add(Component(ref, name, version, purl, purpose, from_purl(purl, version=version)))


def _purl(inventory: Inventory, values: list[JsonValue], pointer: str) -> str | None:
    """Return the package URL of a package: of several the smallest that can be looked up, the others are noted."""
    found: dict[str, str] = {}
    for index, value in enumerate(values):
        place = f"{pointer}/{index}"
        fields = record(value, place)
        kind = text(fields, "referenceType", place)
        if kind is not None and kind.rpartition("/")[2] == "purl":
            found.setdefault(required(fields, "referenceLocator", place), place)
    if len(found) < 2:
        return next(iter(found), None)
    purls = sorted(found)
    chosen = next((purl for purl in purls if isinstance(from_purl(purl, version="0"), Package)), purls[0])
    for purl, place in found.items():
        if purl != chosen:
            inventory.unread.note(place, "other-purl", purl)
    return chosen


def _relationships(inventory: Inventory, values: list[JsonValue], document: str | None, described: set[str]) -> None:
    """Read dependency and containment as edges, and what the document describes into ``described``.

    Relationships with files, snippets and other documents are not about components and are passed over.
    """
    for index, value in enumerate(values):
        pointer = f"/relationships/{index}"
        try:
            fields = record(value, pointer)
            source = required(fields, "spdxElementId", pointer)
            target = required(fields, "relatedSpdxElement", pointer)
            kind = required(fields, "relationshipType", pointer)
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
            continue
        if kind in _BACKWARD or kind.endswith(_BACKWARD_ENDING):
            source, target = target, source
        if kind in _DESCRIBES and source == document:
            described.add(target)
        elif kind in _EDGES or kind.endswith(_BACKWARD_ENDING):
            inventory.connect(source, target)
