"""Alias groups: records that name one vulnerability become one finding (docs/matching.md section 5).

A union-find over record ids and aliases, restricted by the caller to the records that hit one component. Neither the
groups nor their order depend on the order of the records.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

_RANKS = ("CVE-", "GHSA-")


class Named(Protocol):
    """What is grouped: anything with an id and aliases."""

    @property
    def id(self) -> str:
        """The record's id."""

    @property
    def aliases(self) -> tuple[str, ...]:
        """The other ids of the same vulnerability."""


R = TypeVar("R", bound=Named)


def rank(identifier: str) -> tuple[int, str]:
    """Return the sort key that decides which id stands for a group: CVE, GHSA, then all other ids, each by text."""
    for position, prefix in enumerate(_RANKS):
        if identifier.startswith(prefix):
            return position, identifier
    return len(_RANKS), identifier


def representative(identifiers: Iterable[str]) -> str:
    """Return the id that stands for a group of records, the smallest by :func:`rank`."""
    return min(identifiers, key=rank)


def group(records: Sequence[R]) -> list[list[R]]:
    """Return the records in alias groups: transitive, symmetric; records of one id are always together.

    Within a group the records keep the order of the input; the groups stand in the order of their first record.
    """
    if len(records) == 1:
        return [list(records)]
    parent: dict[str, str] = {}

    def find(name: str) -> str:
        root = name
        while (above := parent.setdefault(root, root)) != root:
            root = above
        while parent[name] != root:
            parent[name], name = root, parent[name]
        return root

    for record in records:
        root = find(record.id)
        for alias in record.aliases:
            parent[find(alias)] = root
    groups: dict[str, list[R]] = {}
    for record in records:
        groups.setdefault(find(record.id), []).append(record)
    return list(groups.values())
