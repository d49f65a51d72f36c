"""Proofs as files: inclusion (C2SP tlog-proof), and consistency with earlier trees (docs/format.md section 10.4)."""

import base64
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec

from kit.bytes import merkle
from kit.bytes.merkle import HASH_SIZE
from kit.errors import LedgerProofWrong, LimitExceeded, MalformedDocument
from kit.ledger import note
from kit.ledger.checkpoint import MAX_SIZE, Checkpoint, shown

INCLUSION_HEADER = "c2sp.org/tlog-proof@v1"
CONSISTENCY_HEADER = "stella-ops.org/tlog-consistency@v1"
MAX_INCLUSION = 192 << 10
MAX_CONSISTENCY = 4 << 20
MAX_HASHES = 64
MAX_TREES = 1024
"""Earlier trees that a file of consistency proofs covers."""


class InclusionProof(msgspec.Struct, frozen=True):
    """That something is entry ``index`` of the tree of ``checkpoint`` (a note's bytes); ``extra`` is only claimed."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None


class Tree(msgspec.Struct, frozen=True):
    """A tree of a log by its size and its raw root."""

    size: int
    root: bytes


class ConsistencyProofs(msgspec.Struct, frozen=True):
    """That each of some earlier trees is a prefix of the tree of ``size`` of the log ``origin``; ascending by size."""

    origin: str
    size: int
    proofs: tuple[tuple[Tree, tuple[bytes, ...]], ...]


def encode_inclusion(proof: InclusionProof) -> bytes:
    """Return the bytes of a ``.tlog-proof``."""
    lines = [INCLUSION_HEADER]
    if proof.extra is not None:
        lines.append(f"extra {_base64(proof.extra)}")
    lines += [f"index {proof.index}", *map(_base64, proof.hashes), ""]
    return "".join(f"{line}\n" for line in lines).encode() + proof.checkpoint


def parse_inclusion(data: bytes, path: str) -> InclusionProof:
    """Read a ``.tlog-proof``; nothing of it is verified.

    Raises :class:`MalformedDocument` and :class:`LimitExceeded`.
    """
    text = note.read_text(data, path, limit=MAX_INCLUSION)
    head, blank, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    extra = None
    if not blank or lines[0] != INCLUSION_HEADER:
        raise MalformedDocument(path=path, expected=INCLUSION_HEADER, found=shown(lines[0])[:64])
    at = 1
    if lines[at : at + 1] and lines[at].startswith("extra "):
        extra = note.decode_base64(lines[at].removeprefix("extra "))
        if extra is None:
            raise MalformedDocument(path=path, detail="the line 'extra' is not base64")
        at += 1
    index = _number(lines[at] if at < len(lines) else "", "index ")
    if index is None:
        raise MalformedDocument(path=path, detail="the line 'index' is missing or holds no number")
    return InclusionProof(index, _hashes(lines[at + 1 :], path), checkpoint.encode(), extra)


def check_inclusion(
    leaf_hash: bytes, index: int, hashes: Sequence[bytes], checkpoint: Checkpoint, *, path: str
) -> None:
    """Raise :class:`LedgerProofWrong` unless the leaf stands at the index of the checkpoint's tree."""
    if not merkle.verify_inclusion(leaf_hash, index, checkpoint.size, hashes, checkpoint.root):
        detail = "there is no such entry in a tree of this size" if index >= checkpoint.size else "leads elsewhere"
        raise LedgerProofWrong(
            path=path, detail=detail, origin=shown(checkpoint.origin), index=index, size=checkpoint.size
        )


def encode_consistency(proofs: ConsistencyProofs) -> bytes:
    """Return the bytes of a ``.tlog-consistency``."""
    lines = [CONSISTENCY_HEADER, f"origin {proofs.origin}", f"size {proofs.size}"]
    for tree, hashes in proofs.proofs:
        lines += [f"old {tree.size} {_base64(tree.root)}", *map(_base64, hashes)]
    return "".join(f"{line}\n" for line in lines).encode()


def parse_consistency(data: bytes, path: str) -> ConsistencyProofs:
    """Read a ``.tlog-consistency``; nothing of it is verified.

    Raises :class:`MalformedDocument` and :class:`LimitExceeded`.
    """
    text = note.read_text(data, path, limit=MAX_CONSISTENCY)
    if not text.endswith("\n"):
        raise MalformedDocument(path=path, detail="does not end with a newline")
    lines = text[:-1].split("\n")
    if lines[0] != CONSISTENCY_HEADER or len(lines) < 3 or not lines[1].startswith("origin "):
        raise MalformedDocument(path=path, expected=CONSISTENCY_HEADER, found=shown(lines[0])[:64])
    origin, size = lines[1].removeprefix("origin "), _number(lines[2], "size ")
    if not origin or size is None:
        raise MalformedDocument(path=path, detail="the lines 'origin' and 'size' are missing or empty")
    starts = [at for at, line in enumerate(lines) if line.startswith("old ")]
    if (starts or [len(lines)])[0] != 3:
        raise MalformedDocument(path=path, detail="hashes stand before the first line 'old'")
    if len(starts) > MAX_TREES:
        raise LimitExceeded(path=path, detail="earlier trees", expected=MAX_TREES, found=len(starts))
    proofs = tuple(
        (_old_tree(lines[start], path), _hashes(lines[start + 1 : end], path))
        for start, end in pairwise([*starts, len(lines)])
    )
    sizes = [tree.size for tree, _ in proofs]
    if sizes != sorted(set(sizes)) or not all(0 < old < size for old in sizes):
        raise MalformedDocument(path=path, detail="earlier trees must ascend, above 0 and below the size")
    return ConsistencyProofs(origin, size, proofs)


def check_consistency(proofs: ConsistencyProofs, checkpoint: Checkpoint, *, path: str) -> tuple[Tree, ...]:
    """Return the earlier trees, each proven to be a prefix of the checkpoint's; :class:`LedgerProofWrong` otherwise."""
    if (proofs.origin, proofs.size) != (checkpoint.origin, checkpoint.size):
        raise LedgerProofWrong(
            path=path,
            detail="is about another tree than the checkpoint",
            expected=f"{shown(checkpoint.origin)} {checkpoint.size}",
            found=f"{shown(proofs.origin)} {proofs.size}",
        )
    for tree, hashes in proofs.proofs:
        if not merkle.verify_consistency(tree.size, checkpoint.size, tree.root, checkpoint.root, hashes):
            raise LedgerProofWrong(
                path=path,
                detail="does not show that the log only grew",
                origin=shown(checkpoint.origin),
                old=tree.size,
                size=checkpoint.size,
            )
    return tuple(tree for tree, _ in proofs.proofs)


def _old_tree(line: str, path: str) -> Tree:
    written_size, _, written_root = line.removeprefix("old ").partition(" ")
    size, root = note.read_number(written_size, MAX_SIZE), note.decode_base64(written_root)
    if size is None or root is None or len(root) != HASH_SIZE:
        raise MalformedDocument(path=path, detail="the line 'old' is a size and a hash", found=shown(line)[:80])
    return Tree(size, root)


def _hashes(lines: Iterable[str], path: str) -> tuple[bytes, ...]:
    hashes: list[bytes] = []
    for line in lines:
        value = note.decode_base64(line)
        if value is None or len(value) != HASH_SIZE:
            raise MalformedDocument(path=path, detail="not a SHA-256 hash in base64", found=shown(line)[:64])
        if len(hashes) == MAX_HASHES:
            raise LimitExceeded(path=path, detail="hashes of a proof", expected=MAX_HASHES)
        hashes.append(value)
    return tuple(hashes)


def _number(line: str, name: str) -> int | None:
    return note.read_number(line.removeprefix(name), MAX_SIZE) if line.startswith(name) else None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
