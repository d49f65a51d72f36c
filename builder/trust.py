"""Publishing the RootPack: first root, keyring, and new versions of what signs it (docs/format.md section 4.4).

Every publication is put together in memory, verified as a site would verify it, and only then written: new files first,
the timestamp that makes them current last. At any moment the directory holds one whole RootPack. python-tuf writes what
our own reader then has to accept.
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
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from builder import files, signer
from builder import trust_view as view
from builder.signer import Entropy
from kit.bytes import canonical
from kit.errors import AlreadyAccepted, MalformedDocument, UsageError
from kit.trust import keyring, metadata, rootpack
from kit.trust.keyring import Keyring, KeyringEntry
from kit.trust.keys import ECDSA_P256, ED25519, PublicKey, Signer
from kit.trust.metadata import SignedFile
from kit.trust.rootpack import TrustedPack, Versions

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

_ONLINE = "online"
_SUPERSEDED = re.compile(
    r"metadata/[1-9][0-9]*\.(snapshot|targets)\.json|targets/[0-9a-f]{64}\.[a-z_.]+|(metadata|targets)/\..+"
)
"""Names of what a publication replaces, and of files that an interrupted one left half-written."""
_PUBLISHED = (Targets.type, Snapshot.type, Timestamp.type)


@dataclass(frozen=True, slots=True)
class Quorum:
    """How many of how many keys must sign."""

    threshold: int
    keys: int


@dataclass(frozen=True, slots=True)
class Ceremony:
    """The keys of a new RootPack; one online key signs snapshot and timestamp."""

    root: Quorum = Quorum(2, 3)
    targets: Quorum = Quorum(2, 3)
    kit: Quorum = Quorum(1, 1)


SINGLE_SIGNER = Ceremony(root=Quorum(1, 1), targets=Quorum(1, 1))
"""One key a role, for demonstrations: whoever takes one root key takes the site's trust."""


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long metadata is valid, made for quarterly rotation behind a gap."""

    root: timedelta = timedelta(days=400)
    targets: timedelta = timedelta(days=200)
    online: timedelta = timedelta(days=120)


LIFETIMES = Lifetimes()


class KeyFile(view.View, frozen=True, kw_only=True):
    """A key file of the ceremony; ``created`` is false for one that was there before."""

    name: str
    use: str
    fingerprint: str
    created: bool


class Founded(view.View, frozen=True, kw_only=True):
    """What ``stella rootpack init`` made."""

    pack: view.RootPackView
    key_files: tuple[KeyFile, ...]


def init(
    pack_dir: Path,
    keys_dir: Path,
    *,
    now: datetime,
    owner: str,
    entropy: Entropy,
    ceremony: Ceremony = Ceremony(),
    kit_keys: Sequence[PublicKey] = (),
    lifetimes: Lifetimes = LIFETIMES,
    password: bytes | None = None,
) -> Founded:
    """Found a RootPack: make the keys that are missing in ``keys_dir``, and publish version 1 of everything.

    ``kit_keys`` are signers whose private halves live elsewhere; without them kit keys are made too. Raises
    :class:`AlreadyAccepted` where ``pack_dir`` holds something already.
    """
    if pack_dir.exists() and (not pack_dir.is_dir() or any(pack_dir.iterdir())):
        raise AlreadyAccepted(path=pack_dir.name, detail="the directory is not empty")
    now = view.second(now)
    made = _Keys(keys_dir, entropy, password)
    roots = made.role("root", ceremony.root, ED25519)
    targets = made.role("targets", ceremony.targets, ED25519)
    online = made.key(_ONLINE, "snapshot and timestamp", ED25519)
    trusted = kit_keys or [kit.public for kit in made.role("kit", ceremony.kit, ECDSA_P256)]
    ring = _ring(
        [keyring.describe(key, usage="kit", owner=owner, valid_from=view.text(now)) for key in trusted],
        {"kit": ceremony.kit.threshold},
    )
    root = Root(expires=now + lifetimes.root, consistent_snapshot=True)
    for role, keys, threshold in (
        (Root.type, roots, ceremony.root.threshold),
        (Targets.type, targets, ceremony.targets.threshold),
        (Snapshot.type, [online], 1),
        (Timestamp.type, [online], 1),
    ):
        root.roles[role] = Role([], threshold)
        for key in keys:
            root.add_key(_tuf_key(key.public), role)
    new = {rootpack.root_path(1): _sign(root, roots)}
    signers = {Targets.type: targets, Snapshot.type: [online], Timestamp.type: [online]}
    new |= _compose({keyring.FILE: canonical.encode_record(ring)}, None, signers, now, lifetimes)
    rootpack.load(new, pinned_root=new[rootpack.root_path(1)], reference_time=now)
    for directory in ("metadata", "targets"):
        files.make_directory(pack_dir / directory)
    _write(pack_dir, new)
    return Founded(pack=view.show(pack_dir, now=now), key_files=tuple(made.report))


def add_key(
    pack_dir: Path,
    keys_dir: Path,
    key: PublicKey,
    *,
    usage: str,
    owner: str,
    now: datetime,
    valid_until: str | None = None,
    threshold: int | None = None,
    lifetimes: Lifetimes = LIFETIMES,
    password: bytes | None = None,
) -> view.RootPackView:
    """Add a key to the keyring, valid from ``now``, and publish; the usage's threshold stays unless one is given.

    Needs the targets and online keys in ``keys_dir``. Raises :class:`AlreadyAccepted` for a key that is there, and
    :class:`UsageError` for an impossible keyring or where too few signing keys are at hand.
    """
    now = view.second(now)
    with files.locked(pack_dir):
        pack = view.load_own(view.current_files(pack_dir))
        if any(known.public == key for known in pack.trusted_keys):
            raise AlreadyAccepted(detail="the keyring has this key", found=key.fingerprint)
        added = keyring.describe(key, usage=usage, owner=owner, valid_from=view.text(now), valid_until=valid_until)
        thresholds = {usage: 1, **pack.keyring.thresholds}
        if threshold is not None:
            thresholds[usage] = threshold
        ring = _ring([*pack.keyring.keys, added], thresholds)
        contents = {**pack.targets, keyring.FILE: canonical.encode_record(ring)}
        _publish(pack_dir, pack, contents, keys_dir, now, lifetimes, password)
    return view.show(pack_dir, now=now)


class _Keys:
    """The key files of a ceremony: those there are used, those missing are made, and both are reported."""

    def __init__(self, directory: Path, entropy: Entropy, password: bytes | None) -> None:
        self.report: list[KeyFile] = []
        self._directory = directory
        self._entropy = entropy
        self._password = password

    def role(self, role: str, quorum: Quorum, algorithm: str) -> list[Signer]:
        """Return the signers ``ROLE-1`` to ``ROLE-n``."""
        if not 1 <= quorum.threshold <= quorum.keys:
            raise UsageError(detail=f"{role}: the threshold must lie between 1 and the number of keys")
        return [self.key(f"{role}-{number}", role, algorithm) for number in range(1, quorum.keys + 1)]

    def key(self, name: str, use: str, algorithm: str) -> Signer:
        """Return one signer by the name of its files."""
        key, created = signer.ensure(self._directory, name, algorithm, entropy=self._entropy, password=self._password)
        self.report.append(KeyFile(name=name, use=use, fingerprint=key.public.fingerprint, created=created))
        return key


def _ring(entries: Iterable[KeyringEntry], thresholds: Mapping[str, int]) -> Keyring:
    """Return a keyring of what the operator asked for; what it may not hold is the operator's error."""
    try:
        return keyring.make(entries, thresholds)
    except MalformedDocument as fault:
        raise UsageError(**fault.details) from fault


def _publish(
    pack_dir: Path,
    pack: TrustedPack,
    contents: Mapping[str, bytes],
    keys_dir: Path,
    now: datetime,
    lifetimes: Lifetimes,
    password: bytes | None,
) -> None:
    """Sign and write the next version of targets, snapshot and timestamp, then remove the files they replace."""
    old = view.current_files(pack_dir)
    roots = view.root_paths(old)
    newest = view.read(metadata.Root, old, roots[-1])
    signers = {role: _signers(newest, role, keys_dir, password) for role in _PUBLISHED}
    new = _compose(contents, pack.versions, signers, now, lifetimes)
    result = {path: old[path] for path in roots} | new
    rootpack.load(result, pinned_root=old[roots[0]], reference_time=now, floors=pack.versions)
    _write(pack_dir, new)
    for path in sorted(set(rootpack.read_directory(pack_dir)) - set(result)):
        if _SUPERSEDED.fullmatch(path):
            files.remove(pack_dir / path)


def _compose(
    contents: Mapping[str, bytes],
    previous: Versions | None,
    signers: Mapping[str, Iterable[Signer]],
    now: datetime,
    lifetimes: Lifetimes,
) -> dict[str, bytes]:
    """Return the files of the next publication: targets and what they name, snapshot, timestamp."""
    targets = Targets(version=previous.targets + 1 if previous else 1, expires=now + lifetimes.targets)
    new: dict[str, bytes] = {}
    for name, data in sorted(contents.items()):
        target = TargetFile.from_data(name, data, ["sha256"])
        targets.targets[name] = target
        new[rootpack.target_path(name, target.hashes)] = data
    targets_data = _sign(targets, signers[Targets.type])
    new[f"metadata/{targets.version}.targets.json"] = targets_data
    snapshot = Snapshot(
        version=previous.snapshot + 1 if previous else 1,
        expires=now + lifetimes.online,
        meta={"targets.json": MetaFile.from_data(targets.version, targets_data, ["sha256"])},
    )
    snapshot_data = _sign(snapshot, signers[Snapshot.type])
    new[f"metadata/{snapshot.version}.snapshot.json"] = snapshot_data
    timestamp = Timestamp(
        version=previous.timestamp + 1 if previous else 1,
        expires=now + lifetimes.online,
        snapshot_meta=MetaFile.from_data(snapshot.version, snapshot_data, ["sha256"]),
        unrecognized_fields={metadata.ISSUED: view.text(now)},
    )
    new[rootpack.TIMESTAMP] = _sign(timestamp, signers[Timestamp.type])
    return new


def _write(pack_dir: Path, new: Mapping[str, bytes]) -> None:
    for path in sorted(new, key=lambda path: (path == rootpack.TIMESTAMP, path)):
        files.write_atomic(pack_dir / path, new[path])


def _sign(signed: S, signers: Iterable[Signer]) -> bytes:
    document = Metadata(signed)
    message = document.signed_bytes
    keys = {_tuf_key(key.public).keyid: key for key in signers}
    for key_id, key in sorted(keys.items()):
        document.signatures[key_id] = Signature(key_id, key.sign(message).hex())
    return document.to_bytes()


def _signers(root: SignedFile[metadata.Root], role: str, keys_dir: Path, password: bytes | None) -> Sequence[Signer]:
    needed = metadata.role_keys(root, role)
    at_hand = signer.find(keys_dir, [key.fingerprint for key in needed.keys.values()], password)
    if len(at_hand) < needed.threshold:
        raise UsageError(
            path=keys_dir.name,
            detail=f"too few keys of the role {role} are here",
            expected=needed.threshold,
            found=len(at_hand),
        )
    return at_hand


def _tuf_key(key: PublicKey) -> SSlibKey:
    if key.algorithm == ED25519:
        kind, scheme, public = "ed25519", "ed25519", key.raw.hex()
    else:
        kind, scheme, public = "ecdsa", "ecdsa-sha2-nistp256", key.to_pem().decode()
    return SSlibKey(metadata.key_id(kind, scheme, {"public": public}), kind, scheme, {"public": public})
