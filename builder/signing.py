"""Whether keys may sign records and kits, asked of the RootPack before any work is done (docs/format.md section 4.5).

A site judges every signature by its own time. What it would refuse for its signer must not be made here.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from builder import signer, trust_view
from kit.errors import (
    EvidenceMissing,
    SignatureInvalid,
    SignerNotYetValid,
    SignerRetired,
    SignerRevoked,
    SignerUnfit,
    SignerUnknown,
    UsageError,
)
from kit.trust import dsse, profiles
from kit.trust.keyring import TrustedKey
from kit.trust.keys import PublicKey, Signer
from kit.trust.rootpack import TrustedPack
from verifier import envelopes
from verifier.envelopes import NONE_BESIDE, Beside, Moments

USAGE = "kit"


def load(keys: Sequence[Path | str], pack_dir: Path, *, at: str, password: bytes | None = None) -> list[Signer]:
    """Return the signers of private keys, each of which may sign kits by a RootPack at a UTC time.

    How many are needed is not asked. ``keys`` are as :func:`builder.signer.load` takes them. Raises
    :class:`SignerUnfit`.
    """
    pack = own_pack(pack_dir)
    signers = {str(key): signer.load(key, password) for key in keys}
    check_each(pack, {name: one.public for name, one in signers.items()}, at)
    return list(signers.values())


def own_pack(pack_dir: Path) -> TrustedPack:
    """Load a RootPack of our own, expired or not; :class:`UsageError` where there is none."""
    try:
        return trust_view.load_own(trust_view.current_files(pack_dir))
    except EvidenceMissing as fault:
        raise UsageError(
            path=str(pack_dir), detail="there is no RootPack; give its directory with --rootpack"
        ) from fault


def check(pack: TrustedPack, keys: Mapping[str, PublicKey], moments: Iterable[str]) -> None:
    """Raise :class:`SignerUnfit` unless all keys, by name, may sign kits at all moments, and are enough of them."""
    for at in moments:
        check_each(pack, keys, at)
        distinct = len({key.fingerprint for key in keys.values()})
        if distinct < (needed := pack.threshold(USAGE)):
            raise SignerUnfit(
                detail=f"{needed} keys must sign, {distinct} given", found=distinct, expected=fit_keys(pack, at)
            )
    given = pack.profiles(keys.values())
    for profile in pack.demanded(USAGE):
        if profile not in given:
            raise SignerUnfit(
                detail="a key of each demanded profile must sign", expected=profile, found=", ".join(given) or "none"
            )


def crypto_profile(pack: TrustedPack, keys: Iterable[PublicKey]) -> str | None:
    """Return what a record has to name as its crypto profile: the signers' and those that the keyring demands."""
    return profiles.joined([*pack.profiles(keys), *pack.demanded(USAGE)])


def check_each(pack: TrustedPack, keys: Mapping[str, PublicKey], at: str) -> None:
    """Raise :class:`SignerUnfit` unless each of the keys, by name, may sign kits at a UTC time."""
    for name, key in keys.items():
        known = next((each for each in pack.trusted_keys if each.public == key), None)
        if (reason := _unfit(pack, known, at)) is not None:
            raise SignerUnfit(path=name, detail=reason, found=key.fingerprint, expected=fit_keys(pack, at))


def check_envelope(
    pack: TrustedPack, envelope: bytes, moments: Sequence[str], *, name: str, files: Beside = NONE_BESIDE
) -> dsse.Verified:
    """Return an envelope's content and signers; :class:`SignerUnfit` if a site would not know them at some moment.

    ``files`` are those that lie beside it, by which a site may believe a key that was retired since.
    """

    def signed(at: str) -> dsse.Verified:
        try:
            return envelopes.verify(envelope, pack, Moments(at), files, name=name).verified
        except (SignerNotYetValid, SignerRetired, SignerRevoked, SignerUnknown, SignatureInvalid) as fault:
            if isinstance(fault, SignatureInvalid) and "signer" in fault.details:
                raise  # a signature that is broken, not one that is missing
            found = fault.details.get("signer") or fault.details.get("found", "")
            needed = pack.threshold(USAGE)
            detail = f"the scan is not signed by {needed} such key{'s' if needed > 1 else ''}"
            raise SignerUnfit(path=name, detail=detail, found=found, expected=fit_keys(pack, at)).then(
                "Add a signature to the record: stella scan sign RECORD --key KEY"
            ) from fault

    return [signed(at) for at in moments][-1]


def fit_keys(pack: TrustedPack, at: str) -> str:
    """Return the keys that may sign kits at a time, as people are told of them."""
    current = pack.standing(USAGE, at=at).current
    fit = [key for key in pack.trusted_keys if key.public in current]
    return ", ".join(f"{key.public.fingerprint} of {key.owner}" for key in fit) or f"no key of usage kit, valid at {at}"


def _unfit(pack: TrustedPack, key: TrustedKey | None, at: str) -> str | None:
    if key is None:
        return "is not in the RootPack's keyring"
    if key.usage != USAGE:
        return f"is a key of usage {key.usage}, not of usage {USAGE}"
    if key.public in pack.standing(USAGE, at=at).current:
        return None
    if (entry := next((one for one in pack.revoked if one.fingerprint == key.public.fingerprint), None)) is not None:
        return f"is revoked: {entry.state} since {entry.since}"
    return f"is valid {key.window}, and not at {at}"
