"""What every SBOM reader yields, and the normalised SBOM that is recorded (docs/matching.md section 2)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from kit.errors import LimitExceeded
from scanner.foreign import Skipped, Unread
from scanner.identity import NotEvaluated, Package

PROFILE: Final = "1.0"
MAX_COMPONENTS: Final = 200_000

Format = Literal["CycloneDX", "SPDX"]
Graph = tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Component:
    """One instance of a package, file or system; the same package found twice is two components.

    ``ref`` is the document's own identifier (bom-ref, SPDXID), or ``#`` and the JSON pointer where there is none.
    ``owner`` is the ref of the operating-system package that installed this component, where one did.
    """

    ref: str
    name: str
    version: str | None
    purl: str | None
    type: str | None
    package: Package | NotEvaluated
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Sbom:
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
        self.components: dict[str, Component] = {}
        self.unread = Unread()
        self._edges: dict[str, set[str]] = {}

    def add(self, component: Component) -> None:
        """Keep a component, whose ref is one that ``place`` gave."""
        if len(self.components) == MAX_COMPONENTS:
            raise LimitExceeded(detail="components of an SBOM", expected=MAX_COMPONENTS)
        self.components[component.ref] = component

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
        if source != target and source in self.components and target in self.components:
            self._edges.setdefault(source, set()).add(target)

    def in_order(self) -> tuple[Component, ...]:
        """Return the components sorted by package URL, name, version, ref."""
        found = self.components.values()
        return tuple(sorted(found, key=lambda one: (one.purl or "", one.name, one.version or "", one.ref)))

    def graph(self) -> Graph:
        """Return the edges as sorted adjacency lists."""
        return tuple((source, tuple(sorted(self._edges[source]))) for source in sorted(self._edges))


def first_of_type(components: Iterable[Component], kind: str) -> Component | None:
    """Return the first component of a type, in the order given."""
    return next((one for one in components if one.type == kind), None)


def normalised(sbom: Sbom) -> dict[str, object]:
    """Return the canonical profile of an SBOM, fit for canonical JSON: no absent members, lists sorted."""
    profile: dict[str, object] = {
        "schemaVersion": PROFILE,
        "format": sbom.format,
        "specVersion": sbom.spec_version,
        "components": [
            _present({"ref": one.ref, "name": one.name, "version": one.version, "purl": one.purl, "type": one.type})
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


def _present(members: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in members.items() if value is not None}
