"""The audit tree in rows: one more leaf, and the hashes that proofs are made of (docs/locker.md, "Audit log").

A new leaf completes as many subtrees as its position has ones at its end, one on the average; each is kept, so that
roots and proofs of any size cost as many reads as the tree has levels.
"""

import sqlalchemy as sa

from kit.bytes import merkle
from kit.bytes.subtrees import Subtrees
from locker.rows.schema import audit_leaves, audit_nodes


class RowTree(Subtrees):
    """The audit tree as its rows have it, within one transaction."""

    def __init__(self, connection: sa.Connection, size: int | None = None) -> None:
        super().__init__(size_of(connection) if size is None else size)
        self._connection = connection

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of one complete subtree of 2^level leaves."""
        return _node(self._connection, level, index)


def size_of(connection: sa.Connection) -> int:
    """Return how many leaves there are."""
    last = connection.execute(sa.select(sa.func.max(audit_leaves.c.position))).scalar_one()
    return 0 if last is None else int(last) + 1


def append(connection: sa.Connection, event: int, leaf: bytes) -> int:
    """Add the leaf hash of an event, and the subtrees that it completes; return its position."""
    position = size_of(connection)
    connection.execute(sa.insert(audit_leaves).values(position=position, event=event, hash=leaf))
    completed = []
    level, index, result = 0, position, leaf
    while index & 1:
        result = merkle.node_hash(_node(connection, level, index - 1), result)
        level, index = level + 1, index >> 1
        completed.append({"level": level, "position": index, "hash": result})
    if completed:
        connection.execute(sa.insert(audit_nodes), completed)
    return position


def _node(connection: sa.Connection, level: int, index: int) -> bytes:
    if level == 0:
        query = sa.select(audit_leaves.c.hash).where(audit_leaves.c.position == index)
    else:
        query = sa.select(audit_nodes.c.hash).where(audit_nodes.c.level == level, audit_nodes.c.position == index)
    return bytes(connection.execute(query).scalar_one())
