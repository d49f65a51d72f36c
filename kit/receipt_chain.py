"""The receipts of one site, in the order in which they name one another (docs/format.md section 7.3).

Each names the digest of the one before it. A gap is a receipt that is named and not there; a fork is two that name the
same one, which one site never writes: it was cloned, or its memory was restored from a copy.
"""

from collections.abc import Iterable, Iterator

import msgspec


class Link(msgspec.Struct, frozen=True):
    """One receipt: its digest, the digest that it names as the one before it, and when the site says that it ended."""

    digest: str
    previous: str | None
    finished_at: str


class Gap(msgspec.Struct, frozen=True):
    """A receipt that is not there, though one that is there follows it."""

    missing: str
    before: str


class Fork(msgspec.Struct, frozen=True):
    """Receipts that name the same one before them; None where each calls itself the site's first."""

    previous: str | None
    followers: tuple[str, ...]


class Chain(msgspec.Struct, frozen=True):
    """What receipts of one site make together. ``links`` ascend; a branch of a fork comes as a whole.

    ``newest`` is the digest of the last one, the latest by its own time where there are several ends; ``backwards``
    are those that ended before the one that they follow, by the site's clock.
    """

    links: tuple[Link, ...]
    gaps: tuple[Gap, ...]
    forks: tuple[Fork, ...]
    newest: str | None
    backwards: tuple[str, ...]

    @property
    def is_whole(self) -> bool:
        """Tell whether it leads from the site's first receipt to the newest that is there, without gap and fork."""
        return not self.gaps and not self.forks


def of_site(receipts: Iterable[Link]) -> Chain:
    """Return the chain of one site's receipts, given in any order and any number of times."""
    known = {link.digest: link for link in receipts}
    followers: dict[str | None, list[Link]] = {}
    for link in sorted(known.values(), key=_order):
        followers.setdefault(link.previous, []).append(link)
    starts = sorted((link for link in known.values() if link.previous not in known), key=_order)
    ends = [link for link in known.values() if link.digest not in followers]
    return Chain(
        links=tuple(_walk(starts, followers)),
        gaps=tuple(Gap(link.previous, link.digest) for link in starts if link.previous is not None),
        forks=tuple(
            Fork(previous, tuple(link.digest for link in those))
            for previous, those in sorted(followers.items(), key=lambda item: item[0] or "")
            if len(those) > 1
        ),
        newest=max(ends, key=_order).digest if ends else None,
        backwards=tuple(
            link.digest
            for link in sorted(known.values(), key=_order)
            if link.previous in known and link.finished_at < known[link.previous].finished_at
        ),
    )


def _walk(starts: list[Link], followers: dict[str | None, list[Link]]) -> Iterator[Link]:
    waiting = starts[::-1]
    while waiting:
        link = waiting.pop()
        yield link
        waiting += reversed(followers.get(link.digest, []))


def _order(link: Link) -> tuple[str, str]:
    return link.finished_at, link.digest
