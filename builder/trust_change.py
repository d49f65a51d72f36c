"""What can be changed in a RootPack, each change as a draft of its next version (docs/format.md section 4.7).

What cannot be is the operator's error, found before anything is signed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from tuf.api.metadata import Metadata, Root  # type: ignore[attr-defined]  # re-exported without saying so

from builder import trust_draft as drafts
from builder import trust_publish as publication
from builder import trust_view as view
from builder.trust_draft import Draft
from builder.trust_publish import Office
from kit.bytes import canonical, digest
from kit.errors import AlreadyAccepted, MalformedDocument, TrustRootRefused, UsageError
from kit.trust import keyring, metadata, revocations, trusted_root
from kit.trust.keyring import Keyring, KeyringEntry
from kit.trust.keys import PublicKey
from kit.trust.revocations import LastGood, Revocation
from kit.trust.rootpack import RootPackFiles, TrustedPack
from kit.trust.trusted_root import Authority

Change = Callable[[RootPackFiles, TrustedPack, Office], Draft]
"""What makes the next version of a RootPack, unsigned."""

_BEFORE_EVERYTHING = datetime.min.replace(tzinfo=UTC)


def adding(
    key: PublicKey,
    *,
    usage: str,
    owner: str,
    valid_until: str | None = None,
    threshold: int | None = None,
    profile: str | None = None,
    demanded: Sequence[str] = (),
) -> Change:
    """Return the change that adds a key to the keyring.

    ``demanded`` are the profiles of each of which a key of the usage must sign from now on, where that changes.
    """

    def change(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        if any(known.public.fingerprint == key.fingerprint for known in pack.trusted_keys):
            raise AlreadyAccepted(detail="the keyring has this key", found=key.fingerprint)
        start = view.text(office.now)
        added = keyring.describe(
            key, usage=usage, owner=owner, valid_from=start, valid_until=valid_until, profile=profile
        )
        thresholds = {usage: 1, **pack.keyring.thresholds}
        if threshold is not None:
            thresholds[usage] = threshold
        profiles = {**pack.keyring.profiles, **({usage: tuple(sorted(set(demanded)))} if demanded else {})}
        keys = (*pack.keyring.keys, added)
        ring = _changed(pack.keyring, keys=keys, thresholds=thresholds, profiles=profiles)
        return draft_of(found, pack, office, _with(pack, keyring.FILE, ring))

    return change


def rotating(pairs: Sequence[tuple[PublicKey, PublicKey]], *, overlap: timedelta) -> Change:
    """Return the change that puts new keys in the places of old ones; without pairs it only renews the root.

    In a role of the root the new key takes over with the next root. In the keyring it counts from now on, and the old
    one for ``overlap`` longer.
    """

    def change(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        root = _newest_root(found)
        entries = {entry.fingerprint: entry for entry in pack.keyring.keys}
        changed = not pairs
        for old, new in pairs:
            roles = [name for name, role in root.roles.items() if publication.tuf_key(old).keyid in role.keyids]
            listed = entries.get(old.fingerprint)
            if not roles and listed is None:
                raise UsageError(
                    detail="no role and no usage has the key that is to be replaced", found=old.fingerprint
                )
            if new.fingerprint in entries or any(
                publication.tuf_key(new).keyid in role.keyids for role in root.roles.values()
            ):
                raise AlreadyAccepted(detail="the RootPack has the new key already", found=new.fingerprint)
            if roles and new.algorithm not in metadata.KEY_FORMS.values():
                expected = " or ".join(sorted(set(metadata.KEY_FORMS.values())))
                raise UsageError(
                    detail=f"{', '.join(roles)}: no key of a role has this algorithm",
                    expected=expected,
                    found=new.algorithm,
                )
            for name in roles:
                root.revoke_key(publication.tuf_key(old).keyid, name)
                root.add_key(publication.tuf_key(new), name)
            if listed is not None:
                entries |= _handed_over(listed, new, office.now, overlap)
            changed = changed or bool(roles)
        ring = _changed(pack.keyring, keys=tuple(entries.values()))
        root.version += 1
        root.expires = office.now + office.lifetimes.root
        contents = _with(pack, keyring.FILE, ring)
        return draft_of(found, pack, office, contents, root if changed else None)

    return change


def requiring(usage: str, *, required: bool) -> Change:
    """Return the change that makes every run need evidence by keys of a usage, or no longer."""

    def change(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        ring = pack.keyring
        if (usage in ring.required) is required:
            demanded = "is demanded" if required else "is not demanded"
            raise AlreadyAccepted(detail=f"evidence of usage {usage} {demanded} already")
        wanted = {*ring.required, usage} if required else {*ring.required} - {usage}
        changed = _changed(ring, required=tuple(sorted(wanted)))
        return draft_of(found, pack, office, _with(pack, keyring.FILE, changed))

    return change


def stamping(
    chain: Sequence[bytes], *, uri: str, valid_from: str | None = None, valid_until: str | None = None
) -> Change:
    """Return the change that trusts a time-stamping authority by its certificates in DER, its own first, the root last.

    Without a window it is that of the certificates.
    """

    def change(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        from kit.trust import certificates

        if any(known.chain[0] == chain[0] for known in pack.authorities):
            raise AlreadyAccepted(detail="the RootPack has this authority", found=digest.of_bytes(chain[0]))
        try:
            checked = certificates.check(Authority(uri, tuple(chain), _BEFORE_EVERYTHING))
            first, last = checked.window
            start = _moment(valid_from, first)
            until = _moment(valid_until, last)
            authority = Authority(uri, tuple(chain), start, until)
            subject = certificates.subject_of(certificates.check(authority))
            listed = trusted_root.add(pack.targets.get(trusted_root.FILE), authority, subject=subject)
        except (MalformedDocument, TrustRootRefused) as fault:
            raise UsageError(**fault.details) from fault
        return draft_of(found, pack, office, {**pack.targets, trusted_root.FILE: listed})

    return change


def revoking(
    fingerprints: Sequence[str], *, state: str, since: str, reason: str, last_good: LastGood | None = None
) -> Change:
    """Return the change that puts keys of the keyring on the list of revocations.

    A compromised key never becomes a retired one again. A key of a role is not revoked but rotated out of the root.
    """

    def change(found: RootPackFiles, pack: TrustedPack, office: Office) -> Draft:
        known = {key.public.fingerprint for key in pack.trusted_keys}
        entries = {entry.fingerprint: entry for entry in pack.revoked}
        for fingerprint in fingerprints:
            if fingerprint not in known:
                raise UsageError(
                    detail="the keyring has no such key; a key of root, targets, snapshot or timestamp is rotated out",
                    found=fingerprint,
                )
            new = Revocation(fingerprint=fingerprint, state=state, since=since, reason=reason, last_good=last_good)
            before = entries.get(fingerprint)
            if before == new:
                raise AlreadyAccepted(detail="the key is revoked in just this way already", found=fingerprint)
            if before is not None and revocations.softens(before, new):
                raise UsageError(
                    detail=f"the key is {before.state} since {before.since}; a revocation is never softened",
                    found=fingerprint,
                )
            entries[fingerprint] = new
        try:
            listed = revocations.make(entries.values())
        except MalformedDocument as fault:
            raise UsageError(**fault.details) from fault
        return draft_of(found, pack, office, _with(pack, revocations.FILE, listed))

    return change


def founded(entries: Iterable[KeyringEntry], thresholds: Mapping[str, int]) -> Keyring:
    """Return the keyring that a RootPack begins with; what it may not hold is the operator's error."""
    try:
        return keyring.make(entries, thresholds)
    except MalformedDocument as fault:
        raise UsageError(**fault.details) from fault


def _changed(ring: Keyring, **members: object) -> Keyring:
    """Return a keyring with other members and all the rest as it was; what it may not hold is the operator's error."""
    wanted = msgspec.structs.replace(ring, **members)
    try:
        return keyring.make(wanted.keys, wanted.thresholds, required=wanted.required, profiles=wanted.profiles)
    except MalformedDocument as fault:
        raise UsageError(**fault.details) from fault


def _moment(time: str | None, otherwise: datetime) -> datetime:
    return otherwise if time is None else datetime.fromisoformat(keyring.check_time(time, "validFor"))


def _with(pack: TrustedPack, name: str, record: msgspec.Struct) -> dict[str, bytes]:
    return {**pack.targets, name: canonical.encode_record(record)}


def _newest_root(found: RootPackFiles) -> Root:
    """Return the newest root as python-tuf has it, to be changed."""
    return Metadata[Root].from_bytes(found[view.root_paths(found)[-1]]).signed


def _handed_over(old: KeyringEntry, new: PublicKey, now: datetime, overlap: timedelta) -> dict[str, KeyringEntry]:
    """Return the keyring's entries of a key and its successor: the old window ends after the overlap, if not before."""
    end = view.text(now + overlap)
    until = end if old.valid_until is None else min(end, old.valid_until)
    if until < old.valid_from:
        raise UsageError(detail="the key that is to be replaced is not valid yet", found=old.fingerprint)
    successor = keyring.describe(new, usage=old.usage, owner=old.owner, valid_from=view.text(now), profile=old.profile)
    return {
        old.fingerprint: msgspec.structs.replace(old, valid_until=until),
        new.fingerprint: successor,
    }


def draft_of(
    found: RootPackFiles,
    pack: TrustedPack,
    office: Office,
    contents: Mapping[str, bytes],
    root: Root | None = None,
) -> Draft:
    """Return the unsigned draft of the next version with given contents, and with a root where that changes."""
    targets = publication.targets_record(contents, pack.versions.targets + 1, office)
    encoded = publication.sign(root, ()) if root is not None else None
    return drafts.make(found, targets=publication.sign(targets, ()), contents=contents, root=encoded)
