"""Feed snapshots against ordinary tools over the same bytes, as ratios of CPU seconds and of sizes.

    python bench/bench_snapshot.py                          30,000 synthetic records, and 3,000 for the growth of a look-up
    python bench/bench_snapshot.py --records 300000 --rounds 3

Each row is measured in whole processes, user and system time of all children, alternating with its peer; the median of the
rounds counts. Wall time is not judged.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench")]

PACKAGES = 1_000


def children_cpu(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of the processes that an action starts and waits for, and its result."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    result = action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, result


def own(*words: str | Path) -> dict[str, Any]:
    """Run one part of this file in a process of its own and return what it reports."""
    command = [sys.executable, __file__, "--part", *map(str, words)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return found


def shell(command: str, where: Path) -> None:
    """Run a shell command for its cost."""
    subprocess.run(["sh", "-c", command], cwd=where, check=True, stdout=subprocess.DEVNULL)


def build(feed: str, target: str) -> dict[str, Any]:
    """Make a snapshot of NDJSON; report the CPU seconds that training took."""
    from kit.snapshot import dictionary
    from kit.snapshot.writer import About, write_snapshot
    from scanner.identity import normalise

    spent = 0.0
    train = dictionary.train

    def timed(*given: Any) -> bytes | None:
        nonlocal spent
        start = time.process_time()
        trained = train(*given)
        spent = time.process_time() - start
        return trained

    dictionary.train = timed
    place = Path(target)
    place.mkdir()
    about = About(name="bench", source="synthetic", snapshot_time="2026-01-01T00:00:00Z")
    with tempfile.TemporaryDirectory(dir=place.parent) as scratch, Path(feed).open("rb", buffering=1 << 20) as lines:
        source = ((None, line.rstrip(b"\n")) for line in lines)
        write_snapshot(place, source, about, normalise=normalise, scratch=Path(scratch))
    return {"training": spent, "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def deep(place: str, *, index: bool) -> dict[str, Any]:
    """Verify a snapshot deeply."""
    from builder.feeds import opened
    from scanner.identity import normalise

    with opened(Path(place)) as reader:
        reader.verify_deep(normalise if index else None)
    return {"rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}


def look_up(place: str, names: str) -> dict[str, Any]:
    """Read the records of the named packages; report CPU seconds beyond start-up and what was touched."""
    from builder.feeds import opened

    packages = [(ecosystem, name) for ecosystem, name in json.loads(Path(names).read_bytes())]
    start = time.process_time()
    with opened(Path(place)) as reader:
        count = size = 0
        for _, line in reader.records(packages):
            count += 1
            size += len(line)
        return {
            "cpu": time.process_time() - start,
            "records": count,
            "bytes": size,
            "pages": reader.counters.pages_touched,
            "of": len(reader.pages),
            "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        }


def names_of(components: list[Any]) -> list[tuple[str, str]]:
    """Return drawn components as (ecosystem, package) in the spelling of the index."""
    from scanner.identity import normalise

    return [(family.label, normalise(family.label, name)) for family, name, _ in components]


def compare(title: str, limit: float, rounds: int, ours: Callable[[], float], peer: Callable[[], float]) -> None:
    """Print the ratio of ours to the peer's cost, and the target."""
    pairs = [(peer(), ours()) for _ in range(rounds)]
    ratio = statistics.median(our / their for their, our in pairs)
    spread = " ".join(f"{our:.2f}/{their:.2f}" for their, our in pairs)
    print(f"{title:<58} {ratio:6.2f}  target <= {limit:.2f}   CPU s {spread}")


def run(records: int, rounds: int, where: Path) -> None:
    """Measure everything over one synthetic feed and one of a tenth of its size."""
    import generate_feed

    feeds = {}
    for share in (10, 1):
        feed = generate_feed.Feed(1)
        names = where / "names.json"
        names.write_text(json.dumps(names_of(feed.components(PACKAGES))))
        feeds[share] = where / f"feed-{share}.ndjson"
        generate_feed.write_ndjson(feeds[share], feed.records(records // share))
        reported = own("build", feeds[share], where / f"snapshot-{share}")
    place = where / "snapshot-1"
    dictionary = "-D dict" if (place / "dict").exists() else ""
    shell(f"zstd -dcq {dictionary} advisories.ndjson.zst > ../sorted.ndjson", place)
    shell("zstd -3 -T1 -fq sorted.ndjson", where)
    stored = sum(path.stat().st_size for path in place.iterdir())
    peer_size = (where / "sorted.ndjson.zst").stat().st_size
    content = (where / "sorted.ndjson").stat().st_size
    print(f"{records} records, {content / 1e6:.0f} MB, build RSS {reported['rss'] // 1024} MB")
    print(f"{'stored bytes / zstd -3 over the sorted lines':<58} {stored / peer_size:6.2f}  target <= 1.20   {stored}")

    number = 0

    def build_cost() -> float:
        nonlocal number
        number += 1
        cpu, found = children_cpu(lambda: own("build", feeds[1], where / f"again-{number}"))
        print(f"{'':<58} training {found['training']:.2f} CPU s, left out")
        return cpu - float(found["training"])

    def cost(command: str, at: Path = where) -> Callable[[], float]:
        return lambda: children_cpu(lambda: shell(command, at))[0]

    def deep_cost(part: str) -> Callable[[], float]:
        return lambda: children_cpu(lambda: own(part, place))[0]

    compress = cost("zstd -3 -T1 -fq feed-1.ndjson -o peer.zst")
    decompress = cost(f"zstd -dcq {dictionary} advisories.ndjson.zst | openssl dgst -sha256", place)
    compare("build without training / zstd -3 -T1", 3.5, rounds, build_cost, compress)
    compare("deep verification / zstd -dc | openssl dgst -sha256", 1.2, rounds, deep_cost("deep"), decompress)
    compare("the same with the index derived anew", 4.0, rounds, deep_cost("deep-index"), decompress)
    for share in (10, 1):
        found = [own("look-up", where / f"snapshot-{share}", where / "names.json") for _ in range(rounds)]
        cpu = statistics.median(item["cpu"] for item in found)
        print(
            f"look-up of {PACKAGES} packages in {records // share} records: {cpu:.3f} CPU s, "
            f"{found[0]['records']} records, {found[0]['pages']} of {found[0]['of']} pages, "
            f"RSS {found[0]['rss'] // 1024} MB"
        )


def main(arguments: list[str]) -> int:
    """Measure, or carry out the one part that a measuring process asks for."""
    parts: dict[str, Callable[..., dict[str, Any]]] = {
        "build": build,
        "deep": lambda place: deep(place, index=False),
        "deep-index": lambda place: deep(place, index=True),
        "look-up": look_up,
    }
    if arguments[:1] == ["--part"]:
        print(json.dumps(parts[arguments[1]](*arguments[2:])))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=30_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as where:
        run(options.records, options.rounds, Path(where))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
