"""The product tree of a CSAF document: what each product id stands for (docs/matching.md section 6.1.2)."""

from collections.abc import Mapping
from typing import Final

from scanner.foreign import MalformedPart, Record, record, required, text
from scanner.identity import NotEvaluated, Purl, locate
from scanner.vex.model import Product, Target
from scanner.vex.reading import Reading, texts
from scanner.vex.vers import Range, Unevaluable, read_range

_VERSION: Final = "product_version"
_RANGE: Final = "product_version_range"
_CATEGORIES: Final = frozenset(
    {
        "architecture",
        "host_name",
        "language",
        "legacy",
        "patch_level",
        "product_family",
        "product_name",
        "service_pack",
        "specification",
        "vendor",
        _VERSION,
        _RANGE,
    }
)
_UNKNOWN: Final = "unknown-category"

# The innermost branch that says which versions a product is: category and name. Below a branch of a category that is
# not CSAF's it is that one: whatever it says of versions, or leaves open, is not understood.
_Extent = tuple[str, str] | None


class Products:
    """The products of a document by id, and its product groups.

    Two meanings of one id make a document that two readers could see differently: ``MalformedPart``, as are a tree or
    a list of it that have another shape. A product that is malformed is noted and unknown.
    """

    def __init__(self, reading: Reading, tree: Record) -> None:
        self._reading = reading
        self._plain: dict[str, Target] = {}
        self._found: dict[str, Product] = {}
        self._nested: set[str] = set()
        self._branches(tree)
        pointer = "/product_tree"
        for at, value in enumerate(reading.items(tree, "full_product_names", pointer)):
            self._define(value, f"{pointer}/full_product_names/{at}", None)
        self._relate(tree)
        self.groups: Mapping[str, list[str]] = self._groups(tree)

    def __contains__(self, product: str) -> bool:
        return product in self._found

    def __getitem__(self, product: str) -> Product:
        return self._found[product]

    def why_not(self, product: str) -> str:
        """Return the reason for which a product id stands for nothing."""
        return "nested-relationship" if product in self._nested else "unknown-product"

    def _branches(self, tree: Record) -> None:
        """Walk the branches, the deepest last, so that the order in the file decides the order of notes only."""
        pending: list[tuple[Record, str, _Extent]] = [(tree, "/product_tree", None)]
        while pending:
            owner, pointer, extent = pending.pop()
            for at, value in enumerate(self._reading.items(owner, "branches", pointer)):
                place = f"{pointer}/branches/{at}"
                try:
                    branch = record(value, place)
                    inner = self._extent(branch, place, extent)
                except MalformedPart as fault:
                    self._reading.unread.note_fault(fault)
                    continue
                if branch.get("product") is not None:
                    self._define(branch["product"], f"{place}/product", inner)
                pending.append((branch, place, inner))

    def _extent(self, branch: Record, pointer: str, outer: _Extent) -> _Extent:
        """Return what a branch and those around it say of versions."""
        category = text(branch, "category", pointer)
        if category not in _CATEGORIES:
            self._reading.unread.note(f"{pointer}/category", _UNKNOWN, "" if category is None else category)
            return _UNKNOWN, ""
        if category not in {_VERSION, _RANGE} or (outer is not None and outer[0] == _UNKNOWN):
            return outer
        return category, required(branch, "name", pointer)

    def _define(self, value: object, pointer: str, extent: _Extent) -> None:
        try:
            fields = record(value, pointer)  # type: ignore[arg-type]
            product = required(fields, "product_id", pointer)
            target = self._target(fields, pointer, extent)
        except MalformedPart as fault:
            self._reading.unread.note_fault(fault)
            return
        if self._plain.setdefault(product, target) != target:
            raise MalformedPart(f"{pointer}/product_id", f"a product id with two meanings: {product}")
        self._found[product] = Product(target, ())

    def _target(self, fields: Record, pointer: str, extent: _Extent) -> Target:
        helper = record(fields.get("product_identification_helper") or {}, f"{pointer}/product_identification_helper")
        pointer = f"{pointer}/product_identification_helper"
        given = [purl] if (purl := text(helper, "purl", pointer)) else []
        given += texts(self._reading.items(helper, "purls", pointer), f"{pointer}/purls")
        purls = self._reading.purls(pointer, *given)
        if extent is None or not purls:
            return Target(purls=purls)
        category, name = extent
        if category == _UNKNOWN:
            return Target()
        if category == _VERSION:
            # A package URL that names a version is more exact than the name of a branch.
            return Target(purls=purls, versions=() if all(one.version for one in purls) else (name,))
        try:
            return Target(purls=purls, versions=tuple(_range(name, one) for one in purls[:1]))
        except Unevaluable as why:
            self._reading.unread.note(pointer, "unevaluable-range", f"{why}: {name}")
            return Target()

    def _relate(self, tree: Record) -> None:
        """Read relationships between products of the branches; those between relationships are not followed."""
        pointer = "/product_tree"
        defined: dict[str, tuple[str, str]] = {}
        for at, value in enumerate(self._reading.items(tree, "relationships", pointer)):
            place = f"{pointer}/relationships/{at}"
            try:
                fields = record(value, place)
                part = required(fields, "product_reference", place)
                whole = required(fields, "relates_to_product_reference", place)
                name = record(fields.get("full_product_name"), f"{place}/full_product_name")
                product = required(name, "product_id", f"{place}/full_product_name")
            except MalformedPart as fault:
                self._reading.unread.note_fault(fault)
                continue
            if product in self._plain or defined.setdefault(product, (part, whole)) != (part, whole):
                raise MalformedPart(
                    f"{place}/full_product_name/product_id", f"a product id with two meanings: {product}"
                )
        for product, (part, whole) in defined.items():
            if part in defined or whole in defined:
                self._nested.add(product)
            elif part in self._plain and whole in self._plain:
                self._found[product] = Product(self._plain[whole], (self._plain[part],))

    def _groups(self, tree: Record) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        pointer = "/product_tree"
        for at, value in enumerate(self._reading.items(tree, "product_groups", pointer)):
            place = f"{pointer}/product_groups/{at}"
            try:
                fields = record(value, place)
                group = required(fields, "group_id", place)
                members = texts(self._reading.items(fields, "product_ids", place), f"{place}/product_ids")
            except MalformedPart as fault:
                self._reading.unread.note_fault(fault)
                continue
            found.setdefault(group, []).extend(members)
        return found


def _range(name: str, purl: Purl) -> Range:
    place = locate(purl, purl.version or "")
    if isinstance(place, NotEvaluated):
        raise Unevaluable(f"no order for {purl.type!a}")
    return read_range(name, purl.type, place[0])
