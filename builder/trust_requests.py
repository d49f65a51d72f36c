"""Turning what a keeper writes on the command line into the changes of a RootPack (docs/format.md section 4.7)."""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from builder import files, signer, trust_draft, trust_view
from builder.trust_draft import Draft, Opened
from kit.bytes import canonical
from kit.errors import UsageError
from kit.trust.keyring import check_time
from kit.trust.keys import RSA, RSA_PKCS1, RSA_PSS, PublicKey
from kit.trust.revocations import LastGood
from kit.trust.rootpack import RootPackFiles, TrustedPack
from verifier.asked import typed

if TYPE_CHECKING:
    # What writes a RootPack is slow to import, and those who only look at one do without.
    from builder.trust_change import Change
    from builder.trust_publish import Office

_HEX = frozenset("0123456789abcdef")


def check_there(rootpack: Path) -> None:
    """Raise :class:`UsageError` for a directory that is no RootPack's."""
    if not (rootpack / "metadata").is_dir():
        found = "a directory without metadata/" if rootpack.is_dir() else "no such directory"
        raise UsageError(option="--rootpack", path=str(rootpack), expected="a RootPack's directory", found=found)


def moment(time: str | None) -> datetime:
    """Return the time that was given for now, else the clock's."""
    with typed("--time"):
        return datetime.now(UTC) if time is None else datetime.fromisoformat(check_time(time, "--time"))


def check_key_name(name: str) -> None:
    """Raise :class:`UsageError` for a name of key files that names a directory as well."""
    if Path(name).name != name or not name:
        raise UsageError(option="--name", expected="a name without a directory", found=name[:80])


def public_key(path: Path, algorithm: str | None) -> PublicKey:
    """Read a public key that is to be trusted; :class:`UsageError` for an RSA key whose padding is not named."""
    key = signer.load_public(path, algorithm)
    if key.algorithm == RSA:
        raise UsageError(
            option="--algorithm", expected=f"{RSA_PSS} or {RSA_PKCS1}", detail="an RSA key does not tell its padding"
        )
    return key


def fingerprint(given: str) -> str:
    """Return the fingerprint that was given, or that of the key in a file."""
    form = given.lower()
    digits = form.removeprefix("sha256:")
    if form.startswith("sha256:") and len(digits) == 64 and set(digits) <= _HEX:
        return form
    return signer.load_public(Path(given)).fingerprint


def rotating(
    old: Sequence[Path], new: Sequence[Path], *, algorithm: str | None, make: bool, overlap: timedelta
) -> "Change":
    """Return the change that puts the keys of public key files in the places of others.

    With ``make`` the new keys whose files are not there are made when it is carried out, each of its old one's
    algorithm unless one is named.
    """
    from builder import trust_change

    olds = [signer.load_public(path) for path in old]
    if len(olds) != len(new):
        raise UsageError(option="--new", expected=f"{len(olds)}, one for each --old", found=len(new))

    def change(found: RootPackFiles, pack: TrustedPack, office: "Office") -> Draft:
        if make:
            for path, replaced in zip(new, olds, strict=True):
                _make_key(path, algorithm or replaced.algorithm, office.password)
        pairs = list(zip(olds, [public_key(path, algorithm) for path in new], strict=True))
        return trust_change.rotating(pairs, overlap=overlap)(found, pack, office)

    return change


def last_good(log: str | None, index: int | None) -> LastGood | None:
    """Return up to where a log's entries count; :class:`UsageError` where only half of it is said."""
    if log is None and index is None:
        return None
    if log is None or index is None:
        raise UsageError(option="--last-good-log", detail="goes together with --last-good-index")
    return LastGood(origin=log, index=index)


def draft(path: Path) -> Draft:
    """Read a draft file; raises the reading errors, and :class:`UsageError` for a file that cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(trust_draft.MAX_BYTES + 1)
    except OSError as fault:
        raise UsageError(path=str(path), detail=fault.strerror or "cannot be read") from fault
    return trust_draft.parse(data)


def opened(path: Path, rootpack: Path) -> Opened:
    """Return a draft file's change, held against the RootPack that it follows."""
    check_there(rootpack)
    return trust_draft.open_on(draft(path), trust_view.current_files(rootpack))


def sign(path: Path, rootpack: Path, keys: Path, password: bytes | None, *, expect: str | None) -> Opened:
    """Add the signatures of all wanted keys at hand to a draft file; return the change as it stands then.

    Raises :class:`DraftNotExpected` for another change than that whose fingerprint was given, and :class:`UsageError`
    where none of the wanted keys is at hand.
    """
    change = opened(path, rootpack)
    if expect is not None:
        trust_draft.check_expected(change, expect)
    signed, signers = trust_draft.sign(change, keys, password)
    if not signers:
        raise UsageError(option="--keys", path=str(keys), detail="none of the keys that are to sign is here")
    files.write_atomic(path, canonical.encode_record(signed))
    return trust_draft.open_on(signed, trust_view.current_files(rootpack))


def _make_key(public_file: Path, algorithm: str, password: bytes | None) -> None:
    """Make the key of a public key file that is not there."""
    if not public_file.name.endswith(signer.PUBLIC_SUFFIX):
        raise UsageError(option="--new", path=public_file.name, expected=f"a name that ends in {signer.PUBLIC_SUFFIX}")
    if not public_file.exists():
        name = public_file.name.removesuffix(signer.PUBLIC_SUFFIX)
        signer.create(public_file.parent, name, algorithm, entropy=os.urandom, password=password)
