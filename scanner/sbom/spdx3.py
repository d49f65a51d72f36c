"""SPDX 3.0 in JSON-LD as its generators write it: packages, relationships, subject (docs/matching.md section 2.5).

The compact form of the published context is read, in which an element is an object of ``@graph``. Nothing is fetched,
and no other JSON-LD is understood.
"""

from collections.abc import Iterable
from typing import Final

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, items, record, required, text
from scanner.sbom.found import Found
from scanner.sbom.model import Inventory, Sbom
from scanner.sbom.spdx2 import OWNERSHIP, choose_purl, locations_of, source_of

SPEC_VERSIONS: Final = ("3.0.0", "3.0.1")

_RELATIONSHIPS: Final = frozenset({"Relationship", "LifecycleScopedRelationship"})
_COLLECTIONS: Final = frozenset({"SpdxDocument", "Bom", "software_Sbom"})
_EDGES: Final = frozenset(
    {
        *("contains", "dependsOn", "hasDynamicLink", "hasStaticLink", "hasPrerequisite", "hasProvidedDependency"),
        *("hasOptionalComponent", "hasOptionalDependency"),
    }
)
_PURL_TYPES: Final = frozenset({"packageurl", "purl"})
# The specification's name, and one that some generators write.
_IDENTIFIERS: Final = ("externalIdentifier", "externalIdentifiers")


def read(document: Record, digest: str) -> Sbom:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    graph = items(document, "@graph", "")
    spec_version = _spec_version(graph)
    if spec_version not in SPEC_VERSIONS:
        raise UnsupportedVersion(detail="SPDX", expected="3.0.0 or 3.0.1", found=ascii(spec_version)[:40])
    inventory = Inventory()
    roots: dict[str, list[str]] = {}
    documents: list[tuple[str, str | None]] = []
    relationships: list[tuple[str, Record]] = []
    for index, value in enumerate(graph):
        pointer = f"/@graph/{index}"
        try:
            fields = record(value, pointer)
            kind = _kind(fields, pointer)
            if kind == "software_Package":
                _package(inventory, fields, pointer)
            elif kind in _RELATIONSHIPS:
                relationships.append((pointer, fields))
            elif kind in _COLLECTIONS:
                ref = _identifier(fields, pointer) or f"#{pointer}"
                roots.setdefault(ref, []).extend(_texts(fields, "rootElement", pointer))
                if kind == "SpdxDocument":
                    documents.append((ref, text(fields, "name", pointer)))
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
    for pointer, fields in relationships:
        try:
            _relationship(inventory, fields, pointer, roots)
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
    subjects = _subjects(inventory, roots, [ref for ref, _ in documents] or sorted(roots))
    name = documents[0][1] if len(documents) == 1 else None
    return inventory.sbom("SPDX", spec_version, name, digest, subjects[0] if len(subjects) == 1 else None)


def _spec_version(graph: Iterable[JsonValue]) -> str:
    """Return the version that the creation information names, in the graph or in an element; of several the last."""
    found = set()
    for value in graph:
        if isinstance(value, dict):
            inner = value if value.get("type", value.get("@type")) == "CreationInfo" else value.get("creationInfo")
            version = inner.get("specVersion") if isinstance(inner, dict) else None
            if isinstance(version, str):
                found.add(version)
    if not found:
        raise MalformedPart("/@graph", "no creation information")
    return max(found)


def _kind(fields: Record, pointer: str) -> str:
    return required(fields, "@type" if "@type" in fields else "type", pointer)


def _identifier(fields: Record, pointer: str) -> str | None:
    return text(fields, "@id" if "@id" in fields else "spdxId", pointer)


def _texts(fields: Record, name: str, pointer: str) -> list[str]:
    """Return a member that is a text or a list of texts, as a list."""
    value = fields.get(name)
    if isinstance(value, str):
        return [value]
    found = []
    for index, one in enumerate(items(fields, name, pointer)):
        if not isinstance(one, str):
            raise MalformedPart(f"{pointer}/{name}/{index}", "not a string")
        found.append(one)
    return found


def _package(inventory: Inventory, fields: Record, pointer: str) -> None:
    name = required(fields, "name", pointer)
    version = text(fields, "software_packageVersion", pointer)
    purpose = text(fields, "software_primaryPurpose", pointer)
    info = text(fields, "software_sourceInfo", pointer) or ""
    purls: dict[str, str] = {}
    own = text(fields, "software_packageUrl", pointer)
    if own is not None:
        purls[own] = f"{pointer}/software_packageUrl"
    for member in _IDENTIFIERS:
        for index, value in enumerate(items(fields, member, pointer)):
            place = f"{pointer}/{member}/{index}"
            one = record(value, place)
            if (text(one, "externalIdentifierType", place) or "").lower() in _PURL_TYPES:
                purls.setdefault(required(one, "identifier", place), place)
    if purpose is not None:
        purpose = "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in purpose)
    purl = choose_purl(inventory, purls)
    ref = inventory.place(_identifier(fields, pointer), pointer, "spdxId")
    inventory.add(Found(ref, name, version, purl, purpose, source_of(info), locations_of(info)))


def _relationship(inventory: Inventory, fields: Record, pointer: str, roots: dict[str, list[str]]) -> None:
    kind = required(fields, "relationshipType", pointer)
    source = required(fields, "from", pointer)
    targets = _texts(fields, "to", pointer)
    if kind == "describes" and source in roots:
        roots[source] += targets
    elif kind in _EDGES:
        for target in targets:
            inventory.connect(source, target)
    elif kind == "other" and (text(fields, "comment", pointer) or "").startswith(OWNERSHIP):
        for target in targets:
            inventory.own(source, target)


def _subjects(inventory: Inventory, roots: dict[str, list[str]], start: list[str]) -> list[str]:
    """Return the packages that are roots of the document, or of the collections that are."""
    seen: set[str] = set()
    found: set[str] = set()
    pending = list(start)
    while pending:
        ref = pending.pop()
        if ref in inventory.components:
            found.add(ref)
        elif ref in roots and ref not in seen:
            seen.add(ref)
            pending += roots[ref]
    return sorted(found)
