"""Whether a product that a statement names is a component of the SBOM (docs/matching.md section 6.2)."""

from collections.abc import Callable, Hashable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import replace

from scanner.identity import BadPurl, NotEvaluated, Purl, locate, parse_purl
from scanner.sbom.model import Component
from scanner.versions import Unparsable, key
from scanner.vex.model import Target, is_purl
from scanner.vex.vers import Range


class Found(msgspec.Struct, frozen=True):
    """A component as statements can name it: its package URL as text and parsed, its BOM-Link.

    The component's own version stands in where its package URL names none. ``keys`` are those under which statements
    about it are filed; without a subject or package URL there may be none.
    """

    ref: str
    text: str
    purl: Purl | None
    link: str | None
    keys: tuple[Hashable, ...]


def found(component: Component, bom: str | None) -> Found:
    """Return what statements can call a component of the BOM that is known as ``bom`` (``serial/version``)."""
    text = component.purl or ""
    link = f"{bom}#{component.ref}" if bom else None
    keys: list[Hashable] = [("link", link)] if link else []
    purl = None
    if text:
        keys.append(("text", text))
        try:
            purl = parse_purl(text)
        except BadPurl:
            purl = None
        else:
            purl = purl if purl.version else replace(purl, version=component.version)
            keys.append(place(purl))
    return Found(component.ref, text, purl, link, tuple(keys))


def filed(target: Target) -> tuple[Hashable, ...]:
    """Return the keys under which a target is filed: every component that it names has one of them."""
    keys: dict[Hashable, None] = {place(purl): None for purl in target.purls}
    if not target.purls and is_purl(target.id):
        keys["text", target.id] = None
    keys.update({("link", link): None for link in target.links})
    return tuple(keys)


class Wanted:
    """A statement's target, ready to be held against many components: its versions are put in order once.

    ``cost`` is how many comparisons it takes to hold it against one component.
    """

    __slots__ = ("_keys", "_ranges", "_target", "_texts", "cost")

    def __init__(self, target: Target) -> None:
        self._target = target
        self._texts = frozenset(one for one in target.versions if isinstance(one, str))
        self._ranges = tuple(one for one in target.versions if isinstance(one, Range))
        self._keys: dict[str, frozenset[Any]] = {}
        self.cost = 1 + len(self._ranges)

    def names(self, component: Found, parse: Callable[[int], None]) -> bool:
        """Tell whether this is the component; ``parse`` is told how many versions are read for it."""
        target = self._target
        named = (
            (component.link is not None and component.link in target.links)
            or (bool(component.text) and component.text == target.id)
            or (component.purl is not None and any(covers(wanted, component.purl) for wanted in target.purls))
        )
        return named and (not target.versions or self._holds(component.purl, parse))

    def _holds(self, purl: Purl | None, parse: Callable[[int], None]) -> bool:
        """Tell whether the version is one of those listed, by text or by key, or in a range."""
        if purl is None or purl.version is None:
            return False
        if purl.version in self._texts:
            return True
        ecosystem = place(purl)[0]
        own = _key(ecosystem, purl.version) if self._texts else None
        if own is not None:
            if ecosystem not in self._keys:
                parse(len(self._texts))
                self._keys[ecosystem] = frozenset(_key(ecosystem, text) for text in self._texts)
            if own in self._keys[ecosystem]:
                return True
        return any(one.ecosystem == ecosystem and one.holds(purl.version) for one in self._ranges)


def covers(wanted: Purl, purl: Purl) -> bool:
    """Tell whether a package URL of a statement is that of a component.

    Type, namespace and name are equal; version and every qualifier count only where the statement gives them.
    """
    where = place(wanted)
    return (
        where == place(purl)
        and (wanted.version is None or _same_version(where[0], wanted.version, purl.version))
        and (not wanted.qualifiers or set(wanted.qualifiers) <= set(purl.qualifiers))
    )


@lru_cache(maxsize=1 << 14)
def place(purl: Purl) -> tuple[str, str]:
    """Return ecosystem and normalised name, or type and full name of what no ecosystem is known for."""
    located = locate(purl, purl.version or "")
    if isinstance(located, NotEvaluated):
        # A type is no ecosystem, even where both have one name: its versions are compared as text.
        return f"pkg:{purl.type}", f"{purl.namespace}/{purl.name}"
    return located


def _same_version(ecosystem: str, wanted: str, version: str | None) -> bool:
    """Compare by the ecosystem's order where both are versions of it, so that ``1.0`` is ``v1.0.0``; else by text."""
    if version is None or wanted == version:
        return wanted == version
    try:
        return bool(key(ecosystem, wanted) == key(ecosystem, version))
    except Unparsable:
        return False


def _key(ecosystem: str, version: str) -> Any:
    """Return a version's place in the ecosystem's order, ``None`` where it has none."""
    try:
        return key(ecosystem, version)
    except Unparsable:
        return None
