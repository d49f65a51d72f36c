"""Trust: signatures a minute, the walk along a RootPack, and what the trust modules cost to import."""

import json
import random
import shutil
import sys
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import measure
import world
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key
from measure import Command
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from builder import trust, trust_change
from builder.trust_publish import Office
from kit.trust import dsse, rootpack, statement
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
ROOTS = 40
REPEAT = 300
OURS = "import kit.trust.dsse, kit.trust.rootpack, kit.trust.trusted, kit.trust.revocations, kit.trust.statement"
LIBRARIES = "import msgspec, orjson, nacl.signing"
THEIRS = {
    "securesystemslib": "import securesystemslib.dsse, securesystemslib.signer",
    "python-tuf": "import tuf.api.metadata",
    "sigstore": "import sigstore.verify, sigstore.dsse",
}


def signatures() -> None:
    """Envelopes a minute on one core, reading included, against the bare signature and against securesystemslib."""
    measure.heading("envelopes with one signature, from bytes to a verified payload, against the bare signature")
    subjects = {name: f"sha256:{number:064x}" for number, name in enumerate(("a", "b", "c"))}
    payload = statement.make(subjects, "https://example.com/predicate", {"filler": "x" * 1000})
    others = [PemSigner.from_seed(ECDSA_P256, bytes([number]) * 48).public for number in range(2, 9)]
    for algorithm, seed in ((ECDSA_P256, bytes([1]) * 48), (ED25519, bytes([1]) * 32)):
        signer = PemSigner.from_seed(algorithm, seed)
        data = dsse.sign(payload, dsse.IN_TOTO, [signer])
        ours = partial(
            dsse.verify, data, [*others, signer.public], threshold=1, payload_types=(dsse.IN_TOTO,), name="envelope"
        )
        bare = bare_check(signer, dsse.pae(dsse.IN_TOTO, payload), b64decode(json.loads(data)["signatures"][0]["sig"]))
        cost, floor = measure.paired_calls(ours, bare, repeat=REPEAT)
        measure.ratio("", f"{algorithm}, 1 of 8 keys", cost * 1e6, floor * 1e6, 3, "us")
        measure.absolute("", f"{algorithm}, a minute for 10,000", cost * 10_000, 60)
        peer = partial(theirs, data, signer)
        cost, their = measure.paired_calls(ours, peer, repeat=REPEAT)
        measure.ratio("", f"{algorithm}, against securesystemslib", cost * 1e6, their * 1e6, 1, "us")


def bare_check(signer: PemSigner, message: bytes, value: bytes) -> partial[None]:
    """Return the call that checks one signature with cryptography, and does nothing else."""
    key = load_der_public_key(signer.public.spki)
    if isinstance(key, EllipticCurvePublicKey):
        return partial(key.verify, value, message, ECDSA(hashes.SHA256()))
    return partial(key.verify, value, message)  # type: ignore[union-attr, call-arg, arg-type]


def theirs(data: bytes, signer: PemSigner) -> None:
    """Verify an envelope with securesystemslib."""
    key = SSlibKey.from_crypto(load_der_public_key(signer.public.spki), keyid=signer.public.fingerprint)
    Envelope.from_dict(json.loads(data)).verify([key], 1)


def walk() -> None:
    """Walk a RootPack of forty roots, renewed by 2 of 3 keepers, beside the same walk with python-tuf."""
    measure.heading(f"a RootPack of {ROOTS} roots, from the directory to the keyring, against python-tuf")
    place = world.PLACE / "roots"
    shutil.rmtree(place, ignore_errors=True)
    end = make(place)
    pin = (place / "rootpack" / "metadata" / "1.root.json").read_bytes()

    def ours() -> object:
        files = rootpack.read_directory(place / "rootpack")
        return rootpack.load(files, pinned_root=pin, reference_time=end)

    if rootpack.declared_versions(rootpack.read_directory(place / "rootpack")).root != ROOTS:
        raise SystemExit(f"not {ROOTS} roots")
    cost, their = measure.paired_calls(ours, partial(their_walk, place / "rootpack"))
    measure.absolute("", "the walk", cost * 1e3, 100, "ms")
    measure.ratio("", "the walk, against python-tuf", cost * 1e3, their * 1e3, 1, "ms")
    shutil.rmtree(place)


def make(place: Path) -> datetime:
    """Found a RootPack and renew it a week apart; return the time after the last renewal."""
    entropy = random.Random(1).randbytes
    trust.init(place / "rootpack", place / "keys", now=BEGIN, owner="bench", entropy=entropy, ceremony=trust.Ceremony())
    now = BEGIN
    for _ in range(ROOTS - 1):
        now += timedelta(days=7)
        office = Office(place / "rootpack", place / "keys", now)
        trust.carry_out(office, trust_change.rotating([], overlap=timedelta(0)))
    return now


def their_walk(pack: Path) -> None:
    """Do what a client does with python-tuf: each root by its own and the one before, then the three other roles."""
    metadata = pack / "metadata"
    root: Metadata[Root] | None = None
    for version in range(1, ROOTS + 1):
        following = Metadata[Root].from_file(str(metadata / f"{version}.root.json"))
        for by in (following if root is None else root, following):
            by.signed.verify_delegate(Root.type, following.signed_bytes, following.signatures)
        root = following
    if root is None:
        raise SystemExit("no root")
    timestamp = Metadata[Timestamp].from_file(str(metadata / "timestamp.json"))
    root.signed.verify_delegate(Timestamp.type, timestamp.signed_bytes, timestamp.signatures)
    data = (metadata / f"{timestamp.signed.snapshot_meta.version}.snapshot.json").read_bytes()
    timestamp.signed.snapshot_meta.verify_length_and_hashes(data)
    snapshot = Metadata[Snapshot].from_bytes(data)
    root.signed.verify_delegate(Snapshot.type, snapshot.signed_bytes, snapshot.signatures)
    meta = snapshot.signed.meta["targets.json"]
    data = (metadata / f"{meta.version}.targets.json").read_bytes()
    meta.verify_length_and_hashes(data)
    targets = Metadata[Targets].from_bytes(data)
    root.signed.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
    for name, target in targets.signed.targets.items():
        target.verify_length_and_hashes((pack / "targets" / f"{target.hashes['sha256']}.{name}").read_bytes())


def imports() -> None:
    """Import the trust modules, and the libraries that others use for it, beyond a bare interpreter."""
    measure.heading("imports, whole process, beyond an interpreter that does nothing")
    bare = measure.alone(importing("pass"), 15).cpu
    ours = (measure.alone(importing(OURS), 15).cpu - bare) * 1e3
    measure.absolute("", "the trust modules", ours, 60, "ms")
    floor = (measure.alone(importing(LIBRARIES), 15).cpu - bare) * 1e3
    measure.ratio("", "against the libraries that they stand on, alone", ours, floor, 2, "ms")
    for name, program in THEIRS.items():
        theirs = (measure.alone(importing(program), 7).cpu - bare) * 1e3
        measure.ratio("", f"against {name}", ours, theirs, 1, "ms")


def importing(program: str) -> Command:
    """Return the command that runs a program of one line from this checkout."""
    return Command([sys.executable, "-c", program], world.environment(), world.ROOT)


if __name__ == "__main__":
    signatures()
    walk()
    imports()
