"""Bundles, the sealed ``.tar.zst`` of inputs or outputs, and what reads like one: docs/format.md section 1.6."""

from kit.bundle.reader import BundleReader
from kit.bundle.record import BundleRecord, Member, check_record, content_root
from kit.bundle.sources import DirectorySource, MemberFile, MemberSource
from kit.bundle.writer import write_bundle

__all__ = [
    "BundleReader",
    "BundleRecord",
    "DirectorySource",
    "Member",
    "MemberFile",
    "MemberSource",
    "check_record",
    "content_root",
    "write_bundle",
]
