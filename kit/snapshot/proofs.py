"""Proofs against the roots of a feed snapshot: a package's index entry, its absence, one advisory.

RFC 6962 audit paths, written as hex. Absence is shown by the two entries between which the package would stand (one at
either end). That holds if the index is sorted, which deep verification checks and the signer vouches for.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import msgspec

from kit.bytes import digest
from kit.bytes.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, verify_inclusion
from kit.errors import MalformedDocument, MerkleRootMismatch
from kit.snapshot.index import index_key
from kit.snapshot.layout import PAGE_ENTRY, Page
from kit.snapshot.records import INDEX, PAGES, SnapshotInfo, parse_ordinals

if TYPE_CHECKING:
    from kit.snapshot.reader import SnapshotReader


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the proofs."""


class EntryProof(_Document, frozen=True, kw_only=True):
    """One entry of the index (``ecosystem TAB package TAB ordinals``), its place and its audit path."""

    position: int
    entry: str
    path: tuple[str, ...]


class PackageProof(_Document, frozen=True, kw_only=True):
    """What the index says of one package: its own entry, or the neighbours between which it is absent."""

    ecosystem: str
    package: str
    entries: tuple[EntryProof, ...]


class AdvisoryProof(_Document, frozen=True, kw_only=True):
    """That an advisory stands at an ordinal: path in its page, the page's directory entry (hex), path of that entry."""

    ordinal: int
    line_path: tuple[str, ...]
    page: int
    page_entry: str
    page_path: tuple[str, ...]


def prove_package(lines: Iterable[bytes], ecosystem: str, package: str) -> PackageProof:
    """Return the proof for a package from all entries of the index, in order."""
    key = _key(ecosystem, package)
    hashes: list[bytes] = []
    before: tuple[int, bytes] | None = None
    after: tuple[int, bytes] | None = None
    for position, line in enumerate(lines):
        hashes.append(leaf_hash(line))
        if _key_of(line) <= key:
            before = position, line
        elif after is None:
            after = position, line
    shown = (before,) if before and _key_of(before[1]) == key else (before, after)
    entries = tuple(
        EntryProof(position=item[0], entry=item[1].decode(), path=_written(inclusion_proof(item[0], hashes)))
        for item in shown
        if item is not None
    )
    return PackageProof(ecosystem=ecosystem, package=package, entries=entries)


def verify_package(proof: PackageProof, info: SnapshotInfo) -> tuple[int, ...]:
    """Return the ordinals that a package's index entry lists, empty when the proof shows that it has none.

    Raises MerkleRootMismatch when the proof does not show what it says, MalformedDocument when it is no proof.
    """
    key = _key(proof.ecosystem, proof.package)
    root = digest.raw_of(info.index_root)
    for item in proof.entries:
        leaf = leaf_hash(item.entry.encode())
        if not verify_inclusion(leaf, item.position, info.packages, _read(item.path), root):
            raise MerkleRootMismatch(path=INDEX, pointer=f"/{item.position}", expected=info.index_root)
    keys = [_key_of(item.entry.encode()) for item in proof.entries]
    if keys == [key]:
        return parse_ordinals(proof.entries[0].entry.rpartition("\t")[2].encode(), info.advisories)
    if not _is_gap(key, keys, [item.position for item in proof.entries], info.packages):
        raise MerkleRootMismatch(path=INDEX, detail="the entries are not neighbours of the absent package")
    if info.packages == 0 and root != EMPTY_ROOT:
        raise MerkleRootMismatch(path=INDEX, detail="an empty index has another root", found=info.index_root)
    return ()


def prove_advisory(reader: "SnapshotReader", ordinal: int) -> AdvisoryProof:
    """Return the proof for one advisory; reads its page and the page directory. IndexError for no such ordinal."""
    if not 0 <= ordinal < reader.info.advisories:
        raise IndexError(ordinal)
    number = reader.pages.number_of(ordinal)
    lines = [leaf_hash(line) for line in reader.page_lines(number)]
    entries = [leaf_hash(reader.pages.entry(other)) for other in range(len(reader.pages))]
    return AdvisoryProof(
        ordinal=ordinal,
        line_path=_written(inclusion_proof(ordinal - reader.pages[number].first, lines)),
        page=number,
        page_entry=reader.pages.entry(number).hex(),
        page_path=_written(inclusion_proof(number, entries)),
    )


def verify_advisory(proof: AdvisoryProof, line: bytes, info: SnapshotInfo) -> None:
    """Check that a canonical line is the advisory of the proof's ordinal; MerkleRootMismatch when it is not."""
    entry = _bytes(proof.page_entry)
    if len(entry) != PAGE_ENTRY.size:
        raise MalformedDocument(path=PAGES, detail="not a page entry", found=len(entry))
    page = Page(*PAGE_ENTRY.unpack(entry))
    root = digest.raw_of(info.page_root)
    if not verify_inclusion(leaf_hash(entry), proof.page, info.pages, _read(proof.page_path), root):
        raise MerkleRootMismatch(path=PAGES, pointer=f"/{proof.page}", expected=info.page_root)
    position = proof.ordinal - page.first
    if not verify_inclusion(leaf_hash(line), position, page.count, _read(proof.line_path), page.root):
        raise MerkleRootMismatch(path=PAGES, pointer=f"/{proof.page}", detail="the line is not in the page")


def _is_gap(key: bytes, keys: Sequence[bytes], positions: Sequence[int], size: int) -> bool:
    """Tell whether the entries, by key and position, leave no place where the key could stand."""
    if len(keys) == 2:
        return positions[0] + 1 == positions[1] and keys[0] < key < keys[1]
    if len(keys) == 1:
        return (positions[0] == 0 and key < keys[0]) or (positions[0] == size - 1 and keys[0] < key)
    return not keys and size == 0


def _key(ecosystem: str, package: str) -> bytes:
    key = index_key(ecosystem, package)
    if key is None:
        raise MalformedDocument(path=INDEX, detail="a name that no index can hold")
    return key


def _key_of(line: bytes) -> bytes:
    return line.rpartition(b"\t")[0]


def _written(path: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(item.hex() for item in path)


def _read(path: Iterable[str]) -> list[bytes]:
    return [_bytes(item) for item in path]


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as fault:
        raise MalformedDocument(detail="not hex", found=ascii(text)[:80]) from fault
