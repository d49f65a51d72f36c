"""How much work a replay does, in counters that no busy machine disturbs: pages, bytes, records. Nothing is timed.

Two feeds have the same ten packages that an SBOM asks for, one of them among ten times as many other packages. Each of
the ten has records of less than a page in all, so they lie on one page, or on two where a page was cut between them.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kit import layout
from kit import manifest as manifests
from kit.bundle import BundleReader, DirectorySource, write_bundle
from kit.bundle import reader as bundle_reader
from kit.bundle.record import BundleRecord
from kit.bytes import digest, frames
from kit.bytes.frames import Buffer
from kit.snapshot import SnapshotReader
from kit.snapshot import reader as snapshot_reader
from kit.snapshot.records import PAGE_SIZE, RECORD
from kit.snapshot.writer import About, write_snapshot
from scanner import advisory
from scanner.evaluate import EvaluationInput
from scanner.identity import normalise
from tests.world import SCAN_ID, Replay, World
from verifier.replay import run

ASKED, RECORDS_EACH, RECORD_SIZE = 10, 4, 1_000
OTHERS = {"small": 165, "large": 1_740}
POLICY = b'schemaVersion = "1.0"\nname = "counters"\ndefault = "warn"\n'


def scattered(number: int, kind: str) -> str:
    """Return a package name that sorts anywhere among the others."""
    return hashlib.sha256(f"{kind} {number}".encode()).hexdigest()[:12]


def record(name: str, number: int) -> bytes:
    text = hashlib.shake_256(f"{name} {number}".encode()).hexdigest(RECORD_SIZE // 2)
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2"}]}]
    affected = [{"package": {"ecosystem": "PyPI", "name": name}, "ranges": ranges}]
    value = {"id": f"T-{name}-{number}", "modified": "2026-01-01T00:00:00Z", "details": text, "affected": affected}
    return json.dumps(value).encode()


def names(others: int) -> list[str]:
    return [scattered(number, "asked") for number in range(ASKED)] + [scattered(n, "other") for n in range(others)]


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the directories of both feeds' snapshots."""
    made = {}
    for size, others in OTHERS.items():
        made[size] = tmp_path_factory.mktemp(size)
        source = ((None, record(name, number)) for name in names(others) for number in range(RECORDS_EACH))
        write_snapshot(
            made[size],
            source,
            About(name="counters", source="test", snapshot_time="2026-01-01T00:00:00Z"),
            normalise=normalise,
            scratch=tmp_path_factory.mktemp("scratch"),
        )
    return made


@pytest.fixture
def reader(snapshots: dict[str, Path]) -> Iterator[Callable[[str], SnapshotReader]]:
    opened: list[DirectorySource] = []

    def open_reader(size: str) -> SnapshotReader:
        source = DirectorySource(snapshots[size])
        opened.append(source)
        return SnapshotReader(source, "", digest.of_file(snapshots[size] / RECORD)[0])

    yield open_reader
    for source in opened:
        source.close()


@pytest.fixture(scope="module")
def sbom() -> bytes:
    """Return an SBOM of the ten packages and of as many that no feed has."""
    listed = [*(scattered(number, "asked") for number in range(ASKED)), *(f"absent-{n}" for n in range(ASKED))]
    components = [
        {"type": "library", "bom-ref": name, "name": name, "version": "1.0", "purl": f"pkg:pypi/{name}@1.0"}
        for name in listed
    ]
    document = {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}
    return json.dumps(document).encode()


def evaluate(feed: SnapshotReader, sbom: bytes) -> dict[str, bytes]:
    return run(
        EvaluationInput(
            scan_id="5e11a000-0000-4000-8000-0000000000c0",
            time="2026-01-02T00:00:00Z",
            subject="counters",
            sbom=sbom,
            feeds=[feed],
            vex=[],
            policy=POLICY,
        )
    )


def test_feeds_are_what_the_other_tests_take_them_for(reader: Callable[[str], SnapshotReader]) -> None:
    small, large = reader("small"), reader("large")
    assert large.info.advisories == 10 * small.info.advisories
    assert len(small.pages) > 2 * ASKED
    assert RECORDS_EACH * (RECORD_SIZE + 400) < PAGE_SIZE


def test_same_hits_in_ten_times_the_feed_give_the_same_findings(
    reader: Callable[[str], SnapshotReader], sbom: bytes
) -> None:
    small, large = evaluate(reader("small"), sbom), evaluate(reader("large"), sbom)
    assert small["findings.json"] == large["findings.json"]
    assert len(json.loads(small["findings.json"])["findings"]) == ASKED * RECORDS_EACH


@pytest.mark.parametrize("size", OTHERS)
def test_pages_touched_follow_the_packages_asked_for(
    size: str, reader: Callable[[str], SnapshotReader], sbom: bytes
) -> None:
    feed = reader(size)
    evaluate(feed, sbom)
    assert ASKED - 2 <= feed.counters.pages_touched <= 2 * ASKED
    longest = RECORD_SIZE + 400
    index = feed.counters.index_pages_touched * frames.MAX_CONTENT
    assert feed.counters.bytes_decompressed <= feed.counters.pages_touched * (PAGE_SIZE + longest) + index


def test_every_index_page_is_read_once_at_most(reader: Callable[[str], SnapshotReader], sbom: bytes) -> None:
    for size in OTHERS:
        feed = reader(size)
        evaluate(feed, sbom)
        assert feed.counters.index_pages_touched <= len(feed.index_pages)


def test_bytes_hashed_do_not_follow_the_feed_beyond_its_directories(
    reader: Callable[[str], SnapshotReader], sbom: bytes
) -> None:
    hashed = {}
    for size in OTHERS:
        feed = reader(size)
        evaluate(feed, sbom)
        directories = [member.size for member in feed.info.members if member.path in {"pages.bin", "index-pages.bin"}]
        hashed[size] = feed.counters.bytes_hashed - sum(directories) - len(feed.info.members) * 200
    assert hashed["large"] <= hashed["small"] + 2 * ASKED * PAGE_SIZE


@pytest.mark.parametrize("size", OTHERS)
def test_only_the_records_of_the_packages_are_decoded(
    size: str, reader: Callable[[str], SnapshotReader], sbom: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[bytes] = []
    decode = advisory.decode
    monkeypatch.setattr(advisory, "decode", lambda line: decoded.append(line) or decode(line))
    evaluate(reader(size), sbom)
    assert len(decoded) == len(set(decoded)) == ASKED * RECORDS_EACH


@pytest.fixture(scope="module")
def bundle(snapshots: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BundleRecord]:
    """Return a bundle of the large feed and of a tool that takes several frames."""
    tool = hashlib.shake_256(b"tool").digest(3 * frames.MAX_CONTENT)
    members = [(f"feeds/counters/{path.name}", path) for path in sorted(snapshots["large"].iterdir())]
    target = io.BytesIO()
    made = write_bundle(target, [*members, ("tools/scanner", tool)])
    place = tmp_path_factory.mktemp("bundle") / "inputbundle.tar.zst"
    place.write_bytes(target.getvalue())
    return place, made


def test_verifying_a_bundle_decodes_every_byte_once(bundle: tuple[Path, BundleRecord]) -> None:
    with BundleReader(*bundle) as found:
        found.verify()
        assert found.bytes_decompressed == bundle[1].content_size


class Hashed:
    """Stands for ``kit.bytes.sha256`` and counts the bytes that go through it."""

    def __init__(self) -> None:
        self.bytes = 0

    def new(self) -> "Counted":
        return Counted(self)

    def of(self, data: Buffer) -> bytes:
        self.bytes += len(data)
        return hashlib.sha256(data).digest()


class Counted:
    def __init__(self, total: Hashed) -> None:
        self._total = total
        self._hasher = hashlib.sha256()

    def update(self, data: Buffer) -> None:
        self._total.bytes += len(data)
        self._hasher.update(data)

    def digest(self) -> bytes:
        return self._hasher.digest()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Hashed:
    """Return the counter of what the readers of bundles, of snapshots and of digests hash."""
    counter = Hashed()
    for module in (bundle_reader, snapshot_reader, digest):
        monkeypatch.setattr(module, "sha256", counter)
    return counter


def test_verifying_a_bundle_hashes_stored_bytes_once_and_contents_once(
    bundle: tuple[Path, BundleRecord], hashed: Hashed
) -> None:
    with BundleReader(*bundle) as found:
        found.verify()
    members = sum(member.size for member in bundle[1].members)
    assert hashed.bytes == bundle[0].stat().st_size + members


def test_verifying_a_snapshot_quickly_hashes_each_member_once_and_its_directories_twice_at_most(
    snapshots: dict[str, Path], hashed: Hashed
) -> None:
    record = digest.of_bytes((snapshots["large"] / RECORD).read_bytes())
    with DirectorySource(snapshots["large"]) as source:
        feed = SnapshotReader(source, "", record)
        opened = hashed.bytes
        feed.verify_quick()
        directories = sum(m.size for m in feed.info.members if m.path in {"pages.bin", "index-pages.bin"})
        members = sum(member.size for member in feed.info.members)
        assert members <= hashed.bytes - opened <= members + directories
        assert feed.counters.bytes_decompressed == 0


def test_a_replay_hashes_the_pages_that_it_touches_and_the_directories(
    reader: Callable[[str], SnapshotReader], sbom: bytes, hashed: Hashed
) -> None:
    feed = reader("large")
    before = hashed.bytes
    evaluate(feed, sbom)
    directories = sum(m.size for m in feed.info.members if m.path in {"pages.bin", "index-pages.bin"})
    touched = feed.counters.pages_touched + feed.counters.index_pages_touched
    outputs = 200 * 1024
    assert hashed.bytes - before <= directories + touched * PAGE_SIZE + outputs


def sbom_of(names: list[str]) -> bytes:
    components = [
        {"type": "library", "bom-ref": name, "name": name, "version": "1.0", "purl": f"pkg:pypi/{name}@1.0"}
        for name in names
    ]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}).encode()


def test_ten_times_the_components_touch_no_more_than_ten_times_the_pages(
    reader: Callable[[str], SnapshotReader],
) -> None:
    touched = {}
    for count in (20, 200):
        feed = reader("large")
        evaluate(feed, sbom_of([scattered(number, "other") for number in range(count)]))
        touched[count] = feed.counters.pages_touched
        assert feed.counters.pages_touched <= 2 * count
        assert feed.counters.pages_touched <= len(feed.pages)
    assert touched[200] <= 10 * touched[20]


def test_a_component_that_stands_often_in_an_sbom_is_looked_up_once(reader: Callable[[str], SnapshotReader]) -> None:
    once, often = reader("large"), reader("large")
    evaluate(once, sbom_of([scattered(0, "asked")]))
    evaluate(often, sbom_of([scattered(0, "asked")] * 50).replace(b'"bom-ref"', b'"x"'))
    assert often.counters.pages_touched == once.counters.pages_touched
    assert often.counters.bytes_decompressed == once.counters.bytes_decompressed


def test_a_replay_decodes_each_frame_of_its_feed_once_more_and_none_of_the_tools(
    bundle: tuple[Path, BundleRecord], sbom: bytes
) -> None:
    feed_bytes = sum(member.size for member in bundle[1].members if member.path.startswith("feeds/"))
    with BundleReader(*bundle) as found:
        found.verify()
        before = found.bytes_decompressed
        listed = {member.path: member.digest for member in bundle[1].members}
        evaluate(SnapshotReader(found, "feeds/counters/", listed[f"feeds/counters/{RECORD}"]), sbom)
        headers_and_padding = len(bundle[1].members) * 1_024
        assert found.bytes_decompressed - before <= feed_bytes + headers_and_padding


def test_checks_and_replay_decode_a_bundle_twice_at_most(world: World, replay: Replay) -> None:
    result, _ = replay(world.kit)
    assert result.exit_code == 0
    record = manifests.parse((world.kit / layout.scan_directory(SCAN_ID) / layout.MANIFEST_FILE).read_bytes())
    assert result.counters
    assert result.counters["bundleBytesDecoded"] <= 2 * record.bundles.input.content_size
