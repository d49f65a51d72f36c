"""The life of a RootPack: founding it, and every change of it (docs/format.md sections 4.4 and 4.7).

A change becomes a draft; the keepers' keys sign the draft, at once or one keeper after the other, and the online key
publishes it. What a change asks for that cannot be is the operator's error, found before anything is signed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tuf.api.metadata import (  # type: ignore[attr-defined]  # re-exported without saying so
    Role,
    Root,
    Snapshot,
    Targets,
    Timestamp,
)

from builder import files, signer
from builder import trust_change as changes
from builder import trust_draft as drafts
from builder import trust_publish as publication
from builder import trust_view as view
from builder.signer import Entropy
from builder.trust_change import Change
from builder.trust_draft import Draft
from builder.trust_publish import LIFETIMES, Lifetimes, Office
from kit.bytes import canonical
from kit.errors import AlreadyAccepted, UsageError
from kit.trust import keyring, metadata, rootpack
from kit.trust.keys import ECDSA_P256, ED25519, PublicKey, Signer
from kit.trust.rootpack import RootPackFiles

_ONLINE = "online"


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
    kit_algorithm: str = ECDSA_P256,
    lifetimes: Lifetimes = LIFETIMES,
    password: bytes | None = None,
) -> Founded:
    """Found a RootPack: make the keys that are missing in ``keys_dir``, and publish version 1 of everything.

    ``kit_keys`` are signers whose private halves live elsewhere; without them kit keys are made too, of
    ``kit_algorithm``. Raises
    :class:`AlreadyAccepted` where ``pack_dir`` holds something already.
    """
    if pack_dir.exists() and (not pack_dir.is_dir() or any(pack_dir.iterdir())):
        raise AlreadyAccepted(path=pack_dir.name, detail="the directory is not empty")
    now = view.second(now)
    made = _Keys(keys_dir, entropy, password)
    roots = made.role("root", ceremony.root, ED25519)
    targets = made.role("targets", ceremony.targets, ED25519)
    online = made.key(_ONLINE, "snapshot and timestamp", ED25519)
    trusted = kit_keys or [kit.public for kit in made.role("kit", ceremony.kit, kit_algorithm)]
    ring = changes.founded(
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
            root.add_key(publication.tuf_key(key.public), role)
    new = {rootpack.root_path(1): publication.sign(root, roots)}
    contents = {keyring.FILE: canonical.encode_record(ring)}
    first = publication.targets_record(contents, 1, Office(pack_dir, keys_dir, now, lifetimes))
    targets_data = publication.sign(first, targets)
    new |= {rootpack.target_path(name, first.targets[name].hashes): data for name, data in contents.items()}
    new["metadata/1.targets.json"] = targets_data
    signers = {Snapshot.type: [online], Timestamp.type: [online]}
    new |= publication.compose_online(None, (1, targets_data), signers, now, lifetimes)
    rootpack.load(new, pinned_root=new[rootpack.root_path(1)], reference_time=now)
    for directory in ("metadata", "targets"):
        files.make_directory(pack_dir / directory)
    publication.write_files(pack_dir, new)
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
    profile: str | None = None,
    demanded: Sequence[str] = (),
    lifetimes: Lifetimes = LIFETIMES,
    password: bytes | None = None,
) -> view.RootPackView:
    """Add a key to the keyring, valid from ``now``, and publish; the usage's threshold stays unless one is given.

    Needs the targets and online keys in ``keys_dir``. Raises :class:`AlreadyAccepted` for a key that is there, and
    :class:`UsageError` for an impossible keyring or where too few signing keys are at hand.
    """
    change = changes.adding(
        key,
        usage=usage,
        owner=owner,
        valid_until=valid_until,
        threshold=threshold,
        profile=profile,
        demanded=demanded,
    )
    return carry_out(Office(pack_dir, keys_dir, view.second(now), lifetimes, password), change)


def propose(office: Office, change: Change) -> tuple[Draft, tuple[PublicKey, ...]]:
    """Return the draft of a change, signed by those keepers' keys that are at hand, and these keys."""
    found = view.current_files(office.pack_dir)
    opened = drafts.open_on(change(found, view.load_own(found), office), found)
    return drafts.sign(opened, office.keys_dir, office.password)


def carry_out(office: Office, change: Change) -> view.RootPackView:
    """Make, sign and publish a change where all keys that it needs are at hand; :class:`UsageError` if they are not."""
    with files.locked(office.pack_dir):
        found = view.current_files(office.pack_dir)
        _carry_out(office, found, change(found, view.load_own(found), office))
    return view.show(office.pack_dir, now=office.now)


def publish(office: Office, copies: Sequence[Draft]) -> view.RootPackView:
    """Publish a draft, of which there may be several copies with a signature each; needs the online key.

    Raises what :func:`builder.trust_draft.merge` raises, and :class:`kit.errors.SignaturesMissing` below a threshold.
    """
    with files.locked(office.pack_dir):
        found = view.current_files(office.pack_dir)
        opened = drafts.merge(copies, found)
        drafts.check_signed(opened)
        publication.write(office, found, opened)
    return view.show(office.pack_dir, now=office.now)


def refresh(office: Office) -> view.RootPackView:
    """Publish a new snapshot and timestamp of the same targets: the online key's own work between two rotations."""
    with files.locked(office.pack_dir):
        found = view.current_files(office.pack_dir)
        pack = view.load_own(found)
        path = f"metadata/{pack.versions.targets}.targets.json"
        root = view.read(metadata.Root, found, rootpack.root_path(pack.versions.root))
        kept = {name: found[name] for name in found if name == path or name.startswith("targets/")}
        online = publication.online(root, pack.versions, (pack.versions.targets, found[path]), office)
        publication.replace_files(
            office, found, root_paths=view.root_paths(found), new=kept | online, floors=pack.versions
        )
    return view.show(office.pack_dir, now=office.now)


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


def _carry_out(office: Office, found: RootPackFiles, draft: Draft) -> None:
    signed, _ = drafts.sign(drafts.open_on(draft, found), office.keys_dir, office.password)
    opened = drafts.open_on(signed, found)
    for demand in opened.demands:
        if not demand.is_met:
            raise publication.too_few(office, demand.role, demand.keys.threshold, len(demand.signed))
    publication.write(office, found, opened)
