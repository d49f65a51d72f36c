"""CycloneDX 1.2 to 1.7 as its JSON has it: components, dependencies, subject (docs/matching.md section 2.1)."""

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, items, record, required, text
from scanner.identity import Source
from scanner.sbom.found import Found
from scanner.sbom.model import Inventory, Sbom, components_within, edges_within

SPEC_VERSIONS: Final = ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7")

_TRIVY: Final = "aquasecurity:trivy:"
_SOURCE_PROPERTIES: Final = frozenset(
    {
        *(_TRIVY + name for name in ("SrcName", "SrcVersion", "SrcRelease", "SrcEpoch")),
        *("syft:metadata:source", "syft:metadata:sourceVersion", "syft:metadata:originPackage"),
    }
)


def read(document: Record, digest: str) -> Sbom:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    spec_version = required(document, "specVersion", "")
    if spec_version not in SPEC_VERSIONS:
        raise UnsupportedVersion(detail="CycloneDX", expected="1.2 to 1.7", found=ascii(spec_version)[:40])
    inventory = Inventory()
    subject = _subject(inventory, document)
    _walk(inventory, items(document, "components", ""), "/components", parent=None)
    _dependencies(inventory, items(document, "dependencies", ""))
    name = subject.name if subject else None
    found = inventory.sbom("CycloneDX", spec_version, name, digest, subject.ref if subject else None)
    return replace(found, bom_link=bom_link(document))


def bom_link(document: Record) -> str | None:
    """Return ``serial/version`` of a BOM, by which BOM-Links name it; ``None`` for one without serial number."""
    serial, version = document.get("serialNumber"), document.get("version", 1)
    if not isinstance(serial, str) or not serial.lower().startswith("urn:uuid:") or type(version) is not int:
        return None
    return f"{serial[9:].lower()}/{version}"


def _subject(inventory: Inventory, document: Record) -> Found | None:
    metadata = document.get("metadata")
    if metadata is None:
        return None
    described = record(metadata, "/metadata").get("component")
    return None if described is None else _component(inventory, described, "/metadata/component", parent=None)


def _walk(inventory: Inventory, values: list[JsonValue], pointer: str, *, parent: str | None) -> None:
    for index, value in enumerate(components_within(values)):
        _component(inventory, value, f"{pointer}/{index}", parent=parent)


def _component(inventory: Inventory, value: JsonValue, pointer: str, *, parent: str | None) -> Found | None:
    """Read a component and those nested in it; the nested ones are read even where their owner is malformed."""
    component: Found | None = None
    try:
        fields = record(value, pointer)
    except MalformedPart as fault:
        inventory.unread.note_fault(fault)
        return None
    try:
        name = required(fields, "name", pointer)
        version = text(fields, "version", pointer)
        purl = text(fields, "purl", pointer)
        kind = text(fields, "type", pointer)
        ref = inventory.place(text(fields, "bom-ref", pointer), pointer, "bom-ref")
        named = _properties(inventory, fields, pointer) if purl else {}
        component = Found(ref, name, version, purl, kind, _source(named), _locations(inventory, named, fields, pointer))
        inventory.add(component)
    except MalformedPart as fault:
        inventory.unread.note_fault(fault)
    if component and parent is not None:
        inventory.connect(parent, component.ref)
    try:
        nested = items(fields, "components", pointer)
    except MalformedPart as fault:
        inventory.unread.note_fault(fault)
    else:
        _walk(inventory, nested, f"{pointer}/components", parent=component.ref if component else parent)
    return component


def _properties(inventory: Inventory, fields: Record, pointer: str) -> dict[str, str]:
    """Return a component's properties that tell of source and place, the first of each name."""
    found: dict[str, str] = {}
    try:
        for index, value in enumerate(items(fields, "properties", pointer)):
            place = f"{pointer}/properties/{index}"
            member = record(value, place)
            name = member.get("name")
            if isinstance(name, str) and (name in _SOURCE_PROPERTIES or _is_location(name)):
                found.setdefault(name, text(member, "value", place) or "")
    except MalformedPart as fault:
        inventory.unread.note_fault(fault)
    return found


def _source(named: Mapping[str, str]) -> Source | None:
    """Return the source package that Trivy's or syft's properties name."""
    if name := named.get(_TRIVY + "SrcName"):
        version, release = named.get(_TRIVY + "SrcVersion"), named.get(_TRIVY + "SrcRelease")
        epoch = named.get(_TRIVY + "SrcEpoch")
        version = f"{version}-{release}" if version and release else version
        return Source(name, f"{epoch}:{version}" if version and epoch else version or None)
    if name := named.get("syft:metadata:source") or named.get("syft:metadata:originPackage"):
        return Source(name, named.get("syft:metadata:sourceVersion") or None)
    return None


def _is_location(name: str) -> bool:
    return name == _TRIVY + "FilePath" or (name.startswith("syft:location:") and name.endswith(":path"))


def _locations(inventory: Inventory, named: Mapping[str, str], fields: Record, pointer: str) -> tuple[str, ...]:
    """Return the paths at which a component was seen: by properties, or as the evidence of the document says.

    A place that cannot be read is the empty text, which is in no directory.
    """
    paths = [path for name, path in named.items() if _is_location(name)]
    try:
        evidence = fields.get("evidence")
        if evidence is not None:
            place = f"{pointer}/evidence"
            for index, value in enumerate(items(record(evidence, place), "occurrences", place)):
                seen = record(value, f"{place}/occurrences/{index}")
                paths.append(text(seen, "location", f"{place}/occurrences/{index}") or "")
    except MalformedPart as fault:
        paths.append("")
        inventory.unread.note_fault(fault)
    return tuple(paths)


def _dependencies(inventory: Inventory, values: list[JsonValue]) -> None:
    for index, value in enumerate(edges_within(values)):
        pointer = f"/dependencies/{index}"
        try:
            fields = record(value, pointer)
            source = required(fields, "ref", pointer)
            targets = items(fields, "dependsOn", pointer)
        except MalformedPart as fault:
            inventory.unread.note_fault(fault)
            continue
        if source not in inventory.components:
            inventory.unread.note(f"{pointer}/ref", "unknown-ref", source)
            continue
        for position, target in enumerate(targets):
            if not isinstance(target, str):
                inventory.unread.note(f"{pointer}/dependsOn/{position}", "malformed", "not a string")
            elif target not in inventory.components:
                inventory.unread.note(f"{pointer}/dependsOn/{position}", "unknown-ref", target)
            else:
                inventory.connect(source, target)
