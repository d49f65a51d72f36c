"""Roots and proofs of a Merkle tree whose complete subtrees are kept somewhere (RFC 6962 section 2.1).

Each costs as many reads as the tree has levels, whoever keeps the hashes.
"""

from kit.bytes import merkle


class Subtrees:
    """A tree of a given size; :meth:`node` says the hash of a complete subtree.

    What it says is as good as those hashes: hold :meth:`root` against a signed root before relying on a proof.
    """

    def __init__(self, size: int) -> None:
        self.size = size

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of one complete subtree of 2^level leaves."""
        raise NotImplementedError

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first ``size`` leaves, all by default."""
        return self._range(0, self.size if size is None else size)

    def inclusion(self, index: int) -> list[bytes]:
        """Return the audit path of a leaf; IndexError when the tree has no such leaf."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        path: list[bytes] = []
        start, end = 0, self.size
        while end - start > 1:
            middle = start + _split(end - start)
            if index < middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return path[::-1]

    def consistency(self, old_size: int) -> list[bytes]:
        """Return the proof that the first ``old_size`` leaves are a prefix; IndexError for a size that it never had."""
        if not 0 <= old_size <= self.size:
            raise IndexError(old_size)
        if old_size in {0, self.size}:
            return []
        path: list[bytes] = []
        start, end, whole = 0, self.size, True
        while old_size != end:
            middle = start + _split(end - start)
            if old_size <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._range(start, end))
        return path[::-1]

    def _range(self, start: int, end: int) -> bytes:
        """Return the hash over a range of leaves that begins where a subtree does."""
        if start == end:
            return merkle.EMPTY_ROOT
        peaks: list[bytes] = []
        while start < end:
            level = (end - start).bit_length() - 1
            peaks.append(self.node(level, start >> level))
            start += 1 << level
        result = peaks.pop()
        while peaks:
            result = merkle.node_hash(peaks.pop(), result)
        return result


def _split(count: int) -> int:
    """Return the largest power of two below count (count of at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)
