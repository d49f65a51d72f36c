"""What a proposed version of a RootPack changes (docs/format.md section 4.7).

It is told from the content, so that a keeper signs what will be, not what somebody says of it.
"""

from collections.abc import Iterator, Mapping

from kit.bytes import digest
from kit.trust import keyring, metadata, revocations, trusted_root
from kit.trust.keyring import Keyring, KeyringEntry
from kit.trust.metadata import Root, SignedFile, Targets
from kit.trust.revocations import Revocation
from kit.trust.rootpack import TrustedPack
from kit.trust.trusted_root import Authority


def changes(
    pack: TrustedPack,
    root: SignedFile[Root],
    next_root: SignedFile[Root] | None,
    targets: SignedFile[Targets],
    contents: Mapping[str, bytes],
) -> tuple[str, ...]:
    """Return a sentence for each change that a draft makes to a RootPack, and how long that is to hold, in order."""
    found = list(_roles(root, next_root)) if next_root is not None else []
    ring, _ = keyring.parse(contents[keyring.FILE])
    found += _keyring(pack.keyring, ring)
    listed = revocations.parse(contents[revocations.FILE]) if revocations.FILE in contents else ()
    found += _revocations(pack.revoked, listed)
    after = trusted_root.parse(contents[trusted_root.FILE]) if trusted_root.FILE in contents else ()
    found += _authorities(pack.authorities, after)
    for name in sorted({*pack.targets, *contents} - {keyring.FILE, revocations.FILE}):
        if pack.targets.get(name) != contents.get(name):
            found.append(f"{name}: {'removed' if name not in contents else 'other content'}")
    found = found or ["only versions and expiry"]
    # A draft that kept everything else and only lived for ever would look like a renewal.
    records = [file.signed for file in (next_root, targets) if file is not None]
    return (*found, *(f"{record.type} {record.version} holds until {record.expires_text}" for record in records))


def _roles(old: SignedFile[Root], new: SignedFile[Root]) -> Iterator[str]:
    yield f"root {old.signed.version} is followed by root {new.signed.version}"
    for role in sorted(old.signed.roles):
        before, after = metadata.role_keys(old, role), metadata.role_keys(new, role)
        names = [{key.fingerprint for key in one.keys.values()} for one in (before, after)]
        for word, keys in (("loses", names[0] - names[1]), ("gets", names[1] - names[0])):
            yield from (f"{role} {word} key {name}" for name in sorted(keys))
        if before.threshold != after.threshold:
            yield f"{role} threshold {before.threshold} becomes {after.threshold}"


def _keyring(old: Keyring, new: Keyring) -> Iterator[str]:
    before = {entry.fingerprint: entry for entry in old.keys}
    after = {entry.fingerprint: entry for entry in new.keys}
    for name in sorted(before.keys() | after.keys()):
        was, becomes = before.get(name), after.get(name)
        if was == becomes:
            continue
        if becomes is None:
            yield f"keyring loses {_entry(before[name])}"
        else:
            yield f"keyring {'gets' if was is None else 'changes'} {_entry(becomes)}"
    for usage in sorted(old.thresholds.keys() | new.thresholds.keys()):
        counts = old.thresholds.get(usage, 0), new.thresholds.get(usage, 0)
        if counts[0] != counts[1]:
            yield f"{usage} threshold {counts[0]} becomes {counts[1]}"
    for usage in sorted({*old.required} ^ {*new.required}):
        word = "is demanded of every run" if usage in new.required else "is NO LONGER DEMANDED"
        yield f"evidence of usage {usage} {word}"
    for usage in sorted(old.profiles.keys() | new.profiles.keys()):
        before_, after_ = old.profiles.get(usage, ()), new.profiles.get(usage, ())
        if before_ != after_:
            yield f"{usage} profiles {'+'.join(before_) or 'none'} demanded, becomes {'+'.join(after_) or 'none'}"


def _entry(entry: KeyringEntry) -> str:
    window = f"from {entry.valid_from}" + (f" until {entry.valid_until}" if entry.valid_until else "")
    profile = f", profile {entry.profile}" if entry.profile else ""
    return f"{entry.usage} key {entry.fingerprint} of {entry.owner}, {entry.algorithm}, {window}{profile}"


def _revocations(old: tuple[Revocation, ...], new: tuple[Revocation, ...]) -> Iterator[str]:
    before = {entry.fingerprint: entry for entry in old}
    after = {entry.fingerprint: entry for entry in new}
    for name in sorted(before.keys() | after.keys()):
        entry = after.get(name)
        if entry is None:
            yield f"NO LONGER REVOKED: {name}, {before[name].state} since {before[name].since}"
        elif name in before and (before[name].state, before[name].since) < (entry.state, entry.since):
            was = before[name]
            yield f"SOFTENED: {name}, {was.state} since {was.since} becomes {entry.state} since {entry.since}"
        elif entry != before.get(name):
            good = entry.last_good
            last = f", but for what the log {good.origin} has up to index {good.index}" if good else ""
            yield f"revoked: {name}, {entry.state} since {entry.since}{last}" + (
                f", {entry.reason}" if entry.reason else ""
            )


def _authorities(old: tuple[Authority, ...], new: tuple[Authority, ...]) -> Iterator[str]:
    for word, some, others in (("loses", old, new), ("gets", new, old)):
        yield from (f"trust {word} {_authority(one)}" for one in some if one not in others)


def _authority(one: Authority) -> str:
    until = f" until {one.valid_until:%Y-%m-%dT%H:%M:%SZ}" if one.valid_until else ""
    window = f"from {one.valid_from:%Y-%m-%dT%H:%M:%SZ}{until}"
    certificate = digest.of_bytes(one.chain[0])
    return f"time-stamping authority {one.uri or 'without a name'}, certificate {certificate}, {window}"
