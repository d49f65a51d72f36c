"""What stands around a package in an SBOM, as far as VEX reads it, and mixtures of two sides (docs/matching.md 9.3).

Statements about what lies between the subject and a package count (section 6.4), so the part of the graph that leads to
the package is kept with it. What is not above the package cannot change a decision about it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from scanner.explain.narrow import Budget
from scanner.foreign import Skipped
from scanner.sbom import Component, Sbom
from scanner.vex.paths import gap

MAX_STEPS = 1_000_000
"""How many edges may be followed, for all packages and both sides together."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an SBOM that leads to some components; ``around`` says of what it is made, the subject left aside."""

    around: tuple[tuple[str, str | None, str | None], ...]
    edges: tuple[tuple[str, tuple[str, ...]], ...]
    gap: bool
    components: tuple[Component, ...] = field(compare=False)

    @property
    def size(self) -> int:
        """How many components and edges there are."""
        return len(self.components) + sum(len(targets) for _, targets in self.edges)


class Surroundings:
    """The graph of one side, upwards."""

    def __init__(self, sbom: Sbom, budget: Budget) -> None:
        self._sbom = sbom
        self._budget = budget
        self._gap = gap(sbom)
        self._components = {one.ref: one for one in sbom.components}
        self._above: dict[str, list[str]] = {}
        for source, targets in sbom.dependencies:
            for target in targets:
                self._above.setdefault(target, []).append(source)

    def leading_to(self, refs: Iterable[str]) -> Part:
        """Return what leads to components; raises :class:`scanner.explain.narrow.Exhausted`."""
        own = set(refs)
        reached = set(own)
        pending = list(own)
        below: dict[str, list[str]] = {}
        while pending:
            target = pending.pop()
            sources = self._above.get(target, ())
            self._budget.spend(1 + len(sources))
            for source in sources:
                below.setdefault(source, []).append(target)
                if source not in reached:
                    reached.add(source)
                    pending.append(source)
        found = [self._components[ref] for ref in sorted(reached - own)]
        subject = self._sbom.subject
        return Part(
            around=tuple((one.ref, one.purl, one.version) for one in found if one != subject),
            edges=tuple((source, tuple(sorted(below[source]))) for source in sorted(below)),
            gap=self._gap is not None,
            components=tuple(found),
        )


def mixed(base: Sbom, own: Sequence[Component], part: Part, subject: Component | None, bom_link: str | None) -> Sbom:
    """Return an SBOM of a package's instances, what leads to them, and the subject, each from the side it is given of.

    What is nearer to the package wins where two components have one ref.
    """
    components: Mapping[str, Component] = {
        one.ref: one for one in (*part.components, *([subject] if subject else []), *own)
    }
    edges = (
        (source, tuple(target for target in targets if target in components))
        for source, targets in part.edges
        if source in components
    )
    return Sbom(
        format=base.format,
        spec_version=base.spec_version,
        name=base.name,
        digest=base.digest,
        subject=subject,
        operating_system=None,
        components=tuple(components.values()),
        dependencies=tuple((source, targets) for source, targets in edges if targets),
        skipped=(Skipped("", "malformed"),) if part.gap else (),
        bom_link=bom_link,
    )
