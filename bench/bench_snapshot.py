"""Feed snapshots against ordinary tools on the same bytes: deep verification, size and build (T7 to T10)."""

import os
import shutil
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import measure
import world
from measure import Command

QUIET = 1.05
"""Wall time counts only where a single process got its core for itself: wall / CPU at most this."""


def part(*words: str | Path) -> Command:
    """Return the command that carries out one part of this file in a process of its own."""
    return Command([sys.executable, __file__, *words], world.environment())


def build(source: str, target: str, like: str) -> None:
    """Make a snapshot of NDJSON with the dictionary of another one, so that none is trained."""
    from builder.feed_sources import open_source
    from kit.snapshot.writer import About, write_snapshot
    from scanner.identity import normalise

    made, scratch = Path(target, "made"), Path(target, "scratch")
    for place in (made, scratch):
        place.mkdir(parents=True)
    about = About(name=world.FEED, source="synthetic", snapshot_time=world.MADE_AT)
    dictionary = Path(like, "dict").read_bytes()
    records = open_source(Path(source)).records()
    write_snapshot(made, records, about, normalise=normalise, scratch=scratch, given_dictionary=dictionary)


def deep(place: str) -> None:
    """Verify a snapshot deeply, without its index."""
    from builder.feeds import opened

    with opened(Path(place)) as reader:
        reader.verify_deep(None)


def deep_with_index(place: str) -> None:
    """Verify a snapshot deeply and derive its index anew."""
    from builder.feeds import opened
    from scanner.identity import normalise

    with opened(Path(place)) as reader:
        reader.verify_deep(normalise)


def deep_by_two(place: str) -> None:
    """Verify a snapshot deeply in two processes."""
    from builder.feeds import opened
    from kit.snapshot import conclude

    with opened(Path(place)) as reader, ProcessPoolExecutor(2) as pool:
        half = len(reader.pages) // 2
        bounds = (0, half, len(reader.pages))
        conclude(reader, list(pool.map(_check, [place] * 2, bounds[:-1], bounds[1:])))


def _check(place: str, start: int, stop: int) -> object:
    from builder.feeds import opened
    from kit.snapshot import check_pages

    with opened(Path(place)) as reader:
        return check_pages(reader, start, stop, None)


def verification(place: Path) -> None:
    """T8 and T7: deep verification against decoding and hashing alone, and by two workers."""
    measure.heading("deep verification of the large snapshot")
    peer = measure.shell('cd "$1" && zstd -dcq -D dict advisories.ndjson.zst | openssl dgst -sha256', place)
    ours, theirs = measure.paired(part("deep", place), peer)
    measure.ratio("T8", "deep / zstd -dc -D dict | openssl dgst -sha256", ours.cpu, theirs.cpu, 1.2)
    ours, theirs = measure.paired(part("deep_with_index", place), peer)
    measure.told("", "the same with the index derived anew", f"{ours.cpu / theirs.cpu:.2f} x")
    two, one = measure.paired(part("deep_by_two", place), part("deep", place))
    measure.ratio("T7", "two workers / one, CPU", two.cpu, one.cpu, 1.1)
    serial, parallel = _wall(part("deep", place)), _wall(part("deep_by_two", place))
    if serial > QUIET * one.cpu or (os.cpu_count() or 1) < 2:
        measure.told("T7", "two workers / one, wall", "not measurable: the machine is busy")
    else:
        measure.ratio("T7", "two workers / one, wall", parallel, serial, 0.6)


def making(place: Path, lines: Path) -> None:
    """T9 and T10: size and cost of a snapshot against zstd -3."""
    measure.heading("making the large snapshot")
    sorted_lines, peer_file = world.PLACE / "large.sorted.ndjson", world.PLACE / "peer.zst"
    measure.run(measure.shell('cd "$1" && zstd -dcq -D dict advisories.ndjson.zst > "$2"', place, sorted_lines))
    measure.run(measure.shell('zstd -3 -fq "$1" -o "$2"', sorted_lines, peer_file))
    stored = sum(file.stat().st_size for file in place.iterdir())
    measure.ratio("T9", "stored / zstd -3, one frame, sorted", stored / 1e6, peer_file.stat().st_size / 1e6, 1.2, "MB")
    target = world.PLACE / "again"
    command = part("build", lines, target, place)
    before = Command(command.words, command.environment, before=lambda: shutil.rmtree(target, ignore_errors=True))
    ours, theirs = measure.paired(before, measure.shell('zstd -3 -T1 -fq "$1" -o "$2"', sorted_lines, peer_file))
    measure.ratio("T10", "build, dictionary given / zstd -3 -T1", ours.cpu, theirs.cpu, 3.5)
    measure.told("", "peak memory of the build", f"{ours.peak:.0f} MB")
    for left in (sorted_lines, peer_file):
        left.unlink()
    shutil.rmtree(target)


def _wall(command: Command) -> float:
    start = time.perf_counter()
    measure.run(command)
    return time.perf_counter() - start


PARTS: dict[str, Callable[..., None]] = {one.__name__: one for one in (build, deep, deep_with_index, deep_by_two)}

if __name__ == "__main__":
    if sys.argv[1:]:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        world.ensure()
        verification(world.snapshot("large"))
        making(world.snapshot("large"), world.feed_file("large"))
