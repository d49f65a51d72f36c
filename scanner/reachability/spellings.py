"""Packages that are used under another spelling than a finding's (docs/matching.md section 8.4).

That a package is not reached may be said only if it is reached under no spelling. So these are compared as loosely as
advisories are: by ecosystem, normalised name and equal versions; what cannot be compared may be the same.
"""

from typing import Any

from scanner import identity
from scanner.schemes import Schemes

_Place = tuple[str, str]


class Spellings:
    """The packages that are reached or were seen, by what they are in the advisory data."""

    def __init__(self) -> None:
        self._schemes = Schemes()
        self._used: dict[_Place, set[Any]] = {}
        self._read: set[str] = set()

    def add(self, purl: str) -> None:
        """Note a package that is used; ``None`` is the key of a version that may be any."""
        if purl not in self._read:
            self._read.add(purl)
            parsed = identity.parse_purl(purl)
            place = _place(parsed, parsed.version or "")
            self._used.setdefault(place, set()).add(self._key(place[0], parsed.version or ""))

    def may_have(self, purl: str, version: str, looked_up: str) -> bool:
        """Tell whether a component, or the source package under whose name it is looked up, may be one of these."""
        parsed = identity.read_purl(purl)
        if isinstance(parsed, identity.NotEvaluated):
            return True
        place = _place(parsed, parsed.version or version)
        used = set(self._used.get(place, ()))
        # The versions of a source and of its packages need not be the same.
        if parsed.type in identity.SYSTEM_TYPES and looked_up != place[1] and (place[0], looked_up) in self._used:
            return True
        own = self._key(place[0], parsed.version or version)
        return bool(used) and (own is None or None in used or own in used)

    def _key(self, ecosystem: str, version: str) -> Any:
        keys = self._schemes.native(ecosystem)
        return keys.of(version) if keys and version else None


def _place(purl: identity.Purl, version: str) -> _Place:
    """Return ecosystem and name; of a package that cannot be looked up its type and path in small letters."""
    place = identity.locate(purl, version)
    if isinstance(place, identity.NotEvaluated):
        return f"pkg:{purl.type}", f"{purl.namespace}/{purl.name}".lower()
    return place
