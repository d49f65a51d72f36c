"""What is signed about a bundle: its members, its content root, its archive digest (docs/format.md section 1.6)."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from kit.bytes import canonical, digest, frames, merkle, names, tar
from kit.bytes.record_types import Size
from kit.errors import LimitExceeded, MalformedDocument, MerkleRootMismatch, SizeMismatch

MAX_MEMBERS = 4096


class Member(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """One file of a bundle."""

    path: str
    size: Size
    digest: str


class BundleRecord(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """A bundle as the manifest records it; content_size is the length of the uncompressed tar stream."""

    members: tuple[Member, ...]
    content_root: str
    content_size: Size
    archive_digest: str
    archive_size: Size


def content_root(members: Sequence[Member]) -> str:
    """Return the identity of the members in their order, whatever packs them."""
    tree = merkle.Tree(merkle.leaf_hash(canonical.encode_record(member)) for member in members)
    return digest.of_raw(tree.root())


def check_record(record: BundleRecord) -> None:
    """Check everything that a record says by itself: names, order, digests, root, sizes.

    LimitExceeded, HostileName, MalformedDocument (order, digest), MerkleRootMismatch, SizeMismatch.
    """
    members = record.members
    if len(members) > MAX_MEMBERS:
        raise LimitExceeded(detail="bundle members", expected=MAX_MEMBERS, found=len(members))
    names.check_names(member.path for member in members)
    for before, after in pairwise(members):
        if before.path.encode("utf-8") >= after.path.encode("utf-8"):
            raise MalformedDocument(path=after.path, detail="members are not in ascending order of their paths")
    for member in members:
        digest.check(member.digest)
        if not 0 <= member.size <= tar.MAX_SIZE:
            raise LimitExceeded(path=member.path, detail="member size", found=member.size)
    digest.check(record.archive_digest)
    found = content_root(members)
    if digest.check(record.content_root) != found:
        raise MerkleRootMismatch(detail="content root", expected=record.content_root, found=found)
    lengths = [tar.length(member.path, member.size) for member in members]
    lengths.append(len(tar.END))
    if sum(lengths) != record.content_size:
        raise SizeMismatch(detail="content size", expected=record.content_size, found=sum(lengths))
    most = sum(_largest(length) for length in lengths)
    if not 0 < record.archive_size <= most:
        raise LimitExceeded(detail="archive size", expected=most, found=record.archive_size)


def _largest(length: int) -> int:
    """Return the most bytes that a piece of the tar stream can take as frames in the one accepted cut."""
    whole, rest = divmod(length, frames.MAX_CONTENT)
    return whole * frames.MAX_FRAME + (frames.bound(rest) if rest else 0)
