"""The locker's objects, by digest: in its directory, or in a bucket (docs/locker.md, "Objects")."""

from pathlib import Path

from locker.cas.directory import DirectoryCas
from locker.cas.keys import BUNDLE, DOCUMENT, EVIDENCE, SUFFIXES, Stored, key, location
from locker.cas.pieces import Pieces
from locker.cas.store import Cas
from locker.settings import StoreSettings

__all__ = [
    "BUNDLE",
    "DOCUMENT",
    "EVIDENCE",
    "SUFFIXES",
    "Cas",
    "DirectoryCas",
    "Pieces",
    "Stored",
    "key",
    "location",
    "open_store",
]


def open_store(settings: StoreSettings | None, directory: Path) -> Cas:
    """Return the store that the settings name, else the one in a directory."""
    if settings is None:
        return DirectoryCas(directory)
    from locker.cas.bucket import BucketCas

    return BucketCas(settings)
