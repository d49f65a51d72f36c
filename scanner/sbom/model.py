"""What every SBOM reader yields, and the normalised SBOM that is recorded (docs/matching.md section 2)."""

from collections.abc import Container, Mapping
from typing import Final, Literal

import msgspec

from kit.bytes.canonical import JsonValue
from kit.errors import LimitExceeded
from scanner.foreign import Skipped, Unread
from scanner.identity import NotEvaluated, Package, Purl, System, identify, locate, read_purl
from scanner.sbom.found import OPERATING_SYSTEM, Found, host_of
from scanner.sbom.ownership import owners_of

PROFILE: Final = "1.0"
MAX_COMPONENTS: Final = 100_000
MAX_EDGES: Final = 500_000
_LISTED_DOUBTS: Final = 100

Format = Literal["CycloneDX", "SPDX"]
Graph = tuple[tuple[str, tuple[str, ...]], ...]


class Component(msgspec.Struct, frozen=True):
    """One instance of a package, file or system; the same package found twice is two components.

    ``ref`` is the document's own identifier (bom-ref, SPDXID), or ``#`` and the JSON pointer where there is none. Name,
    version and Package URL are the document's; ``package`` is what is looked up, of an operating-system package mostly
    its source. ``owner`` is the ref of the operating-system package that installed this component, where one did.
    """

    ref: str
    name: str
    version: str | None
    purl: str | None
    type: str | None
    package: Package | NotEvaluated
    owner: str | None = None


class Sbom(msgspec.Struct, frozen=True):
    """A document, read: every tuple is sorted, so that the order in the file does not matter.

    ``components`` holds the subject and the operating system too, where the document describes them. ``dependencies``
    are edges between refs of components, whether the document calls them dependency or containment. ``bom_link`` is
    ``serial/version``, under which VEX documents refer to a CycloneDX document.
    """

    format: Format
    spec_version: str
    name: str | None
    digest: str
    subject: Component | None
    operating_system: Component | None
    components: tuple[Component, ...]
    dependencies: Graph
    skipped: tuple[Skipped, ...]
    bom_link: str | None = None


class Inventory:
    """What a reader has gathered so far from one document."""

    def __init__(self) -> None:
        self.components: dict[str, Found] = {}
        self.unread = Unread()
        self._edges: dict[str, set[str]] = {}
        self._owners: dict[str, str] = {}
        self._edge_count = 0
        self._doubts = 0

    def add(self, component: Found) -> None:
        """Keep a component, whose ref is one that ``place`` gave."""
        self.components[component.ref] = component
        check_count(len(self.components), MAX_COMPONENTS, "components of an SBOM")

    def place(self, ref: str | None, pointer: str, member: str) -> str:
        """Return a component's own ref, or its position where it has none that is still free."""
        if ref is not None and ref not in self.components:
            return ref
        if ref is not None:
            self.unread.note(f"{pointer}/{member}", "duplicate-ref", ref)
        ref = f"#{pointer}"
        while ref in self.components:
            ref += "#"
        return ref

    def connect(self, source: str, target: str) -> None:
        """Note that one component depends on or contains another; anything but two components is passed over."""
        if source == target or source not in self.components or target not in self.components:
            return
        targets = self._edges.setdefault(source, set())
        if target not in targets:
            self._edge_count += 1
            check_count(self._edge_count, MAX_EDGES, "dependencies of an SBOM")
            targets.add(target)

    def relate(self, source: str, target: str, pointer: str, *, dependency: bool, known: Container[str]) -> None:
        """Note an edge that a document states between two of its elements, which need not be components.

        ``known`` are elements that are none, such as files. What contains one of these contains no component by it. Any
        other edge that does not join two components is ``unknown-edge``: a path may lead on from there.
        """
        if source in self.components and target in self.components:
            self.connect(source, target)
        elif dependency or target not in known:
            self.doubt(pointer, f"from {source} to {target}")

    def doubt(self, pointer: str, detail: str) -> None:
        """Note what may be an edge and is not read as one; beyond the first of these only their number is kept."""
        self._doubts += 1
        if self._doubts <= _LISTED_DOUBTS:
            self.unread.note(pointer, "unknown-edge", detail)

    def own(self, owner: str, owned: str) -> None:
        """Note that one component owns another's files; of several owners the first by ref counts."""
        if owner != owned and owner in self.components and owned in self.components:
            self._owners[owned] = min(owner, self._owners.get(owned, owner))

    def sbom(self, form: Format, spec_version: str, name: str | None, digest: str, subject: str | None) -> Sbom:
        """Return the document: components identified and sorted, with their owners, and the graph as sorted lists."""
        if self._doubts > _LISTED_DOUBTS:
            self.unread.note("", "unknown-edge", f"{self._doubts - _LISTED_DOUBTS} further relationships")
        found = sorted(self.components.values(), key=lambda one: (one.purl or "", one.name, one.version or "", one.ref))
        host = host_of(found)
        purls = {one.ref: read_purl(one.purl) for one in found}
        owners = owners_of(found, purls, self._owners)
        components = tuple(
            Component(
                ref=one.ref,
                name=one.name,
                version=one.version,
                purl=one.purl,
                type=one.type,
                package=_package(one, purls[one.ref], host),
                owner=owners.get(one.ref),
            )
            for one in found
        )
        return Sbom(
            format=form,
            spec_version=spec_version,
            name=name,
            digest=digest,
            subject=next((one for one in components if one.ref == subject), None),
            operating_system=next((one for one in components if one.type == OPERATING_SYSTEM), None),
            components=components,
            dependencies=tuple((source, tuple(sorted(self._edges[source]))) for source in sorted(self._edges)),
            skipped=self.unread.in_order(),
        )


def _package(one: Found, purl: Purl | NotEvaluated, host: System | None) -> Package | NotEvaluated:
    if isinstance(purl, NotEvaluated):
        return purl
    return identify(purl, version=one.version, source=one.source, host=host)


def components_within(values: list[JsonValue]) -> list[JsonValue]:
    """Return a list of components or packages unless there are too many, malformed ones counted (``LimitExceeded``)."""
    check_count(len(values), MAX_COMPONENTS, "components of an SBOM")
    return values


def edges_within(values: list[JsonValue]) -> list[JsonValue]:
    """Return a list of dependencies or relationships, unless there are too many (``LimitExceeded``)."""
    check_count(len(values), MAX_EDGES, "dependencies of an SBOM")
    return values


def check_count(count: int, limit: int, what: str) -> None:
    """Refuse, by ``LimitExceeded``, more of a thing than its limit."""
    if count > limit:
        raise LimitExceeded(detail=what, expected=limit)


def normalised(sbom: Sbom) -> dict[str, object]:
    """Return the canonical profile of an SBOM, fit for canonical JSON: no absent members, lists sorted."""
    profile: dict[str, object] = {
        "schemaVersion": PROFILE,
        "format": sbom.format,
        "specVersion": sbom.spec_version,
        "components": [
            _present(
                {
                    "ref": one.ref,
                    "name": one.name,
                    "version": one.version,
                    "purl": one.purl,
                    "type": one.type,
                    "owner": one.owner,
                }
            )
            | _looked_up(one)
            for one in sbom.components
        ],
        "dependencies": [{"ref": ref, "dependsOn": list(targets)} for ref, targets in sbom.dependencies],
        "skipped": [
            _present({"pointer": one.pointer, "reason": one.reason, "detail": one.detail or None})
            for one in sbom.skipped
        ],
    }
    profile |= _present(
        {
            "name": sbom.name,
            "subject": sbom.subject.ref if sbom.subject else None,
            "operatingSystem": sbom.operating_system.ref if sbom.operating_system else None,
        }
    )
    return profile


def _looked_up(component: Component) -> dict[str, object]:
    """Return the package that is looked up where its name or version is not what the Package URL itself says."""
    package, purl = component.package, read_purl(component.purl)
    if isinstance(package, NotEvaluated) or isinstance(purl, NotEvaluated):
        return {}
    own = (purl.version or component.version or "").strip()
    place = locate(purl, own)
    if not isinstance(place, NotEvaluated) and (package.name, package.version) == (place[1], own):
        return {}
    return {"package": {"ecosystem": package.ecosystem, "name": package.name, "version": package.version}}


def _present(members: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}
