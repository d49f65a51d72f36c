"""What stella look tells of a RootPack that follows from the pinned root: versions, thresholds, keys and windows.

Fingerprints stand both in full and in groups, as the kit's README and ``stella rootpack show`` print them.
"""

from kit.trust import metadata, rootpack
from kit.trust.keyring import TrustedKey
from kit.trust.keys import grouped
from kit.trust.metadata import Root
from kit.trust.rootpack import RootPackFiles
from kit.trust.trusted import TrustedPack

ROLES = ("root", "targets", "snapshot", "timestamp")


def view(files: RootPackFiles, pack: TrustedPack, pinned: str, at: str) -> dict[str, object]:
    """Return a verified RootPack as plain values; ``pinned`` is the digest of the site's root, ``at`` the time.

    Keys of sites are counted and not listed: there may be many, and none of them signs what comes here.
    """
    path = rootpack.root_path(pack.root_version)
    root = metadata.read(Root, files[path], path)
    roles = {role: metadata.role_keys(root, role) for role in ROLES}
    usages: dict[str, int] = {}
    for key in pack.trusted_keys:
        usages[key.usage] = usages.get(key.usage, 0) + 1
    needed = [f"{role}: {keys.threshold} of {len(keys.keys)}" for role, keys in roles.items()]
    needed += [f"{usage}: {pack.threshold(usage)} of {number}" for usage, number in sorted(usages.items())]
    versions = pack.versions
    return {
        "pinned": pinned,
        "pinnedGroups": grouped(pinned),
        "newest": pack.root_fingerprint,
        "newestGroups": grouped(pack.root_fingerprint),
        "versions": {role: getattr(versions, role) for role in ROLES},
        "issued": pack.issued or "not recorded",
        "expires": pack.expires,
        "needed": needed,
        "keys": [_key(pack, key, at) for key in pack.trusted_keys if key.usage != "site"],
    }


def _key(pack: TrustedPack, key: TrustedKey, at: str) -> dict[str, object]:
    standing = pack.standing(key.usage, at=at)
    state = "valid" if key.public in standing.current else "compromised" if key.public in standing.compromised else ""
    return {
        "usage": key.usage,
        "owner": key.owner,
        "algorithm": key.public.algorithm,
        "fingerprint": key.public.fingerprint,
        "groups": grouped(key.public.fingerprint),
        "validFrom": key.valid_from,
        "validUntil": key.valid_until or "open",
        "state": state or ("not yet valid" if at < key.valid_from else "retired"),
    }
