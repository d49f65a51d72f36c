"""Small snapshots for the tests: made by the writer, or forged page by page with digests that fit."""

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kit.bundle import DirectorySource, Member
from kit.bytes import digest, merkle
from kit.bytes.frames import FrameCodec
from kit.snapshot import SnapshotInfo, SnapshotReader, records
from kit.snapshot.layout import Page, pack_index
from kit.snapshot.records import ADVISORIES, INDEX, INDEX_PAGES, PAGES, RECORD, EcosystemCount
from kit.snapshot.writer import About, write_snapshot

ABOUT = About(name="demo", source="demo feed", snapshot_time="2026-01-02T03:04:05Z")


def plain(ecosystem: str, name: str) -> str:
    """Stand in for the scanner's normalisation."""
    return name.lower() if ecosystem == "PyPI" else name


def record(identity: str, *packages: tuple[str, str], size: int = 0, **more: Any) -> bytes:
    """Return one OSV record; packages are (ecosystem, name), size is the length of its text."""
    affected = [{"package": {"ecosystem": ecosystem, "name": name}} for ecosystem, name in packages]
    value = {"id": identity, "modified": "2026-01-01T00:00:00Z", "affected": affected, "details": "x" * size}
    return json.dumps(value | more).encode()


@pytest.fixture(scope="session")
def make_record() -> Callable[..., bytes]:
    return record


@pytest.fixture(scope="session")
def normalise() -> Callable[[str, str], str]:
    return plain


@pytest.fixture(scope="session")
def sources() -> list[tuple[str | None, bytes]]:
    """Return 400 records over four ecosystems, of 100 bytes to 40 kB, as (file name, bytes)."""
    rng = random.Random(7)
    found: list[tuple[str | None, bytes]] = []
    for number in range(400):
        ecosystem = rng.choice(["Alpine:v3.20", "Go", "PyPI", "npm"])
        packages = [(ecosystem, f"Package-{int(90 * rng.random() ** 2)}") for _ in range(rng.choice([1, 1, 1, 2, 5]))]
        text = rng.choices("abcdefgh ", k=rng.choice([20, 300, 2_000, 4_000, 40_000 if number % 50 == 0 else 500]))
        more = {"withdrawn": "2026-01-01T00:00:00Z"} if number % 40 == 0 else {}
        identity = f"T-{number:04}"
        found.append((f"{identity}.json", record(identity, *packages, details="".join(text), **more)))
    return found


Build = Callable[..., tuple[Path, SnapshotInfo]]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Return a function that writes a snapshot of (file name, bytes) records into a fresh directory."""

    def make(source: Sequence[Any], **options: Any) -> tuple[Path, SnapshotInfo]:
        return _build(tmp_path / f"snapshot-{len(list(tmp_path.iterdir()))}", source, **options)

    return make


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory, sources: list[Any]) -> tuple[Path, SnapshotInfo]:
    """Return a snapshot of the sources that no test changes."""
    return _build(tmp_path_factory.mktemp("sound") / "snapshot", sources)


@pytest.fixture(scope="session")
def large_sources() -> list[tuple[str | None, bytes]]:
    """Return 9 MiB of records, enough for a dictionary."""
    rng = random.Random(11)
    words = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(3, 9))) for _ in range(900)]
    found: list[tuple[str | None, bytes]] = []
    for number in range(4_600):
        text = " ".join(rng.choices(words, k=rng.randint(20, 500)))
        found.append((None, record(f"T-{number:05}", ("npm", rng.choice(words)), details=text)))
    return found


@pytest.fixture(scope="session")
def large(tmp_path_factory: pytest.TempPathFactory, large_sources: list[Any]) -> tuple[Path, SnapshotInfo]:
    """Return a snapshot with a dictionary that no test changes."""
    return _build(tmp_path_factory.mktemp("large") / "snapshot", large_sources)


@pytest.fixture
def reopen() -> Iterator[Callable[[Path], SnapshotReader]]:
    """Return a function that opens a snapshot directory by the digest of its own record."""
    opened: list[DirectorySource] = []

    def open_reader(place: Path) -> SnapshotReader:
        source = DirectorySource(place)
        opened.append(source)
        return SnapshotReader(source, "", digest.of_file(place / RECORD)[0])

    yield open_reader
    for source in opened:
        source.close()


@pytest.fixture
def reseal() -> Callable[..., None]:
    """Return a function that changes members or the record and writes a record whose digests fit again."""

    def change(place: Path, members: dict[str, bytes] | None = None, **fields: Any) -> None:
        for path, data in (members or {}).items():
            (place / path).write_bytes(data)
        info = records.decode((place / RECORD).read_bytes())
        listed = tuple(_listed(place, path) for path in _names(place))
        changed = msgspec.structs.replace(info, **({"members": listed} | fields))
        (place / RECORD).write_bytes(msgspec.json.encode(changed, order="sorted"))

    return change


@pytest.fixture
def forge(build: Build) -> Callable[..., Path]:
    """Return a function that writes a snapshot of any pages of lines and any index, with digests and roots that fit."""

    def make(pages: Sequence[Sequence[bytes]], index: Sequence[Sequence[bytes]], **fields: Any) -> Path:
        place, info = build([])
        codec = FrameCodec()
        stored, entries = _pages(codec, pages)
        stored_index, index_pages = _pages(codec, index)
        directory = b"".join(page.pack() for page in entries)
        first_keys = [lines[0].rpartition(b"\t")[0] for lines in index]
        (place / ADVISORIES).write_bytes(stored)
        (place / INDEX).write_bytes(stored_index)
        (place / PAGES).write_bytes(directory)
        (place / INDEX_PAGES).write_bytes(pack_index(zip(index_pages, first_keys, strict=True)))
        lines = [line for page in pages for line in page]
        keys = [line for page in index for line in page]
        changed = msgspec.structs.replace(
            info,
            **(
                {
                    "advisories": len(lines),
                    "content_size": sum(len(line) + 1 for line in lines),
                    "content_root": _root(lines),
                    "pages": len(pages),
                    "page_root": _root([page.pack() for page in entries]),
                    "packages": len(keys),
                    "index_size": sum(len(line) + 1 for line in keys),
                    "index_root": _root(keys),
                    "index_pages": len(index),
                    "ecosystems": _ecosystems(keys, len(lines)),
                    "members": tuple(_listed(place, path) for path in _names(place)),
                }
                | fields
            ),
        )
        (place / RECORD).write_bytes(records.encode(changed))
        return place

    return make


def _build(
    place: Path, source: Sequence[Any], *, about: About = ABOUT, normalise: Any = plain, **options: Any
) -> tuple[Path, SnapshotInfo]:
    scratch = place / "scratch"
    scratch.mkdir(parents=True)
    info = write_snapshot(place, source, about, normalise=normalise, scratch=scratch, **options)
    for left in scratch.iterdir():
        left.unlink()
    scratch.rmdir()
    return place, info


def _names(place: Path) -> list[str]:
    return sorted(path.name for path in place.iterdir() if path.name != RECORD)


def _ecosystems(keys: Sequence[bytes], advisories: int) -> tuple[EcosystemCount, ...]:
    """Return counts as if every advisory named every ecosystem."""
    found = Counter(key.partition(b"\t")[0].decode() for key in keys)
    return tuple(EcosystemCount(ecosystem=name, advisories=advisories, packages=found[name]) for name in sorted(found))


def _listed(place: Path, path: str) -> Member:
    found, size = digest.of_file(place / path)
    return Member(path=path, size=size, digest=found)


def _root(lines: Sequence[bytes]) -> str:
    return digest.of_raw(merkle.root(merkle.leaf_hash(line) for line in lines))


def _pages(codec: FrameCodec, pages: Sequence[Sequence[bytes]]) -> tuple[bytes, list[Page]]:
    stored, found, first = b"", [], 0
    for lines in pages:
        content = b"".join(line + b"\n" for line in lines)
        frame = codec.compress(content)
        root = merkle.root(merkle.leaf_hash(line) for line in lines)
        found.append(
            Page(first, len(lines), len(stored), len(frame), len(content), hashlib.sha256(frame).digest(), root)
        )
        stored += frame
        first += len(lines)
    return stored, found
