"""One spelling for package URLs that mean the same component (docs/matching.md section 1.1).

Used where package URLs of different documents are compared with one another rather than looked up in a feed.
"""

from functools import lru_cache

from scanner import identity

_FOLDED = {"golang": "Go", "pypi": "PyPI"}
"""Types whose names have several spellings, and the ecosystem whose rules make them one."""


@lru_cache(maxsize=1 << 14)
def comparable(purl: str) -> tuple[tuple[str, ...], str] | None:
    """Return (type, then namespace and name by segment) and the version, empty if absent; ``None`` for another text.

    Qualifiers and subpath do not count.
    """
    try:
        parsed = identity.parse_purl(purl)
    except identity.BadPurl:
        return None
    names = (*(parsed.namespace.split("/") if parsed.namespace else ()), parsed.name)
    return (parsed.type, *(folded(parsed.type, name) for name in names)), parsed.version or ""


def folded(kind: str, name: str) -> str:
    """Return a segment of a package URL of a type in its one spelling."""
    return identity.normalise(_FOLDED[kind], name) if kind in _FOLDED else name
