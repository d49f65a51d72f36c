"""Statements by vulnerability and product, so that a finding meets only those that may be about it.

Statements about vulnerabilities that no finding has are counted and dropped, so memory follows the findings and not the
documents.
"""

from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from msgspec.structs import replace

from kit.errors import LimitExceeded
from scanner.vex.fits import Found, Wanted, filed
from scanner.vex.model import Statement, Target, VexDocument

MAX_FILED: Final = 1_000_000
"""How many pairs of product and part the statements about a scan's findings may name."""

MAX_WEIGHED: Final = 500_000
"""How many times, for all findings of a scan together, a statement or range may be held against a component."""

MAX_PARSED: Final = 200_000
"""How many single versions, beside the Package URLs, may be read for these comparisons."""


class _Filed(msgspec.Struct, frozen=True):
    """A statement under one of its products, and one of the parts where it has parts."""

    statement: Statement
    target: Wanted
    part: Wanted | None
    cost: int


class VexIndex:
    """The statements of all documents by vulnerability id (letter case does not count), product and part.

    ``wanted`` are the ids that findings have, all by default, kept in capital letters. ``has_links``: whether a
    statement names a component of a certain BOM and not a package.
    """

    def __init__(self, documents: Iterable[VexDocument] = (), wanted: Collection[str] | None = None) -> None:
        self.wanted = None if wanted is None else frozenset(name.upper() for name in wanted)
        self._filed: dict[str, dict[tuple[Hashable, Hashable], list[_Filed]]] = {}
        self._products: dict[str, set[Hashable]] = {}
        self._left = MAX_FILED
        self.weighings = MAX_WEIGHED
        self._parsings = MAX_PARSED
        # By identity: readers share the targets that a document repeats, and each is kept by what it became here.
        self._wanted: dict[int, Wanted] = {}
        self.has_links = False
        for document in documents:
            self.add(document)

    def add(self, document: VexDocument) -> VexDocument:
        """File the statements of a document; return the document without them."""
        for statement in document.statements:
            about = {name.upper() for name in statement.vulnerabilities}
            if self.wanted is not None:
                about &= self.wanted
            for name in about:
                self._file(self._filed.setdefault(name, {}), self._products.setdefault(name, set()), statement)
        return replace(document, statements=())

    def speaks_of(self, vulnerabilities: Iterable[str]) -> list[str]:
        """Return those ids, sorted and in one letter case, that a statement names."""
        return sorted({name.upper() for name in vulnerabilities} & self._filed.keys())

    def products(self, name: str) -> AbstractSet[Hashable]:
        """Return the keys of the products in statements about one id, spelled as :meth:`speaks_of` returns it."""
        return self._products[name]

    def about(self, known: Sequence[str], product: Found, part: Found) -> Iterator[Statement]:
        """Yield the statements that name one of the ids and a part inside a product, or that product as a whole.

        ``known`` are ids as :meth:`speaks_of` returns them. A statement may come more than once.
        """
        for name in known:
            filed_here = self._filed[name]
            for outer in product.keys:
                for inner in (None, *part.keys):
                    for one in filed_here.get((outer, inner), ()):
                        self._weigh(one.cost)
                        if one.target.names(product, self._parse) and (
                            one.part is None or one.part.names(part, self._parse)
                        ):
                            yield one.statement

    def _file(
        self, where: dict[tuple[Hashable, Hashable], list[_Filed]], products: set[Hashable], statement: Statement
    ) -> None:
        for product in statement.products:
            outer = filed(product.target)
            products.update(outer)
            self.has_links = self.has_links or bool(product.target.links)
            whole = self._ready(product.target)
            for part in product.subcomponents or (None,):
                inner: tuple[Hashable, ...] = (None,) if part is None else filed(part)
                self.has_links = self.has_links or bool(part and part.links)
                self._left -= 1 + len(outer) * len(inner)
                if self._left < 0:
                    raise LimitExceeded(
                        path=statement.ref.document, detail="products and parts in VEX statements", expected=MAX_FILED
                    )
                within = None if part is None else self._ready(part)
                entry = _Filed(statement, whole, within, max(whole.cost, within.cost if within else 0))
                for pair in ((one, other) for one in outer for other in inner):
                    where.setdefault(pair, []).append(entry)

    def _ready(self, target: Target) -> Wanted:
        known = self._wanted.get(id(target))
        if known is None:
            known = self._wanted[id(target)] = Wanted(target)
        return known

    def _weigh(self, steps: int) -> None:
        self.weighings -= steps
        if self.weighings < 0:
            raise LimitExceeded(detail="VEX statements weighed for all findings", expected=MAX_WEIGHED)

    def _parse(self, versions: int) -> None:
        self._parsings -= versions
        if self._parsings < 0:
            raise LimitExceeded(detail="versions listed in VEX statements about the findings", expected=MAX_PARSED)
