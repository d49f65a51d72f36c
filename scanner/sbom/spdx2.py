"""SPDX 2.2 and 2.3 as their JSON has it: packages, relationships, subject (docs/matching.md section 2.3)."""

from collections.abc import Mapping
from typing import Final

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, items, record, required, text
from scanner.identity import BadPurl, NotEvaluated, Source, locate, parse_purl
from scanner.sbom.found import Found
from scanner.sbom.model import Inventory, Sbom, components_within, edges_within

SPEC_VERSIONS: Final = ("SPDX-2.2", "SPDX-2.3")

# Trivy before 0.44 wrote DESCRIBE.
_DESCRIBES: Final = frozenset({"DESCRIBES", "DESCRIBE", "DESCRIBED_BY"})
_EDGES: Final = frozenset({"CONTAINS", "CONTAINED_BY", "DEPENDS_ON", "DEPENDENCY_OF"})
_BACKWARD: Final = frozenset({"CONTAINED_BY", "DEPENDENCY_OF", "DESCRIBED_BY"})
# BUILD_DEPENDENCY_OF, DEV_DEPENDENCY_OF, OPTIONAL_DEPENDENCY_OF and so on
_BACKWARD_ENDING: Final = "_DEPENDENCY_OF"
_NO_VALUE: Final = frozenset({"NOASSERTION", "NONE"})
_BUILT_FROM: Final = "built package from: "
_ACQUIRED_FROM: Final = "acquired package info from "
OWNERSHIP: Final = "ownership-by-file-overlap"
MAX_LOCATIONS: Final = 100


def read(document: Record, digest: str) -> Sbom:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    spec_version = required(document, "spdxVersion", "")
    if spec_version not in SPEC_VERSIONS:
        raise UnsupportedVersion(detail="SPDX", expected="SPDX-2.2 or SPDX-2.3", found=ascii(spec_version)[:40])
    inventory = Inventory()
    for index, value in enumerate(components_within(items(document, "packages", ""))):
        pointer = f"/packages/{index}"
        try:
            _package(inventory, record(value, pointer), pointer)
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
    described = {ref for ref in items(document, "documentDescribes", "") if isinstance(ref, str)}
    _relationships(inventory, items(document, "relationships", ""), text(document, "SPDXID", ""), described)
    subjects = sorted(ref for ref in described if ref in inventory.components)
    subject = subjects[0] if len(subjects) == 1 else None
    return inventory.sbom("SPDX", spec_version.removeprefix("SPDX-"), text(document, "name", ""), digest, subject)


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
    info = text(fields, "sourceInfo", pointer) or ""
    inventory.add(Found(ref, name, version, purl, purpose, source_of(info), locations_of(info)))


def source_of(info: str) -> Source | None:
    """Return the source package that Trivy's source information names: ``built package from: NAME VERSION``."""
    name, _, version = info.removeprefix(_BUILT_FROM).partition(" ") if info.startswith(_BUILT_FROM) else ("", "", "")
    return Source(name, version.strip() or None) if name else None


def locations_of(info: str) -> tuple[str, ...]:
    """Return the paths that syft's source information names: ``acquired package info from ...: PATH, PATH``."""
    paths = info.partition(": ")[2] if info.startswith(_ACQUIRED_FROM) else ""
    return tuple(paths.split(", ")[:MAX_LOCATIONS]) if paths else ()


def _purl(inventory: Inventory, values: list[JsonValue], pointer: str) -> str | None:
    """Return the package URL of a package: of several the smallest that can be looked up, the others are noted."""
    found: dict[str, str] = {}
    for index, value in enumerate(values):
        place = f"{pointer}/{index}"
        fields = record(value, place)
        kind = text(fields, "referenceType", place)
        if kind is not None and kind.rpartition("/")[2] == "purl":
            found.setdefault(required(fields, "referenceLocator", place), place)
    return choose_purl(inventory, found)


def choose_purl(inventory: Inventory, found: Mapping[str, str]) -> str | None:
    """Return the one of several package URLs that counts, and note the others; ``found`` has the place of each."""
    if len(found) < 2:
        return next(iter(found), None)
    purls = sorted(found)
    chosen = next((purl for purl in purls if _is_known(purl)), purls[0])
    for purl, place in found.items():
        if purl != chosen:
            inventory.unread.note(place, "other-purl", purl)
    return chosen


def _is_known(purl: str) -> bool:
    try:
        return not isinstance(locate(parse_purl(purl), "0"), NotEvaluated)
    except BadPurl:
        return False


def _relationships(inventory: Inventory, values: list[JsonValue], document: str | None, described: set[str]) -> None:
    """Read dependency and containment as edges, and what the document describes into ``described``.

    Relationships with files, snippets and other documents are not about components and are passed over.
    """
    for index, value in enumerate(edges_within(values)):
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
        elif kind == "OTHER" and _says_ownership(fields):
            inventory.own(source, target)


def _says_ownership(relationship: Record) -> bool:
    """Tell whether a relationship is syft's way to say that one package installed another's files."""
    comment = relationship.get("comment")
    return isinstance(comment, str) and comment.startswith(OWNERSHIP)
