"""What a site remembers of a log, and what it demands of the next checkpoint (docs/format.md section 10.5).

The site is a witness: a log that shows it two trees of which neither is a prefix of the other is caught, whoever
signed.
"""

from collections.abc import Iterable, Sequence

import msgspec

from kit.bytes import digest
from kit.errors import LedgerConsistencyMissing, LedgerForked, LedgerRolledBack, LimitExceeded
from kit.ledger.checkpoint import Checkpoint, shown
from kit.ledger.known import KnownLog, KnownTree
from kit.ledger.proof import MAX_TREES, Tree

FIRST_USE = "first use"
KNOWN = "remembered"
GROWN = "grown since remembered"
MAX_ACCEPTED = 4096
"""Accepted trees of a log that a site remembers; of trees that are their prefixes, as many as one file proves."""
MAX_LOGS = 32
"""Logs that a site remembers; a trusted key of Rekor v1 could name any number of them."""


class Seen(msgspec.Struct, frozen=True):
    """A checkpoint that was verified, and earlier trees that were proven to be its prefixes."""

    checkpoint: Checkpoint
    prefixes: tuple[Tree, ...] = ()

    def trees(self) -> dict[int, str]:
        """Return the digest of each tree's root by its size, the checkpoint's included."""
        whole = (*self.prefixes, Tree(self.checkpoint.size, self.checkpoint.root))
        return {tree.size: digest.of_raw(tree.root) for tree in whole}


def check(known: Sequence[KnownLog], seen: Seen, *, path: str) -> str:
    """Return how a checkpoint stands to what is remembered of its log.

    Raises :class:`LedgerForked` when both cannot be of one log, :class:`LedgerRolledBack` when it is smaller than the
    highest and was never shown, :class:`LedgerConsistencyMissing` when it is larger and nothing connects the two.
    """
    origin = seen.checkpoint.origin
    log = next((one for one in known if one.origin == origin), None)
    if log is None:
        return FIRST_USE
    remembered = {tree.size: tree.root for tree in log.trees}
    shown_now = seen.trees()
    for size in sorted(remembered.keys() & shown_now.keys()):
        if remembered[size] != shown_now[size]:
            raise LedgerForked(
                path=path, origin=shown(origin), size=size, expected=remembered[size], found=shown_now[size]
            )
    highest, size = log.trees[-1].size, seen.checkpoint.size
    if size in remembered:
        return KNOWN
    if size < highest:
        raise LedgerRolledBack(path=path, origin=shown(origin), expected=highest, found=size)
    if highest not in shown_now:
        raise LedgerConsistencyMissing(path=path, origin=shown(origin), remembered=highest, found=size)
    return GROWN


def remember(
    known: Iterable[KnownLog], seen: Iterable[Seen], *, now: str, path: str = "checkpoint"
) -> tuple[KnownLog, ...]:
    """Return the memory with checkpoints added, each checked again, ascending by origin; the largest trees stay.

    ``now`` is the time of first use, where it is one. Raises what :func:`check` raises, and :class:`LimitExceeded` for
    a log beyond :data:`MAX_LOGS`: none is forgotten for another one's sake.
    """
    logs = {log.origin: log for log in known}
    for one in sorted(seen, key=lambda each: each.checkpoint.size):
        check(tuple(logs.values()), one, path=path)
        origin = one.checkpoint.origin
        before = logs.get(origin)
        if before is None and len(logs) >= MAX_LOGS:
            raise LimitExceeded(path=path, detail="logs that a site remembers", expected=MAX_LOGS, origin=shown(origin))
        trees = {tree.size: tree for tree in before.trees} if before else {}
        for size, root in one.trees().items():
            accepted = size == one.checkpoint.size or (size in trees and trees[size].accepted)
            trees[size] = KnownTree(size=size, root=root, accepted=accepted)
        first_seen = before.first_seen if before else now
        logs[origin] = KnownLog(origin=origin, first_seen=first_seen, trees=_kept(trees.values()))
    return tuple(log for _, log in sorted(logs.items()))


def _kept(trees: Iterable[KnownTree]) -> tuple[KnownTree, ...]:
    ascending = sorted(trees, key=lambda tree: tree.size)
    accepted = [tree for tree in ascending if tree.accepted][-MAX_ACCEPTED:]
    prefixes = [tree for tree in ascending if not tree.accepted][-MAX_TREES:]
    return tuple(sorted([*accepted, *prefixes], key=lambda tree: tree.size))
