"""A verified RootPack, and what a signature by each of its keys counts for (docs/format.md sections 4.5 and 4.6)."""

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager

import msgspec
from msgspec.structs import replace

from kit.errors import SignerNotYetValid, SignerRetired
from kit.trust import dsse, keyring, revocations
from kit.trust.evidence import NOTHING, Evidence
from kit.trust.keyring import Keyring, TrustedKey
from kit.trust.keys import PublicKey
from kit.trust.revocations import Revocation
from kit.trust.trusted_root import Authority


class Versions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Versions of the four metadata files; a site keeps the highest that it has accepted, as floors."""

    root: int
    timestamp: int
    snapshot: int
    targets: int

    def without(self, roles: Iterable[str]) -> "Versions":
        """Return these floors with none for some roles."""
        return replace(self, **dict.fromkeys(roles, 0))

    def raised(self, floors: "Versions") -> "Versions":
        """Return the higher of both, one by one."""
        return Versions(
            root=max(self.root, floors.root),
            timestamp=max(self.timestamp, floors.timestamp),
            snapshot=max(self.snapshot, floors.snapshot),
            targets=max(self.targets, floors.targets),
        )


class TrustedPack(msgspec.Struct, frozen=True):
    """A RootPack that follows from the pin, is no older than the floors, and has not expired.

    ``expires`` is the earliest expiry of the four files, ``issued`` the builder's signed time, ``root_fingerprint`` the
    digest of the newest root, ``targets`` the verified bytes of every target by name. ``released`` has, by the version
    of a root, the roles that the keys until then cannot sign for any more. ``authorities`` are those that stamp times.
    """

    keyring: Keyring
    trusted_keys: tuple[TrustedKey, ...]
    versions: Versions
    issued: str | None
    expires: str
    root_fingerprint: str
    targets: Mapping[str, bytes]
    revoked: tuple[Revocation, ...] = ()
    released: Mapping[int, tuple[str, ...]] = msgspec.field(default_factory=dict)
    authorities: tuple[Authority, ...] = ()

    @property
    def root_version(self) -> int:
        """Return the version of the newest root."""
        return self.versions.root

    def floors_after(self, floors: Versions | None) -> Versions:
        """Return the floors of a reader who had some before and accepts this pack.

        The higher of both, one by one; but no floor outlives the keys that could have set it.
        """
        if floors is None:
            return self.versions
        return self.versions.raised(floors.without(self.released.get(floors.root, ())))

    def keys(self, usage: str, at: str | None) -> tuple[PublicKey, ...]:
        """Return the keys of a usage that count at the time ``at``; all of them, revoked ones too, for None."""
        if at is None:
            return tuple(key.public for key in self.trusted_keys if key.usage == usage)
        return self.standing(usage, at=at).current

    def threshold(self, usage: str) -> int:
        """Return how many distinct keys of a usage must sign."""
        return self.keyring.thresholds.get(usage, 1)

    def owner(self, key: PublicKey) -> str:
        """Return who holds a key of the keyring, empty for a key that is not in it."""
        return next((known.owner for known in self.trusted_keys if known.public == key), "")

    def demanded(self, usage: str) -> dict[str, frozenset[str]]:
        """Return the profiles of each of which a key of a usage must sign, each with its keys' fingerprints."""
        return {
            name: frozenset(
                key.public.fingerprint for key in self.trusted_keys if key.usage == usage and key.profile == name
            )
            for name in self.keyring.profiles.get(usage, ())
        }

    def profile(self, key: PublicKey) -> str | None:
        """Return the crypto profile of a key of the keyring, None where it has none."""
        return next((known.profile for known in self.trusted_keys if known.public == key), None)

    def window(self, key: PublicKey) -> tuple[str | None, str | None]:
        """Return when a key of the keyring may begin to sign, and when it must end; None for what is not said."""
        known = next((one for one in self.trusted_keys if one.public == key), None)
        return (known.valid_from, known.valid_until) if known is not None else (None, None)

    def profiles(self, keys: Iterable[PublicKey]) -> tuple[str, ...]:
        """Return the crypto profiles that keys have, ascending, each once."""
        return tuple(sorted({name for key in keys if (name := self.profile(key)) is not None}))

    def under(self, known: Iterable[Revocation]) -> "TrustedPack":
        """Return the pack as it is judged by a reader who knows of further revocations, from a newer one."""
        return replace(self, revoked=revocations.strictest(self.revoked, known))

    def standing(self, usage: str, *, at: str, taken_in: str | None = None, proven: Evidence = NOTHING) -> "Standing":
        """Sort the keys of a usage by what a signature of theirs counts for.

        ``at`` is the reference time, ``taken_in`` when the reader's own records say that it took the signed thing in;
        both are UTC times as texts. A key counts in its window at either; a revoked one by ``taken_in`` or by what is
        ``proven`` of its signature alone.
        """
        for time in (at, taken_in):
            if time is not None:
                keyring.check_time(time, "at")
        by_key = {entry.fingerprint: entry for entry in self.revoked}
        found: dict[str, list[PublicKey]] = {"current": [], "retired": [], "compromised": []}
        remarks: dict[str, str] = {}
        for key in (each for each in self.trusted_keys if each.usage == usage):
            name = key.public.fingerprint
            entry = by_key.get(name)
            counts, remark = _judged(key, entry, at, taken_in, proven)
            if remark:
                remarks[name] = remark
            group = "current" if counts else entry.state if entry is not None else "retired"
            found[group].append(key.public)
        return Standing(tuple(found["current"]), tuple(found["retired"]), tuple(found["compromised"]), remarks)

    def verify(
        self,
        envelope: bytes,
        *,
        usage: str,
        at: str,
        payload_types: Container[str],
        name: str,
        taken_in: str | None = None,
        proven: Evidence = NOTHING,
    ) -> dsse.Verified:
        """Return what the usage's threshold of keys that count signed, a key of each demanded profile among them.

        Raises what :func:`dsse.verify` raises.

        ``at``, ``taken_in`` and ``proven`` are those of :meth:`standing`. Raises :class:`SignerNotYetValid` as well.
        """
        keys = self.standing(usage, at=at, taken_in=taken_in, proven=proven)
        with self._telling_early(at):
            return dsse.verify(
                envelope,
                keys.current,
                threshold=self.threshold(usage),
                payload_types=payload_types,
                name=name,
                retired=keys.retired,
                compromised=keys.compromised,
                profiles=self.demanded(usage),
            )

    @contextmanager
    def _telling_early(self, at: str) -> Iterator[None]:
        """Tell a signer whose window has not begun from one that counts no more: :class:`SignerNotYetValid`."""
        try:
            yield
        except SignerRetired as error:
            signer = error.details.get("signer")
            window = next((key for key in self.trusted_keys if key.public.fingerprint == signer), None)
            revoked = any(entry.fingerprint == signer and entry.since <= at for entry in self.revoked)
            if window is None or window.valid_from <= at or revoked:
                raise
            raise SignerNotYetValid(**error.details, validFrom=window.valid_from, at=at) from None


class Standing(msgspec.Struct, frozen=True):
    """Keys of one usage: those that count, those that do not any more, and those in somebody else's hands.

    ``remarks`` tells, by fingerprint, what is to be said of a key that counts although it is revoked, or outside of its
    window.
    """

    current: tuple[PublicKey, ...]
    retired: tuple[PublicKey, ...]
    compromised: tuple[PublicKey, ...]
    remarks: Mapping[str, str]


def _judged(
    key: TrustedKey, entry: Revocation | None, at: str, taken_in: str | None, proven: Evidence
) -> tuple[bool, str]:
    """Tell whether a key counts, and what is to be said of it."""
    if entry is not None and entry.state == revocations.RETIRED and at < entry.since:
        entry = None
    if entry is None and (key.valid_at(at) or (taken_in is not None and key.valid_at(taken_in))):
        return True, ""
    why = _reason(key, entry, taken_in, proven)
    if why is None:
        return False, ""
    what = f"{entry.state} since {entry.since}" if entry is not None else f"out of its window, {key.window}"
    return True, f"{what}; counts because {why}"


def _reason(key: TrustedKey, entry: Revocation | None, taken_in: str | None, proven: Evidence) -> str | None:
    """Return the evidence by which a key counts that is revoked or not in its window; None where there is none."""
    name = key.public.fingerprint
    if entry is not None and taken_in is not None and entry.allows(taken_in) and key.valid_at(taken_in):
        return f"it was taken in on {taken_in}"
    if entry is not None and entry.state == revocations.COMPROMISED:
        # No time: whoever has the key may have had it for longer than anybody knows. A log's order is no date.
        good = (one for one in proven.positions if one.signer == name and entry.reaches(one.origin, one.index))
        return next((str(one) for one in good), None)
    times = (one for one in proven.times if one.signer == name and key.valid_at(one.time))
    return next((str(one) for one in times if entry is None or one.time < entry.since), None)
