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

_PACKAGES: Final = frozenset({"software_Package", "ai_AIPackage", "dataset_DatasetPackage"})
_RELATIONSHIPS: Final = frozenset({"Relationship", "LifecycleScopedRelationship"})
_OTHERS: Final = frozenset(
    {
        *("Agent", "Annotation", "Bundle", "CreationInfo", "DictionaryEntry", "ExternalIdentifier", "ExternalMap"),
        *("ExternalRef", "Hash", "IndividualElement", "NamespaceMap", "Organization"),
        *("PackageVerificationCode", "Person", "PositiveIntegerRange", "SoftwareAgent", "Tool"),
        *("software_ContentIdentifier", "software_File", "software_Snippet", "build_Build"),
        *("ai_EnergyConsumption", "ai_EnergyConsumptionDescription"),
    }
)
# Of these profiles no element is a package.
_OTHER_PROFILES: Final = ("expandedlicensing_", "extension_", "security_", "simplelicensing_")
_TERMS: Final = "/terms/"
_COLLECTIONS: Final = frozenset({"SpdxDocument", "Bom", "software_Sbom"})
_CONTAINMENT: Final = frozenset({"contains", "expandsto", "packagedby"})
_DEPENDENCY: Final = frozenset(
    {
        *("dependson", "hasdynamiclink", "hasstaticlink", "hasprerequisite", "hasprovideddependency"),
        *("hasoptionalcomponent", "hasoptionaldependency"),
    }
)
_BACKWARD: Final = frozenset({"packagedby"})
# What may be a dependency between two packages, and is none where another element takes part.
_UNSURE: Final = frozenset(
    {
        *("generates", "hasdistributionartifact", "hasinput", "hasoutput", "invokedby", "other", "trainedon"),
        *("usestool",),
    }
)
_NO_DEPENDENCY: Final = frozenset(
    {
        *("affects", "amendedby", "ancestorof", "availablefrom", "configures", "coordinatedby", "copiedto"),
        *("delegatedto", "descendantof", "describes", "doesnotaffect", "exploitcreatedby", "fixedby", "fixedin"),
        *("foundby", "hasaddedfile", "hasassessmentfor", "hasassociatedvulnerability", "hasconcludedlicense"),
        *("hasdatafile", "hasdeclaredlicense", "hasdeletedfile", "hasdependencymanifest", "hasdocumentation"),
        *("hasevidence", "hasexample", "hashost", "hasmetadata", "hasrequirement", "hasspecification", "hastest"),
        *("hastestcase", "hasvariant", "modifiedby", "patchedby", "publishedby", "reportedby", "republishedby"),
        *("serializedinartifact", "testedon", "underinvestigationfor"),
    }
)
_KNOWN: Final = _CONTAINMENT | _DEPENDENCY | _UNSURE | _NO_DEPENDENCY
_NOTHING: Final = tuple(
    prefix + "NoneElement" for prefix in ("", *(f"https://spdx.org/rdf/{one}/terms/Core/" for one in SPEC_VERSIONS))
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
    others = set(_NOTHING)
    for index, value in enumerate(graph):
        pointer = f"/@graph/{index}"
        try:
            fields = record(value, pointer)
            kind = _kind(fields, pointer)
            if kind in _PACKAGES:
                _package(inventory, fields, pointer)
                continue
            ref = _identifier(fields, pointer) or f"#{pointer}"
            others.add(ref)
            if kind in _RELATIONSHIPS or "relationshipType" in fields:
                relationships.append((pointer, fields))
            elif kind in _COLLECTIONS:
                roots.setdefault(ref, []).extend(_texts(fields, "rootElement", pointer))
                if kind == "SpdxDocument":
                    documents.append((ref, text(fields, "name", pointer)))
                _texts(fields, "element", pointer)
            elif kind not in _OTHERS and not kind.startswith(_OTHER_PROFILES):
                inventory.unread.note(pointer, "malformed", "an element of an unknown type")
            for place in sorted(_purls(fields, pointer).values()):
                inventory.unread.note(place, "malformed", "a package URL of an element that is no package")
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
    for pointer, fields in relationships:
        try:
            _relationship(inventory, fields, pointer, roots, others)
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
    """Return the type of an element as the published context abbreviates it, from an IRI or another prefix too."""
    kind = required(fields, "@type" if "@type" in fields else "type", pointer).rpartition(_TERMS)[2]
    for sign in ("/", ":"):
        profile, _, name = kind.rpartition(sign)
        if profile:
            kind = name if profile.lower() in {"core", "spdx"} else f"{profile.lower()}_{name}"
    return kind


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
    purls = _purls(fields, pointer)
    if purpose is not None:
        purpose = "".join(f"-{sign.lower()}" if sign.isupper() else sign for sign in purpose)
    purl = choose_purl(inventory, purls)
    ref = inventory.place(_identifier(fields, pointer), pointer, "spdxId")
    inventory.add(Found(ref, name, version, purl, purpose, source_of(info), locations_of(info)))


def _purls(fields: Record, pointer: str) -> dict[str, str]:
    """Return the package URLs of an element, each with its place."""
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
    return purls


def _relationship(
    inventory: Inventory, fields: Record, pointer: str, roots: dict[str, list[str]], others: set[str]
) -> None:
    kind = required(fields, "relationshipType", pointer).rpartition("/")[2].lower()
    source = required(fields, "from", pointer)
    targets = _texts(fields, "to", pointer)
    if kind == "describes" and source in roots:
        roots[source] += targets
    elif kind in _CONTAINMENT or kind in _DEPENDENCY:
        for target in targets:
            ends = (target, source) if kind in _BACKWARD else (source, target)
            inventory.relate(*ends, pointer, dependency=kind in _DEPENDENCY and target not in _NOTHING, known=others)
    elif kind == "other" and (text(fields, "comment", pointer) or "").startswith(OWNERSHIP):
        for target in targets:
            inventory.own(source, target)
    elif kind not in _KNOWN or (kind in _UNSURE and source not in others and not others.issuperset(targets)):
        inventory.doubt(pointer, f"{kind} from {source}")


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
