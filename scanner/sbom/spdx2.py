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
_CONTAINMENT: Final = frozenset({"CONTAINS", "CONTAINED_BY", "EXPANDED_FROM_ARCHIVE", "PACKAGE_OF"})
_DEPENDENCY: Final = frozenset(
    {
        *("DEPENDENCY_OF", "DEPENDS_ON", "DYNAMIC_LINK", "HAS_PREREQUISITE", "OPTIONAL_COMPONENT_OF"),
        *("PREREQUISITE_FOR", "STATIC_LINK"),
    }
)
_BACKWARD: Final = frozenset(
    {
        *("CONTAINED_BY", "DEPENDENCY_OF", "DESCRIBED_BY", "EXPANDED_FROM_ARCHIVE", "OPTIONAL_COMPONENT_OF"),
        *("PACKAGE_OF", "PREREQUISITE_FOR"),
    }
)
# BUILD_DEPENDENCY_OF, DEV_DEPENDENCY_OF, OPTIONAL_DEPENDENCY_OF and so on
_BACKWARD_ENDING: Final = "_DEPENDENCY_OF"
# What may be a dependency between two packages, and is none where a file takes part.
_UNSURE: Final = frozenset(
    {"BUILD_TOOL_OF", "DEV_TOOL_OF", "DISTRIBUTION_ARTIFACT", "GENERATED_FROM", "GENERATES", "OTHER", "TEST_TOOL_OF"}
)
_NO_DEPENDENCY: Final = frozenset(
    {
        *("AMENDS", "ANCESTOR_OF", "COPY_OF", "DATA_FILE_OF", "DEPENDENCY_MANIFEST_OF", "DESCENDANT_OF"),
        *("DOCUMENTATION_OF", "EXAMPLE_OF", "FILE_ADDED", "FILE_DELETED", "FILE_MODIFIED", "METAFILE_OF"),
        *("PATCH_APPLIED", "PATCH_FOR", "REQUIREMENT_DESCRIPTION_FOR", "SPECIFICATION_FOR", "TEST_CASE_OF", "TEST_OF"),
        *("VARIANT_OF", *_DESCRIBES),
    }
)
_KNOWN: Final = _CONTAINMENT | _DEPENDENCY | _UNSURE | _NO_DEPENDENCY
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
    _relationships(inventory, items(document, "relationships", ""), document, described)
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
    """Return the paths that syft's source information names: ``acquired package info from ...: PATH, PATH``.

    Of too many none is returned, for a place that is not looked at may be outside of the system's directories.
    """
    paths = info.partition(": ")[2] if info.startswith(_ACQUIRED_FROM) else ""
    found = tuple(paths.split(", ", MAX_LOCATIONS)) if paths else ()
    return found if len(found) <= MAX_LOCATIONS else ()


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


def _relationships(inventory: Inventory, values: list[JsonValue], document: Record, described: set[str]) -> None:
    """Read dependency and containment as edges, and what the document describes into ``described``.

    What may be an edge and cannot be drawn between two packages is noted, so that nobody takes the graph for complete.
    """
    own = text(document, "SPDXID", "")
    known = {own or "", "NONE", *_identifiers(document, "files"), *_identifiers(document, "snippets")}
    for index, value in enumerate(edges_within(values)):
        pointer = f"/relationships/{index}"
        try:
            fields = record(value, pointer)
            source = required(fields, "spdxElementId", pointer)
            target = required(fields, "relatedSpdxElement", pointer)
            kind = required(fields, "relationshipType", pointer).upper()
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
            continue
        if kind in _BACKWARD or kind.endswith(_BACKWARD_ENDING):
            source, target = target, source
        comment = fields.get("comment")
        if kind in _DESCRIBES and source == own:
            described.add(target)
        elif kind in _CONTAINMENT:
            inventory.relate(source, target, pointer, dependency=False, known=known)
        elif kind in _DEPENDENCY or kind.endswith(_BACKWARD_ENDING):
            inventory.relate(source, target, pointer, dependency=target != "NONE", known=known)
        elif kind == "OTHER" and isinstance(comment, str) and comment.startswith(OWNERSHIP):
            inventory.own(source, target)
        elif kind not in _KNOWN or (kind in _UNSURE and known.isdisjoint((source, target))):
            inventory.doubt(pointer, f"{kind} from {source} to {target}")


def _identifiers(document: Record, member: str) -> set[str]:
    """Return the identifiers of a list of elements that are no packages, as far as they can be read."""
    refs = (one.get("SPDXID") for one in items(document, member, "") if isinstance(one, dict))
    return {ref for ref in refs if isinstance(ref, str)}
