"""A locker's log at a site: shown, remembered, held against the next kit, and sent home."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from builder import trust
from kit import layout
from kit.bytes import canonical, digest, merkle
from kit.errors import UsageError
from kit.ledger import checkpoint, proof
from kit.ledger.checkpoint import Checkpoint
from kit.ledger.proof import ConsistencyProofs, Tree
from kit.trust.keys import PemSigner
from tests.world import NOW
from verifier import locker_notes, sync

SIGNER = PemSigner.from_seed("ed25519", random.Random(7).randbytes(32))
ORIGIN = locker_notes.log_name(SIGNER.public)


def leaves(count: int, seed: str = "leaf") -> list[bytes]:
    return [merkle.leaf_hash(f"{seed} {number}".encode()) for number in range(count)]


def given(place: Path, hashes: list[bytes], old: tuple[int, ...] = ()) -> Path:
    """Write what stella locker audit checkpoint --out writes."""
    place.parent.mkdir(exist_ok=True)
    signed = checkpoint.sign(Checkpoint(ORIGIN, len(hashes), merkle.root(hashes)), SIGNER)
    proofs = tuple((Tree(at, merkle.root(hashes[:at])), tuple(merkle.consistency_proof(at, hashes))) for at in old)
    place.write_bytes(signed)
    grown = proof.encode_consistency(ConsistencyProofs(ORIGIN, len(hashes), proofs))
    place.with_name(place.name + ".tlog-consistency").write_bytes(grown)
    return place


@pytest.fixture
def enrolled(world, tmp_path) -> Path:
    """A RootPack that knows the locker's key."""
    import shutil

    pack = shutil.copytree(world.rootpack, tmp_path / "rootpack")
    moment = NOW - timedelta(hours=1)
    trust.add_key(pack, world.keys, SIGNER.public, usage="locker", owner="our locker", now=moment)
    return pack


@pytest.fixture
def kits(world, enrolled, tmp_path):
    def build(sequence: int, hashes: list[bytes], old: tuple[int, ...] = (), **changes: object) -> Path:
        note = given(tmp_path / f"notes-{sequence}" / "locker.checkpoint", hashes, old)
        return world.build_kit(
            tmp_path / f"kit-{sequence}", root_pack=enrolled, sequence=sequence, locker_checkpoint=note, **changes
        )

    return build


def test_a_log_that_grew_is_remembered_and_sent_home(world, kits, replay, tmp_path) -> None:
    site = world.new_site(tmp_path / "site")
    result, run = replay(kits(1, leaves(3)), site=site)
    assert (result.verdict, result.checks[12].evidence["locker"]["memory"]) == ("VERIFIED", "first use")
    acknowledged = tmp_path / "acknowledged.json"
    mine = {site.fingerprint: (digest.of_file(run / "result.json")[0],), "sha256:other": ("sha256:00",)}
    acknowledged.write_bytes(canonical.encode({"schemaVersion": "1.0", "sites": mine}))
    result, _ = replay(kits(2, leaves(9), (3,), acknowledged=acknowledged), site=site)
    assert (result.verdict, result.checks[12].evidence["locker"]["memory"]) == ("VERIFIED", "grown since remembered")
    assert site.state.acknowledged == mine[site.fingerprint]
    (seen,) = sync._seen(site)
    assert (seen.origin, seen.size, seen.root) == (ORIGIN, 9, digest.of_raw(merkle.root(leaves(9))))


@pytest.mark.parametrize(
    ("hashes", "old", "reason"),
    [
        (leaves(5, "other"), (), "LedgerForked"),
        (leaves(9, "other"), (5,), "LedgerForked"),
        (leaves(9), (), "LedgerConsistencyMissing"),
        (leaves(4), (), "LedgerRolledBack"),
    ],
)
def test_a_log_that_was_rewritten_is_caught_at_the_site(world, kits, replay, tmp_path, hashes, old, reason) -> None:
    site = world.new_site(tmp_path / "site")
    assert replay(kits(1, leaves(5)), site=site)[0].verdict == "VERIFIED"
    result, _ = replay(kits(2, hashes, old), site=site)
    assert (result.verdict, result.reason) == ("REFUSED", reason)
    assert sync._seen(site)[0].size == 5


def test_a_builder_refuses_what_sites_would_not_look_at(world, kits, tmp_path) -> None:
    note = given(tmp_path / "notes" / "locker.checkpoint", leaves(2))
    with pytest.raises(UsageError, match="LedgerUnknown"):
        world.build_kit(tmp_path / "kit", locker_checkpoint=note)
    note.with_name("locker.checkpoint.tlog-consistency").unlink()
    with pytest.raises(UsageError, match="FileMissing"):
        world.build_kit(tmp_path / "kit", locker_checkpoint=note)
    note.write_bytes(b"{}")
    with pytest.raises(UsageError, match="MalformedDocument"):
        world.build_kit(tmp_path / "kit", acknowledged=note)
    assert (kits(1, leaves(2)) / layout.LOCKER_CHECKPOINT).is_file()
