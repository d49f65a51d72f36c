"""What an attacker makes: kits of a trusted but hostile signer, keys of his own, processes under caps."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from builder import trust
from kit import kitfile, layout
from kit import manifest as manifests
from kit.bundle import BundleRecord, write_bundle
from kit.bytes import canonical, digest
from kit.trust import dsse, statement
from kit.trust.keys import PemSigner
from tests.world import NOW, ROOT, SCAN_ID, World
from verifier.run_dir import stamp

SCAN = layout.scan_directory(SCAN_ID)
MEGABYTE = 1 << 20


_UNDER_CAPS = """
import os, resource, sys
memory, seconds = map(int, sys.argv[1:3])
resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
os.execv(sys.argv[3], sys.argv[3:])
"""


@dataclass(frozen=True)
class Done:
    """A finished process of the command line; a negative code is the signal that ended it."""

    code: int
    out: str
    err: str


def stella(
    *words: str | Path,
    cwd: Path,
    env: Mapping[str, str] = {},
    memory: int = 2048,
    seconds: int = 30,
    timeout: float | None = None,
) -> Done:
    """Run the command line in a process of its own, under caps of address space (MB) and CPU time (s)."""
    cwd.mkdir(parents=True, exist_ok=True)
    launcher = [sys.executable, "-S", "-c", _UNDER_CAPS, str(memory * MEGABYTE), str(seconds)]
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("STELLA_")}
    done = subprocess.run(
        [*launcher, sys.executable, "-m", "stella", *map(str, words)],
        cwd=cwd,
        env=surroundings | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"} | dict(env),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=timeout,
    )
    return Done(done.returncode, done.stdout.decode(), done.stderr.decode())


def replay_under_caps(world: World, kit: Path, home: Path, *, memory: int = 2048, seconds: int = 30) -> Done:
    """Replay a kit at a fresh site in a process of its own, under caps."""
    site = world.new_site(home / "site")
    places = ("--site", site.path, "--ops", home / "ops", "--at", stamp(NOW))
    return stella("replay", kit / SCAN / layout.MANIFEST_FILE, *places, cwd=home, memory=memory, seconds=seconds)


def digest_of(path: Path) -> str:
    return digest.of_bytes(path.read_bytes())


def seal(kit: Path, signers: Sequence[PemSigner], **changes: object) -> kitfile.Kit:
    """List and sign whatever lies in a kit's directory, as one does who holds a signing key."""
    old = json.loads((kit / layout.KIT_FILE).read_bytes()) if (kit / layout.KIT_FILE).exists() else {}
    for name in (layout.KIT_FILE, layout.KIT_ENVELOPE, layout.SUMS_FILE):
        (kit / name).unlink(missing_ok=True)
    found = sorted(path for path in kit.rglob("*") if path.is_file())
    files = [
        kitfile.File(path=path.relative_to(kit).as_posix(), size=path.stat().st_size, digest=digest_of(path))
        for path in found
    ]
    files.sort(key=lambda file: file.path)
    listed = {file.path: file.digest for file in files}
    scans = sorted(path.name for path in (kit / layout.SCANS_DIRECTORY).iterdir())
    document: dict[str, object] = {
        "schemaVersion": kitfile.SCHEMA_VERSION,
        "channel": old.get("channel", "default"),
        "sequence": old.get("sequence", 1),
        "createdAt": old.get("createdAt", stamp(NOW)),
        "stalenessWindowHours": old.get("stalenessWindowHours", 720),
        "producer": "somebody",
        "rootPack": old.get("rootPack", {"rootVersion": 1, "timestampVersion": 1}),
        "scans": [
            {"id": scan, "manifestDigest": listed[f"{layout.scan_directory(scan)}/{layout.MANIFEST_FILE}"]}
            for scan in scans
        ],
    }
    document |= changes
    document["files"] = json.loads(b"[" + b",".join(canonical.encode_record(file) for file in files) + b"]")
    document["kitId"] = kitfile.kit_id(str(document["channel"]), int(str(document["sequence"])), files)
    encoded = canonical.encode(document)
    kept = canonical.decode_record(encoded, kitfile.Kit)
    payload = statement.make(
        {layout.KIT_FILE: digest.of_bytes(encoded)}, kitfile.PREDICATE_TYPE, kitfile.predicate(kept)
    )
    (kit / layout.KIT_FILE).write_bytes(encoded)
    (kit / layout.KIT_ENVELOPE).write_bytes(dsse.sign(payload, dsse.IN_TOTO, signers))
    write_sums(kit, kept)
    return kept


def write_sums(kit: Path, kept: kitfile.Kit) -> None:
    entries = [(file.path, file.digest) for file in kept.files]
    entries += [(name, digest_of(kit / name)) for name in (layout.KIT_FILE, layout.KIT_ENVELOPE)]
    (kit / layout.SUMS_FILE).write_bytes(kitfile.sums(entries))


def sign_manifest(scan: Path, document: dict[str, object], signers: Sequence[PemSigner]) -> None:
    """Write a manifest, coherent or not, with an envelope that is about it."""
    encoded = canonical.encode(document)
    (scan / layout.MANIFEST_FILE).write_bytes(encoded)
    bundles: dict[str, dict[str, str]] = document["bundles"]  # type: ignore[assignment]
    facts: dict[str, str] = document["scan"]  # type: ignore[assignment]
    subjects = {
        layout.MANIFEST_FILE: digest.of_bytes(encoded),
        layout.INPUT_BUNDLE: bundles["input"]["archiveDigest"],
        layout.OUTPUT_BUNDLE: bundles["output"]["archiveDigest"],
    }
    predicate = {
        "scanId": facts["id"],
        "scanTime": facts["time"],
        "inputBundle": bundles["input"]["archiveDigest"],
        "inputContentRoot": bundles["input"]["contentRoot"],
        "outputBundle": bundles["output"]["archiveDigest"],
        "outputContentRoot": bundles["output"]["contentRoot"],
    }
    payload = statement.make(subjects, manifests.PREDICATE_TYPE, predicate)
    (scan / layout.MANIFEST_ENVELOPE).write_bytes(dsse.sign(payload, dsse.IN_TOTO, signers))
    for derived in scan.glob("*.sigstore.json"):
        derived.unlink()


def members_of(world: World) -> dict[str, bytes]:
    """Return the members of the world's input bundle."""
    from kit.bundle import BundleReader

    scan = world.kit / SCAN
    manifest = manifests.parse((scan / layout.MANIFEST_FILE).read_bytes())
    with BundleReader(scan / layout.INPUT_BUNDLE, manifest.bundles.input) as reader:
        reader.verify()
        return {path: reader.read(path, limit=64 << 20) for path in reader.names()}


def hostile_kit(
    world: World,
    place: Path,
    *,
    members: Mapping[str, bytes | None] = {},
    vex: Sequence[str] = (),
    change: Callable[[dict[str, object]], None] = lambda _: None,
    **kit_changes: object,
) -> Path:
    """Make a kit that a trusted key signed, with other members in its input bundle and no care for the outputs.

    ``members`` replaces or (None) removes members; digests in the manifest follow; ``vex`` names further documents.
    """
    world.copy_kit(place)
    scan = place / SCAN
    content = {path: data for path, data in (members_of(world) | dict(members)).items() if data is not None}
    record = pack(scan / layout.INPUT_BUNDLE, content)
    document = json.loads((scan / layout.MANIFEST_FILE).read_bytes())
    found = {member.path: member.digest for member in record.members}
    document["bundles"]["input"] = json.loads(canonical.encode_record(record))
    inputs = document["inputs"]
    inputs["vex"] = [{"name": name, "path": f"vex/{name}.json", "digest": ""} for name in vex] or inputs["vex"]
    for entry in (inputs["sbom"], inputs["env"], inputs["seeds"], *inputs["vex"], *inputs["rules"]):
        entry["digest"] = found[entry["path"]]
    for feed in inputs["feeds"]:
        described = feed["path"] + "snapshot.json"
        feed["snapshotHash"] = found[described]
        try:
            info = json.loads(content[described])
            feed |= {"merkleRoot": info["contentRoot"], "indexRoot": info["indexRoot"]}
            feed["snapshotTime"] = info["snapshotTime"]
        except (ValueError, KeyError, TypeError):
            pass
    change(document)
    sign_manifest(scan, document, [world.kit_signer])
    seal(place, [world.kit_signer], **kit_changes)
    return place


def pack(path: Path, content: Mapping[str, bytes]) -> BundleRecord:
    with path.open("wb") as target:
        return write_bundle(target, sorted(content.items()))


@dataclass(frozen=True)
class Stranger:
    """Somebody with keys and a RootPack of his own, whom no site has pinned."""

    rootpack: Path
    signer: PemSigner

    def make_kit(self, world: World, place: Path) -> Path:
        """Make a kit of the world's scan that is sound in itself, under this stranger's keys alone."""
        world.copy_kit(place)
        for directory in (place / layout.ROOTPACK_DIRECTORY, place / SCAN / layout.ROOTPACK_DIRECTORY):
            shutil.rmtree(directory)
            shutil.copytree(self.rootpack, directory)
        sign_manifest(place / SCAN, json.loads((place / SCAN / layout.MANIFEST_FILE).read_bytes()), [self.signer])
        seal(place, [self.signer])
        return place


def stranger(place: Path) -> Stranger:
    from builder import signer

    pack_at, keys = place / "rootpack", place / "keys"
    trust.init(
        pack_at,
        keys,
        now=NOW - timedelta(days=1),
        owner="release engineering",
        entropy=random.Random(666).randbytes,
        ceremony=trust.SINGLE_SIGNER,
    )
    return Stranger(pack_at, signer.load(keys / "kit-1.key.pem"))
