"""The next version of a RootPack as a file that travels between its keepers (docs/format.md section 4.7).

A draft holds what the keepers of root and targets keys sign: the next root, where it changes, and the next targets with
their contents. Each keeper signs on a machine of their own; whoever holds the online key publishes once the thresholds
are met. A draft is read as strictly as a RootPack, and it fits one publication only: the one that it was made from.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from builder import signer, trust_diff
from builder import trust_view as view
from kit.bytes import canonical, digest
from kit.errors import DraftsDiffer, MalformedDocument, OlderThanAccepted, SignaturesMissing, UnsupportedVersion
from kit.trust import metadata, rootpack, trusted_root
from kit.trust.keys import PublicKey, grouped
from kit.trust.metadata import Root, SignedFile, Targets
from kit.trust.rootpack import RootPackFiles, TrustedPack, Versions

SCHEMA_VERSION = "1.0"
MAX_BYTES = 16 << 20
PATH = "draft"

K = TypeVar("K", Root, Targets)


class Draft(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The file: metadata as text with the signatures so far, and contents of the targets in base64."""

    schema_version: str
    based_on: Versions
    base_digest: str
    targets: str
    contents: dict[str, str]
    root: str | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """Who must sign one file of a draft: a role of a root, and how many of which keys."""

    role: str
    by: str
    keys: metadata.RoleKeys
    file: SignedFile[Root] | SignedFile[Targets]

    @property
    def signed(self) -> tuple[PublicKey, ...]:
        """Return the keys whose signatures are there and fit, each once."""
        found = {
            key.fingerprint: key
            for key_id, key in self.keys.keys.items()
            if key.verify(self.file.message, self.file.signatures.get(key_id, b""))
        }
        return tuple(key for _, key in sorted(found.items()))

    @property
    def is_met(self) -> bool:
        """Tell whether a threshold of distinct keys signed."""
        return len(self.signed) >= self.keys.threshold


@dataclass(frozen=True, slots=True)
class Opened:
    """A draft that fits its RootPack: parsed files, contents, and the newest root once it is published."""

    draft: Draft
    pack: TrustedPack
    root: SignedFile[Root]
    next_root: SignedFile[Root] | None
    targets: SignedFile[Targets]
    contents: Mapping[str, bytes]

    @property
    def fingerprint(self) -> str:
        """Return what two keepers compare: the digest of all that is signed, whoever has signed it so far."""
        parts = [self.targets.message] if self.next_root is None else [self.next_root.message, self.targets.message]
        return digest.of_bytes("".join(digest.of_bytes(part) for part in parts).encode())

    @property
    def newest(self) -> SignedFile[Root]:
        """Return the root in force after publication."""
        return self.next_root or self.root

    @property
    def demands(self) -> tuple[Demand, ...]:
        """Return who must sign: the next root by the keepers of both roots, the targets by those of the newest."""
        targets = Demand(
            Targets.type, f"root {self.newest.signed.version}", self._keys(self.newest, Targets), self.targets
        )
        if self.next_root is None:
            return (targets,)
        roots = (self.root, self.next_root)
        return (
            *(Demand(Root.type, f"root {by.signed.version}", self._keys(by, Root), self.next_root) for by in roots),
            targets,
        )

    @staticmethod
    def _keys(root: SignedFile[Root], kind: type[Root] | type[Targets]) -> metadata.RoleKeys:
        return metadata.role_keys(root, kind.type)


def make(
    found: RootPackFiles,
    *,
    targets: bytes,
    contents: Mapping[str, bytes],
    root: bytes | None,
) -> Draft:
    """Return the draft of unsigned or signed metadata files that follow a publication."""
    return Draft(
        schema_version=SCHEMA_VERSION,
        based_on=rootpack.declared_versions(found),
        base_digest=digest.of_bytes(found[rootpack.TIMESTAMP]),
        root=root.decode() if root is not None else None,
        targets=targets.decode(),
        contents={name: base64.b64encode(data).decode() for name, data in sorted(contents.items())},
    )


def parse(data: bytes) -> Draft:
    """Read a draft file; raises the reading errors of docs/format.md section 1.1."""
    draft = canonical.decode_record(data, Draft, max_bytes=MAX_BYTES)
    if draft.schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=PATH, expected=SCHEMA_VERSION, found=ascii(draft.schema_version)[:64])
    return draft


def open_on(draft: Draft, found: RootPackFiles) -> Opened:
    """Hold a draft against the RootPack that it is to follow; its signatures are not counted yet.

    Raises :class:`OlderThanAccepted` for a draft that was made from another publication, and
    :class:`kit.errors.TrustRootRefused` for whatever a site would refuse in its files.
    """
    pack = view.load_own(found)
    now_there = rootpack.declared_versions(found)
    if draft.based_on != now_there or draft.base_digest != digest.of_bytes(found[rootpack.TIMESTAMP]):
        raise OlderThanAccepted(
            path=PATH,
            expected=f"made from timestamp {now_there.timestamp}",
            found=f"made from timestamp {draft.based_on.timestamp}",
            detail="the draft follows another publication than the one that is here",
        ).then("Propose the change again from the current RootPack; nothing was signed or published.")
    root = view.read(Root, found, rootpack.root_path(now_there.root))
    next_root = None
    if draft.root is not None:
        path = rootpack.root_path(now_there.root + 1)
        next_root = rootpack.well_formed_root(draft.root.encode(), path)
        _check_version(next_root, now_there.root + 1)
        metadata.role_keys(next_root, Root.type)
    path = f"metadata/{now_there.targets + 1}.targets.json"
    targets = metadata.read(Targets, draft.targets.encode(), path)
    _check_version(targets, now_there.targets + 1)
    contents = {name: _contents(draft, name) for name in sorted(draft.contents)}
    rootpack.check_contents(targets, contents)
    _check_authorities(contents)
    return Opened(draft, pack, root, next_root, targets, contents)


def _check_authorities(contents: Mapping[str, bytes]) -> None:
    """Look into the certificates, which a site does where it meets a time stamp: a keeper must not sign them unseen."""
    if trusted_root.FILE in contents:
        from kit.trust import certificates

        for authority in trusted_root.parse(contents[trusted_root.FILE]):
            certificates.check(authority)


def sign(opened: Opened, keys_dir: Path, password: bytes | None) -> tuple[Draft, tuple[PublicKey, ...]]:
    """Return the draft with a signature by every wanted key in a directory, and those keys."""
    wanted = {key.fingerprint for demand in opened.demands for key in demand.keys.keys.values()}
    signers = signer.find(keys_dir, wanted, password)
    files: dict[str, str] = {}
    for demand in opened.demands:
        path = demand.file.path
        text = files.get(path) or _text(opened.draft, demand.role)
        signatures = {
            key_id: one.sign(demand.file.message)
            for key_id, key in demand.keys.keys.items()
            for one in signers
            if one.public == key
        }
        files[path] = add_signatures(text, signatures)
    signed = _with_files(opened, files)
    return signed, tuple(sorted((one.public for one in signers), key=lambda key: key.fingerprint))


def merge(drafts: Sequence[Draft], found: RootPackFiles) -> Opened:
    """Return one draft with the good signatures of several copies; :class:`DraftsDiffer` unless they say the same."""
    opened = [open_on(draft, found) for draft in drafts]
    first = opened[0]
    for other in opened[1:]:
        if other.fingerprint != first.fingerprint:
            raise DraftsDiffer(path=PATH, expected=first.fingerprint, found=other.fingerprint)
    files: dict[str, str] = {}
    for at, demand in enumerate(first.demands):
        path = demand.file.path
        good: dict[str, bytes] = {}
        for one in opened:
            copy = one.demands[at]
            names = {key.fingerprint for key in copy.signed}
            good |= {
                key_id: copy.file.signatures[key_id]
                for key_id, key in copy.keys.keys.items()
                if key.fingerprint in names
            }
        text = files.get(path) or add_signatures(_text(first.draft, demand.role), {}, keep=False)
        files[path] = add_signatures(text, good)
    return open_on(_with_files(first, files), found)


def check_signed(opened: Opened) -> None:
    """Raise :class:`SignaturesMissing` for the first role of which too few distinct keys signed."""
    for demand in opened.demands:
        if not demand.is_met:
            missing = sorted({key.fingerprint for key in demand.keys.keys.values()} - _names(demand.signed))
            raise SignaturesMissing(
                role=f"{demand.role} of {demand.by}",
                expected=demand.keys.threshold,
                found=len(demand.signed),
                missing=", ".join(missing),
            )


def add_signatures(text: str, signatures: Mapping[str, bytes], *, keep: bool = True) -> str:
    """Return a metadata file with more signatures, by key id; with ``keep`` false those that are there are left out."""
    document = canonical.decode_foreign(text.encode(), max_bytes=metadata.MAX_BYTES, max_depth=canonical.MAX_DEPTH)
    if not isinstance(document, dict) or not isinstance(document.get("signatures"), list):
        raise MalformedDocument(path=PATH, pointer="/signatures")
    entries: list[object] = document["signatures"] if keep else []  # type: ignore[assignment]  # checked above
    there = {str(entry["keyid"]): entry for entry in entries if isinstance(entry, dict) and "keyid" in entry}
    for key_id, signature in signatures.items():
        there[key_id] = {"keyid": key_id, "sig": signature.hex()}
    signed = {"signatures": [entry for _, entry in sorted(there.items())], "signed": document["signed"]}
    return canonical.encode(signed).decode()


def _with_files(opened: Opened, files: Mapping[str, str]) -> Draft:
    root = files[opened.next_root.path] if opened.next_root is not None else None
    return msgspec.structs.replace(opened.draft, root=root, targets=files[opened.targets.path])


def _text(draft: Draft, role: str) -> str:
    return draft.targets if role == Targets.type or draft.root is None else draft.root


def _contents(draft: Draft, name: str) -> bytes:
    try:
        return base64.b64decode(draft.contents[name], validate=True)
    except (binascii.Error, ValueError) as fault:
        raise MalformedDocument(path=PATH, pointer="/contents", detail="must be base64") from fault


def _check_version(file: SignedFile[K], expected: int) -> None:
    if file.signed.version != expected:
        raise OlderThanAccepted(path=file.path, expected=expected, found=file.signed.version)


def _names(keys: Iterable[PublicKey]) -> set[str]:
    return {key.fingerprint for key in keys}


def describe(opened: Opened, now: datetime) -> view.DraftView:
    """Return a draft as its keepers see it: what it really changes, who must sign, and what has expired meanwhile."""
    files: list[SignedFile[Root] | SignedFile[Targets]] = [opened.newest, opened.targets]
    notes = [f"{file.path} expired {file.signed.expires_text}" for file in files if file.signed.is_expired(now)]
    return view.DraftView(
        schema_version="1.0",
        fingerprint=f"SHA256:{digest.hex_of(opened.fingerprint)}",
        grouped=grouped(opened.fingerprint),
        changes=trust_diff.changes(opened.pack, opened.root, opened.next_root, opened.targets, opened.contents),
        demands=tuple(
            view.DemandView(
                role=demand.role,
                by=demand.by,
                threshold=demand.keys.threshold,
                keys=tuple(sorted(_names(demand.keys.keys.values()))),
                signed=tuple(sorted(_names(demand.signed))),
            )
            for demand in opened.demands
        ),
        notes=tuple(notes),
    )
