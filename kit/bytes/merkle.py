"""Merkle trees of RFC 6962 section 2.1: roots, inclusion proofs and consistency proofs over raw 32-byte hashes.

The proof checks follow the algorithms that RFC 9162 sections 2.1.3.2 and 2.1.4.2 spell out for the same trees.
"""

import hashlib
from collections.abc import Iterable, Sequence

from kit.bytes import sha256

HASH_SIZE = 32
_PAIR = 2 * HASH_SIZE
_NODE = hashlib.sha256(b"\x01")  # copying a hasher is cheaper than making one
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00 || leaf)."""
    return sha256.of(b"\x00" + leaf)


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """An append-only tree that keeps only the roots of its complete subtrees: 32 bytes a level, not a leaf."""

    __slots__ = ("_peaks", "_size")

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._peaks: list[bytes] = []
        self._size = 0
        for item in leaf_hashes:
            self.append(item)

    @property
    def size(self) -> int:
        """Return the number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash on the right."""
        peaks = self._peaks
        carry = self._size
        while carry & 1:
            leaf = hashlib.sha256(b"\x01" + peaks.pop() + leaf).digest()
            carry >>= 1
        peaks.append(leaf)
        self._size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far; SHA-256 of nothing for none."""
        if not self._peaks:
            return EMPTY_ROOT
        result = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            result = node_hash(peak, result)
        return result


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Return the tree's root over leaf hashes in order."""
    return root_of_joined(b"".join(leaf_hashes))


def root_of_joined(leaf_hashes: bytes) -> bytes:
    """Return the tree's root over leaf hashes that stand one after the other, 32 bytes each.

    Level by level: neighbours are joined, and a last one without a neighbour moves up as it is, which gives the tree of
    section 2.1 for every size.
    """
    level = leaf_hashes or EMPTY_ROOT
    while len(level) > HASH_SIZE:
        paired = len(level) - len(level) % _PAIR
        nodes: list[bytes] = []
        for at in range(0, paired, _PAIR):
            hasher = _NODE.copy()
            hasher.update(level[at : at + _PAIR])
            nodes.append(hasher.digest())
        if paired < len(level):
            nodes.append(level[paired:])
        level = b"".join(nodes)
    return level


def inclusion_proof(index: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of one leaf, from the leaf upwards (RFC 6962 section 2.1.1).

    IndexError when the tree has no such leaf.
    """
    if not 0 <= index < len(leaf_hashes):
        raise IndexError(index)
    path: list[bytes] = []
    start, end = 0, len(leaf_hashes)
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(root(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root(leaf_hashes[start:middle]))
            start = middle
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Tell whether the leaf hash stands at the index of the tree of that size and root."""
    if not 0 <= index < size or not _are_hashes((leaf, root_hash, *proof)):
        return False
    position, last, result = index, size - 1, leaf
    for item in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(item, result)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            result = node_hash(result, item)
        position >>= 1
        last >>= 1
    return last == 0 and result == root_hash


def consistency_proof(old_size: int, leaf_hashes: Sequence[bytes]) -> list[bytes]:
    """Return the proof that the first old_size leaves are a prefix of the tree (RFC 6962 section 2.1.2).

    Empty for the sizes 0 and the full one. IndexError for a size that the tree never had.
    """
    if not 0 <= old_size <= len(leaf_hashes):
        raise IndexError(old_size)
    if old_size in {0, len(leaf_hashes)}:
        return []
    path: list[bytes] = []
    start, end = 0, len(leaf_hashes)
    whole = True
    while old_size - start != end - start:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(root(leaf_hashes[middle:end]))
            end = middle
        else:
            path.append(root(leaf_hashes[start:middle]))
            start = middle
            whole = False
    if not whole:
        path.append(root(leaf_hashes[start:end]))
    path.reverse()
    return path


def verify_consistency(old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Tell whether the tree of the new size and root extends that of the old size and root.

    The empty tree is a prefix of every tree; its root must be the empty root and its proof empty.
    """
    if not 0 <= old_size <= new_size or not _are_hashes((old_root, new_root, *proof)):
        return False
    if old_size == 0:
        return not proof and old_root == EMPTY_ROOT and (new_size > 0 or new_root == EMPTY_ROOT)
    if old_size == new_size:
        return not proof and old_root == new_root
    path = list(proof)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_result = new_result = path[0]
    for item in path[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_result = node_hash(item, old_result)
            new_result = node_hash(item, new_result)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            new_result = node_hash(new_result, item)
        position >>= 1
        last >>= 1
    return last == 0 and old_result == old_root and new_result == new_root


def _split(count: int) -> int:
    """Return the largest power of two below count (count of at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_SIZE for value in values)
