"""Which finding of one side is which of the other (docs/matching.md section 9.1)."""

from collections.abc import Iterator, Sequence

from scanner.difference import pairs
from scanner.outputs import Finding, PackageEntry

PackageKey = tuple[str, str, str, str]
"""Package URL, ecosystem, package, version: what identifies a package in the outputs."""
RecordKey = tuple[str, str]
"""Feed and id of an advisory record."""


def package_key(package: PackageEntry) -> PackageKey:
    """Return what identifies a package in the outputs."""
    return package.purl, package.ecosystem, package.package, package.version


def record_keys(finding: Finding) -> list[RecordKey]:
    """Return the records of a finding, each once."""
    return list(dict.fromkeys((record.feed, record.id) for record in finding.records))


def subject_of(finding: Finding) -> str:
    """Return how the tree names a finding."""
    return f"{finding.id} {finding.component.purl}"


def finding_pairs(old: Sequence[Finding], new: Sequence[Finding]) -> Iterator[tuple[int | None, int | None]]:
    """Pair findings of one package by id, the rest by a record that they share: a group's representative may change."""
    single_old: list[int] = []
    single_new: list[int] = []
    for left, right in pairs(old, new, lambda one: (package_key(one.component), one.id)):
        if left is not None and right is not None:
            yield left, right
        elif left is not None:
            single_old.append(left)
        elif right is not None:
            single_new.append(right)
    places: dict[tuple[PackageKey, RecordKey], list[int]] = {}
    for right in single_new:
        for key in record_keys(new[right]):
            places.setdefault((package_key(new[right].component), key), []).append(right)
    taken: set[int] = set()
    for left in single_old:
        package = package_key(old[left].component)
        shared = (right for key in record_keys(old[left]) for right in places.get((package, key), ()))
        found = next((right for right in shared if right not in taken), None)
        if found is not None:
            taken.add(found)
        yield left, found
    yield from ((None, right) for right in single_new if right not in taken)
