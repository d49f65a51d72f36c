"""Witnesses: the small one without a network signs no fork; those on the network are believed by their keys."""

import hashlib
import os
import random
import shutil
import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from builder import cosigning, files, signer, signing, tile_log, trust, witness
from builder.attest import Attested, attest
from builder.web import Client
from kit.bytes import merkle
from kit.errors import (
    EvidenceMissing,
    LedgerConsistencyMissing,
    LedgerForked,
    LedgerProofWrong,
    LedgerRefused,
    LedgerRolledBack,
    LedgerSignatureInvalid,
    LedgerUnknown,
    MalformedDocument,
    StellaError,
    UsageError,
)
from kit.ledger import checkpoint, note, proof
from kit.ledger.checkpoint import Checkpoint, Trust
from kit.ledger.note import NoteKey
from kit.ledger.proof import ConsistencyProofs, Tree
from kit.trust.keys import PemSigner
from tests.logs import Witness, serving
from tests.world import NOW, World
from verifier import ledger
from verifier.run_dir import stamp

ORIGIN, NAME = "log.example/own", "witness.example/w"
LOG = PemSigner.from_seed("ed25519", bytes([1]) * 32)
KEY = PemSigner.from_seed("ed25519", bytes([2]) * 32)
TRUST = Trust((NoteKey(ORIGIN, LOG.public),))
OWN = (NoteKey(NAME, KEY.public),)
LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(12)]
FORK = [*LEAVES[:5], *(merkle.leaf_hash(b"fork %d" % number) for number in range(7))]
AT = stamp(NOW)


def tree(size: int, leaves: list[bytes] = LEAVES) -> Checkpoint:
    return Checkpoint(ORIGIN, size, merkle.root(leaves[:size]))


def history(old: int, size: int, leaves: list[bytes] = LEAVES) -> bytes:
    path = tuple(merkle.consistency_proof(old, leaves[:size]))
    return proof.encode_consistency(ConsistencyProofs(ORIGIN, size, ((Tree(old, merkle.root(leaves[:old])), path),)))


def ask(state: Path, size: int, leaves: list[bytes] = LEAVES, *, old: int = 0, key: PemSigner = LOG) -> bytes:
    """Have a tree cosigned, shown to contain one of the size ``old``."""
    shown = history(old, size, leaves) if old else None
    signed = checkpoint.sign(tree(size, leaves), key)
    _, line = witness.cosign(signed, shown, TRUST, NAME, KEY, state, now=AT)
    trusted = replace(TRUST, witnesses=OWN, quorum=1)
    cosigned, _ = checkpoint.with_cosignatures(signed, note.parse_signatures(line, "line"), OWN, path="line")
    (found,) = checkpoint.open_signed(cosigned, trusted, path="checkpoint").cosignatures
    assert found.time == int(NOW.timestamp())
    return line


def test_witness_follows_a_log_that_only_grows(tmp_path: Path) -> None:
    ask(tmp_path, 3)
    assert ask(tmp_path, 3) == ask(tmp_path, 3)
    ask(tmp_path, 7, old=3)
    ask(tmp_path, 12, old=7)


@pytest.mark.parametrize(
    ("size", "leaves", "old", "error"),
    [
        (7, FORK, 0, LedgerForked),
        (9, LEAVES, 0, LedgerConsistencyMissing),
        (9, LEAVES, 3, LedgerConsistencyMissing),
        (9, FORK, 7, LedgerForked),
        (3, LEAVES, 0, LedgerRolledBack),
        (6, LEAVES, 3, LedgerRolledBack),
    ],
)
def test_what_is_not_the_same_log_grown_is_not_cosigned(
    tmp_path: Path, size: int, leaves: list[bytes], old: int, error: type[StellaError]
) -> None:
    ask(tmp_path, 7)
    before = [path.read_bytes() for path in tmp_path.iterdir()]
    with pytest.raises(error):
        ask(tmp_path, size, leaves, old=old)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == before
    ask(tmp_path, 9, old=7)


def test_proof_that_does_not_hold_is_not_cosigned(tmp_path: Path) -> None:
    ask(tmp_path, 3)
    signed = checkpoint.sign(tree(9), LOG)
    for shown in (history(3, 8), history(3, 9, FORK)):
        with pytest.raises(LedgerProofWrong):
            witness.cosign(signed, shown, TRUST, NAME, KEY, tmp_path, now=AT)


def test_log_that_is_not_trusted_is_not_cosigned(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnknown):
        ask(tmp_path / "state", 3, key=KEY)
    assert not (tmp_path / "state").exists()


def test_logs_are_kept_apart(tmp_path: Path) -> None:
    ask(tmp_path, 7)
    other = NoteKey("log.example/two", LOG.public)
    signed = checkpoint.sign(replace(tree(3, FORK), origin=other.name), LOG)
    witness.cosign(signed, None, Trust((other,)), NAME, KEY, tmp_path, now=AT)
    ask(tmp_path, 9, old=7)


def test_state_that_cannot_be_read_is_no_first_use(tmp_path: Path) -> None:
    ask(tmp_path, 7)
    (place,) = tmp_path.iterdir()
    place.write_bytes(place.read_bytes()[:-4])
    with pytest.raises(StellaError) as caught:
        ask(tmp_path, 7, FORK)
    assert caught.value.details["path"] == place.name


def test_state_of_another_log_is_neither_a_first_use_nor_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever names logs can make their digests alike as far as they are short: such a log must not erase another."""
    ask(tmp_path, 7)
    (place,) = tmp_path.iterdir()
    assert place.name == f"{hashlib.sha256(ORIGIN.encode()).hexdigest()}.json"
    before = place.read_bytes()
    monkeypatch.setattr(witness, "_file", lambda _: place.name)
    other = NoteKey("log.example/two", LOG.public)
    signed = checkpoint.sign(replace(tree(3, FORK), origin=other.name), LOG)
    with pytest.raises(MalformedDocument, match="another log"):
        witness.cosign(signed, None, Trust((other,)), NAME, KEY, tmp_path, now=AT)
    assert place.read_bytes() == before
    with pytest.raises(LedgerForked):
        ask(tmp_path, 7, FORK)


def test_state_is_on_the_disk_before_the_signature_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A witness that dies between the two never signs the other side of a fork afterwards."""
    ask(tmp_path, 3)

    def dying(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "cosignature", dying)
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path, 7, old=3)
    monkeypatch.undo()
    with pytest.raises(LedgerForked):
        ask(tmp_path, 7, FORK, old=3)
    ask(tmp_path, 7, old=3)


def test_failed_write_of_the_state_gives_no_signature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr(files, "write_atomic", full)
    with pytest.raises(OSError, match="full"):
        ask(tmp_path, 3)


def test_two_at_once_do_not_both_sign(tmp_path: Path) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with files.locked(tmp_path):
                os.write(told, b"x")
                signal.pause()
        finally:
            os._exit(1)
    os.read(ready, 1)
    try:
        with pytest.raises(UsageError, match="another command"):
            ask(tmp_path, 3)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(ready)
        os.close(told)


@pytest.mark.parametrize(("name", "algorithm"), [("with space", "ed25519"), (NAME, "ecdsa-p256-sha256")])
def test_witness_has_a_name_and_an_ed25519_key(tmp_path: Path, name: str, algorithm: str) -> None:
    key = PemSigner.from_seed(algorithm, bytes([3]) * (32 if algorithm == "ed25519" else 48))
    with pytest.raises(MalformedDocument):
        witness.cosign(checkpoint.sign(tree(3), LOG), None, TRUST, name, key, tmp_path, now=AT)


@pytest.mark.parametrize("seed", range(4))
def test_no_sequence_of_requests_makes_it_sign_both_sides_of_a_fork(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    signed: list[Checkpoint] = []
    for _ in range(60):
        leaves, size = chance.choice([LEAVES, FORK]), chance.randint(1, 12)
        old = chance.randint(0, size - 1)
        try:
            ask(tmp_path, size, leaves, old=old)
        except StellaError:
            continue
        signed.append(tree(size, leaves))
    assert signed
    sizes = [one.size for one in signed]
    assert sizes == sorted(sizes)
    assert any(all(one == tree(one.size, branch) for one in signed) for branch in (LEAVES, FORK))


# Witnesses on the network


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the servers of these tests past any proxy of the machine's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def rootpack(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a RootPack that trusts our log and two witnesses, of which one must have seen a checkpoint."""
    place = tmp_path_factory.mktemp("witnessed") / "rootpack"
    shutil.copytree(world.rootpack, place)
    at = NOW - timedelta(hours=12)
    trust.add_key(place, world.keys, LOG.public, usage="log", owner=ORIGIN, now=at)
    for number, name in enumerate(("one", "two")):
        key = PemSigner.from_seed("ed25519", bytes([50 + number]) * 32).public
        trust.add_key(place, world.keys, key, usage="witness", owner=f"{name}.example/w", now=at)
    return place


@pytest.fixture
def witnesses() -> list[Witness]:
    raw = {ORIGIN: LOG.public.raw}
    return [
        Witness(f"{name}.example/w", 50 + at, raw, now=int(NOW.timestamp())) for at, name in enumerate(("one", "two"))
    ]


@pytest.fixture
def attested(world: World, rootpack: Path, tmp_path: Path) -> Callable[..., Attested]:
    """Return what attests a copy of the example's record in a log, with entries of others before it."""
    record = tmp_path / "records" / world.record.name
    shutil.copytree(world.record, record)
    pack = signing.own_pack(rootpack)

    def carry_out(*servers: Witness, others: int = 0) -> Attested:
        if others:
            with tile_log.opened(tmp_path / "log", ORIGIN, LOG) as log:
                log.append([b"other %d" % number for number in range(others)])
        asked = [
            cosigning.witness(pack, one.name, Client(one.url, option="--witness", pause=lambda _: None), now=AT)
            for one in servers
        ]
        return attest([record], pack, tmp_path / "log", LOG, now=AT, witnesses=asked)[0]

    return carry_out


def test_cosignatures_are_kept_in_log_and_proof(
    attested: Callable[..., Attested], witnesses: list[Witness], rootpack: Path, tmp_path: Path
) -> None:
    with serving(*witnesses):
        done = attested(*witnesses)
        assert done.witnesses == ("one.example/w", "two.example/w")
        assert [place for place, _ in witnesses[0].asked] == ["/add-checkpoint"]
        done = attested(*witnesses, others=4)
        assert (done.size, done.witnesses) == (5, ("one.example/w", "two.example/w"))
    signed = (tmp_path / "log" / "checkpoint").read_bytes()
    seen = checkpoint.open_signed(signed, ledger.trust_of(signing.own_pack(rootpack), AT), path="checkpoint")
    assert [one.witness.name for one in seen.cosignatures] == ["one.example/w", "two.example/w"]
    assert b"stranger" not in signed


def test_attesting_again_keeps_cosignatures(attested: Callable[..., Attested], witnesses: list[Witness]) -> None:
    with serving(*witnesses):
        attested(witnesses[0])
    assert attested().witnesses == ("one.example/w",)


def test_witness_that_fails_is_made_up_for_by_the_others(
    attested: Callable[..., Attested], witnesses: list[Witness], tmp_path: Path
) -> None:
    with serving(*witnesses):
        witnesses[0].faults = [500] * 10
        assert attested(*witnesses).witnesses == ("two.example/w",)


@pytest.mark.parametrize("fault", [403, 404, 422, 400, "garbage", "redirect"])
def test_without_the_quorum_the_refusal_is_raised_and_the_proof_waits_for_files(
    attested: Callable[..., Attested], witnesses: list[Witness], tmp_path: Path, fault: str | int
) -> None:
    with serving(*witnesses):
        witnesses[0].faults = [fault]
        with pytest.raises(LedgerRefused) as caught:
            attested(witnesses[0])
    assert caught.value.details["witness"] == "one.example/w"
    assert list((tmp_path / "records").glob("*/evidence/*.tlog-proof"))


def test_cosignature_that_does_not_fit_is_refused(
    attested: Callable[..., Attested], witnesses: list[Witness], tmp_path: Path
) -> None:
    witnesses[0].spoiled = True
    with serving(*witnesses), pytest.raises(LedgerSignatureInvalid):
        attested(witnesses[0])
    assert b"one.example" not in (tmp_path / "log" / "checkpoint").read_bytes()


def test_witness_that_saw_a_larger_tree_catches_a_log_that_was_set_back(
    attested: Callable[..., Attested], witnesses: list[Witness], tmp_path: Path
) -> None:
    with serving(*witnesses):
        attested(witnesses[0], others=5)
        shutil.rmtree(tmp_path / "log")
        shutil.rmtree(next((tmp_path / "records").glob("*/evidence")))
        with pytest.raises(LedgerRefused, match="larger tree"):
            attested(witnesses[0])


def test_witness_that_saw_another_tree_catches_a_rewritten_log(
    attested: Callable[..., Attested], witnesses: list[Witness], tmp_path: Path
) -> None:
    with serving(*witnesses):
        attested(witnesses[0])
        shutil.rmtree(tmp_path / "log")
        shutil.rmtree(next((tmp_path / "records").glob("*/evidence")))
        with pytest.raises(LedgerRefused) as caught:
            attested(witnesses[0], others=3)
    assert caught.value.details["status"] == 422


def test_witness_that_is_not_trusted_is_not_asked(rootpack: Path) -> None:
    with pytest.raises(UsageError, match="no key of such a witness"):
        cosigning.witness(signing.own_pack(rootpack), "x", Client("https://x.example", option="--witness"), now=AT)


def test_cosignature_comes_back_as_a_file(attested: Callable[..., Attested], rootpack: Path, tmp_path: Path) -> None:
    attested(others=2)
    (record,) = (tmp_path / "records").iterdir()
    (place,) = record.glob("evidence/*.tlog-proof")
    key = PemSigner.from_seed("ed25519", bytes([50]) * 32)
    signed = witness.checkpoint_of(place.read_bytes(), place.name)
    _, line = witness.cosign(signed, None, TRUST, "one.example/w", key, tmp_path / "state", now=AT)
    (tmp_path / "w.cosig").write_bytes(line)
    pack = signing.own_pack(rootpack)
    for _ in range(2):
        assert cosigning.add([record], [tmp_path / "w.cosig"], pack, now=AT) == [f"{record.name}/evidence/{place.name}"]
        read = proof.parse_inclusion(place.read_bytes(), place.name)
        seen = checkpoint.open_signed(read.checkpoint, ledger.trust_of(pack, AT), path=place.name)
        assert [one.witness.name for one in seen.cosignatures] == ["one.example/w"]
    assert attested().witnesses == ("one.example/w",)


def test_cosignature_of_something_else_is_not_added(
    attested: Callable[..., Attested], rootpack: Path, tmp_path: Path
) -> None:
    attested()
    (record,) = (tmp_path / "records").iterdir()
    before = {path: path.read_bytes() for path in record.glob("evidence/*")}
    (tmp_path / "w.cosig").write_bytes(ask(tmp_path / "state", 5))
    with pytest.raises(EvidenceMissing, match="no line"):
        cosigning.add([record], [tmp_path / "w.cosig"], signing.own_pack(rootpack), now=AT)
    assert {path: path.read_bytes() for path in record.glob("evidence/*")} == before


def test_key_of_a_witness_can_be_made_as_any_other(tmp_path: Path) -> None:
    made = signer.create(tmp_path, "witness-1", "ed25519", entropy=random.Random(2).randbytes)
    _, line = witness.cosign(checkpoint.sign(tree(3), LOG), None, TRUST, NAME, made, tmp_path / "state", now=AT)
    assert line.startswith(f"\u2014 {NAME} ".encode())
