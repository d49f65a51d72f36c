"""The keyring: who may sign what, from when to when, and how many must (docs/format.md section 4.5).

``keyring.json`` is a target of the RootPack. One entry a key and one usage an entry, so that a key means one thing.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from kit.bytes import canonical
from kit.errors import KeyRefused, MalformedDocument, UnsupportedVersion
from kit.trust import profiles
from kit.trust.keys import ALGORITHMS, ECDSA_P256, ED25519, PublicKey

SCHEMA_VERSION = "1.0"
FILE = "keyring.json"
MAX_BYTES = 1 << 20
MAX_KEYS = 1024
USAGES = ("anchor", "kit", "locker", "log", "site", "witness")
REQUIRABLE = ("log",)
"""Usages whose evidence a RootPack can demand of every run; more would be ignored by those who verify."""

_NOTE_ALGORITHMS = (ECDSA_P256, ED25519)
"""What a signed note can name (docs/format.md section 10.1), and so the keys of logs and witnesses."""
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_OWNER = re.compile(r"[ -~]{1,64}")


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the keyring's records."""


class KeyringEntry(_Document, frozen=True, kw_only=True):
    """One key as written: SubjectPublicKeyInfo in base64, and a window that is inclusive at both ends."""

    algorithm: str
    fingerprint: str
    owner: str
    spki: str
    usage: str
    valid_from: str
    valid_until: str | None = None
    profile: str | None = None


class Keyring(_Document, frozen=True, kw_only=True):
    """``keyring.json``: keys ascend by usage and fingerprint; every usage that has keys has a threshold.

    ``required`` are usages whose evidence every run must have; ``profiles``, by usage, the crypto profiles of each of
    which a key must sign.
    """

    schema_version: str
    keys: tuple[KeyringEntry, ...]
    thresholds: dict[str, int]
    required: tuple[str, ...] = ()
    profiles: dict[str, tuple[str, ...]] = {}


class TrustedKey(msgspec.Struct, frozen=True):
    """A key of the keyring that passed admission."""

    public: PublicKey
    usage: str
    owner: str
    valid_from: str
    valid_until: str | None
    profile: str | None = None

    def valid_at(self, time: str) -> bool:
        """Tell whether a UTC time (``YYYY-MM-DDTHH:MM:SSZ``, which sorts as text) lies in the window."""
        return self.valid_from <= time and (self.valid_until is None or time <= self.valid_until)

    @property
    def window(self) -> str:
        """Return the window as people are told of it."""
        return f"from {self.valid_from}" + (f" until {self.valid_until}" if self.valid_until else "")


def describe(
    key: PublicKey,
    *,
    usage: str,
    owner: str,
    valid_from: str,
    valid_until: str | None = None,
    profile: str | None = None,
) -> KeyringEntry:
    """Return the entry that describes a key."""
    return KeyringEntry(
        algorithm=key.algorithm,
        fingerprint=key.fingerprint,
        owner=owner,
        spki=base64.b64encode(key.spki).decode(),
        usage=usage,
        valid_from=valid_from,
        valid_until=valid_until,
        profile=profile,
    )


def make(
    entries: Iterable[KeyringEntry],
    thresholds: Mapping[str, int],
    *,
    required: Iterable[str] = (),
    profiles: Mapping[str, tuple[str, ...]] | None = None,
) -> Keyring:
    """Return a keyring in the order that it is written in, held against the rules of :func:`admit`."""
    keys = tuple(sorted(entries, key=_order))
    keyring = Keyring(
        schema_version=SCHEMA_VERSION,
        keys=keys,
        thresholds=dict(sorted(thresholds.items())),
        required=tuple(sorted(set(required))),
        profiles=dict(sorted((profiles or {}).items())),
    )
    admit(keyring)
    return keyring


def parse(data: bytes) -> tuple[Keyring, tuple[TrustedKey, ...]]:
    """Read ``keyring.json`` and admit its keys; raises what reading and :func:`admit` raise."""
    keyring = canonical.decode_record(data, Keyring, max_bytes=MAX_BYTES)
    return keyring, admit(keyring)


def admit(keyring: Keyring) -> tuple[TrustedKey, ...]:
    """Return the keys of a keyring that keeps its rules; raise the first rule broken.

    Raises :class:`UnsupportedVersion`, :class:`KeyRefused` for a key that is weak or of an unknown algorithm, and
    :class:`MalformedDocument` for every other rule.
    """
    if keyring.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=FILE, expected=SCHEMA_VERSION, found=ascii(keyring.schema_version)[:64])
    if len(keyring.keys) > MAX_KEYS or list(keyring.keys) != sorted(keyring.keys, key=_order):
        raise _malformed("/keys", f"at most {MAX_KEYS} keys, ascending by usage and fingerprint")
    keys = tuple(_admit(key, f"/keys/{at}") for at, key in enumerate(keyring.keys))
    if len({key.public.fingerprint for key in keys}) != len(keys):
        raise _malformed("/keys", "a key has more than one entry")
    for usage, threshold in keyring.thresholds.items():
        if not 1 <= threshold <= sum(key.usage == usage for key in keys):
            raise _malformed(f"/thresholds/{ascii(usage)[1:-1][:16]}", "must lie between 1 and the number of keys")
    if missing := {key.usage for key in keys} - set(keyring.thresholds):
        raise _malformed("/thresholds", f"none is given for {min(missing)}")
    demands = list(keyring.required)
    if demands != sorted(set(demands)) or not set(demands) <= set(REQUIRABLE) & set(keyring.thresholds):
        raise _malformed("/required", f"usages that have keys, ascending, of: {', '.join(REQUIRABLE)}")
    for usage, names in keyring.profiles.items():
        pointer = f"/profiles/{ascii(usage)[1:-1][:16]}"
        _named(names, pointer)
        if set(names) - {key.profile for key in keys if key.usage == usage}:
            raise _malformed(pointer, "no key of the usage has a profile that is demanded")
    return keys


def check_time(time: str, pointer: str) -> str:
    """Return a UTC time written ``YYYY-MM-DDTHH:MM:SSZ``; :class:`MalformedDocument` for anything else."""
    if _TIME.fullmatch(time):
        try:
            datetime.fromisoformat(time)
        except ValueError:
            pass
        else:
            return time
    raise MalformedDocument(pointer=pointer, expected="YYYY-MM-DDTHH:MM:SSZ", found=ascii(time)[:64])


def _admit(entry: KeyringEntry, pointer: str) -> TrustedKey:
    if entry.usage not in USAGES:
        raise _malformed(f"{pointer}/usage", f"must be one of {', '.join(USAGES)}")
    if entry.algorithm not in (_NOTE_ALGORITHMS if entry.usage in ("locker", "log", "witness") else ALGORITHMS):
        raise KeyRefused(
            path=FILE,
            pointer=f"{pointer}/algorithm",
            found=ascii(entry.algorithm)[1:-1][:64],
            detail=f"this program does not verify it for the usage {entry.usage}",
        )
    try:
        key = PublicKey.from_spki(base64.b64decode(entry.spki, validate=True), entry.algorithm)
    except (binascii.Error, ValueError) as fault:
        raise _malformed(f"{pointer}/spki", "must be base64") from fault
    except KeyRefused as fault:
        raise KeyRefused(path=FILE, pointer=f"{pointer}/spki", **fault.details) from fault
    again = base64.b64encode(key.spki).decode()
    if (entry.fingerprint, entry.spki) != (key.fingerprint, again):
        raise _malformed(pointer, "fingerprint and key do not belong together")
    if not _OWNER.fullmatch(entry.owner):
        raise _malformed(f"{pointer}/owner", "must be 1 to 64 printable ASCII characters")
    check_time(entry.valid_from, f"{pointer}/validFrom")
    if entry.valid_until is not None and check_time(entry.valid_until, f"{pointer}/validUntil") < entry.valid_from:
        raise _malformed(f"{pointer}/validUntil", "lies before validFrom")
    if entry.profile is not None:
        _named((entry.profile,), f"{pointer}/profile")
    return TrustedKey(key, entry.usage, entry.owner, entry.valid_from, entry.valid_until, entry.profile)


def _named(names: tuple[str, ...], pointer: str) -> None:
    try:
        profiles.check_names(names, pointer)
    except MalformedDocument as fault:
        raise MalformedDocument(path=FILE, **fault.details) from fault


def _order(entry: KeyringEntry) -> tuple[str, str]:
    return entry.usage, entry.fingerprint


def _malformed(pointer: str, detail: str) -> MalformedDocument:
    return MalformedDocument(path=FILE, pointer=pointer, detail=detail)
