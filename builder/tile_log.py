"""A transparency log in a directory: C2SP tlog-tiles as static files, one writer, a signed checkpoint last.

Tiles are written before the checkpoint that covers them, each whole and durable, so that a crash leaves the log at its
last checkpoint; what lies beyond it is written again. Same entries, same key, same bytes.
"""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from builder import files
from kit.bytes import merkle
from kit.bytes.merkle import HASH_SIZE
from kit.errors import FileMissing, LedgerForked, LimitExceeded, MalformedDocument, MerkleRootMismatch, UsageError
from kit.ledger import checkpoint, note, tiles
from kit.ledger.checkpoint import Checkpoint, Trust
from kit.ledger.note import NoteKey
from kit.ledger.tiles import WIDTH, Tile, TileTree
from kit.trust.keys import Signer
from verifier.medium import read_file

MAX_FILE = WIDTH * (tiles.MAX_ENTRY + 2)


class TileLog:
    """A log that is open for writing; make one with :func:`opened`."""

    def __init__(self, directory: Path, name: str, signer: Signer, current: Checkpoint, signed: bytes) -> None:
        self._directory = directory
        self._signer = signer
        self.key = NoteKey(name, signer.public)
        self.checkpoint = current
        self.signed = signed

    @property
    def tree(self) -> TileTree:
        """Return the tree of the current checkpoint."""
        return TileTree(self.checkpoint.size, self._read)

    def append(self, entries: Sequence[bytes]) -> list[int]:
        """Add the entries that the log does not have and sign the new tree; return the index of each entry."""
        known = self._find(set(map(merkle.leaf_hash, entries)))
        fresh = [entry for entry in dict.fromkeys(entries) if merkle.leaf_hash(entry) not in known]
        size = self.checkpoint.size
        known |= {merkle.leaf_hash(entry): size + at for at, entry in enumerate(fresh)}
        if fresh:
            self._grow(fresh)
        return [known[merkle.leaf_hash(entry)] for entry in entries]

    def keep(self, signed: bytes) -> None:
        """Keep the checkpoint with cosignatures of witnesses: the same text, signed by the log as before."""
        trust = Trust((self.key,))
        if checkpoint.open_signed(signed, trust, path=tiles.CHECKPOINT_FILE).checkpoint != self.checkpoint:
            raise LedgerForked(path=tiles.CHECKPOINT_FILE, detail="another tree than the log's")
        if signed != self.signed:
            files.write_atomic(self._directory / tiles.CHECKPOINT_FILE, signed)
            self.signed = signed

    def _find(self, wanted: set[bytes]) -> dict[bytes, int]:
        """Return the index of each leaf hash that the log has."""
        leaves = self.tree.leaves()
        hashes = (leaves[at : at + HASH_SIZE] for at in range(0, len(leaves), HASH_SIZE))
        return {leaf: at for at, leaf in enumerate(hashes) if leaf in wanted}

    def _grow(self, entries: list[bytes]) -> None:
        tree = self.tree
        partial = tree.size % WIDTH
        old: list[bytes] = []
        if partial:
            path = Tile(None, tree.size // WIDTH, partial).path
            old = tiles.decode_entries(self._read(path), partial, path)
            if [merkle.leaf_hash(entry) for entry in old] != [
                tree.leaf(at) for at in range(tree.size - partial, tree.size)
            ]:
                raise MerkleRootMismatch(path=path, detail="the entries are not those of the tree")
        full: list[Path] = []
        written: dict[str, bytes] = {}
        for tile, data in tiles.grow(tree, entries, old):
            place = self._directory / tile.path
            files.make_directory(place.parent)
            files.write_atomic(place, data)
            written[tile.path] = data
            if tile.width == WIDTH:
                full.append(place)
        grown = TileTree(tree.size + len(entries), lambda path: written.get(path) or self._read(path))
        following = Checkpoint(self.checkpoint.origin, grown.size, grown.root())
        signed = checkpoint.sign(following, self._signer)
        files.write_atomic(self._directory / tiles.CHECKPOINT_FILE, signed)
        self.checkpoint, self.signed = following, signed
        for place in full:
            shutil.rmtree(place.with_name(place.name + ".p"), ignore_errors=True)

    def _read(self, path: str) -> bytes:
        return read_file(self._directory / path, limit=MAX_FILE)


@contextmanager
def opened(directory: Path, name: str, signer: Signer) -> Iterator[TileLog]:
    """Yield the log of a directory, founded there where there is none, to its only writer.

    ``name`` is the origin and the key's name. Raises :class:`UsageError` for a name that no key can have, while another
    command writes the log, and for the log of another origin; :class:`MerkleRootMismatch` when tiles and checkpoint do
    not belong together, and what :func:`kit.ledger.checkpoint.open_signed` raises.
    """
    if not note.is_name(name):
        raise UsageError(
            found=name, detail="a log's key needs an owner without spaces and plus signs, such as log.example/1"
        )
    files.make_directory(directory)
    with files.locked(directory):
        yield _open(directory, name, signer)


def _open(directory: Path, name: str, signer: Signer) -> TileLog:
    path = directory / tiles.CHECKPOINT_FILE
    if not path.exists():
        return TileLog(directory, name, signer, Checkpoint(name, 0, merkle.EMPTY_ROOT), b"")
    signed = read_file(path, limit=note.MAX_BYTES)
    current = checkpoint.parse(note.parse(signed, path.name).text, path.name)
    if current.origin != name:
        raise UsageError(
            path=path.name, detail="this is the log of another key", expected=name, found=current.origin[:80]
        )
    checkpoint.open_signed(signed, Trust((NoteKey(name, signer.public),)), path=path.name)
    log = TileLog(directory, name, signer, current, signed)
    try:
        roots = {log.tree.root(), merkle.root_of_joined(log.tree.leaves())}
    except (FileMissing, LimitExceeded, MalformedDocument) as fault:
        raise MerkleRootMismatch(path=path.name, detail=f"{fault.reason}: {fault}") from fault
    if roots != {current.root}:
        raise MerkleRootMismatch(path=path.name, expected=current.root.hex(), found=min(roots - {current.root}).hex())
    return log
