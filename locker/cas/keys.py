"""Names of objects: a key is made of the digest alone (docs/locker.md, "Objects")."""

from dataclasses import dataclass

from kit.bytes import digest as digests

BUNDLE = ".tar.zst"
"""Suffix of a bundle's key."""
DOCUMENT = ".json"
"""Suffix of a manifest's or an envelope's key."""
EVIDENCE = ".evidence"
"""Suffix of a proof's key, whatever its form."""
SUFFIXES = (BUNDLE, DOCUMENT, EVIDENCE)

PREFIX = "replay"
STAGING = "tmp"


@dataclass(frozen=True, slots=True)
class Stored:
    """One object that is safely in the store."""

    digest: str
    size: int
    location: str


def key(digest: str, suffix: str) -> str:
    """Return an object's key below the store's root; ``digest`` is ``sha256:<hex>``."""
    name = digests.hex_of(digest)
    return f"{PREFIX}/{name[:2]}/{name}{suffix}"


def location(digest: str, suffix: str) -> str:
    """Return the URI that rows and people use for an object."""
    return f"cas://{key(digest, suffix)}"
