"""Which VEX statement decides about a finding (docs/matching.md sections 6.2 and 6.3)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from scanner.identity import BadPurl, NotEvaluated, Purl, locate, parse_purl
from scanner.sbom.model import Component
from scanner.versions import Unparsable, key
from scanner.vex.model import Instant, Product, Statement, StatementRef, Status, Target, VexDocument

# Most cautious first.
_CAUTION: Final[dict[Status, int]] = {
    "affected": 0,
    "under_investigation": 1,
    "unknown": 2,
    "fixed": 3,
    "not_affected": 4,
}


@dataclass(frozen=True, slots=True)
class Contender:
    """One side of a conflict that no rule but caution could settle."""

    statement: StatementRef
    author: str
    timestamp: str
    status: Status


@dataclass(frozen=True, slots=True)
class Decision:
    """The status that holds, the statement it comes from, and the conflict that was settled by caution, if any."""

    status: Status
    statement: StatementRef
    author: str
    timestamp: str
    justification: str | None
    conflict: tuple[Contender, ...]


class VexIndex:
    """The statements of all documents by vulnerability id; letter case does not count."""

    def __init__(self, documents: Iterable[VexDocument]) -> None:
        self._statements: dict[str, list[Statement]] = {}
        for document in documents:
            for statement in document.statements:
                for name in {one.upper() for one in statement.vulnerabilities}:
                    self._statements.setdefault(name, []).append(statement)

    def about(self, vulnerability_ids: Iterable[str]) -> list[Statement]:
        """Return every statement that names one of the ids, each once, sorted by place."""
        found: dict[StatementRef, Statement] = {}
        for name in {one.upper() for one in vulnerability_ids}:
            for statement in self._statements.get(name, ()):
                found[statement.ref] = statement
        return [found[ref] for ref in sorted(found)]


def resolve(
    index: VexIndex,
    vulnerability_ids: Sequence[str],
    component: Component,
    subject: Component | None,
    trust_order: Sequence[str],
) -> Decision | None:
    """Return the decision about one component and one group of aliases, ``None`` where no statement applies.

    ``subject`` is what the SBOM is about. ``trust_order`` names authors, the most trusted first; all others come after.
    """
    about = [one for one in index.about(vulnerability_ids) if applies(one, component, subject)]
    if not about:
        return None
    latest: dict[str, Instant] = {}
    for one in about:
        latest[one.author] = max(one.time, latest.get(one.author, one.time))
    rank = {author: place for place, author in reversed(list(enumerate(trust_order)))}
    current = [one for one in about if one.time == latest[one.author]]
    best = min(rank.get(one.author, len(trust_order)) for one in current)
    trusted = [one for one in current if rank.get(one.author, len(trust_order)) == best]
    decisive = min(trusted, key=lambda one: (_CAUTION[one.status], one.ref))
    return Decision(
        status=decisive.status,
        statement=decisive.ref,
        author=decisive.author,
        timestamp=decisive.timestamp,
        justification=decisive.justification,
        conflict=_conflict(trusted),
    )


def applies(statement: Statement, component: Component, subject: Component | None) -> bool:
    """Tell whether a statement is about a component of an SBOM about a subject."""
    return any(_concerns(product, component, subject) for product in statement.products)


def _conflict(statements: Sequence[Statement]) -> tuple[Contender, ...]:
    if len({one.status for one in statements}) == 1:
        return ()
    return tuple(Contender(one.ref, one.author, one.timestamp, one.status) for one in statements)


def _concerns(product: Product, component: Component, subject: Component | None) -> bool:
    """Apply the product rule: parts inside the subject, or else the component or the subject as a whole."""
    whole = subject is not None and names(product.target, subject)
    if product.subcomponents:
        return whole and any(names(part, component) for part in product.subcomponents)
    return whole or names(product.target, component)


def names(target: Target, component: Component) -> bool:
    """Tell whether a statement's target is this component."""
    if component.purl is None:
        return False
    if target.id == component.purl:
        return True
    try:
        purl = parse_purl(component.purl)
    except BadPurl:
        return False
    return any(covers(wanted, purl) for wanted in target.purls)


def covers(wanted: Purl, found: Purl) -> bool:
    """Tell whether a package URL of a statement is that of a component.

    Type, namespace and name are equal; version and every qualifier count only where the statement gives them.
    """
    place = _place(wanted)
    return (
        place == _place(found)
        and (wanted.version is None or _same_version(place[0], wanted.version, found.version))
        and set(wanted.qualifiers) <= set(found.qualifiers)
    )


def _place(purl: Purl) -> tuple[str, str]:
    """Return ecosystem and normalised name, or type and full name of what no ecosystem is known for."""
    place = locate(purl, purl.version or "")
    if isinstance(place, NotEvaluated):
        # A type is no ecosystem, even where both have one name: its versions are compared as text.
        return f"pkg:{purl.type}", f"{purl.namespace}/{purl.name}"
    return place


def _same_version(ecosystem: str, wanted: str, found: str | None) -> bool:
    """Compare by the ecosystem's order where both are versions of it, so that ``1.0`` is ``v1.0.0``; else by text."""
    if found is None or wanted == found:
        return wanted == found
    try:
        return bool(key(ecosystem, wanted) == key(ecosystem, found))
    except Unparsable:
        return False
