"""Feed snapshots: the advisories of one source at one time, read by package, provable by leaf (docs/format.md)."""

from kit.snapshot.deep import DeepCheck, PagesChecked, check_pages, conclude
from kit.snapshot.proofs import AdvisoryProof, PackageProof, verify_advisory, verify_package
from kit.snapshot.reader import SnapshotReader
from kit.snapshot.records import SnapshotInfo

__all__ = [
    "AdvisoryProof",
    "DeepCheck",
    "PackageProof",
    "PagesChecked",
    "SnapshotInfo",
    "SnapshotReader",
    "check_pages",
    "conclude",
    "verify_advisory",
    "verify_package",
]
