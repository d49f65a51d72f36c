"""CycloneDX 1.2 to 1.7 in JSON: components, dependencies, subject, operating system (docs/matching.md section 2.1)."""

from typing import Final

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, items, record, required, text
from scanner.identity import from_purl
from scanner.sbom.model import Component, Inventory, Sbom, first_of_type

SPEC_VERSIONS: Final = ("1.2", "1.3", "1.4", "1.5", "1.6", "1.7")


def read(document: Record, digest: str) -> Sbom:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    spec_version = required(document, "specVersion", "")
    if spec_version not in SPEC_VERSIONS:
        raise UnsupportedVersion(detail="CycloneDX", expected="1.2 to 1.7", found=ascii(spec_version)[:40])
    inventory = Inventory()
    subject = _subject(inventory, document)
    _walk(inventory, items(document, "components", ""), "/components", parent=None)
    _dependencies(inventory, items(document, "dependencies", ""))
    components = inventory.in_order()
    return Sbom(
        format="CycloneDX",
        spec_version=spec_version,
        name=subject.name if subject else None,
        digest=digest,
        subject=subject,
        operating_system=first_of_type(components, "operating-system"),
        components=components,
        dependencies=inventory.graph(),
        skipped=inventory.unread.in_order(),
        bom_link=bom_link(document),
    )


def bom_link(document: Record) -> str | None:
    """Return ``serial/version`` of a BOM, by which BOM-Links name it; ``None`` for one without serial number."""
    serial, version = document.get("serialNumber"), document.get("version", 1)
    if not isinstance(serial, str) or not serial.lower().startswith("urn:uuid:") or type(version) is not int:
        return None
    return f"{serial[9:].lower()}/{version}"


def _subject(inventory: Inventory, document: Record) -> Component | None:
    metadata = document.get("metadata")
    if metadata is None:
        return None
    described = record(metadata, "/metadata").get("component")
    return None if described is None else _component(inventory, described, "/metadata/component", parent=None)


def _walk(inventory: Inventory, values: list[JsonValue], pointer: str, *, parent: str | None) -> None:
    for index, value in enumerate(values):
        _component(inventory, value, f"{pointer}/{index}", parent=parent)


def _component(inventory: Inventory, value: JsonValue, pointer: str, *, parent: str | None) -> Component | None:
    """Read a component and those nested in it; the nested ones are read even where their owner is malformed."""
    component: Component | None = None
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
        component = Component(ref, name, version, purl, kind, from_purl(purl, version=version))
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


def _dependencies(inventory: Inventory, values: list[JsonValue]) -> None:
    for index, value in enumerate(values):
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
