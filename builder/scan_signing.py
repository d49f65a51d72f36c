"""More signatures for a recorded scan: a second signer's, or a new key's after the first was put aside.

The record is verified first, and somebody must vouch for it: a key of usage kit that was not stolen, or whoever signs
now, by naming the manifest's digest. What is signed are the bytes that were signed before (docs/trust.md).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from builder import files, signing
from kit import layout
from kit import manifest as manifests
from kit.bundle import BundleReader
from kit.bytes import digest
from kit.errors import (
    DigestMismatch,
    LimitExceeded,
    MalformedDocument,
    SignatureInvalid,
    SignerRevoked,
    SignerUnfit,
    SignerUnknown,
    StellaError,
    UsageError,
)
from kit.ledger.evidence import CONSISTENCY_SUFFIX, INCLUSION_SUFFIX
from kit.manifest import Manifest
from kit.trust import dsse
from kit.trust.dsse import Entry, Opened
from kit.trust.keys import Signer
from kit.trust.rootpack import Standing, TrustedPack
from verifier.medium import read_file

ADDED, KEPT, DROPPED = "added", "kept", "dropped"
COUNTS = "counts"


@dataclass(frozen=True, slots=True)
class Addition:
    """What is to happen to a record's envelope.

    ``copies`` are envelopes that others signed, by the names of their files. ``expected`` is the digest of the manifest
    as whoever signs knows it from elsewhere. ``replace`` leaves out the signatures that do not count now,
    ``drop_proofs`` removes the proofs of our own log that the changed envelope makes void.
    """

    signers: Sequence[Signer]
    copies: Sequence[tuple[str, bytes]] = ()
    expected: str | None = None
    replace: bool = False
    drop_proofs: bool = False


class SignatureView(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One signature: its key, what that counts for now, and what became of it; of an unknown key its claimed id."""

    key: str
    owner: str
    standing: str
    action: str


class Signed(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A record's envelope as it is now, or would be; ``removed`` are proofs beside the record that it makes void."""

    record: str
    manifest: str
    changed: bool
    needed: int
    counting: int
    signatures: tuple[SignatureView, ...]
    removed: tuple[str, ...] = ()


def sign(record: Path, pack: TrustedPack, addition: Addition, *, now: str, dry_run: bool = False) -> Signed:
    """Add signatures to a record's envelope, which has them all or none; doing it again changes nothing.

    Raises :class:`SignerUnfit` for a signer that sites would refuse now; :class:`SignatureInvalid`,
    :class:`DigestMismatch` and the readers' errors for a record that was changed; :class:`SignerUnknown` and
    :class:`SignerRevoked` for one that nobody vouches for; :class:`UsageError` where proofs would become void.
    """
    path = f"{record.name}/{layout.MANIFEST_ENVELOPE}"
    _check_there(record)
    signing.check_each(pack, {f"signer {at}": one.public for at, one in enumerate(addition.signers, 1)}, now)
    with files.locked(record):
        before = read_file(record / layout.MANIFEST_ENVELOPE, limit=dsse.MAX_BYTES)
        standing = pack.standing(signing.USAGE, at=now)
        opened = _opened(before, pack, path)
        raw = _check_whole(record, opened)
        _check_vouched(opened, standing, digest.of_bytes(raw), addition.expected, path)
        found = _collected(opened, pack, standing, addition)
        if len(found.kept) + len(found.fresh) > dsse.MAX_SIGNATURES:
            raise LimitExceeded(path=path, expected=dsse.MAX_SIGNATURES, found=len(found.kept) + len(found.fresh))
        void = _void_proofs(record) if found.changed else []
        if void and not addition.drop_proofs:
            detail = "proves the envelope as it is now, and would be void"
            raise UsageError(path=f"{record.name}/{void[0]}", detail=detail).then(
                "Give --drop-proofs, and attest the record again afterwards: stella attest"
            )
        if found.changed and not dry_run:
            message = dsse.pae(opened.payload_type, opened.payload)
            fresh = [(one.public.fingerprint, one.sign(message)) for one in found.fresh]
            after = dsse.seal(opened.payload, opened.payload_type, [*found.kept, *fresh])
            _remove(record, void)
            files.write_atomic(record / layout.MANIFEST_ENVELOPE, after)
    views = tuple(sorted(found.views, key=lambda view: (view.action, view.key)))
    return Signed(
        record=str(record),
        manifest=digest.of_bytes(raw),
        changed=found.changed,
        needed=pack.threshold(signing.USAGE),
        counting=sum(view.standing == COUNTS and view.action != DROPPED for view in views),
        signatures=views,
        removed=tuple(void),
    )


@dataclass(frozen=True, slots=True)
class _Collected:
    """The next envelope: signatures that are there, each with its key id, who is to sign, and what is told of each."""

    kept: tuple[tuple[str, bytes], ...]
    fresh: tuple[Signer, ...]
    views: tuple[SignatureView, ...]

    @property
    def changed(self) -> bool:
        return any(view.action != KEPT for view in self.views)


def _check_there(record: Path) -> None:
    needed = (layout.MANIFEST_FILE, layout.MANIFEST_ENVELOPE, layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE)
    missing = [name for name in needed if not (record / name).is_file()]
    if missing:
        expected = "a recorded scan's directory, made by stella scan --record"
        raise UsageError(path=str(record), expected=expected, detail=f"{missing[0]} is missing")


def _opened(envelope: bytes, pack: TrustedPack, path: str) -> Opened:
    """Return an envelope of ours; :class:`SignatureInvalid` where a key of the keyring did not make what names it."""
    opened = dsse.open_unjudged(envelope, pack.keys(signing.USAGE, None), name=path)
    if opened.payload_type != dsse.IN_TOTO:
        raise MalformedDocument(path=path, pointer="/payloadType", expected=dsse.IN_TOTO)
    for entry in opened.entries:
        if entry.signer is None and entry.named is not None:
            raise SignatureInvalid(path=path, signer=entry.named.fingerprint).then(
                "Nothing was signed. Find out who changed the record, and record the scan again."
            )
    return opened


def _check_whole(record: Path, opened: Opened) -> bytes:
    """Hold manifest and bundles against what is signed, every member of them; return the manifest's bytes."""
    raw = read_file(record / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES)
    try:
        manifest = manifests.check_statement(opened.payload, raw)
        _check_bundles(record, manifest)
    except StellaError as fault:
        raise fault.then("Nothing was signed. Find out who changed the record, and record the scan again.") from None
    return raw


def _check_bundles(record: Path, manifest: Manifest) -> None:
    for name, described in (
        (layout.INPUT_BUNDLE, manifest.bundles.input),
        (layout.OUTPUT_BUNDLE, manifest.bundles.output),
    ):
        with BundleReader(record / name, described) as reader:
            reader.verify()


def _check_vouched(opened: Opened, standing: Standing, manifest: str, expected: str | None, path: str) -> None:
    """Refuse a record that nobody has answered for: a new signature would be the only ground to believe it."""
    if expected is not None:
        if expected != manifest:
            raise DigestMismatch(path=layout.MANIFEST_FILE, expected=expected, found=manifest).then(
                "Nothing was signed: this is not the scan that you mean."
            )
        return
    makers = {entry.signer for entry in opened.entries if entry.signer is not None}
    if makers - set(standing.compromised):
        return
    following = f"Record the scan again, or, if you know it by other records: --expect {manifest}"
    if makers:
        stolen = min(key.fingerprint for key in makers)
        raise SignerRevoked(path=path, signer=stolen, detail="only stolen keys have signed this record").then(following)
    raise SignerUnknown(path=path, detail="no key of usage kit in the RootPack has signed this record").then(following)


def _collected(opened: Opened, pack: TrustedPack, standing: Standing, addition: Addition) -> _Collected:
    """Return what is kept, dropped and added; one signature a known key, and that which is there stays."""
    by_key: dict[str, tuple[str, bytes]] = {}
    foreign: set[tuple[str, bytes]] = set()
    views: list[SignatureView] = []
    for entry in opened.entries:
        if entry.signer is None:
            keep = bool(entry.value) and not addition.replace
            if keep:
                foreign.add((entry.keyid, entry.value))
            views.append(_view(entry.keyid, "", "unknown", KEPT if keep else DROPPED))
            continue
        name = entry.signer.fingerprint
        counts = entry.signer in standing.current
        keep = name not in by_key and (counts or not addition.replace)
        if keep:
            by_key[name] = name, entry.value
        word = COUNTS if counts else "compromised" if entry.signer in standing.compromised else "retired"
        views.append(_view(name, pack.owner(entry.signer), word, KEPT if keep else DROPPED))
    for entry in _from_copies(opened, pack, standing, addition.copies):
        if entry.signer is not None and (name := entry.signer.fingerprint) not in by_key:
            by_key[name] = name, entry.value
            views.append(_view(name, pack.owner(entry.signer), COUNTS, ADDED))
    fresh = {one.public.fingerprint: one for one in addition.signers if one.public.fingerprint not in by_key}
    views += [_view(name, pack.owner(one.public), COUNTS, ADDED) for name, one in fresh.items()]
    return _Collected(tuple({*foreign, *by_key.values()}), tuple(fresh.values()), tuple(views))


def _from_copies(
    opened: Opened, pack: TrustedPack, standing: Standing, copies: Iterable[tuple[str, bytes]]
) -> list[Entry]:
    """Return the signatures that count, of envelopes over the very same bytes."""
    found: list[Entry] = []
    for name, data in copies:
        copy = _opened(data, pack, name)
        if (copy.payload_type, copy.payload) != (opened.payload_type, opened.payload):
            raise DigestMismatch(
                path=name, expected=digest.of_bytes(opened.payload), found=digest.of_bytes(copy.payload)
            ).then("Nothing was signed: this envelope is of another scan.")
        counting = [entry for entry in copy.entries if entry.signer in standing.current]
        if not counting:
            raise SignerUnfit(path=name, detail="no signature in it counts now")
        found += counting
    return found


def _void_proofs(record: Path) -> list[str]:
    """Return the proofs that bind the envelope's bytes, those of our own log: each after what belongs to it."""
    place = record / layout.EVIDENCE_DIRECTORY
    proofs = [path.name for path in sorted(place.glob(f"*{INCLUSION_SUFFIX}"))]
    pairs = ((name.removesuffix(INCLUSION_SUFFIX) + CONSISTENCY_SUFFIX, name) for name in proofs)
    return [f"{place.name}/{name}" for pair in pairs for name in pair if (place / name).is_file()]


def _remove(record: Path, proofs: Sequence[str]) -> None:
    """Remove proofs before the envelope changes: one without proof can be attested, a proof of another is refused."""
    for name in proofs:
        files.remove(record / name)
    if proofs:
        files.sync_tree(record / layout.EVIDENCE_DIRECTORY, recurse=False)


def _view(key: str, owner: str, standing: str, action: str) -> SignatureView:
    return SignatureView(key=ascii(key)[1:-1][:160] or "no key id", owner=owner, standing=standing, action=action)
