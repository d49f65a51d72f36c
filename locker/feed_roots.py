"""The feeds of a record against the roots that its manifest names (docs/format.md section 5, step 12)."""

from kit.bundle import BundleReader
from kit.errors import MerkleRootMismatch
from kit.manifest import Manifest
from kit.snapshot import SnapshotReader


def check_feeds(reader: BundleReader, parsed: Manifest) -> None:
    """Hold the snapshots in a verified input bundle against the roots and the time that the manifest names."""
    for feed in parsed.inputs.feeds:
        snapshot = SnapshotReader(reader, feed.path, feed.snapshot_hash)
        snapshot.verify_quick()
        for name, expected, found in (
            ("merkleRoot", feed.merkle_root, snapshot.info.content_root),
            ("indexRoot", feed.index_root, snapshot.info.index_root),
            ("snapshotTime", feed.snapshot_time, snapshot.info.snapshot_time),
        ):
            if expected != found:
                raise MerkleRootMismatch(path=feed.path, pointer=name, expected=expected, found=found)
