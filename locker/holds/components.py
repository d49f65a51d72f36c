"""Which components an SBOM lists, so that a hold finds them without unpacking (docs/locker.md, "Holds").

The list is made once from the normalised SBOM of a scan's output bundle, under that SBOM's digest. An SBOM that cannot
be read is on record as that, and a hold on any component takes its scans too.
"""

from dataclasses import dataclass

import sqlalchemy as sa

from kit import layout
from kit.bundle import BundleReader
from kit.bytes import canonical
from kit.errors import MalformedDocument, StellaError, UsageError
from locker.rows import insert_absent
from locker.rows.retention import component_lists, components
from scanner import spelling

MAX_SBOM = 256 << 20
_BATCH = 500


@dataclass(frozen=True, slots=True)
class Listed:
    """What an SBOM lists: names with versions in order, or the reason code why it could not be read."""

    names: tuple[tuple[str, str], ...]
    fault: str | None = None


def read(outputs: BundleReader) -> Listed:
    """Return what the SBOM in a verified output bundle lists."""
    try:
        document = canonical.decode(
            outputs.read(layout.OUTPUT_MEMBERS["sbom"], limit=MAX_SBOM), max_bytes=MAX_SBOM, canonical=False
        )
        return Listed(tuple(sorted(_names(document))))
    except StellaError as fault:
        return Listed((), fault.reason)


def add(connection: sa.Connection, sbom: str, listed: Listed) -> None:
    """Keep what an SBOM lists, unless it is there."""
    if not insert_absent(connection, component_lists, {"sbom": sbom, "fault": listed.fault}):
        return
    for start in range(0, len(listed.names), _BATCH):
        batch = listed.names[start : start + _BATCH]
        found = [{"sbom": sbom, "component": name, "version": version} for name, version in batch]
        connection.execute(sa.insert(components), found)


def is_read(connection: sa.Connection, sbom: str) -> bool:
    """Tell whether this SBOM was looked at before."""
    return (
        connection.execute(sa.select(component_lists.c.sbom).where(component_lists.c.sbom == sbom)).first() is not None
    )


def named(purl: str) -> tuple[str, str]:
    """Return the name of a component and its version, empty for every one; :class:`UsageError` for no package URL."""
    compared = spelling.comparable(purl)
    if compared is None:
        raise UsageError(option="--component", expected="a package URL such as pkg:pypi/requests", found=purl[:200])
    return "/".join(compared[0]), compared[1]


def listing(name: str, version: str) -> sa.Select[tuple[str]]:
    """Return a selection of the SBOMs that list a component, in any version if none is given."""
    table = components.c
    found = sa.select(table.sbom).where(table.component == name)
    return found.where(table.version == version) if version else found


def readable() -> sa.Select[tuple[str]]:
    """Return a selection of the SBOMs that were read."""
    return sa.select(component_lists.c.sbom).where(component_lists.c.fault.is_(None))


def _names(document: object) -> set[tuple[str, str]]:
    """Return names and versions; a version that the package URL lacks is the component's own."""
    if not isinstance(document, dict) or not isinstance(document.get("components"), list):
        raise MalformedDocument(pointer="/components", detail="not a normalised SBOM")
    found = set()
    for one in document["components"]:
        purl = one.get("purl") if isinstance(one, dict) else None
        if isinstance(purl, str) and (compared := spelling.comparable(purl)) is not None:
            found.add(("/".join(compared[0]), compared[1] or str(one.get("version", ""))))
    return found
