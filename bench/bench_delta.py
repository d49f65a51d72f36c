"""Deltas: how much of a bundle travels when a feed changes, how long it takes, and in how much memory.

Pairs: 1 % of the records of a generated feed changed and 0.5 % added, with the dictionary kept and trained anew; a real
pair of OSV exports, where there is one. Each beside the stored bytes under the zstd program's own ``--patch-from``.
STELLA_BENCH_RECORDS sets the size of the generated feed.
"""

import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import measure
import world

from builder import delta as maker
from builder import feeds, signer, trust
from builder.assemble import KitRequest, assemble
from builder.record import ScanRequest, record
from kit import kitfile, layout
from kit.bytes import digest
from kit.delta import Base
from scanner import engine
from verifier import delta as site_side
from verifier.delta import BaseKit
from verifier.medium import survey

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RECORDS = int(os.environ.get("STELLA_BENCH_RECORDS", "30000"))
INPUTS = world.ROOT / "examples" / "inputs"
NAME = "bulk"


def changed(source: Path, target: Path) -> None:
    """Write a feed with 1 % of its records changed, and 0.5 % more."""
    chance = random.Random(7)
    with source.open() as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for number, line in enumerate(old):
            document = json.loads(line)
            if chance.random() < 0.01:
                document["details"] = f"{document.get('details', '')} Revised: {chance.random()}"
            new.writestr(f"{number}.json", json.dumps(document))
            if chance.random() < 0.005:
                document["id"] += "-B"
                new.writestr(f"{number}-b.json", json.dumps(document))


def unchanged(source: Path, target: Path) -> None:
    """Write the same records as a source with a file each."""
    with source.open() as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for number, line in enumerate(old):
            new.writestr(f"{number}.json", line)


class Sender:
    """A sender who builds kits of one feed each."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rootpack, keys = home / "rootpack", home / "keys"
        entropy = random.Random(1).randbytes
        trust.init(self.rootpack, keys, now=NOW, owner="bench", entropy=entropy, ceremony=trust.SINGLE_SIGNER)
        self.key = signer.load(keys / "kit-1.key.pem")
        self.number = 0

    def kit(self, feed: Path) -> Path:
        """Return a kit with one scan that has the feed."""
        self.number += 1
        wanted = ScanRequest(
            scan_id=f"5e11a000-0000-4000-8000-{self.number:012d}",
            time="2026-06-01T11:00:00Z",
            sbom=(INPUTS / "sbom.cdx.json").read_bytes(),
            feeds={NAME: feed},
            vex={},
            policy=(INPUTS / "policy.toml").read_bytes(),
            tools=[],
            engine=engine.current(),
            architecture="x86_64",
        )
        made, _ = record(wanted, [self.key], self.home / f"records-{self.number}")
        place = self.home / f"kit-{self.number}"
        request = KitRequest([made], self.rootpack, [], "default", self.number, "2026-06-01T12:00:00Z", 24)
        assemble(request, [self.key], place)
        return place


def compare(sender: Sender, title: str, old: Path, new: Path) -> None:
    """Print the line of one pair of snapshots."""
    base, kit = sender.kit(old), sender.kit(new)
    raw = (base / layout.KIT_FILE).read_bytes()
    said = Base(kit_id="base", digest=digest.of_bytes(raw), site=digest.of_bytes(b"s"), receipt=digest.of_bytes(b"r"))
    on = maker.Proven(BaseKit(survey(base), kitfile.parse(raw)), said)
    out = kit.with_name(f"{kit.name}-delta")
    began = time.process_time()
    delta = maker.make(kit, on, out, [sender.key], lambda _: None)
    making = time.process_time() - began
    one = next(each for each in delta.objects if each.path.endswith(layout.INPUT_BUNDLE))
    medium, whole = survey(out), kitfile.parse((kit / layout.KIT_FILE).read_bytes())
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"
        work.mkdir()
        began = time.process_time()
        site_side.make(medium, whole, delta.compressor, one, on.base, Path(place), work)
        making_whole = time.process_time() - began
    stored = one.stored.size if one.stored else 0
    (pair,) = (path for path in base.rglob(layout.INPUT_BUNDLE))
    done = subprocess.run(
        ["zstd", "-q", "-12", "--long=27", f"--patch-from={pair}", kit / one.path, "-c"],
        capture_output=True,
        check=True,
    )
    print(
        f"{title:<44} bundle {one.size:>11,}  delta {stored:>9,} ({stored / one.size:.2%})  "
        f"zstd --patch-from {len(done.stdout):>11,} ({len(done.stdout) / one.size:.0%})  "
        f"made in {making:.1f} s, made whole in {making_whole:.1f} s"
    )


def main() -> None:
    """Print a line a pair, and the peak memory."""
    measure.heading("deltas: bytes that travel when a feed changes")
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        sender = Sender(home)
        lines = home / "feed.ndjson"
        words = [sys.executable, world.ROOT / "bench" / "generate_feed.py", "--records", str(RECORDS), lines]
        subprocess.run(words, check=True)
        unchanged(lines, home / "old.zip")
        changed(lines, home / "new.zip")
        moment = {"snapshot_time": "2026-05-30T00:00:00Z"}
        old = feeds.add(home / "old", NAME, home / "old.zip", **moment).directory
        kept = feeds.add(home / "kept", NAME, home / "new.zip", dictionary_from=old, **moment).directory
        anew = feeds.add(home / "anew", NAME, home / "new.zip", **moment).directory
        compare(sender, f"{RECORDS:,} records, 1.5 % changed", old, kept)
        compare(sender, "the same, dictionary trained anew", old, anew)
        real = sorted((world.DATA / "osv" / "Go").glob("*/all.zip"))
        if len(real) > 1:
            first, last = (feeds.add(home / f"go-{at}", NAME, real[at], **moment).directory for at in (0, -1))
            compare(sender, f"Go, {real[0].parent.name} to {real[-1].parent.name}", first, last)
        print(f"peak memory of all that: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10} MB")


if __name__ == "__main__":
    main()
