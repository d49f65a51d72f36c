"""A publisher of RootPacks that is not ours: python-tuf writes, securesystemslib signs, every rule can be broken."""

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp

from kit.trust.keys import ECDSA_P256, SEED_SIZES, PemSigner

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def seeded(name, algorithm=ECDSA_P256):
    """Return the signer that a name makes."""
    seed = hashlib.sha512(name.encode()).digest() + hashlib.sha256(name.encode()).digest()
    return PemSigner.from_seed(algorithm, seed[: SEED_SIZES[algorithm]])


def spki_of(private_key):
    """Return the SubjectPublicKeyInfo of a private key."""
    return private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@dataclass
class Publisher:
    """State of a repository; ``files()`` gives its bytes."""

    root_keys: tuple[str, ...] = ("root-1", "root-2", "root-3")
    root_threshold: int = 2
    root_signers: tuple[str, ...] = ("root-1", "root-2")
    targets_keys: tuple[str, ...] = ("targets-1",)
    targets_threshold: int = 1
    targets_signers: tuple[str, ...] = ("targets-1",)
    online_keys: tuple[str, ...] = ("online",)
    online_signers: tuple[str, ...] = ("online",)
    issued: object = "2026-11-23T12:00:00Z"
    root_expires: datetime = NOW + timedelta(days=400)
    targets_expires: datetime = NOW + timedelta(days=200)
    snapshot_expires: datetime = NOW + timedelta(days=120)
    timestamp_expires: datetime = NOW + timedelta(days=120)
    version: int = 1
    consistent_snapshot: bool = True
    extra_targets: dict = field(default_factory=dict)
    keyring_changes: dict = field(default_factory=dict)
    roots: dict = field(default_factory=dict)

    def signer(self, name):
        """Return the signer of a name: Ed25519, or P-256 for names that begin with ``ec``."""
        seed = hashlib.sha256(name.encode()).digest()
        if name.startswith("ec"):
            return CryptoSigner(ec.derive_private_key(int.from_bytes(seed[:31]), ec.SECP256R1()))
        return CryptoSigner(ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    def root_record(self, version):
        """Return a root record of the present state."""
        root = Root(version=version, expires=self.root_expires, consistent_snapshot=self.consistent_snapshot)
        for role, names, threshold in (
            ("root", self.root_keys, self.root_threshold),
            ("targets", self.targets_keys, self.targets_threshold),
            ("snapshot", self.online_keys, 1),
            ("timestamp", self.online_keys, 1),
        ):
            root.roles[role] = Role([], threshold)
            for name in names:
                root.add_key(self.signer(name).public_key, role)
        return root

    def sign(self, record, names):
        """Return the file of a record, signed by the named keys."""
        document = Metadata(record)
        for name in names:
            document.sign(self.signer(name), append=True)
        return document.to_bytes()

    def sign_plain(self, signed, names):
        """Return the file of a plain ``signed`` value, whatever it holds, with genuine signatures."""
        message = encode_canonical(signed).encode()
        signatures = [self.signer(name).sign(message).to_dict() for name in names]
        return json.dumps({"signatures": signatures, "signed": signed}).encode()

    def publish_root(self, version=None, signers=None, record=None):
        """Add a root version, made of the present state."""
        number = version or max(self.roots, default=0) + 1
        self.roots[number] = self.sign(record or self.root_record(number), signers or self.root_signers)
        return self.roots[number]

    def keyring(self):
        """Return the bytes of the keyring."""
        key = seeded("kit").public
        entry = {
            "algorithm": key.algorithm,
            "fingerprint": key.fingerprint,
            "owner": "release",
            "spki": base64.b64encode(key.spki).decode(),
            "usage": "kit",
            "validFrom": "2026-01-01T00:00:00Z",
        }
        document = {"keys": [entry], "schemaVersion": "1.0", "thresholds": {"kit": 1}} | self.keyring_changes
        return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

    def files(self):
        """Return the whole repository: roots so far (one is made if there is none) and one publication."""
        if not self.roots:
            self.publish_root()
        files = {f"metadata/{number}.root.json": data for number, data in self.roots.items()}
        targets = Targets(version=self.version, expires=self.targets_expires)
        for name, data in {"keyring.json": self.keyring(), **self.extra_targets}.items():
            targets.targets[name] = TargetFile.from_data(name, data, ["sha256"])
            files[f"targets/{hashlib.sha256(data).hexdigest()}.{name}"] = data
        return files | self.publication(targets)

    def publication(self, targets):
        """Return the metadata files that lead to a targets record."""
        targets_data = self.sign(targets, self.targets_signers)
        snapshot = Snapshot(
            version=self.version,
            expires=self.snapshot_expires,
            meta={"targets.json": MetaFile.from_data(self.version, targets_data, ["sha256"])},
        )
        return {f"metadata/{self.version}.targets.json": targets_data} | self.snapshot_files(snapshot)

    def snapshot_files(self, snapshot):
        """Return the metadata files that lead to a snapshot record."""
        data = self.sign(snapshot, self.online_signers)
        meta = MetaFile.from_data(self.version, data, ["sha256"])
        return {f"metadata/{self.version}.snapshot.json": data} | self.timestamp_files(meta)

    def timestamp_files(self, meta):
        """Return the timestamp file that names a snapshot."""
        timestamp = Timestamp(version=self.version, expires=self.timestamp_expires, snapshot_meta=meta)
        if self.issued is not None:
            timestamp.unrecognized_fields["x-issued"] = self.issued
        return {"metadata/timestamp.json": self.sign(timestamp, self.online_signers)}


@pytest.fixture(scope="session")
def publisher_class():
    """Return the publishers' class."""
    return Publisher


@pytest.fixture
def publisher():
    """Return a fresh publisher; its class is at hand as ``type(publisher)``."""
    return Publisher()


@pytest.fixture(scope="session")
def now():
    """Return the time at which the tests' metadata is fresh."""
    return NOW


@pytest.fixture(scope="session")
def make_signer():
    """Return the function that makes a signer of a name."""
    return seeded


@pytest.fixture(scope="session")
def spki():
    """Return the function that gives a private key's SubjectPublicKeyInfo."""
    return spki_of


@pytest.fixture(scope="session", params=SEED_SIZES)
def algorithm(request):
    """Return each algorithm of which keys are made, in turn."""
    return request.param
