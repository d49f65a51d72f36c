"""The RootPack: a TUF repository on disk, walked from a pinned root (TUF 1.0 section 5; docs/format.md section 4.4).

No clock, no network, no memory: files, pin, reference time and version floors are arguments. The order is chain of
roots, timestamp, snapshot, targets, target files, rollback, expiry: everything is authentic before it can be called
old, and old before it can be called expired.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from msgspec import UNSET

from kit.errors import (
    EvidenceMissing,
    FileUndeclared,
    LimitExceeded,
    OlderThanAccepted,
    StellaError,
    TrustExpired,
    TrustRootRefused,
)
from kit.trust import keyring, metadata, revocations, trusted_root
from kit.trust.keyring import Keyring, TrustedKey
from kit.trust.metadata import ISSUED, MetaFile, Root, Signed, SignedFile, Snapshot, Targets, Timestamp
from kit.trust.revocations import Revocation
from kit.trust.trusted import Standing, TrustedPack, Versions
from kit.trust.trusted_root import Authority

__all__ = [
    "Keyring",
    "RootPackFiles",
    "Standing",
    "TrustedPack",
    "Versions",
    "check_contents",
    "check_root",
    "declared_versions",
    "load",
    "read_directory",
    "root_path",
    "root_versions",
    "target_path",
    "well_formed_root",
]

RootPackFiles = Mapping[str, bytes]
"""Bytes of a RootPack's files by path relative to it, ``metadata/...`` and ``targets/...``."""

MAX_STEPS = 256
MAX_FILES = 1024
TIMESTAMP = "metadata/timestamp.json"
KNOWN_TARGETS = (keyring.FILE, "pins.json", revocations.FILE, "tlog_policy.txt", trusted_root.FILE)
"""Targets that may be there. One that we do not know is refused: it could take trust away."""

_ROOT = re.compile(r"metadata/([1-9][0-9]{0,8})\.root\.json")
_TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"
_DIRECTORIES = ("metadata", "targets")
_RELEASABLE = (Timestamp.type, Snapshot.type, Targets.type)

S = TypeVar("S", Snapshot, Targets)


def load(
    files: RootPackFiles, *, pinned_root: bytes, reference_time: datetime, floors: Versions | None = None
) -> TrustedPack:
    """Verify a RootPack against the pinned root and return what it says.

    ``reference_time`` is aware, in UTC. Raises :class:`TrustRootRefused`, :class:`FileUndeclared` for a file that no
    metadata names, :class:`OlderThanAccepted` for a version below its floor, :class:`TrustExpired`; in this order.
    """
    # 1. The chain of roots, from the pin.
    chain, declared = _walk(files, pinned_root)
    root = chain[-1]
    # 2. The timestamp, by the newest root's keys.
    timestamp = metadata.read(Timestamp, _file(files, TIMESTAMP), TIMESTAMP)
    metadata.check_signed(timestamp, metadata.role_keys(root, Timestamp.type))
    # 3. The snapshot that the timestamp names, 4. the targets that the snapshot names.
    snapshot = _named(Snapshot, files, root, timestamp.signed.snapshot_meta, timestamp.path)
    if set(snapshot.signed.meta) != {"targets.json"}:
        raise TrustRootRefused(path=snapshot.path, detail="must name targets.json and nothing else")
    targets = _named(Targets, files, root, snapshot.signed.meta["targets.json"], snapshot.path)
    # 5. The files that the targets name, and no others.
    named = _targets(files, targets)
    declared |= {TIMESTAMP, snapshot.path, targets.path, *named.values()}
    for path in sorted(files):
        if path not in declared:
            raise FileUndeclared(path=ascii(path)[1:-1][:160])
    contents = {name: files[path] for name, path in named.items()}
    ring, trusted_keys = _keyring(contents)
    revoked = _revoked(contents)
    authorities = _authorities(contents)
    issued = _issued(timestamp)
    # 6. Rollback, 7. expiry of what is current; an old root on the way may have expired.
    versions = Versions(
        root=root.signed.version,
        timestamp=timestamp.signed.version,
        snapshot=snapshot.signed.version,
        targets=targets.signed.version,
    )
    released = _released(chain)
    if floors is not None:
        _check_floors(versions, floors.without(released.get(floors.root, ())))
    current: dict[str, Signed] = {
        root_path(root.signed.version): root.signed,
        timestamp.path: timestamp.signed,
        snapshot.path: snapshot.signed,
        targets.path: targets.signed,
    }
    expires = _check_expiry(current, reference_time, issued)
    return TrustedPack(
        ring, trusted_keys, versions, issued, expires, root.digest, contents, revoked, released, authorities
    )


def read_directory(path: Path) -> RootPackFiles:
    """Read the files of a RootPack directory; anything but plain files in its two directories is refused."""
    files: dict[str, bytes] = {}
    if not path.is_dir():
        raise EvidenceMissing(path=path.name, detail="there is no RootPack")
    for directory in sorted(path.iterdir()):
        if directory.name not in _DIRECTORIES or directory.is_symlink() or not directory.is_dir():
            raise FileUndeclared(path=ascii(directory.name)[1:-1])
        for file in sorted(directory.iterdir()):
            name = f"{directory.name}/{file.name}"
            if file.is_symlink() or not file.is_file():
                raise FileUndeclared(path=ascii(name)[1:-1][:160])
            if len(files) == MAX_FILES:
                raise LimitExceeded(path=path.name, detail="files in a RootPack", expected=MAX_FILES)
            with file.open("rb") as source:
                files[name] = source.read(metadata.MAX_BYTES + 1)
            if len(files[name]) > metadata.MAX_BYTES:
                raise LimitExceeded(path=ascii(name)[1:-1][:160], expected=metadata.MAX_BYTES)
    return files


def check_root(data: bytes, path: str = "root") -> SignedFile[Root]:
    """Read a root and hold it against its own rules and keys, as a root is before it is pinned.

    Raises :class:`TrustRootRefused`. That it is the *right* root only its fingerprint can tell.
    """
    root = well_formed_root(data, path)
    metadata.check_signed(root, metadata.role_keys(root, Root.type))
    return root


def well_formed_root(data: bytes, path: str) -> SignedFile[Root]:
    """Read a root and hold it against its own rules; its signatures are not judged yet."""
    root = metadata.read(Root, data, path)
    for role in (Timestamp.type, Snapshot.type, Targets.type):
        metadata.role_keys(root, role)
    if root.signed.consistent_snapshot is not True:
        raise TrustRootRefused(path=path, detail="consistent_snapshot must be true")
    return root


def declared_versions(files: RootPackFiles) -> Versions:
    """Return the versions that a RootPack claims to have, nothing verified; :class:`TrustRootRefused` if unreadable."""
    roots = root_versions(files)
    if not roots:
        raise TrustRootRefused(path="metadata", detail="there is no root metadata")
    timestamp = metadata.read(Timestamp, _file(files, TIMESTAMP), TIMESTAMP).signed
    path = f"metadata/{timestamp.snapshot_meta.version}.snapshot.json"
    snapshot = metadata.read(Snapshot, _file(files, path), path).signed
    if "targets.json" not in snapshot.meta:
        raise TrustRootRefused(path=path, detail="must name targets.json")
    return Versions(
        root=roots[-1],
        timestamp=timestamp.version,
        snapshot=snapshot.version,
        targets=snapshot.meta["targets.json"].version,
    )


def root_versions(files: RootPackFiles) -> list[int]:
    """Return the versions of the roots that are there, ascending."""
    return sorted(int(found[1]) for path in files if (found := _ROOT.fullmatch(path)))


def root_path(version: int) -> str:
    """Return the path of a root version in a RootPack."""
    return f"metadata/{version}.root.json"


def _walk(files: RootPackFiles, pinned_root: bytes) -> tuple[list[SignedFile[Root]], set[str]]:
    """Return the roots from the oldest to the newest, and the paths of all; each follows the one before it."""
    pinned = check_root(pinned_root, "pinned root")
    pin = pinned.signed.version
    present = root_versions(files)
    if not present:
        raise TrustRootRefused(path="metadata", detail="there is no root metadata")
    oldest, newest = min(pin, present[0]), present[-1]
    if newest < pin:
        raise OlderThanAccepted(path=root_path(newest), expected=pin, found=newest)
    if pin in present and files[root_path(pin)] != pinned_root:
        raise TrustRootRefused(path=root_path(pin), detail="differs from the pinned root of the same version")
    if newest - oldest > MAX_STEPS:
        raise TrustRootRefused(path=root_path(newest), detail="too many roots", expected=MAX_STEPS)
    chain: list[SignedFile[Root]] = []
    for version in range(oldest, newest + 1):
        path = root_path(version)
        following = pinned if version == pin else well_formed_root(_file(files, path), path)
        if following.signed.version != version:
            raise TrustRootRefused(
                path=path, detail="another version", expected=version, found=following.signed.version
            )
        # The known root's keys are asked first: a stranger's root must not cost the work of its own many keys.
        if chain:
            metadata.check_signed(following, metadata.role_keys(chain[-1], Root.type))
        if version != pin:
            metadata.check_signed(following, metadata.role_keys(following, Root.type))
        chain.append(following)
    return chain, {root_path(version) for version in present}


def _file(files: RootPackFiles, path: str) -> bytes:
    if path not in files:
        raise TrustRootRefused(path=path, detail="is missing")
    return files[path]


def _named(kind: type[S], files: RootPackFiles, root: SignedFile[Root], named: MetaFile, by: str) -> SignedFile[S]:
    """Return the metadata file of a kind, as another file names it by version, length and digest."""
    path = f"metadata/{named.version}.{kind.type}.json"
    data = _file(files, path)
    metadata.check_named(named, data, path, by)
    file = metadata.read(kind, data, path)
    metadata.check_signed(file, metadata.role_keys(root, kind.type))
    if file.signed.version != named.version:
        raise TrustRootRefused(path=path, detail="another version", expected=named.version, found=file.signed.version)
    return file


def _targets(files: RootPackFiles, targets: SignedFile[Targets]) -> dict[str, str]:
    """Return the path of each target by name: the digest stands before the name (consistent snapshots)."""
    if targets.signed.delegations is not UNSET:
        raise TrustRootRefused(path=targets.path, detail="a RootPack has no delegations")
    paths: dict[str, str] = {}
    for name, target in sorted(targets.signed.targets.items()):
        if name not in KNOWN_TARGETS:
            raise TrustRootRefused(path=targets.path, detail="unknown target", found=ascii(name)[1:-1][:80])
        paths[name] = target_path(name, target.hashes)
        metadata.check_named(target, _file(files, paths[name]), paths[name], targets.path)
    return paths


def target_path(name: str, hashes: Mapping[str, str]) -> str:
    """Return the path of a target of given digests in a RootPack."""
    return f"targets/{hashes.get('sha256', '')}.{name}"


def check_contents(targets: SignedFile[Targets], contents: Mapping[str, bytes]) -> None:
    """Hold contents that are not on a disk yet against the targets metadata that names them, and against their rules.

    Raises :class:`TrustRootRefused`, and :class:`FileUndeclared` for one that is not named.
    """
    for name in sorted(set(contents) - set(targets.signed.targets)):
        raise FileUndeclared(path=ascii(name)[1:-1][:160])
    files = {target_path(name, targets.signed.targets[name].hashes): data for name, data in sorted(contents.items())}
    _targets(files, targets)
    _keyring(contents)
    _revoked(contents)
    _authorities(contents)


def _keyring(contents: Mapping[str, bytes]) -> tuple[Keyring, tuple[TrustedKey, ...]]:
    if keyring.FILE not in contents:
        raise TrustRootRefused(path=keyring.FILE, detail="is not among the targets")
    try:
        return keyring.parse(contents[keyring.FILE])
    except StellaError as fault:
        raise TrustRootRefused(path=keyring.FILE, detail=f"{fault.reason}: {fault}") from fault


def _revoked(contents: Mapping[str, bytes]) -> tuple[Revocation, ...]:
    if revocations.FILE not in contents:
        return ()
    try:
        return revocations.parse(contents[revocations.FILE])
    except StellaError as fault:
        raise TrustRootRefused(path=revocations.FILE, detail=f"{fault.reason}: {fault}") from fault


def _authorities(contents: Mapping[str, bytes]) -> tuple[Authority, ...]:
    if trusted_root.FILE not in contents:
        return ()
    try:
        return trusted_root.parse(contents[trusted_root.FILE])
    except StellaError as fault:
        raise TrustRootRefused(path=trusted_root.FILE, detail=f"{fault.reason}: {fault}") from fault


def _issued(timestamp: SignedFile[Timestamp]) -> str | None:
    issued = timestamp.signed.issued
    if issued is UNSET:
        return None
    try:
        time = datetime.fromisoformat(keyring.check_time(issued, f"/signed/{ISSUED}"))
    except StellaError as fault:
        raise TrustRootRefused(path=timestamp.path, detail=f"{fault.reason}: {fault}") from fault
    if time >= timestamp.signed.expires:
        raise TrustRootRefused(path=timestamp.path, detail="issued after it expires", found=issued)
    return issued


def _check_floors(versions: Versions, floors: Versions) -> None:
    for role in Versions.__struct_fields__:
        found, floor = getattr(versions, role), getattr(floors, role)
        if found < floor:
            raise OlderThanAccepted(path=f"{role} metadata", expected=floor, found=found)


def _released(chain: Sequence[SignedFile[Root]]) -> dict[int, tuple[str, ...]]:
    """Return by version of a root the roles for which the keys until then cannot sign any more, under the newest root.

    Nothing that they signed can come back, so a floor that they set has no use; and where one of them was stolen and
    signed a version that nobody can follow, it must fall (TUF 5.3.11).
    """
    current = {role: metadata.role_keys(chain[-1], role) for role in _RELEASABLE}
    held: dict[str, set[str]] = {role: set() for role in _RELEASABLE}
    found: dict[int, tuple[str, ...]] = {}
    for root in chain[:-1]:
        for role in _RELEASABLE:
            held[role].update(key.fingerprint for key in metadata.role_keys(root, role).keys.values())
        found[root.signed.version] = tuple(role for role, keys in current.items() if _is_new(keys, held[role]))
    return found


def _is_new(role: metadata.RoleKeys, before: AbstractSet[str]) -> bool:
    """Tell whether keys that were there before are too few to sign for a role."""
    return sum(key.fingerprint in before for key in role.keys.values()) < role.threshold


def _check_expiry(current: Mapping[str, Signed], reference_time: datetime, issued: str | None) -> str:
    path, first = min(current.items(), key=lambda item: item[1].expires)
    expires = first.expires_text
    if first.is_expired(reference_time):
        # When it was issued is as authentic as all the rest, and a site learns from it how late it must be.
        known = {} if issued is None else {"issued": issued}
        raise TrustExpired(path=path, expires=expires, reference_time=reference_time.strftime(_TIME_FORM), **known)
    return expires
