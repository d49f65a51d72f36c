"""kit.bundle.record: what a record must be by itself (docs/format.md section 1.6)."""

import msgspec
import pytest

from kit.bundle import BundleReader, BundleRecord, Member, check_record, content_root
from kit.bytes import digest, tar
from kit.errors import (
    HostileName,
    LimitExceeded,
    MalformedDocument,
    MerkleRootMismatch,
    NameCollision,
    SizeMismatch,
)


def record_with(record, **changes):
    return msgspec.structs.replace(record, **changes)


def with_root(members, **changes):
    """Return a record of the members whose root and sizes fit them."""
    fitting = BundleRecord(
        members=tuple(members),
        content_root=content_root(members),
        content_size=sum(tar.length(member.path, member.size) for member in members) + 1024,
        archive_digest=digest.of_bytes(b""),
        archive_size=100,
    )
    return record_with(fitting, **changes)


def member(path, size=1, found="sha256:" + "0" * 64):
    return Member(path=path, size=size, digest=found)


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (with_root([member("b"), member("a")]), MalformedDocument),
        (with_root([member("a"), member("a")]), NameCollision),
        (with_root([member("A"), member("a")]), NameCollision),
        (with_root([member("a"), member("a/b")]), NameCollision),
        (with_root([member("../a")]), HostileName),
        (with_root([member("a" * 201)]), HostileName),
        (with_root([member(f"m{index:05}") for index in range(4097)]), LimitExceeded),
        (with_root([member("a", found="sha256:" + "A" * 64)]), MalformedDocument),
        (with_root([member("a")], content_root=digest.of_bytes(b"")), MerkleRootMismatch),
        (with_root([member("a")], content_root="sha256:x"), MalformedDocument),
        (with_root([member("a")], content_size=2049), SizeMismatch),
        (with_root([member("a")], archive_digest=""), MalformedDocument),
        (with_root([member("a")], archive_size=0), LimitExceeded),
        (with_root([member("a")], archive_size=5000), LimitExceeded),
        (record_with(with_root([member("a")]), members=(member("a", size=-1),)), LimitExceeded),
        (record_with(with_root([member("a")]), members=(member("a", size=1 << 53),)), LimitExceeded),
    ],
)
def test_record_that_contradicts_itself_is_refused(tmp_path, record, error):
    with pytest.raises(error):
        check_record(record)
    (tmp_path / "b").write_bytes(b"x" * 100)
    with pytest.raises(error):
        BundleReader(tmp_path / "b", record)
