"""CSAF 2.0, security advisories and VEX alike (docs/matching.md section 6.1.2).

The product tree is flattened to what each product id stands for; a vulnerability becomes one statement for each status
and justification that it gives products.
"""

from collections.abc import Mapping
from typing import Final

from kit.bytes.canonical import JsonValue
from kit.errors import UnsupportedVersion
from scanner.foreign import MalformedPart, Record, record, required, text
from scanner.vex.csaf_products import Products
from scanner.vex.model import CAUTION, Product, Status
from scanner.vex.reading import Reading, instant, named, texts

_STATUSES: Final[Mapping[str, Status]] = {
    "first_affected": "affected",
    "known_affected": "affected",
    "last_affected": "affected",
    "first_fixed": "fixed",
    "fixed": "fixed",
    "recommended": "fixed",
    "known_not_affected": "not_affected",
    "under_investigation": "under_investigation",
}


def read(reading: Reading, document: Record) -> None:
    """Read a decoded document; a fault of the document itself is raised as ``MalformedPart``."""
    head = record(document.get("document"), "/document")
    version = required(head, "csaf_version", "/document")
    if version != "2.0":
        raise UnsupportedVersion(expected="CSAF 2.0", found=ascii(version)[:80])
    publisher = record(head.get("publisher"), "/document/publisher")
    reading.by(required(publisher, "name", "/document/publisher"))
    tracking = record(head.get("tracking"), "/document/tracking")
    released = text(tracking, "current_release_date", "/document/tracking")
    timestamp, time = instant(released, "/document/tracking/current_release_date")
    products = Products(reading, record(document.get("product_tree") or {}, "/product_tree"))
    for at, value in enumerate(reading.items(document, "vulnerabilities", "")):
        pointer = f"/vulnerabilities/{at}"
        try:
            fields = record(value, pointer)
            listed = record(fields.get("product_status"), f"{pointer}/product_status")
            names = _names(reading, fields, pointer)
            statuses = _statuses(reading, products, listed, pointer)
            reasons = _justifications(reading, products, fields, pointer)
        except MalformedPart as fault:
            reading.fail(fault)
            continue
        for (status, reason), meant in _grouped(products, statuses, reasons).items():
            reading.state(
                pointer,
                time=time,
                timestamp=timestamp,
                vulnerabilities=names,
                status=status,
                justification=reason or None,
                products=meant,
            )


def _names(reading: Reading, fields: Record, pointer: str) -> tuple[str, ...]:
    """Return the CVE id, or else the first other id, and then all others."""
    found = [cve] if (cve := text(fields, "cve", pointer)) else []
    for at, value in enumerate(reading.items(fields, "ids", pointer)):
        place = f"{pointer}/ids/{at}"
        found.append(required(record(value, place), "text", place))
    if not found:
        raise MalformedPart(f"{pointer}/cve", "neither cve nor ids")
    return named(found[0], found[1:])


def _statuses(reading: Reading, products: Products, listed: Record, pointer: str) -> dict[str, Status]:
    """Return the status of each product id; where lists contradict one another, the most cautious one, and a note."""
    found: dict[str, Status] = {}
    contradicted: dict[str, None] = {}
    pointer = f"{pointer}/product_status"
    for name in sorted(listed):
        status = _STATUSES.get(name, "unknown")
        for at, product in enumerate(texts(reading.items(listed, name, pointer), f"{pointer}/{_escaped(name)}")):
            if product not in products:
                place = f"{pointer}/{_escaped(name)}/{at}"
                reading.fail(MalformedPart(place, product), products.why_not(product))
                continue
            before = found.setdefault(product, status)
            if before != status:
                contradicted[product] = None
                found[product] = min(before, status, key=CAUTION.__getitem__)
    for product in contradicted:
        reading.unread.note(pointer, "contradictory-status", product)
    return found


def _justifications(reading: Reading, products: Products, fields: Record, pointer: str) -> dict[str, str]:
    """Return the label of the first flag of each product id, in text order of the labels."""
    found: dict[str, str] = {}
    for at, value in enumerate(reading.items(fields, "flags", pointer)):
        place = f"{pointer}/flags/{at}"
        flag = record(value, place)
        label = required(flag, "label", place)
        for product in _meant(reading, products, flag, place):
            found[product] = min(label, found.get(product, label))
    return found


def _meant(reading: Reading, products: Products, flag: Record, pointer: str) -> list[str]:
    """Return the product ids that a flag names itself or by their groups."""
    found = texts(reading.items(flag, "product_ids", pointer), f"{pointer}/product_ids")
    for group in texts(reading.items(flag, "group_ids", pointer), f"{pointer}/group_ids"):
        members = products.groups.get(group, ())
        reading.count(len(members))
        found += members
    return found


def _grouped(
    products: Products, statuses: Mapping[str, Status], reasons: Mapping[str, str]
) -> dict[tuple[Status, str], list[Product]]:
    """Return the products by status and justification, the most cautious first."""
    found: dict[tuple[Status, str], list[Product]] = {}
    for product, status in statuses.items():
        reason = reasons.get(product, "") if status == "not_affected" else ""
        found.setdefault((status, reason), []).append(products[product])
    return {key: found[key] for key in sorted(found, key=lambda one: (CAUTION[one[0]], one[1]))}


def _escaped(name: JsonValue) -> str:
    return str(name).replace("~", "~0").replace("/", "~1")
