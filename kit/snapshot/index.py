"""The package index of a snapshot as the advisories give it: docs/format.md, section Feed snapshot."""

import re
from array import array
from collections import Counter

from kit.snapshot.records import EcosystemCount

MAX_KEY = 1024

UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""Control characters and lone surrogates: what no name in a snapshot holds."""


def index_key(ecosystem: str, package: str) -> bytes | None:
    """Return the index key of a package in its normal form, ``ecosystem TAB package`` in UTF-8.

    None for what has no place in an index: an empty name, a control character or lone surrogate, over 1,024 bytes.
    """
    text = f"{ecosystem}\t{package}"
    # Nearly every name is printable ASCII, which is cheaper to ask for than the rule itself.
    if not (ecosystem.isprintable() and package.isprintable() and text.isascii()) and (
        UNSHOWN.search(ecosystem) or UNSHOWN.search(package)
    ):
        return None
    key = text.encode()
    return key if ecosystem and package and len(key) <= MAX_KEY else None


def index_lines(index: dict[bytes, "array[int]"]) -> list[bytes]:
    """Return the entries of an index, sorted: ``ecosystem TAB package TAB ordinals``."""
    return [b"%s\t%s" % (key, ",".join(map(str, index[key])).encode()) for key in sorted(index)]


def count_ecosystems(index: dict[bytes, "array[int]"]) -> tuple[EcosystemCount, ...]:
    """Return, for each ecosystem in order, how many distinct advisories and packages an index names."""
    advisories: dict[str, set[int]] = {}
    packages: Counter[str] = Counter()
    for key, ordinals in index.items():
        ecosystem = key.partition(b"\t")[0].decode()
        advisories.setdefault(ecosystem, set()).update(ordinals)
        packages[ecosystem] += 1
    return tuple(
        EcosystemCount(ecosystem=name, advisories=len(advisories[name]), packages=packages[name])
        for name in sorted(packages)
    )
