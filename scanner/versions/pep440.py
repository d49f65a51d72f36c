"""PyPI: PEP 440, as ``packaging`` reads it (docs/matching.md section 3.1)."""

from typing import Final

from packaging.version import Version

from scanner.versions.unparsable import Unparsable

# Shorter than any limit that an interpreter may be set to for turning digits into numbers.
MAX_LENGTH: Final = 512


def key(version: str) -> Version:
    """Return the sortable key of a PEP 440 version; legacy spellings are refused with ``Unparsable``."""
    # Case-insensitive matching folds a few letters beyond ASCII onto ASCII ones.
    if len(version) > MAX_LENGTH or not version.isascii():
        raise Unparsable(version)
    try:
        return Version(version)
    except ValueError:
        raise Unparsable(version) from None
