"""Tiles of a log (C2SP tlog-tiles): names, contents, and the proofs that are read from them.

The arithmetic only. A tile is 256 neighbouring hashes of one level; level 0 has the leaves, each hash of a level above
is the root over a full tile below. Whoever keeps the files says how to read one.
"""

import struct
from collections.abc import Callable, Iterable, Iterator

import msgspec

from kit.bytes import merkle
from kit.bytes.merkle import HASH_SIZE
from kit.bytes.subtrees import Subtrees
from kit.errors import MalformedDocument, MerkleRootMismatch

HEIGHT = 8
WIDTH = 1 << HEIGHT
CHECKPOINT_FILE = "checkpoint"
MAX_ENTRY = (1 << 16) - 1

ReadTile = Callable[[str], bytes]
"""Returns the bytes of a file of the log by its path, such as ``tile/0/000.p/3``."""


class Tile(msgspec.Struct, frozen=True):
    """One file: ``level`` None for a bundle of entries; ``width`` is how many hashes or entries it has."""

    level: int | None
    number: int
    width: int

    @property
    def path(self) -> str:
        """Return the tile's path in the log's directory."""
        digits = f"{self.number:03d}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        place = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{place}{partial}"


def tiles_of(size: int, *, since: int = 0) -> list[Tile]:
    """Return the tiles of a tree of a size that a tree of the size ``since`` did not have, full and partial ones."""
    found: list[Tile] = []
    for level in (None, *range(HEIGHT)):
        unit = WIDTH ** (level or 0)
        count, before = size // unit, since // unit
        if count == before and since:
            continue
        first = before // WIDTH
        numbers = range(first, -(-count // WIDTH))
        found += [Tile(level, number, min(WIDTH, count - number * WIDTH)) for number in numbers]
    return found


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of a bundle of entries."""
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise MalformedDocument(detail="an entry of a log is larger than 65535 bytes", found=len(entry))
        parts.append(struct.pack(">H", len(entry)) + entry)
    return b"".join(parts)


def decode_entries(data: bytes, width: int, path: str) -> list[bytes]:
    """Return the entries of a bundle of a given width; :class:`MalformedDocument` for any other number of bytes."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2])
        if end > len(data) or at + 2 > len(data):
            raise MalformedDocument(path=path, detail="an entry is cut off")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != width:
        raise MalformedDocument(path=path, detail="another number of entries", expected=width, found=len(entries))
    return entries


class TileTree(Subtrees):
    """A tree of a given size, read from its tiles; each tile is read once.

    Raises :class:`MalformedDocument` for a tile of a wrong size. What it says is as good as its tiles: hold
    :meth:`root` against a signed root before relying on a proof.
    """

    def __init__(self, size: int, read: ReadTile) -> None:
        super().__init__(size)
        self._read = read
        self._tiles: dict[Tile, bytes] = {}

    def leaf(self, index: int) -> bytes:
        """Return a leaf's hash."""
        return self.node(0, index)

    def leaves(self) -> bytes:
        """Return the hashes of all leaves, one after the other."""
        return b"".join(self._tile(0, number) for number in range(-(-self.size // WIDTH)))

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of one complete subtree of 2^level leaves."""
        tile_level, above = divmod(level, HEIGHT)
        first = index << above
        number, offset = divmod(first, WIDTH)
        hashes = self._tile(tile_level, number)
        span = hashes[offset * HASH_SIZE : (offset + (1 << above)) * HASH_SIZE]
        return merkle.root_of_joined(span)

    def _tile(self, level: int, number: int) -> bytes:
        count = self.size >> (HEIGHT * level)
        tile = Tile(level, number, min(WIDTH, count - number * WIDTH))
        if tile not in self._tiles:
            data = self._read(tile.path)
            if len(data) != tile.width * HASH_SIZE:
                raise MalformedDocument(path=tile.path, expected=tile.width * HASH_SIZE, found=len(data))
            self._tiles[tile] = data
        return self._tiles[tile]


def grow(tree: TileTree, entries: list[bytes], old_entries: list[bytes]) -> Iterator[tuple[Tile, bytes]]:
    """Yield the tiles, with their bytes, that a log of a tree gets by new entries.

    ``old_entries`` are those of the tree's last bundle if that is a partial one.
    """
    size = tree.size + len(entries)
    start = tree.size - len(old_entries)
    if start % WIDTH:
        raise MerkleRootMismatch(detail="a bundle of entries does not begin where a tile does", found=start)
    bundled = [*old_entries, *entries]
    known = {0: [merkle.leaf_hash(entry) for entry in bundled]}
    firsts = {0: start}
    for tile in tiles_of(size, since=tree.size):
        if tile.level is None:
            at = tile.number * WIDTH - start
            yield tile, encode_entries(bundled[at : at + tile.width])
            continue
        if tile.level not in known:
            known[tile.level], firsts[tile.level] = _above(tree, tile.level, size, known, firsts)
        at = tile.number * WIDTH - firsts[tile.level]
        yield tile, b"".join(known[tile.level][at : at + tile.width])


def _above(
    tree: TileTree, level: int, size: int, known: dict[int, list[bytes]], firsts: dict[int, int]
) -> tuple[list[bytes], int]:
    """Return the hashes of a level from the start of its last tile that is to be written anew, and that start."""
    before, after = tree.size >> (HEIGHT * level), size >> (HEIGHT * level)
    first = before // WIDTH * WIDTH
    hashes = [tree.node(HEIGHT * level, at) for at in range(first, before)]
    below, below_first = known[level - 1], firsts[level - 1]
    for at in range(before, after):
        start = at * WIDTH - below_first
        hashes.append(merkle.root(below[start : start + WIDTH]))
    return hashes, first
