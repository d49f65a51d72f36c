"""One small world for the tests of the whole way: keys, feeds, a record, a kit, sites; copied to be broken."""

import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from builder import feeds, signer, trust
from builder.assemble import KitRequest, assemble
from builder.record import ScanRequest, record
from kit import layout
from kit.bytes import digest
from kit.result import Check, ReferenceTime, Result
from kit.trust.keys import PemSigner
from scanner import engine
from verifier import site as sites
from verifier.facts import Request
from verifier.run import STRICT, Plan, Run
from verifier.run_dir import RunDirectory, stamp

ROOT = Path(__file__).resolve().parents[1]
INPUTS = ROOT / "examples" / "inputs"
NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
SCAN_TIME = "2026-05-30T08:00:00Z"
SCAN_ID = "5e11a000-0000-4000-8000-00000000000a"
FEED = "example-pypi"
STRICTLY = Plan(STRICT)


@dataclass(frozen=True)
class World:
    """Where everything of the connected side lies."""

    home: Path
    rootpack: Path
    keys: Path
    feed: Path
    later_feed: Path
    record: Path
    kit: Path

    @property
    def root(self) -> bytes:
        return (self.rootpack / "metadata" / "1.root.json").read_bytes()

    @property
    def kit_signer(self) -> PemSigner:
        return signer.load(self.keys / "kit-1.key.pem")

    def new_site(self, place: Path) -> sites.Site:
        return sites.init(place, self.root, digest.of_bytes(self.root), entropy=random.Random(str(place)).randbytes)

    def copy_kit(self, place: Path) -> Path:
        shutil.copytree(self.kit, place)
        return place

    def build_kit(self, place: Path, **changes: object) -> Path:
        wanted = {
            "records": [self.record],
            "root_pack": self.rootpack,
            "programs": [],
            "channel": "default",
            "sequence": 1,
            "created_at": stamp(NOW),
            "staleness_window_hours": 24 * 30,
        }
        assemble(KitRequest(**(wanted | changes)), [self.kit_signer], place)  # type: ignore[arg-type]
        return place


def scan_request(world_feed: Path, **changes: object) -> ScanRequest:
    """Return the request for the example scan."""
    wanted: dict[str, object] = {
        "scan_id": SCAN_ID,
        "time": SCAN_TIME,
        "sbom": (INPUTS / "sbom.cdx.json").read_bytes(),
        "feeds": {FEED: world_feed},
        "vex": {"orders-api": (INPUTS / "vex" / "orders-api.openvex.json").read_bytes()},
        "policy": (INPUTS / "policy.toml").read_bytes(),
        "tools": [],
        "engine": engine.current(),
        "architecture": "x86_64",
    }
    return ScanRequest(**(wanted | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Return the world; tests must not change what is in it."""
    home = tmp_path_factory.mktemp("world")
    rootpack, keys = home / "rootpack", home / "keys"
    trust.init(
        rootpack,
        keys,
        now=NOW - timedelta(days=1),
        owner="release engineering",
        entropy=random.Random(1).randbytes,
        ceremony=trust.SINGLE_SIGNER,
    )
    feed = feeds.add(home / "feeds", FEED, INPUTS / "advisories", snapshot_time="2026-05-29T00:00:00Z").directory
    later = feeds.add(home / "later", FEED, INPUTS / "advisories-later", snapshot_time="2026-05-31T00:00:00Z").directory
    recorded, _ = record(scan_request(feed), [signer.load(keys / "kit-1.key.pem")], home / "records")
    made = World(home, rootpack, keys, feed, later, recorded, home / "kit")
    made.build_kit(made.kit)
    return made


Replay = Callable[..., tuple[Result, Path]]


@pytest.fixture
def replay(world: World, tmp_path: Path) -> Replay:
    """Return what carries out one run in this process, without the guard, at a fresh site unless one is given."""

    def carry_out(
        kit: Path,
        plan: Plan = STRICTLY,
        *,
        site: sites.Site | None = None,
        now: datetime = NOW,
        scan_id: str = SCAN_ID,
        scan_only: bool = False,
        heard: Sequence[Callable[[Check], None]] = (),
        running: engine.EngineIdentity | None = None,
        ledger: bool = False,
    ) -> tuple[Result, Path]:
        number = len(list(tmp_path.glob("run-*")))
        at = site or world.new_site(tmp_path / f"site-{number}")
        scan = kit if scan_only else kit / layout.scan_directory(scan_id)
        request = Request(
            manifest=scan / layout.MANIFEST_FILE,
            reference_time=ReferenceTime(time=stamp(now), source="test"),
            engine=running or engine.current(),
            verifier_version="0.1.0",
            scan_only=scan_only,
            vary_tools=plan.dimension == "tools",
            ledger=ledger,
        )
        directory = RunDirectory(tmp_path / f"run-{number}", lambda: now)
        try:
            listen = heard[0] if heard else (lambda _: None)
            return Run(plan, request, at, directory, {"layers": []}, lambda: now, listen).execute(), directory.path
        finally:
            directory.close()

    return carry_out


def resign_manifest(world: World, kit: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Change a kit's manifest and sign everything anew, as a trusted but faulty builder would."""
    from builder.record import sign_manifest
    from kit import manifest as manifests
    from kit.bytes import canonical

    place = kit / layout.scan_directory(SCAN_ID)
    document = json.loads((place / layout.MANIFEST_FILE).read_bytes())
    change(document)
    encoded = canonical.encode(document)
    manifest = canonical.decode_record(encoded, manifests.Manifest)
    (place / layout.MANIFEST_FILE).write_bytes(encoded)
    (place / layout.MANIFEST_ENVELOPE).write_bytes(sign_manifest(manifest, encoded, [world.kit_signer]))
    for derived in place.glob("*.sigstore.json"):
        derived.unlink()


def forge_outputs(signer_of: PemSigner, recorded: Path) -> None:
    """Let a recorded scan say "pass" instead of "fail", and sign it: what a compromised builder could do."""
    from builder.record import sign_manifest
    from kit import manifest as manifests
    from kit.bundle import BundleReader, write_bundle
    from kit.bytes import canonical

    manifest = manifests.parse((recorded / layout.MANIFEST_FILE).read_bytes())
    with BundleReader(recorded / layout.OUTPUT_BUNDLE, manifest.bundles.output) as reader:
        reader.verify()
        members = {member.path: reader.read(member.path, limit=1 << 20) for member in manifest.bundles.output.members}
    verdict = json.loads(members["verdict.json"])
    assert verdict["verdict"] == "fail"
    members["verdict.json"] = canonical.encode(verdict | {"verdict": "pass"})
    with (recorded / layout.OUTPUT_BUNDLE).open("wb") as target:
        output = write_bundle(target, members.items())
    document = json.loads((recorded / layout.MANIFEST_FILE).read_bytes())
    document["bundles"]["output"] = json.loads(canonical.encode_record(output))
    document["outputs"]["verdict"] = digest.of_bytes(members["verdict.json"])
    encoded = canonical.encode(document)
    (recorded / layout.MANIFEST_FILE).write_bytes(encoded)
    signed = sign_manifest(manifests.parse(encoded), encoded, [signer_of])
    (recorded / layout.MANIFEST_ENVELOPE).write_bytes(signed)
