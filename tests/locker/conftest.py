"""A connected site in miniature: trust, recorded scans, an air-gapped site and what it sends back, in real formats."""

import io
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from builder import signer as key_files
from builder import trust as ceremony
from kit import journal, layout, syncfile
from kit import manifest as manifests
from kit import result as results
from kit.bundle import BundleReader, write_bundle
from kit.bytes import canonical, digest
from kit.snapshot.writer import About, write_snapshot
from kit.trust import dsse, statement
from kit.trust.keys import PemSigner
from locker import move, store
from locker.settings import StoreSettings
from locker.store import Locker
from tests.locker import servers
from verifier import evidence, sync
from verifier import site as sites
from verifier.site import Site

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
SCAN = "0b8f5a52-3c1e-4d4e-9f65-2a1f0d9c7e11"
OTHER_SCAN = "5f1c0f0e-8a07-4c43-b8c0-6b3f6a1f7d22"


def entropy(seed: int) -> Callable[[int], bytes]:
    return random.Random(seed).randbytes


@dataclass
class World:
    """Everything outside of the locker."""

    base: Path
    now: datetime
    pack: Path = field(init=False)
    keys: Path = field(init=False)
    kit_signer: PemSigner = field(init=False)
    site: Site = field(init=False)

    def __post_init__(self) -> None:
        self.pack, self.keys = self.base / "rootpack", self.base / "keys"
        if not self.pack.exists():
            self.found()
        self.kit_signer = key_files.load(next(self.keys.glob("kit*.key.pem")))
        self.root = (self.pack / "metadata/1.root.json").read_bytes()
        self.expected_root = "SHA256:" + digest.hex_of(digest.of_bytes(self.root))
        if not (self.base / "site-7").exists():
            self.enrol(self.new_site("site-7", 2))
        self.site = sites.load(self.base / "site-7")

    def found(self) -> None:
        ceremony.init(
            self.pack,
            self.keys,
            now=self.now - timedelta(days=2),
            owner="release",
            entropy=entropy(1),
            ceremony=ceremony.SINGLE_SIGNER,
        )

    def new_site(self, name: str, seed: int) -> Site:
        return sites.init(self.base / name, self.root, self.expected_root, entropy=entropy(seed))

    def enrol(self, site: Site, *, valid_until: datetime | None = None) -> None:
        until = valid_until.strftime("%Y-%m-%dT%H:%M:%SZ") if valid_until else None
        ceremony.add_key(
            self.pack,
            self.keys,
            site.signer.public,
            usage="site",
            owner=site.path.name,
            now=self.now - timedelta(days=1),
            valid_until=until,
        )

    def make_locker(self, path: Path) -> Locker:
        return store.init(path, self.root, self.expected_root, now=self.now, entropy=entropy(3))

    def record(
        self,
        directory: Path,
        scan_id: str = SCAN,
        *,
        content: bytes = b"pkg:pypi/requests@2.31.0\n",
        signers: tuple[PemSigner, ...] | None = None,
        rootpack: bool = True,
        feed_changes: dict[str, str] | None = None,
    ) -> Path:
        """Write a recorded scan, with a feed if ``feed_changes`` says what to misstate of it; return its directory."""
        target = directory / scan_id
        target.mkdir(parents=True)
        seed = manifests.seed(scan_id, ())
        inputs = {
            layout.POLICY_MEMBER: b'name = "default"\n',
            layout.SCAN_MEMBER: canonical.encode({"id": scan_id}),
            layout.SEEDS_MEMBER: canonical.encode({"seed": seed}),
            layout.ENVIRONMENT_MEMBER: canonical.encode({"os": "linux"}),
            "sboms/sbom.cdx.json": canonical.encode({"bomFormat": "CycloneDX"}),
        }
        feeds: tuple[manifests.FeedInput, ...] = ()
        if feed_changes is not None:
            feed, members = small_feed(directory / "feed", directory / "scratch")
            inputs |= members
            feeds = (msgspec.structs.replace(feed, **feed_changes),)
        outputs = {path: content + path.encode() for path in layout.OUTPUT_MEMBERS.values()}
        with (target / layout.INPUT_BUNDLE).open("wb") as sink:
            input_record = write_bundle(sink, inputs.items())
        with (target / layout.OUTPUT_BUNDLE).open("wb") as sink:
            output_record = write_bundle(sink, outputs.items())
        made = manifest_of(scan_id, inputs, outputs, feeds, manifests.Bundles(input=input_record, output=output_record))
        raw = canonical.encode_record(made)
        subjects = manifests.subjects(made, digest.of_bytes(raw))
        payload = statement.make(subjects, manifests.PREDICATE_TYPE, manifests.predicate(made))
        (target / layout.MANIFEST_FILE).write_bytes(raw)
        envelope = dsse.sign(payload, dsse.IN_TOTO, signers or (self.kit_signer,))
        (target / layout.MANIFEST_ENVELOPE).write_bytes(envelope)
        if rootpack:
            shutil.copytree(self.pack, target / layout.ROOTPACK_DIRECTORY, ignore=shutil.ignore_patterns(".*", "lock"))
        return target

    def run(
        self, ops: Path, record: Path | None, run_id: str, verdict: str = results.VERIFIED, **changes: object
    ) -> Path:
        """Write the directory of a finished run of the site."""
        return write_run(self.site, ops, record, run_id, verdict, self.now, **changes)

    def export(self, ops: Path, out: Path, site: Site | None = None) -> Path:
        sync.export(ops, site or self.site, out, self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))
        return out

    def reseal(self, out: Path, change: Callable[[dict[str, bytes], list[syncfile.RunEntry]], None]) -> Path:
        """Let the site itself sign a changed file of its results."""
        with out.open("rb") as source, io.BytesIO() as sink:
            envelope = syncfile.split(source, sink, max_bytes=1 << 20)
            archive = sink.getvalue()
        described, _ = syncfile.verify(envelope, [self.site.signer.public], threshold=1)
        place = out.with_suffix(".bundle")
        place.write_bytes(archive)
        with BundleReader(place, described.bundle) as reader:
            reader.verify()
            members = {member.path: reader.read(member.path, limit=1 << 24) for member in described.bundle.members}
        place.unlink()
        entries = list(described.runs)
        change(members, entries)
        with io.BytesIO() as bundle:
            record = write_bundle(bundle, members.items())
            bundle.seek(0)
            again = msgspec.structs.replace(described, runs=tuple(entries), bundle=record)
            with out.open("wb") as target:
                syncfile.write(target, again, bundle, self.site.signer)
        return out


def small_feed(directory: Path, scratch: Path) -> tuple[manifests.FeedInput, dict[str, bytes]]:
    """Return a feed of one advisory, as the manifest names it, and its members."""
    directory.mkdir()
    scratch.mkdir()
    advisory = {
        "id": "TEST-1",
        "modified": "2026-02-01T00:00:00Z",
        "affected": [{"package": {"ecosystem": "PyPI", "name": "requests"}, "versions": ["2.31.0"]}],
    }
    about = About(name="osv", source="test", snapshot_time="2026-02-02T00:00:00Z")
    source = [("one.json", canonical.encode(advisory))]
    info = write_snapshot(directory, source, about, normalise=lambda _, name: name, scratch=scratch)
    members = {f"feeds/osv/{path.name}": path.read_bytes() for path in directory.iterdir()}
    feed = manifests.FeedInput(
        name="osv",
        path="feeds/osv/",
        snapshot_hash=digest.of_bytes(members["feeds/osv/snapshot.json"]),
        snapshot_time=info.snapshot_time,
        merkle_root=info.content_root,
        index_root=info.index_root,
    )
    return feed, members


def manifest_of(
    scan_id: str,
    inputs: dict[str, bytes],
    outputs: dict[str, bytes],
    feeds: tuple[manifests.FeedInput, ...],
    bundles: manifests.Bundles,
) -> manifests.Manifest:
    def file(name: str, path: str) -> manifests.FileInput:
        return manifests.FileInput(name=name, path=path, digest=digest.of_bytes(inputs[path]))

    named = {name: digest.of_bytes(outputs[path]) for name, path in layout.OUTPUT_MEMBERS.items()}
    sbom = "sboms/sbom.cdx.json"
    return manifests.Manifest(
        schema_version=manifests.SCHEMA_VERSION,
        scan=manifests.Scan(id=scan_id, time="2026-02-28T10:00:00Z", mode="record", scanner_version="1.0"),
        subject=manifests.Subject(
            name="app",
            oci_digest=digest.of_bytes(b"image"),
            layers=(
                manifests.Layer(
                    layer_digest=digest.of_bytes(b"layer"), merkle_root=digest.of_bytes(b"root"), leaf_count=3
                ),
            ),
        ),
        inputs=manifests.Inputs(
            sbom=manifests.SbomInput(path=sbom, digest=digest.of_bytes(inputs[sbom]), format="cyclonedx"),
            feeds=feeds,
            vex=(),
            rules=(file("policy", layout.POLICY_MEMBER),),
            tools=(manifests.ToolInput(name=manifests.ENGINE_TOOL, version="1", sha256=digest.of_bytes(b"engine")),),
            env=file("env", layout.ENVIRONMENT_MEMBER),
            seeds=file("seeds", layout.SEEDS_MEMBER),
        ),
        policy=manifests.Policy(name="default", digest=digest.of_bytes(b"policy")),
        outputs=manifests.Outputs(**named),
        bundles=bundles,
        engine=manifests.Engine(contract="osv-match/1", minimum_verifier="0.1.0"),
        compressor=manifests.Compressor(library="zstandard", version="1.5.7", level=3),
        provenance=manifests.Provenance(producer="release"),
    )


def write_run(
    site: Site, ops: Path, record: Path | None, run_id: str, verdict: str, now: datetime, **changes: object
) -> Path:
    """Write what a verifier leaves behind: journal, result and receipt, signed by the site's key."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    parsed = manifests.parse((record / layout.MANIFEST_FILE).read_bytes()) if record else None
    scan = results.ScanEntry(id=parsed.scan.id, time=parsed.scan.time, subject="app") if parsed else None
    directory = ops / "replay" / (parsed.scan.id if parsed else evidence.UNKNOWN_SCAN) / run_id
    directory.mkdir(parents=True)
    lines, prev = [], journal.GENESIS
    for number, event in enumerate(("run-started", "verdict", journal.FINISHED)):
        lines.append(journal.line(number, prev, stamp, event, {"verdict": verdict}))
        prev = digest.of_bytes(lines[-1])
    (directory / "journal.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    fields: dict[str, object] = {
        "schema_version": results.SCHEMA_VERSION,
        "run_id": run_id,
        "mode": "strict",
        "verdict": verdict,
        "reason": "Ok" if verdict == results.VERIFIED else "ReplayDiffers",
        "exit_code": 0 if verdict == results.VERIFIED else 10,
        "sentence": "Done.",
        "next_step": "",
        "started_at": stamp,
        "finished_at": stamp,
        "reference_time": results.ReferenceTime(time=stamp, source="site clock"),
        "checks": (),
        "guard": {},
        "verifier": results.EngineEntry(version="1", digest=digest.of_bytes(b"engine")),
        "site": site.fingerprint,
        "manifest_digest": digest.of_file(record / layout.MANIFEST_FILE)[0] if record else None,
        "scan": scan,
        "journal_digest": digest.of_bytes(lines[1]),
    }
    result = results.Result(**(fields | changes))  # type: ignore[arg-type]
    encoded = canonical.encode_record(result)
    subjects = {"result.json": digest.of_bytes(encoded)}
    if result.manifest_digest:
        subjects[layout.MANIFEST_FILE] = result.manifest_digest
    slip = canonical.encode_record(evidence.make_receipt(result, digest.of_bytes(encoded), site))

    def signed(named: dict[str, str], kind: str, predicate: dict[str, object]) -> bytes:
        return dsse.sign(statement.make(named, kind, predicate), dsse.IN_TOTO, [site.signer])

    (directory / "result.json").write_bytes(encoded)
    (directory / "result.dsse.json").write_bytes(signed(subjects, results.RESULT_TYPE, evidence.summary(result)))
    (directory / "receipt.json").write_bytes(slip)
    as_json = canonical.decode(slip)
    assert isinstance(as_json, dict)
    (directory / "receipt.dsse.json").write_bytes(
        signed({"receipt.json": digest.of_bytes(slip)}, results.RECEIPT_TYPE, as_json)
    )
    return directory


@pytest.fixture(scope="session")
def now() -> datetime:
    return NOW


@pytest.fixture(scope="session")
def scan_ids() -> tuple[str, str]:
    return SCAN, OTHER_SCAN


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world's files, made once and copied for each test."""
    base = tmp_path_factory.mktemp("founded")
    World(base, NOW)
    return base


@pytest.fixture
def world(founded: Path, tmp_path: Path) -> World:
    return World(shutil.copytree(founded, tmp_path / "world"), NOW)


@pytest.fixture
def present_world(tmp_path: Path) -> World:
    """A world whose trust is valid by the machine's clock, for tests of the command line."""
    (tmp_path / "present").mkdir()
    return World(tmp_path / "present", datetime.now(UTC).replace(microsecond=0))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[servers.PostgreSQL]:
    with servers.postgresql() as server:
        yield server


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[servers.Bucket]:
    with servers.bucket_server() as server:
        yield server


@pytest.fixture
def new_database(postgresql: servers.PostgreSQL) -> str:
    """Return the URL of an empty database on a server."""
    return postgresql.new_database(f"locker-{uuid4().hex}")


@pytest.fixture
def new_bucket(bucket_server: servers.Bucket, monkeypatch: pytest.MonkeyPatch) -> StoreSettings:
    """Return an empty place in a bucket, for which this process has the credentials."""
    for name, value in bucket_server.credentials.items():
        monkeypatch.setenv(name, value)
    return StoreSettings(url=bucket_server.new_place(), endpoint=bucket_server.endpoint)


@pytest.fixture(params=["directory", "servers"])
def locker(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> Iterator[Locker]:
    """Return an empty locker: all in its directory, then with its rows and objects on servers."""
    path = tmp_path / "locker"
    world.make_locker(path).close()
    if request.param == "servers":
        database, bucket = request.getfixturevalue("new_database"), request.getfixturevalue("new_bucket")
        move.move(path, move.target_of(path, database=database, store=bucket))
    with store.open_locker(path) as opened:
        yield opened


@pytest.fixture
def trusting(world, locker) -> Locker:
    """A locker that has been shown the RootPack."""
    from kit.trust import rootpack
    from locker import trust

    trust.in_force(locker, rootpack.read_directory(world.pack), now=world.now)
    return locker
