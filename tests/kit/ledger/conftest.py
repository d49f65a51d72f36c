"""A log, two witnesses and a signed envelope, made from fixed seeds."""

from dataclasses import dataclass

import pytest

from kit.bytes import digest, merkle
from kit.ledger import checkpoint, entry, proof
from kit.ledger.checkpoint import Checkpoint, Trust
from kit.ledger.entry import Logged
from kit.ledger.note import NoteKey
from kit.trust import dsse, statement
from kit.trust.keys import ECDSA_P256, ED25519, SEED_SIZES, PemSigner

ORIGIN = "log.example/one"


def make_key(number: int, algorithm: str = ED25519) -> PemSigner:
    return PemSigner.from_seed(algorithm, bytes([number]) * SEED_SIZES[algorithm])


def make_logged(name: str = "manifest.json", *numbers: int) -> Logged:
    signers = [make_key(number, ECDSA_P256) for number in numbers or (1,)]
    payload = statement.make({name: digest.of_bytes(name.encode())}, "https://example/1", {})
    envelope = dsse.sign(payload, dsse.IN_TOTO, signers)
    keys = [one.public for one in signers]
    return Logged(
        envelope, dsse.verify(envelope, keys, threshold=len(keys), payload_types=(dsse.IN_TOTO,), name="envelope")
    )


@dataclass
class Log:
    """A log in memory: entries, and a key that signs its trees."""

    key: PemSigner
    entries: list[bytes]
    origin: str = ORIGIN

    @property
    def leaves(self) -> list[bytes]:
        return [merkle.leaf_hash(each) for each in self.entries]

    @property
    def note_key(self) -> NoteKey:
        return NoteKey(self.origin.partition(" - ")[0], self.key.public)

    def tree(self, size: int | None = None) -> Checkpoint:
        size = len(self.entries) if size is None else size
        return Checkpoint(self.origin, size, merkle.root(self.leaves[:size]))

    def trust(self, **more: object) -> Trust:
        return Trust((self.note_key,), **more)  # type: ignore[arg-type]

    def inclusion(self, index: int, size: int | None = None, *, extra: bytes | None = None) -> bytes:
        tree = self.tree(size)
        hashes = tuple(merkle.inclusion_proof(index, self.leaves[: tree.size]))
        return proof.encode_inclusion(proof.InclusionProof(index, hashes, checkpoint.sign(tree, self.key), extra))

    def history(self, *sizes: int, size: int | None = None) -> proof.ConsistencyProofs:
        tree = self.tree(size)
        leaves = self.leaves[: tree.size]
        proofs = tuple(
            (proof.Tree(old, merkle.root(leaves[:old])), tuple(merkle.consistency_proof(old, leaves))) for old in sizes
        )
        return proof.ConsistencyProofs(self.origin, tree.size, proofs)


@pytest.fixture
def logged() -> Logged:
    return make_logged()


@pytest.fixture
def log(logged: Logged) -> Log:
    """Return a log of seven entries, the fifth of which is our envelope's."""
    entries = [f"entry {number}".encode() for number in range(7)]
    entries[4] = entry.make(logged)
    return Log(make_key(11), entries)


@pytest.fixture(scope="session")
def signer():
    """Return what makes a signer of a small number."""
    return make_key


@pytest.fixture(scope="session")
def envelope():
    """Return what makes another signed envelope."""
    return make_logged


@pytest.fixture(scope="session")
def new_log():
    """Return the class of logs in memory."""
    return Log
