"""What the benchmarks work on, made once below ``build/bench/``: feeds, SBOMs, keys, records, kits, sites.

    large   a synthetic feed of 300,000 records
    small   a tenth of it, with the same hits: every record that names a package of the 1,000-component SBOM, and an
            even choice of the others
    tenth   every tenth record of it

The generated files depend on the generator alone. Snapshots, records and kits are made anew when the sources change: a
record names the engine that made it. Run as a program it makes everything that is missing.
"""

import fcntl
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from measure import Command

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the checkout that this file stands in, whatever is installed
PLACE = ROOT / "build" / "bench"
DATA = Path(os.environ.get("STELLA_TEST_DATA") or ROOT.parent / "shared" / "data")
RECORDS = int(os.environ.get("STELLA_BENCH_RECORDS", "300000"))
SEED = 1
COMPONENTS = (1_000, 1_600, 10_000)
TOOL_BYTES = 200_000_000
FEEDS = ("large", "small", "tenth")
FEED = "synthetic"
SCAN_ID = "5e11a000-0000-4000-8000-0000000000be"
MADE_AT, SCAN_AT, KIT_AT, JUDGED_AT = (f"2026-06-{day:02}T00:00:00Z" for day in (1, 2, 3, 4))
LOOKED_UP = {"pypi", "golang"}
"""Package URL types that the evaluation looks up; the SBOMs have no others, so that every component counts."""

MAKE_SNAPSHOTS = ("kit/snapshot/*.py", "kit/bytes/*.py", "scanner/identity/*.py")
MAKE_KITS = ("kit/**/*.py", "scanner/**/*.py", "builder/*.py")
"""Sources that snapshots, and records and kits, are made by."""

REAL_SBOM = "sboms/go-constellation.syft.spdx22.json"
REAL_FEEDS = ("PyPI", "Go")


def environment() -> dict[str, str]:
    """Return the environment in which the program runs from this checkout, with its compiled modules kept."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return plain | {"PYTHONPATH": str(ROOT)}


def stella(*words: str | Path) -> list[str | Path]:
    """Return a command line of the program, from source."""
    return [sys.executable, "-m", "stella", *words]


def frozen(*words: str | Path, folder: bool = True) -> list[str | Path]:
    """Return a command line of the frozen program, as a folder or as one file; a release's, where one is named."""
    place = Path(os.environ.get("STELLA_RELEASE") or PLACE / "frozen", f"linux-{os.uname().machine}")
    return [place / "stella-onedir" / "stella" if folder else place / "stella", *words]


def feed_file(name: str) -> Path:
    """Return the records of a feed, one a line."""
    return PLACE / f"{name}.ndjson"


def sbom_file(components: int) -> Path:
    """Return an SBOM that fits the feeds."""
    return PLACE / f"sbom-{components}.cdx.json"


def snapshot(name: str) -> Path:
    """Return the directory of a feed's snapshot."""
    store = PLACE / "feeds" / name / FEED
    return store / (store / "current").read_text().strip()


def kit(name: str) -> Path:
    """Return a kit: large (with tools), small, tenth, example or real."""
    return PLACE / "kits" / name


def manifest(name: str) -> Path:
    """Return the manifest of a kit's one scan."""
    return kit(name) / "replay" / SCAN_ID / "manifest.json"


def bundle(name: str) -> Path:
    """Return the input bundle of a kit's one scan."""
    return manifest(name).with_name("inputbundle.tar.zst")


def check(verb: str, name: str, *, program: Callable[..., list[str | Path]] = stella) -> Command:
    """Return the command that verifies or replays a kit's scan at a site that knows the kit."""
    site = PLACE / "sites" / name
    words = [verb, manifest(name), "--ops", site / "ops", "--site", site / "state", "--at", JUDGED_AT]
    return Command(
        program(*words, "--progress", "none"),
        environment(),
        ROOT,
        before=lambda: shutil.rmtree(site / "ops" / "replay", ignore_errors=True),
    )


def ensure(*, real: bool = False, freeze: bool = False, large: bool = True) -> None:
    """Make what is missing, in a process of its own so that the caller stays small; ``large`` are the big feeds."""
    words = [word for word, wanted in (("real", real), ("frozen", freeze), ("large", large)) if wanted]
    done = subprocess.run([sys.executable, __file__, *words], check=False, env=environment())
    if done.returncode:
        raise SystemExit(done.returncode)


def has_real_data() -> bool:
    """Tell whether the real feeds and SBOMs are there."""
    return (DATA / REAL_SBOM).is_file() and all((DATA / "osv" / name).is_dir() for name in REAL_FEEDS)


def make(wanted: set[str]) -> None:
    """Make everything that is missing."""
    PLACE.mkdir(parents=True, exist_ok=True)
    with (PLACE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        generator = _digest([ROOT / "bench" / "generate_feed.py"], RECORDS)
        _forget_other("generated", generator, ["*.ndjson", "*.json", "naive.tar.zst"])
        _forget_other("snapshots", _digest(_sources(*MAKE_SNAPSHOTS), generator), ["feeds"])
        _forget_other("kits", _digest(_sources(*MAKE_KITS), generator), ["records", "kits", "sites"])
        _make_keys()
        if "large" in wanted:
            _make_large()
        inputs = ROOT / "examples" / "inputs"
        _make_snapshot("example", FEED, inputs / "advisories")
        _make_kit("example", inputs / "sbom.cdx.json", [FEED], None)
        if "real" in wanted and has_real_data():
            _make_real()
        if "frozen" in wanted:
            _call([sys.executable, "-m", "builder.freeze", "--out", PLACE / "frozen"])


def _make_large() -> None:
    """Make the big feeds and the kits of them."""
    wanted_files = [*map(feed_file, ("small", "tenth")), *map(sbom_file, COMPONENTS)]
    if not all(path.is_file() for path in wanted_files):
        _make_feeds()
    _make_tool(PLACE / "tools.bin")
    for name in FEEDS:
        _make_snapshot(name)
    _make_kit("large", sbom_file(1_000), [FEED], PLACE / "tools.bin")
    for name in ("small", "tenth"):
        _make_kit(name, sbom_file(1_000), [FEED], None)
    _make_naive(PLACE / "naive.tar.zst")


def _forget_other(what: str, digest: str, patterns: list[str]) -> None:
    """Remove what was made of something else."""
    mark = PLACE / f"{what}.digest"
    if mark.is_file() and mark.read_text() == digest:
        return
    for found in [path for pattern in patterns for path in PLACE.glob(pattern)]:
        if found.is_dir():
            shutil.rmtree(found)
        else:
            found.unlink()
    mark.write_text(digest)


def _digest(files: list[Path], *more: object) -> str:
    hasher = hashlib.sha256(repr(more).encode())
    for path in files:
        hasher.update(path.read_bytes())
    return hasher.hexdigest()


def _sources(*places: str) -> list[Path]:
    return sorted(path for place in places for path in ROOT.glob(place))


def _make_feeds() -> None:
    """Write the feeds and the SBOMs."""
    import generate_feed

    feed = generate_feed.Feed(SEED)
    drawn = [one for one in feed.components(COMPONENTS[-1] * 5) if one[0].purl in LOOKED_UP][: COMPONENTS[-1]]
    for count in COMPONENTS:
        generate_feed.write_sbom(sbom_file(count), drawn[:count])
    large = feed_file("large")
    if not large.is_file():
        _say(f"generating {RECORDS} records: minutes")
        with _whole(large) as place:
            generate_feed.write_ndjson(place, feed.records(RECORDS))
    wanted = {(family.label, name) for family, name, _ in drawn[: COMPONENTS[0]]}
    with large.open("rb") as lines:
        hits = [_names(json.loads(line), wanted) for line in lines]
    step = (RECORDS - sum(hits)) / (RECORDS // 10 - sum(hits))
    passed = 0
    with large.open("rb") as lines, feed_file("small").open("wb") as small, feed_file("tenth").open("wb") as tenth:
        for number, line in enumerate(lines):
            passed += not hits[number]
            if hits[number] or passed % step < 1:
                small.write(line)
            if number % 10 == 0:
                tenth.write(line)


def _names(record: dict[str, object], wanted: set[tuple[str, str]]) -> bool:
    affected = record["affected"]
    assert isinstance(affected, list)
    return any((entry["package"]["ecosystem"], entry["package"]["name"]) in wanted for entry in affected)


def _make_tool(target: Path) -> None:
    """Write bytes that compress about as programs do, to two fifths."""
    if target.is_file():
        return
    rng = random.Random(SEED)
    phrases = [rng.randbytes(24) for _ in range(512)]
    with _whole(target) as place, place.open("wb") as out:
        while out.tell() < TOOL_BYTES:
            out.write(b"".join([rng.randbytes(16), *rng.choices(phrases, k=2)]))


def _make_naive(target: Path) -> None:
    """Pack the tenth of the feed the straightforward way, each advisory in the form that the snapshot gave it."""
    if target.is_file():
        return
    place = snapshot("tenth")
    with _whole(PLACE / "tenth.sorted.ndjson") as lines:
        script = 'zstd -dc -D "$1" "$2" > "$3"'
        _call(["sh", "-c", script, "sh", place / "dict", place / "advisories.ndjson.zst", lines])
    with _whole(target) as archive:
        words = [sys.executable, Path(__file__).with_name("naive.py"), "make", PLACE / "tenth.sorted.ndjson"]
        _call([*words, sbom_file(1_000), archive])


def _make_keys() -> None:
    if not (PLACE / "rootpack").is_dir():
        shutil.rmtree(PLACE / "keys", ignore_errors=True)
        words = ["--rootpack", PLACE / "rootpack", "--keys", PLACE / "keys", "--owner", "bench", "--time", MADE_AT]
        _call(stella("rootpack", "init", *words, "--single-signer"))


def _make_snapshot(name: str, feed: str = FEED, source: Path | None = None) -> None:
    store = PLACE / "feeds" / name
    if not (store / feed / "current").is_file():
        _say(f"feed snapshot: {name} {feed}")
        _call(stella("feed", "add", feed, source or feed_file(name), "--feeds", store, "--time", MADE_AT))


def _make_kit(name: str, sbom: Path, feeds: list[str], tool: Path | None) -> None:
    if kit(name).is_dir():
        return
    _say(f"record and kit: {name}")
    shutil.rmtree(PLACE / "records" / name, ignore_errors=True)
    key = PLACE / "keys" / "kit-1.key.pem"
    words: list[str | Path] = ["--sbom", sbom, "--feeds", PLACE / "feeds" / name, "--key", key, "--scan-id", SCAN_ID]
    words += [word for feed in feeds for word in ("--feed", feed)]
    words += ["--policy", ROOT / "examples" / "inputs" / "policy.toml", "--time", SCAN_AT]
    words += ["--rootpack", PLACE / "rootpack"]
    words += ["--tool", f"tools@1.0={tool}"] if tool else []
    _call(stella("scan", "--record", *words, "--out", PLACE / "records" / name))
    record = PLACE / "records" / name / SCAN_ID
    words = ["--record", record, "--key", key, "--rootpack", PLACE / "rootpack", "--sequence", "1", "--time", KIT_AT]
    _call(stella("kit", "build", *words, "--channel", name, "--out", kit(name)))
    root = PLACE / "rootpack" / "metadata" / "1.root.json"
    site = PLACE / "sites" / name
    fingerprint = "SHA256:" + hashlib.sha256(root.read_bytes()).hexdigest()
    shutil.rmtree(site, ignore_errors=True)
    _call(stella("offline", "init", "--root", root, "--expect-root", fingerprint, "--site", site / "state"))
    _call([str(word) for word in check("replay", name).words])


def _make_real() -> None:
    for feed in REAL_FEEDS:
        newest = max((DATA / "osv" / feed).iterdir())
        _make_snapshot("real", feed.lower(), newest / "all.zip")
    _make_kit("real", DATA / REAL_SBOM, [feed.lower() for feed in REAL_FEEDS], None)


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """Give a place to write to, which becomes the target when it is complete."""
    working = target.with_name(f".{target.name}.part")
    yield working
    working.rename(target)


def _call(words: list[str | Path] | list[str]) -> None:
    command = list(map(str, words))
    done = subprocess.run(command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _say(what: str) -> None:
    print(f"  making {what} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    make(set(sys.argv[1:]))
