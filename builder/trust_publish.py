"""Writing a RootPack's next publication (docs/format.md section 4.4).

Every publication is put together in memory, verified as a site would verify it, and only then written: new files first,
a new root after them, the timestamp that makes them current last. At any moment the directory holds one whole RootPack.
python-tuf writes what our own reader then has to accept.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from securesystemslib.signer import (  # type: ignore[attr-defined]  # re-exported without saying so
    Signature,
    SSlibKey,
)
from tuf.api.metadata import (  # type: ignore[attr-defined]  # re-exported without saying so
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from builder import files, signer
from builder import trust_view as view
from builder.trust_draft import Opened
from kit.errors import UsageError
from kit.trust import metadata, rootpack
from kit.trust.keys import ECDSA_P256, ED25519, PublicKey, Signer
from kit.trust.metadata import SignedFile
from kit.trust.rootpack import RootPackFiles, Versions

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

_SUPERSEDED = re.compile(
    r"metadata/[1-9][0-9]*\.(snapshot|targets)\.json|targets/[0-9a-f]{64}\.[a-z_.]+|(metadata|targets)/\..+"
)
"""Names of what a publication replaces, and of files that an interrupted one left half-written."""
_ONLINE = (Snapshot.type, Timestamp.type)
_NEXT_ONLINE = (
    "Give the directory with the online key: --keys DIR; to change the RootPack where it is not, give --propose FILE."
)
_NEXT_KEEPERS = (
    "Give --propose FILE as well; then each keeper signs it: stella rootpack sign FILE --keys DIR; then: "
    "stella rootpack publish FILE"
)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long metadata is valid, made for quarterly rotation behind a gap."""

    root: timedelta = timedelta(days=400)
    targets: timedelta = timedelta(days=200)
    online: timedelta = timedelta(days=120)


LIFETIMES = Lifetimes()


@dataclass(frozen=True, slots=True)
class Office:
    """Where and when a change is made: the RootPack, the private keys at hand, the time, and how long it is to hold."""

    pack_dir: Path
    keys_dir: Path
    now: datetime
    lifetimes: Lifetimes = LIFETIMES
    password: bytes | None = None


def write(office: Office, found: RootPackFiles, opened: Opened) -> None:
    """Make snapshot and timestamp of a signed draft, hold everything together as a site would, and write it."""
    previous = opened.draft.based_on
    targets = opened.draft.targets.encode()
    new = {
        rootpack.target_path(name, opened.targets.signed.targets[name].hashes): data
        for name, data in opened.contents.items()
    }
    new[opened.targets.path] = targets
    roots = view.root_paths(found)
    if opened.next_root is not None and opened.draft.root is not None:
        new[opened.next_root.path] = opened.draft.root.encode()
        roots = [*roots, opened.next_root.path]
    new |= online(opened.newest, previous, (previous.targets + 1, targets), office)
    replace_files(office, found, root_paths=roots, new=new, floors=previous)


def replace_files(
    office: Office, found: RootPackFiles, *, root_paths: Sequence[str], new: Mapping[str, bytes], floors: Versions
) -> None:
    """Write a publication that a site would accept after the one before it, and remove what it replaces.

    New files come first, then a new root, and the timestamp that makes them current last.
    """
    result = {path: found[path] for path in root_paths if path in found} | dict(new)
    rootpack.load(result, pinned_root=result[root_paths[0]], reference_time=office.now, floors=floors)
    there = rootpack.read_directory(office.pack_dir)
    # A root that an interrupted publication left would be taken for the newest.
    for version in rootpack.root_versions(there):
        if rootpack.root_path(version) not in result:
            files.remove(office.pack_dir / rootpack.root_path(version))
    write_files(office.pack_dir, {path: data for path, data in new.items() if found.get(path) != data})
    for path in sorted(set(rootpack.read_directory(office.pack_dir)) - set(result)):
        if _SUPERSEDED.fullmatch(path):
            files.remove(office.pack_dir / path)


def online(
    root: SignedFile[metadata.Root], previous: Versions | None, targets: tuple[int, bytes], office: Office
) -> dict[str, bytes]:
    """Return the next snapshot, of a targets version and its bytes, and the timestamp that names it."""
    signers = {role: signers_of(root, role, office) for role in (Snapshot.type, Timestamp.type)}
    return compose_online(previous, targets, signers, office.now, office.lifetimes)


def targets_record(contents: Mapping[str, bytes], version: int, office: Office) -> Targets:
    """Return the targets metadata of given contents."""
    targets = Targets(version=version, expires=office.now + office.lifetimes.targets)
    for name, data in sorted(contents.items()):
        targets.targets[name] = TargetFile.from_data(name, data, ["sha256"])
    return targets


def compose_online(
    previous: Versions | None,
    targets: tuple[int, bytes],
    signers: Mapping[str, Iterable[Signer]],
    now: datetime,
    lifetimes: Lifetimes,
) -> dict[str, bytes]:
    """Return the snapshot that follows the previous versions, and the timestamp that names it, both signed."""
    version, data = targets
    snapshot = Snapshot(
        version=previous.snapshot + 1 if previous else 1,
        expires=now + lifetimes.online,
        meta={"targets.json": MetaFile.from_data(version, data, ["sha256"])},
    )
    snapshot_data = sign(snapshot, signers[Snapshot.type])
    timestamp = Timestamp(
        version=previous.timestamp + 1 if previous else 1,
        expires=now + lifetimes.online,
        snapshot_meta=MetaFile.from_data(snapshot.version, snapshot_data, ["sha256"]),
        unrecognized_fields={metadata.ISSUED: view.text(now)},
    )
    return {
        f"metadata/{snapshot.version}.snapshot.json": snapshot_data,
        rootpack.TIMESTAMP: sign(timestamp, signers[Timestamp.type]),
    }


def write_files(pack_dir: Path, new: Mapping[str, bytes]) -> None:
    """Write files of a publication, the timestamp last and a root just before it."""

    def place(path: str) -> tuple[bool, bool, str]:
        return path == rootpack.TIMESTAMP, path.endswith(".root.json"), path

    for path in sorted(new, key=place):
        files.write_atomic(pack_dir / path, new[path])


def sign(signed: S, signers: Iterable[Signer]) -> bytes:
    """Return the file of a metadata record with a signature by each signer."""
    document = Metadata(signed)
    message = document.signed_bytes
    keys = {tuf_key(key.public).keyid: key for key in signers}
    for key_id, key in sorted(keys.items()):
        document.signatures[key_id] = Signature(key_id, key.sign(message).hex())
    return document.to_bytes()


def signers_of(root: SignedFile[metadata.Root], role: str, office: Office) -> Sequence[Signer]:
    """Return the signers of a role that are at hand; :class:`UsageError` if they are fewer than its threshold."""
    needed = metadata.role_keys(root, role)
    at_hand = signer.find(office.keys_dir, [key.fingerprint for key in needed.keys.values()], office.password)
    if len(at_hand) < needed.threshold:
        raise too_few(office, role, needed.threshold, len(at_hand))
    return at_hand


def too_few(office: Office, role: str, expected: int, found: int) -> UsageError:
    """Return the error of a role whose keys are not at hand in number."""
    return UsageError(
        path=office.keys_dir.name, detail=f"too few keys of the role {role} are here", expected=expected, found=found
    ).then(_NEXT_ONLINE if role in _ONLINE else _NEXT_KEEPERS)


def tuf_key(key: PublicKey) -> SSlibKey:
    """Return a key as TUF metadata has it."""
    if key.algorithm == ED25519:
        kind, scheme, public = "ed25519", "ed25519", key.raw.hex()
    elif key.algorithm == ECDSA_P256:
        kind, scheme, public = "ecdsa", "ecdsa-sha2-nistp256", key.to_pem().decode()
    else:  # no role has such a key; its id serves to see that
        kind, scheme, public = key.algorithm, key.algorithm, key.to_pem().decode()
    return SSlibKey(metadata.key_id(kind, scheme, {"public": public}), kind, scheme, {"public": public})
