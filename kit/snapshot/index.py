"""The package index of a snapshot as the advisories give it: docs/format.md, section Feed snapshot."""

from array import array
from collections import Counter

from kit.snapshot.records import EcosystemCount


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
