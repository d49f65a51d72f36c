"""A medium whose files change between two looks at them: what was checked must be what is used."""

import json
import os
import random
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from builder import signer, trust, trust_change
from builder.trust_publish import Office
from kit import layout
from kit.bytes import canonical, digest
from kit.result import REFUSED, VERIFIED, Check
from kit.trust import keyring
from kit.trust.keys import PemSigner
from tests.attacks import forge
from tests.world import NOW, Replay, World
from verifier import site as sites
from verifier.run_dir import stamp

BUNDLE = f"{forge.SCAN}/{layout.INPUT_BUNDLE}"
MANIFEST = f"{forge.SCAN}/{layout.MANIFEST_FILE}"


def after(name: str, act: Callable[[], object]) -> list[Callable[[Check], None]]:
    """Return a listener that acts when a check has been made."""

    def hear(check: Check) -> None:
        if check.name == name:
            act()

    return [hear]


@dataclass(frozen=True)
class Rotated:
    """A site that has accepted a RootPack without the first kit key, which the attacker has stolen."""

    site: sites.Site
    kit: Path
    stolen: PemSigner


@pytest.fixture
def rotated(world: World, replay: Replay, tmp_path: Path) -> Rotated:
    site = world.new_site(tmp_path / "rotated-site")
    assert replay(world.kit, site=site)[0].verdict == VERIFIED
    kit = current_kit(world, tmp_path)
    assert replay(kit, site=site)[0].verdict == VERIFIED
    return Rotated(site, kit, world.kit_signer)


def current_kit(world: World, place: Path) -> Path:
    """Build the kit that carries the RootPack in which another key has replaced the first kit key."""
    pack = shutil.copytree(world.rootpack, place / "rotated-pack")
    new = signer.create(place / "rotated-keys", "kit-2", "ecdsa-p256-sha256", entropy=random.Random(2).randbytes)
    now = stamp(NOW - timedelta(days=1))
    ring = keyring.make(
        [keyring.describe(new.public, usage="kit", owner="release engineering", valid_from=now)], {"kit": 1}
    )
    contents = {keyring.FILE: canonical.encode_record(ring)}
    trust.carry_out(
        Office(pack, world.keys, NOW),
        lambda found, current, office: trust_change.draft_of(found, current, office, contents),
    )
    kit = world.copy_kit(place / "rotated-kit")
    for directory in (kit / layout.ROOTPACK_DIRECTORY, kit / forge.SCAN / layout.ROOTPACK_DIRECTORY):
        shutil.rmtree(directory)
        shutil.copytree(pack, directory, ignore=shutil.ignore_patterns("*lock*"))
    forge.sign_manifest(kit / forge.SCAN, json.loads((kit / MANIFEST).read_bytes()), [new])
    forge.seal(kit, [new], sequence=2)
    return kit


def evil_kit(world: World, stolen: PemSigner, place: Path) -> Path:
    """Build a kit with the old RootPack and the stolen key; KIT.json is as long as that of the accepted kit."""
    kit = world.copy_kit(place)
    forge.seal(kit, [stolen], sequence=99, producer="x")
    missing = (world.kit / layout.KIT_FILE).stat().st_size - (kit / layout.KIT_FILE).stat().st_size
    forge.seal(kit, [stolen], sequence=99, producer="x" + "x" * missing)
    return kit


def test_kit_of_a_removed_key_with_the_old_rootpack_is_refused(
    world: World, replay: Replay, rotated: Rotated, tmp_path: Path
) -> None:
    result, _ = replay(evil_kit(world, rotated.stolen, tmp_path / "evil"), site=rotated.site)
    assert (result.verdict, result.reason) == (REFUSED, "OlderThanAccepted")


def test_kit_file_swapped_after_the_rootpack_check_revives_no_removed_key(
    world: World, replay: Replay, rotated: Rotated, tmp_path: Path
) -> None:
    # The accepted kit's KIT.json switches the floors off; then the medium shows another one.
    kit = evil_kit(world, rotated.stolen, tmp_path / "evil")
    own = (kit / layout.KIT_FILE).read_bytes()
    shutil.copyfile(world.kit / layout.KIT_FILE, kit / layout.KIT_FILE)
    floors = rotated.site.state.floors
    swap = after("rootpack", lambda: (kit / layout.KIT_FILE).write_bytes(own))
    result, _ = replay(kit, site=rotated.site, heard=swap)
    assert result.verdict == REFUSED
    assert rotated.site.state.floors == floors


def test_floors_of_a_site_do_not_fall_when_two_runs_overlap(
    world: World, replay: Replay, rotated: Rotated, tmp_path: Path
) -> None:
    # A run that read the site's memory before the other one wrote it.
    early = sites.load(rotated.site.path)
    early.state = sites.SiteState(schema_version=sites.SCHEMA_VERSION)
    scan = shutil.copytree(world.kit / forge.SCAN, tmp_path / "scan")
    replay(scan, site=early, scan_only=True)
    assert sites.load(rotated.site.path).state.floors == rotated.site.state.floors


def test_manifest_swapped_after_it_was_read_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    # Two manifests of one signer over the same bundles; KIT.json lists the one that is shown last.
    kit = world.copy_kit(tmp_path / "kit")
    scan = kit / forge.SCAN
    listed = {name: (scan / name).read_bytes() for name in (layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE)}
    document = json.loads(listed[layout.MANIFEST_FILE])
    document["provenance"]["producer"] = "x" * len(document["provenance"]["producer"])
    forge.sign_manifest(scan, document, [world.kit_signer])

    def swap() -> None:
        for name, data in listed.items():
            (scan / name).write_bytes(data)

    result, _ = replay(kit, heard=after("manifest-content", swap))
    assert result.verdict == REFUSED or result.manifest_digest == digest.of_bytes(listed[layout.MANIFEST_FILE])


def test_pipe_in_place_of_a_listed_file_is_refused(world: World, replay: Replay, tmp_path: Path) -> None:
    # A pipe that gives the right bytes; without a writer the same open would wait for ever.
    kit = world.copy_kit(tmp_path / "kit")
    readme = kit / layout.README_FILE
    data = readme.read_bytes()
    timers: list[threading.Timer] = []

    def swap() -> None:
        readme.unlink()
        os.mkfifo(readme)
        both = os.open(readme, os.O_RDWR)
        os.write(both, data)
        timers.append(threading.Timer(0.5, os.close, [both]))
        timers[0].start()

    result, _ = replay(kit, heard=after("manifest-content", swap))
    timers[0].join()
    assert result.verdict == REFUSED


@pytest.mark.parametrize(
    ("check", "path"),
    [("media", "rootpack/metadata/timestamp.json"), ("order", MANIFEST), ("manifest-content", "README.txt")],
)
@pytest.mark.parametrize("kind", ["link", "directory"])
def test_file_that_became_something_else_ends_in_a_refusal_on_record(
    world: World, replay: Replay, tmp_path: Path, kind: str, check: str, path: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")

    def swap() -> None:
        (kit / path).unlink()
        if kind == "link":
            (kit / path).symlink_to(world.kit / path)
        else:
            (kit / path).mkdir()

    result, directory = replay(kit, heard=after(check, swap))
    assert result.verdict == REFUSED
    assert result.exit_code != 1
    assert (directory / "receipt.dsse.json").is_file()


def test_file_that_vanished_is_missing(world: World, replay: Replay, tmp_path: Path) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    result, _ = replay(kit, heard=after("manifest-content", (kit / layout.README_FILE).unlink))
    assert (result.verdict, result.reason) == (REFUSED, "FileMissing")


def test_file_that_grew_is_refused_by_its_size(world: World, replay: Replay, tmp_path: Path) -> None:
    # A sparse file of terabytes takes no time to make, and hours to hash.
    kit = world.copy_kit(tmp_path / "kit")
    result, _ = replay(kit, heard=after("manifest-content", lambda: os.truncate(kit / layout.README_FILE, 1 << 26)))
    assert (result.verdict, result.reason) == (REFUSED, "SizeMismatch")


@pytest.mark.parametrize("check", ["input-bundle", "output-bundle", "merkle-roots", "engine-and-tools"])
def test_bundle_replaced_after_its_check_has_no_effect(
    world: World, replay: Replay, tmp_path: Path, check: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    (tmp_path / "other").write_bytes(b"other bytes")
    result, _ = replay(kit, heard=after(check, lambda: os.replace(tmp_path / "other", kit / BUNDLE)))  # noqa: PTH105
    assert result.verdict == VERIFIED


@pytest.mark.parametrize("check", ["input-bundle", "output-bundle", "engine-and-tools"])
def test_bundle_changed_in_place_after_its_check_is_met(
    world: World, replay: Replay, tmp_path: Path, check: str
) -> None:
    kit = world.copy_kit(tmp_path / "kit")
    size = (kit / BUNDLE).stat().st_size

    def overwrite() -> None:
        with (kit / BUNDLE).open("r+b") as target:
            target.write(b"\x28\xb5\x2f\xfd" + bytes(size - 4))

    result, _ = replay(kit, heard=after(check, overwrite))
    assert result.verdict == REFUSED
    assert result.exit_code not in (0, 1, 10)


def test_feed_of_another_kit_written_over_a_verified_bundle_is_met(
    world: World, replay: Replay, tmp_path: Path
) -> None:
    # Same length, sound frames: another SBOM in a bundle whose members are laid out alike.
    members = forge.members_of(world)
    path = "sboms/sbom.cdx.json"
    other = forge.pack(tmp_path / "other.tar.zst", members | {path: members[path].replace(b"requests", b"sequests")})
    kit = world.copy_kit(tmp_path / "kit")
    assert other.content_size == json.loads((kit / MANIFEST).read_bytes())["bundles"]["input"]["contentSize"]

    def overwrite() -> None:
        with (kit / BUNDLE).open("r+b") as target:
            target.write((tmp_path / "other.tar.zst").read_bytes())

    result, _ = replay(kit, heard=after("engine-and-tools", overwrite))
    assert result.verdict == REFUSED
