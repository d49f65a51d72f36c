"""CycloneDX VEX, alone or inside a BOM, JSON of the versions that the SBOM reader knows (docs/matching.md 6.1.3)."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from kit.bytes.canonical import JsonValue
from kit.errors import MalformedDocument, UnsupportedVersion
from scanner.foreign import MalformedPart, Record, record, required, text
from scanner.identity import NotEvaluated, Purl, locate
from scanner.sbom.cyclonedx import SPEC_VERSIONS, bom_link
from scanner.vex.model import CAUTION, Product, Status, Target, is_purl
from scanner.vex.reading import Reading, instant, named
from scanner.vex.vers import Range, Unevaluable, read_range

_STATES: Final[Mapping[str, Status]] = {
    "exploitable": "affected",
    "in_triage": "under_investigation",
    "false_positive": "not_affected",
    "not_affected": "not_affected",
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
}
_OF_VERSIONS: Final[Mapping[str, Status]] = {"affected": "affected", "unaffected": "not_affected"}
_LINK: Final = "urn:cdx:"


def read(reading: Reading, document: Record) -> None:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    if document.get("bomFormat") != "CycloneDX":
        raise MalformedDocument(pointer="/bomFormat", detail="not CycloneDX")
    version = required(document, "specVersion", "")
    if version not in SPEC_VERSIONS:
        raise UnsupportedVersion(expected="CycloneDX 1.2 to 1.7", found=ascii(version)[:40])
    metadata = record(document.get("metadata") or {}, "/metadata")
    reading.by(_author(reading, metadata))
    released = text(metadata, "timestamp", "/metadata")
    inventory = _Inventory(reading, document, metadata)
    for at, value in enumerate(reading.items(document, "vulnerabilities", "")):
        pointer = f"/vulnerabilities/{at}"
        try:
            _vulnerability(reading, inventory, released, record(value, pointer), pointer)
        except MalformedPart as fault:
            reading.fail(fault)


def _author(reading: Reading, metadata: Record) -> str:
    """Return the first name among authors, supplier and manufacturer; the empty text if none is named."""
    for at, value in enumerate(reading.items(metadata, "authors", "/metadata")):
        if name := text(record(value, f"/metadata/authors/{at}"), "name", f"/metadata/authors/{at}"):
            return name
    for role in ("supplier", "manufacturer", "manufacture"):
        if name := text(record(metadata.get(role) or {}, f"/metadata/{role}"), "name", f"/metadata/{role}"):
            return name
    return ""


class _Inventory:
    """What the refs of a document stand for."""

    def __init__(self, reading: Reading, document: Record, metadata: Record) -> None:
        self._reading = reading
        self._own = bom_link(document)
        self._targets: dict[str, Target | None] = {}
        described = metadata.get("component")
        self._subject = self._component(described, "/metadata/component") if isinstance(described, dict) else None
        pending: list[tuple[JsonValue, str]] = [(described, "/metadata/component"), (document, "")]
        while pending:
            owner, pointer = pending.pop()
            if isinstance(owner, dict):
                for at, value in enumerate(reading.items(owner, "components", pointer)):
                    place = f"{pointer}/components/{at}"
                    if isinstance(value, dict):
                        self._component(value, place)
                    pending.append((value, place))

    def products(self, ref: str, pointer: str) -> list[Product]:
        """Return what a ref of an affected component stands for; ``MalformedPart`` for nothing."""
        if ref[: len(_LINK)].lower() == _LINK:
            bom, _, inside = ref[len(_LINK) :].partition("#")
            if not bom or not inside:
                raise MalformedPart(pointer, "not a BOM-Link to a component")
            if bom.lower() != self._own:
                links = dict.fromkeys((f"{bom.lower()}#{inside}", f"{bom.lower()}#{unquote(inside)}"))
                return [Product(Target(links=tuple(links)), ())]
            ref = inside if inside in self._targets else unquote(inside)
        if ref not in self._targets and is_purl(ref):
            return self._within(Target(purls=self._reading.purls(pointer, ref)))
        target = self._targets.get(ref)
        if target is None:
            known = ref in self._targets
            raise MalformedPart(pointer, "a ref of several components" if known else "a ref of no component")
        found = self._within(target)
        if target.links:
            found.append(Product(Target(links=target.links), ()))
        return found

    def _within(self, target: Target) -> list[Product]:
        """Return a component as a part of what the document is about."""
        if self._subject is None or target == self._subject:
            return [Product(target, ())]
        return [Product(self._subject, (target,))]

    def _component(self, fields: Record, pointer: str) -> Target | None:
        """Read a component of the document; what has no ref cannot be referred to."""
        try:
            ref = text(fields, "bom-ref", pointer)
            purl = text(fields, "purl", pointer)
        except MalformedPart as fault:
            self._reading.unread.note_fault(fault)
            return None
        links = (f"{self._own}#{ref}",) if ref and self._own else ()
        target = Target(purls=self._reading.purls(f"{pointer}/purl", purl), links=links)
        if ref and self._targets.setdefault(ref, target) != target:
            self._targets[ref] = None
        return target


def _vulnerability(reading: Reading, inventory: _Inventory, released: str | None, fields: Record, pointer: str) -> None:
    """Read one vulnerability: a statement for each status that it gives its components or their versions."""
    name = required(fields, "id", pointer)
    aliases = []
    for at, value in enumerate(reading.items(fields, "references", pointer)):
        place = f"{pointer}/references/{at}"
        aliases.append(required(record(value, place), "id", place))
    analysis = record(fields.get("analysis") or {}, f"{pointer}/analysis")
    state = required(analysis, "state", f"{pointer}/analysis")
    justification = text(analysis, "justification", f"{pointer}/analysis")
    own = text(analysis, "lastUpdated", f"{pointer}/analysis") or text(analysis, "firstIssued", f"{pointer}/analysis")
    dated = own or released
    timestamp, time = instant(dated, f"{pointer}/analysis" if own else "/metadata/timestamp") if dated else ("", None)
    affects = reading.items(fields, "affects", pointer)
    if not affects:
        raise MalformedPart(f"{pointer}/affects", "missing")
    found: dict[Status, list[Product]] = {}
    for at, value in enumerate(affects):
        place = f"{pointer}/affects/{at}"
        affected = record(value, place)
        try:
            products = inventory.products(required(affected, "ref", place), f"{place}/ref")
        except MalformedPart as fault:
            reading.fail(fault, "unknown-ref")
            continue
        for status, narrowed in _versions(reading, affected, place, _STATES.get(state, "unknown"), products).items():
            found.setdefault(status, []).extend(narrowed)
    for status in sorted(found, key=CAUTION.__getitem__):
        reading.state(
            pointer,
            time=time,
            timestamp=timestamp,
            vulnerabilities=named(name, aliases),
            status=status,
            justification=justification if status == "not_affected" else None,
            products=found[status],
        )


def _versions(
    reading: Reading, affected: Record, pointer: str, state: Status, products: list[Product]
) -> dict[Status, list[Product]]:
    """Return the products by status, each narrowed to the versions that have it; all of it if none are listed.

    A version has the more cautious one of the analysis' state and its own status.
    """
    listed = reading.items(affected, "versions", pointer)
    if not listed:
        return {state: products}
    kept: dict[Status, list[tuple[str | None, str | None, str]]] = {}
    for at, value in enumerate(listed):
        place = f"{pointer}/versions/{at}"
        fields = record(value, place)
        word = text(fields, "status", place)
        status = state if word is None else min(state, _OF_VERSIONS.get(word, "unknown"), key=CAUTION.__getitem__)
        single, several = text(fields, "version", place), text(fields, "range", place)
        if (single is None) == (several is None):
            raise MalformedPart(place, "neither version nor range, or both")
        kept.setdefault(status, []).append((single, several, place))
    reading.count(len(products) * len(listed))
    found: dict[Status, list[Product]] = {}
    for status, entries in kept.items():
        narrowed = [_narrowed(reading, product, entries) for product in products]
        found[status] = [product for product in narrowed if product is not None]
    return {status: some for status, some in found.items() if some}


def _narrowed(reading: Reading, product: Product, entries: list[tuple[str | None, str | None, str]]) -> Product | None:
    """Return a product, or the one part of it, in these versions only; ``None`` where none can be evaluated."""
    target = product.subcomponents[0] if product.subcomponents else product.target
    versions: list[str | Range] = []
    for single, several, place in entries:
        try:
            versions.append(single if several is None else _range(several, target.purls))  # type: ignore[arg-type]
        except Unevaluable as why:
            reading.unread.note(place, "unevaluable-range", f"{why}: {several}")
    if not versions:
        return None
    exact = Target(purls=target.purls, links=target.links, versions=tuple(versions))
    return Product(product.target, (exact,)) if product.subcomponents else Product(exact, ())


def _range(several: str, purls: tuple[Purl, ...]) -> Range:
    if not purls:
        raise Unevaluable("no package URL says which order")
    place = locate(purls[0], purls[0].version or "")
    if isinstance(place, NotEvaluated):
        raise Unevaluable(f"no order for {purls[0].type!a}")
    return read_range(several, purls[0].type, place[0])
