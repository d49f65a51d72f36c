"""Which VEX statement decides about a finding (docs/matching.md sections 6.2 to 6.4)."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from kit.errors import LimitExceeded
from scanner.instant import Instant
from scanner.sbom.model import Sbom
from scanner.vex.fits import Found, found
from scanner.vex.index import VexIndex
from scanner.vex.model import CAUTION, SUPPRESSING, Statement, StatementRef, Status
from scanner.vex.paths import Paths

MAX_SIDES: Final = 100_000
"""How many statements the conflicts and blocked paths of a scan's findings may name together."""


class Contender(msgspec.Struct, frozen=True):
    """One side of a conflict that no rule but caution could settle."""

    statement: StatementRef
    author: str
    timestamp: str
    status: Status


class Block(msgspec.Struct, frozen=True):
    """A component on the way from the subject to a finding's component that does not have the vulnerability."""

    ref: str
    statement: StatementRef
    author: str
    timestamp: str
    status: Status
    justification: str | None


class Decision(msgspec.Struct, frozen=True):
    """The status that holds, the statement it comes from, and the conflict that was settled by caution, if any.

    With ``blocks`` the statement is the first of those that together block every path to the component.
    """

    status: Status
    statement: StatementRef
    author: str
    timestamp: str
    justification: str | None
    conflict: tuple[Contender, ...]
    blocks: tuple[Block, ...] = ()


class Resolver:
    """Decides about the findings of one SBOM; ``trust_order`` names authors, the most trusted first.

    ``now`` is the time of the scan: what a statement dates later is no time that it can have been made at. Without it
    every time is believed.
    """

    def __init__(self, index: VexIndex, sbom: Sbom, trust_order: Sequence[str], now: Instant | None = None) -> None:
        self._index = index
        self._sbom = sbom
        self._components = {component.ref: component for component in sbom.components}
        self._rank = {author: place for place, author in reversed(list(enumerate(trust_order))) if author}
        self._last = len(trust_order)
        self._now = now
        self._paths: Paths | None = None
        self._found: dict[str, Found] = {}
        self._by_key: dict[Hashable, list[str]] | None = None
        self._above: tuple[str, set[str]] = ("", set())
        self._sides = MAX_SIDES

    def decide(self, vulnerability_ids: Iterable[str], refs: Sequence[str]) -> Decision | None:
        """Return the decision about one group of aliases in all instances of a package, ``None`` where there is none.

        Where no statement is about the component or the subject, statements about what lies between may block every
        path.
        """
        known = self._index.speaks_of(vulnerability_ids)
        if not known:
            return None
        about = self._direct(known, refs)
        decision = self._weigh(about.values()) if about else self._blocked(known, refs)
        if decision:
            self._sides -= len(decision.conflict) + len(decision.blocks)
            if self._sides < 0:
                raise LimitExceeded(detail="sides of VEX conflicts and blocked paths", expected=MAX_SIDES)
        return decision

    def _direct(self, known: Sequence[str], refs: Sequence[str]) -> dict[StatementRef, Statement]:
        """Return the statements about a component, or about the subject with it.

        One that suppresses speaks for a package only if it speaks for each of its instances.
        """
        each = [self._about_instance(known, ref) for ref in self._distinct(refs)]
        every = {at: one for some in each for at, one in some.items()}
        return {
            at: one for at, one in every.items() if one.status not in SUPPRESSING or all(at in some for some in each)
        }

    def _distinct(self, refs: Sequence[str]) -> Iterable[str]:
        """Return the instances that a statement can tell apart: by version, as the subject, and by BOM-Link."""
        if self._index.has_links:
            return refs
        subject = self._sbom.subject.ref if self._sbom.subject else None
        return {(self._at(ref).purl, ref == subject): ref for ref in reversed(refs)}.values()

    def _about_instance(self, known: Sequence[str], ref: str) -> dict[StatementRef, Statement]:
        component, subject = self._at(ref), self._sbom.subject
        about = {one.ref: one for one in self._index.about(known, component, _NOTHING)}
        if subject is not None and subject.ref != ref:
            about.update((one.ref, one) for one in self._index.about(known, self._at(subject.ref), component))
        return about

    def _blocked(self, known: Sequence[str], refs: Sequence[str]) -> Decision | None:
        """Return the decision that follows if every path to every instance is blocked."""
        if self._paths is None:
            self._paths = Paths(self._sbom)
        if not self._paths.usable:
            return None
        standing: dict[str, Decision] = {}
        cut: set[str] = set()
        for ref in refs:
            component = self._at(ref)
            blocked: dict[str, Decision] = {}
            for product in self._products_above(self._paths, known, ref):
                about = {one.ref: one for one in self._index.about(known, product, component)}
                decision = self._weigh(about.values()) if about else None
                if decision and decision.status in SUPPRESSING:
                    blocked[product.ref] = decision
            nearest = self._paths.cut(ref, blocked) if blocked else []
            if not nearest:
                return None
            cut.update(nearest)
            standing.update(blocked)
        return _joined([(ref, standing[ref]) for ref in sorted(cut)])

    def _products_above(self, paths: Paths, known: Sequence[str], ref: str) -> Iterable[Found]:
        """Return the components above one that are products of statements about one of the ids."""
        filed = self._components_by_key()
        products: dict[str, None] = {}
        for name in known:
            stated = self._index.products(name)
            paths.spend(min(len(stated), len(filed)))
            for key in filed.keys() & stated:
                paths.spend(len(filed[key]))
                products.update(dict.fromkeys(filed[key]))
        if not products:
            return []
        # Findings come package by package, so the last answer is worth keeping.
        if self._above[0] != ref:
            self._above = (ref, paths.above(ref))
        return [self._at(one) for one in products if one in self._above[1]]

    def _components_by_key(self) -> Mapping[Hashable, list[str]]:
        """Return the refs of all components by the keys under which statements about them are filed."""
        if self._by_key is None:
            self._by_key = {}
            for ref in self._components:
                for key in self._at(ref).keys:
                    self._by_key.setdefault(key, []).append(ref)
        return self._by_key

    def _at(self, ref: str) -> Found:
        known = self._found.get(ref)
        if known is None:
            known = self._found[ref] = found(self._components[ref], self._sbom.bom_link)
        return known

    def _time(self, statement: Statement) -> Instant | None:
        """Return when a statement was made, ``None`` where that is unknown or cannot be."""
        time = statement.time
        return None if time is not None and self._now is not None and time > self._now else time

    def _weigh(self, statements: Iterable[Statement]) -> Decision:
        """Apply the rule of conflict to statements about one thing, of which there is at least one."""
        about = sorted(statements, key=lambda one: one.ref)
        latest: dict[tuple[str, str], Instant] = {}
        times = [self._time(one) for one in about]
        for one, time in zip(about, times, strict=True):
            if time is not None:
                latest[_author(one)] = max(time, latest.get(_author(one), time))
        current = [one for one, time in zip(about, times, strict=True) if time is None or time == latest[_author(one)]]
        ranks = [self._rank.get(one.author, self._last) for one in current]
        best = min(ranks)
        trusted = [one for one, rank in zip(current, ranks, strict=True) if rank == best]
        decisive = min(trusted, key=lambda one: (CAUTION[one.status], one.ref))
        return Decision(
            status=decisive.status,
            statement=decisive.ref,
            author=decisive.author,
            timestamp=decisive.timestamp,
            justification=decisive.justification,
            conflict=_conflict(trusted),
        )


_NOTHING: Final = Found(ref="", text="", purl=None, link=None, keys=())


def _author(statement: Statement) -> tuple[str, str]:
    """Return who makes a statement: of nameless authors nothing says that two documents have the same one."""
    return statement.author, "" if statement.author else statement.ref.digest


def _conflict(statements: Iterable[Statement]) -> tuple[Contender, ...]:
    """Return the sides, one for each status that an author gives."""
    sides: dict[tuple[tuple[str, str], Status], Statement] = {}
    for one in statements:
        sides.setdefault((_author(one), one.status), one)
    if len({status for _, status in sides}) == 1:
        return ()
    return tuple(Contender(one.ref, one.author, one.timestamp, one.status) for one in sides.values())


def _joined(parts: Sequence[tuple[str, Decision]]) -> Decision:
    """Return one decision from those about the components that block every path together."""
    first = min((one for _, one in parts), key=lambda one: (CAUTION[one.status], one.statement))
    sides = {(side.statement, side.status): side for _, one in parts for side in one.conflict}
    return Decision(
        status=first.status,
        statement=first.statement,
        author=first.author,
        timestamp=first.timestamp,
        justification=first.justification,
        conflict=tuple(sides[key] for key in sorted(sides)),
        blocks=tuple(
            Block(ref, one.statement, one.author, one.timestamp, one.status, one.justification) for ref, one in parts
        ),
    )
