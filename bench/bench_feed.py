"""Feed snapshots: deep verification (T8), size (T9), building (T10)."""

import shutil
import subprocess
import sys

import measure
import world
from measure import Command

DEEP = """
import sys
from pathlib import Path
from builder.feeds import opened
with opened(Path(sys.argv[1])) as reader:
    reader.verify_deep(None)
"""


def deep() -> None:
    """T8: every leaf and root, without deriving the index again, against unpacking and hashing the advisories."""
    measure.heading("deep verification, whole process, against zstd -dc -D dict | openssl on the advisories")
    place = world.snapshot("large")
    script = 'zstd -dc -D "$2" "$1" | openssl dgst -sha256'
    peer = measure.shell(script, place / "advisories.ndjson.zst", place / "dict")
    ours, theirs = measure.paired(Command([sys.executable, "-c", DEEP, place], world.environment()), peer)
    measure.ratio("T8", "all pages, leaves and roots", ours.cpu, theirs.cpu, 1.2)


def size() -> None:
    """T9: the stored size, with directories, index and dictionary, against one frame of the sorted records."""
    measure.heading("snapshot size against zstd -3 over the same sorted records")
    place = world.snapshot("large")
    script = 'zstd -dc -D "$2" "$1" | zstd -3 -c | wc -c'
    words = ["sh", "-c", script, "sh", place / "advisories.ndjson.zst", place / "dict"]
    peer = int(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)
    ours = sum(path.stat().st_size for path in place.iterdir())
    measure.ratio("T9", "all members of the snapshot", ours / 1e6, peer / 1e6, 1.2, "MB")


def build() -> None:
    """T10: reading, sorting, tree, pages and index, against compressing the same bytes."""
    measure.heading("building the snapshot, whole process, against zstd -3 -T1")
    source = world.feed_file("large")
    store = world.PLACE / "scratch-feeds"
    words = ["feed", "add", world.FEED, source, "--feeds", store, "--time", world.MADE_AT]
    ours = Command(world.stella(*words), world.environment(), before=lambda: shutil.rmtree(store, ignore_errors=True))
    found, peer = measure.paired(ours, measure.shell('zstd -3 -T1 -c "$1" > /dev/null', source))
    measure.ratio("T10", f"stella feed add, {world.RECORDS:,} records", found.cpu, peer.cpu, 3.5)
    measure.told("", "its peak memory", f"{found.peak:.0f} MB")
    shutil.rmtree(store, ignore_errors=True)


if __name__ == "__main__":
    world.ensure()
    deep()
    size()
    build()
