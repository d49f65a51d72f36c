"""What a RootPack says, for people: versions, expiries, fingerprints, signers and their windows."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from kit.bytes import digest
from kit.errors import StellaError, TrustRootRefused
from kit.trust import metadata, rootpack
from kit.trust.keyring import TrustedKey
from kit.trust.keys import PublicKey, grouped
from kit.trust.metadata import Root, SignedFile, Snapshot, Targets, Timestamp
from kit.trust.revocations import RETIRED, Revocation
from kit.trust.rootpack import RootPackFiles, TrustedPack

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

_BEFORE_EVERYTHING = datetime.min.replace(tzinfo=UTC)
_TIME_FORM = "%Y-%m-%dT%H:%M:%SZ"


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Base of what ``stella rootpack`` shows."""


class KeyView(View, frozen=True, kw_only=True):
    """A key, its fingerprint also in groups to be read aloud."""

    algorithm: str
    fingerprint: str
    grouped: str


class RoleView(View, frozen=True, kw_only=True):
    """One of the four TUF roles: current version, expiry, and who must sign."""

    role: str
    version: int
    expires: str
    expired: bool
    threshold: int
    keys: tuple[KeyView, ...]


class RootView(View, frozen=True, kw_only=True):
    """One root version; ``pin`` is what an operator compares when the root is pinned."""

    version: int
    expires: str
    pin: str
    grouped: str


class SignerView(View, frozen=True, kw_only=True):
    """One key of the keyring; ``state`` is ``valid``, ``not-yet``, ``retired`` or ``compromised``."""

    usage: str
    owner: str
    key: KeyView
    valid_from: str
    state: str
    valid_until: str | None = None
    revoked_since: str | None = None
    revoked_for: str | None = None
    profile: str | None = None


class RootPackView(View, frozen=True, kw_only=True):
    """A RootPack as ``stella rootpack show`` tells it."""

    schema_version: str
    issued: str
    expires: str
    roots: tuple[RootView, ...]
    roles: tuple[RoleView, ...]
    thresholds: dict[str, int]
    signers: tuple[SignerView, ...]
    required: tuple[str, ...] = ()
    profiles: dict[str, tuple[str, ...]] = {}


class DemandView(View, frozen=True, kw_only=True):
    """Who must sign a part of a proposed change, and who has; keys by fingerprint."""

    role: str
    by: str
    threshold: int
    keys: tuple[str, ...]
    signed: tuple[str, ...]


class DraftView(View, frozen=True, kw_only=True):
    """A proposed change as its keepers see it; the fingerprint is what they compare."""

    schema_version: str
    fingerprint: str
    grouped: str
    changes: tuple[str, ...]
    demands: tuple[DemandView, ...]
    notes: tuple[str, ...]


def show(pack_dir: Path, *, now: datetime) -> RootPackView:
    """Return what a RootPack says, expired or not, trusted from its own oldest root on."""
    found = current_files(pack_dir)
    pack = load_own(found)
    roots = [read(Root, found, path) for path in root_paths(found)]
    timestamp = read(Timestamp, found, rootpack.TIMESTAMP)
    snapshot = read(Snapshot, found, f"metadata/{pack.versions.snapshot}.snapshot.json")
    targets = read(Targets, found, f"metadata/{pack.versions.targets}.targets.json")
    at = text(second(now))
    revoked = {entry.fingerprint: entry for entry in pack.revoked}
    return RootPackView(
        schema_version="1.0",
        issued=pack.issued or "",
        expires=pack.expires,
        roots=tuple(_root_view(root) for root in roots),
        roles=tuple(_role_view(file, roots[-1], now) for file in (roots[-1], targets, snapshot, timestamp)),
        thresholds=pack.keyring.thresholds,
        required=pack.keyring.required,
        signers=tuple(_signer_view(key, at, revoked) for key in pack.trusted_keys),
        profiles=pack.keyring.profiles,
    )


def current_files(pack_dir: Path) -> RootPackFiles:
    """Return the files of the RootPack as last published, without leftovers of an interrupted publication.

    This is what a kit carries. Nothing is verified here; :func:`kit.trust.rootpack.load` does that.
    """
    found = rootpack.read_directory(pack_dir)
    versions = rootpack.declared_versions(found)
    snapshot_path = f"metadata/{versions.snapshot}.snapshot.json"
    targets_path = f"metadata/{versions.targets}.targets.json"
    targets = read(Targets, found, targets_path)
    named = {rootpack.target_path(name, target.hashes) for name, target in targets.signed.targets.items()}
    wanted = {rootpack.TIMESTAMP, snapshot_path, targets_path, *named, *root_paths(found)}
    return _without_orphan({path: data for path, data in found.items() if path in wanted})


def _without_orphan(found: RootPackFiles) -> RootPackFiles:
    """Leave out a newest root whose publication was interrupted: only without it do the files belong together."""
    roots = root_paths(found)
    without = {path: data for path, data in found.items() if path != roots[-1]}
    if len(roots) > 1 and not _holds_together(found) and _holds_together(without):
        return without
    return found


def _holds_together(found: RootPackFiles) -> bool:
    try:
        load_own(found)
    except StellaError:
        return False
    return True


def load_own(found: RootPackFiles) -> TrustedPack:
    """Load a RootPack of our own, from its oldest root on and whether it has expired or not."""
    return rootpack.load(found, pinned_root=found[root_paths(found)[0]], reference_time=_BEFORE_EVERYTHING)


def read(kind: type[S], found: RootPackFiles, path: str) -> SignedFile[S]:
    """Return one metadata file of a RootPack, its signatures not yet judged."""
    if path not in found:
        raise TrustRootRefused(path=path, detail="is missing")
    return metadata.read(kind, found[path], path)


def root_paths(found: RootPackFiles) -> list[str]:
    """Return the paths of the roots, oldest first; there is at least one."""
    versions = rootpack.root_versions(found)
    if not versions:
        raise TrustRootRefused(path="metadata", detail="there is no root metadata")
    return [rootpack.root_path(version) for version in versions]


def _root_view(root: SignedFile[Root]) -> RootView:
    return RootView(
        version=root.signed.version,
        expires=text(root.signed.expires),
        pin=f"SHA256:{digest.hex_of(root.digest)}",
        grouped=grouped(root.digest),
    )


def _role_view(
    file: SignedFile[Root] | SignedFile[Targets] | SignedFile[Snapshot] | SignedFile[Timestamp],
    root: SignedFile[Root],
    now: datetime,
) -> RoleView:
    keys = metadata.role_keys(root, file.signed.type)
    return RoleView(
        role=file.signed.type,
        version=file.signed.version,
        expires=text(file.signed.expires),
        expired=file.signed.is_expired(now),
        threshold=keys.threshold,
        keys=tuple(_key_view(key) for _, key in sorted(keys.keys.items())),
    )


def _signer_view(key: TrustedKey, at: str, revoked: Mapping[str, Revocation]) -> SignerView:
    state = "not-yet" if at < key.valid_from else "valid" if key.valid_at(at) else RETIRED
    entry = revoked.get(key.public.fingerprint)
    if entry is not None and (entry.state != RETIRED or at >= entry.since):
        state = entry.state
    return SignerView(
        usage=key.usage,
        owner=key.owner,
        key=_key_view(key.public),
        valid_from=key.valid_from,
        valid_until=key.valid_until,
        state=state,
        revoked_since=entry.since if entry is not None else None,
        revoked_for=entry.reason or None if entry is not None else None,
        profile=key.profile,
    )


def _key_view(key: PublicKey) -> KeyView:
    return KeyView(algorithm=key.algorithm, fingerprint=key.fingerprint, grouped=grouped(key.fingerprint))


def second(now: datetime) -> datetime:
    """Return a time in UTC without fractions, as documents hold it."""
    return now.astimezone(UTC).replace(microsecond=0)


def text(time: datetime) -> str:
    """Return a UTC time as documents write it."""
    return time.strftime(_TIME_FORM)
