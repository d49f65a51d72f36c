"""Tiles: names and widths of the specification, and proofs equal to those of the plain trees."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import merkle
from kit.errors import MalformedDocument
from kit.ledger import tiles
from kit.ledger.tiles import Tile, TileTree

ENTRIES = [f"entry {number}".encode() for number in range(70_000)]


def grown(*sizes):
    """Return the files of a log that grew by these sizes."""
    files: dict[str, bytes] = {}
    for before, size in zip((0, *sizes), sizes, strict=False):
        old = ENTRIES[before - before % 256 : before]
        tree = TileTree(before, files.__getitem__)
        files.update({tile.path: data for tile, data in tiles.grow(tree, ENTRIES[before:size], old)})
    return files


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 273, 112), "tile/0/273.p/112"),
        (Tile(None, 1234067, 256), "tile/entries/x001/x234/067"),
        (Tile(3, 1000, 1), "tile/3/x001/000.p/1"),
    ],
)
def test_paths_are_the_specification_s(tile, path):
    assert tile.path == path


def test_tree_of_the_specification_has_its_tiles():
    found = tiles.tiles_of(70_000)
    level_0 = [tile for tile in found if tile.level == 0]
    assert ([tile.width for tile in level_0].count(256), level_0[-1].width) == (273, 112)
    assert [(tile.level, tile.width) for tile in found if tile.level] == [(1, 256), (1, 17), (2, 1)]
    assert [tile.path for tile in tiles.tiles_of(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert tiles.tiles_of(0) == []


def test_large_tree_grown_in_steps_is_the_plain_tree():
    files = grown(1, 300, 65_536, 65_600, 70_000)
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES]
    tree = TileTree(70_000, files.__getitem__)
    assert tree.root() == merkle.root(leaves)
    assert tree.root(65_537) == merkle.root(leaves[:65_537])
    for index in (0, 255, 256, 65_535, 65_536, 69_999):
        assert merkle.verify_inclusion(leaves[index], index, 70_000, tree.inclusion(index), tree.root())
    for old in (1, 255, 65_536, 65_537, 69_999, 70_000):
        path = tree.consistency(old)
        assert merkle.verify_consistency(old, 70_000, merkle.root(leaves[:old]), tree.root(), path)
    whole = {tile.path for tile in tiles.tiles_of(70_000)}
    assert whole <= set(files)
    assert {path: files[path] for path in whole} == {
        path: data for path, data in grown(70_000).items() if path in whole
    }


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=5, unique=True).map(sorted), st.data())
def test_proofs_are_those_of_the_plain_tree(sizes, data):
    files, size = grown(*sizes), sizes[-1]
    tree = TileTree(size, files.__getitem__)
    leaves = [merkle.leaf_hash(entry) for entry in ENTRIES[:size]]
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    assert tree.root() == merkle.root(leaves)
    assert tree.leaf(index) == leaves[index]
    assert tree.root(old) == merkle.root(leaves[:old])
    assert tree.inclusion(index) == merkle.inclusion_proof(index, leaves)
    assert tree.consistency(old) == merkle.consistency_proof(old, leaves)
    last = tiles.Tile(None, (size - 1) // 256, (size - 1) % 256 + 1)
    assert tiles.decode_entries(files[last.path], last.width, "e") == ENTRIES[size - last.width : size]


def test_place_outside_of_the_tree_is_none():
    files = grown(5)
    tree = TileTree(5, files.__getitem__)
    for call in (lambda: tree.inclusion(5), lambda: tree.inclusion(-1), lambda: tree.consistency(6)):
        with pytest.raises(IndexError):
            call()


def test_tile_of_another_size_is_refused():
    tree = TileTree(5, lambda path: bytes(4 * 32))
    with pytest.raises(MalformedDocument):
        tree.root()


def test_bundle_that_is_cut_or_of_another_width_is_refused():
    data = tiles.encode_entries([b"one", b"", b"three"])
    assert tiles.decode_entries(data, 3, "e") == [b"one", b"", b"three"]
    for length in range(len(data)):
        with pytest.raises(MalformedDocument):
            tiles.decode_entries(data[:length], 3, "e")
    with pytest.raises(MalformedDocument):
        tiles.decode_entries(data, 2, "e")
    with pytest.raises(MalformedDocument):
        tiles.encode_entries([bytes(65536)])


@given(st.binary(max_size=60), st.integers(0, 5))
def test_any_bundle_is_read_or_refused(data, width):
    try:
        read = tiles.decode_entries(data, width, "e")
    except MalformedDocument:
        return
    assert tiles.encode_entries(read) == data
