"""One signed TUF metadata file, read strictly (TUF specification 1.0, section 4; docs/format.md section 4.4).

The records hold what a RootPack is judged by. Members that they do not know are allowed where the specification allows
them: they are part of the signed bytes, and otherwise without meaning. Everything else is refused: duplicate members,
values of another type, members that nobody signed. Key ids are hashes of their keys, thresholds count distinct key
material, and signatures are checked with our own keys, so that a key is admitted by one rule everywhere.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from kit.bytes import canonical, digest
from kit.bytes.canonical import JsonValue
from kit.errors import MalformedDocument, StellaError, TrustRootRefused
from kit.trust import keyring
from kit.trust.keys import ECDSA_P256, ED25519, PublicKey

MAX_BYTES = 1 << 20
ISSUED = "x-issued"

_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_SPECIFICATION = re.compile(r"1(?:\.[0-9]{1,9}){1,2}")
KEY_FORMS = {
    ("ed25519", "ed25519"): ED25519,
    ("ecdsa", "ecdsa-sha2-nistp256"): ECDSA_P256,
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"): ECDSA_P256,
}
"""Algorithms of the keys of roles, by the names that metadata has for them."""

Count = Annotated[int, msgspec.Meta(ge=1)]
Length = Annotated[int, msgspec.Meta(ge=0)]
Hashes = Annotated[dict[str, str], msgspec.Meta(min_length=1)]


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the records: members that they do not know are left alone (section 4.1 of the specification)."""


class Key(_Record, frozen=True, kw_only=True):
    """A public key as metadata writes it."""

    keytype: str
    scheme: str
    keyval: dict[str, str]


class Role(_Record, frozen=True, kw_only=True):
    """Who may sign for a role, by key id, and how many must."""

    keyids: tuple[str, ...]
    threshold: Count


class MetaFile(_Record, frozen=True, kw_only=True):
    """A metadata file as another one names it."""

    version: Count
    length: Length | UnsetType = UNSET
    hashes: Hashes | UnsetType = UNSET


class TargetFile(_Record, frozen=True, kw_only=True):
    """A target as the targets metadata names it."""

    length: Length
    hashes: Hashes


class Signed(_Record, frozen=True, kw_only=True):
    """The signed part of every role: version, and the expiry as it is written and as a time in UTC."""

    type: ClassVar[str]
    version: Count
    spec_version: str
    expires_text: str = msgspec.field(name="expires")

    @property
    def expires(self) -> datetime:
        """Return the first instant at which the metadata is too old."""
        return datetime.fromisoformat(self.expires_text)

    def is_expired(self, at: datetime) -> bool:
        """Tell whether the metadata is too old at an aware time."""
        return at >= self.expires

    def fault(self) -> str | None:
        """Return what the types of the members could not say, if there is anything."""
        if not _SPECIFICATION.fullmatch(self.spec_version):
            return "another version of the specification"
        try:
            keyring.check_time(self.expires_text, "/signed/expires")
        except MalformedDocument:
            return "expires is no time of the form YYYY-MM-DDTHH:MM:SSZ"
        return None


class Root(Signed, frozen=True, kw_only=True):
    """The keys and thresholds of the four roles."""

    type: ClassVar[str] = "root"
    keys: dict[str, Key]
    roles: dict[str, Role]
    consistent_snapshot: bool | UnsetType = UNSET

    def fault(self) -> str | None:
        """Return what is wrong beside the types: roles, key algorithms, a key id that stands twice in a role."""
        if set(self.roles) != {kind.type for kind in KINDS}:
            return "other roles than the four"
        if any(
            (key.keytype, key.scheme) not in KEY_FORMS or set(key.keyval) != {"public"} for key in self.keys.values()
        ):
            return "unknown key algorithm"
        if any(len(set(role.keyids)) != len(role.keyids) for role in self.roles.values()):
            return "a role names a key twice"
        return super().fault()


class Timestamp(Signed, frozen=True, kw_only=True):
    """The current snapshot, and when the builder named it."""

    type: ClassVar[str] = "timestamp"
    meta: dict[str, MetaFile]
    issued: str | UnsetType = msgspec.field(name=ISSUED, default=UNSET)

    @property
    def snapshot_meta(self) -> MetaFile:
        """Return what names the snapshot."""
        return self.meta["snapshot.json"]

    def fault(self) -> str | None:
        """Return what is wrong beside the types: it names anything but the snapshot."""
        return super().fault() if set(self.meta) == {"snapshot.json"} else "names another file than snapshot.json"


class Snapshot(Signed, frozen=True, kw_only=True):
    """The current targets metadata."""

    type: ClassVar[str] = "snapshot"
    meta: dict[str, MetaFile]


class Targets(Signed, frozen=True, kw_only=True):
    """The current targets; delegations are read only so that they can be refused."""

    type: ClassVar[str] = "targets"
    targets: dict[str, TargetFile]
    delegations: dict[str, JsonValue] | UnsetType = UNSET


KINDS: tuple[type[Signed], ...] = (Root, Timestamp, Snapshot, Targets)

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


class _Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    keyid: str
    sig: str


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file; what is not in its signed part nobody signed, so nothing else may be there."""

    signatures: list[_Signature]
    signed: dict[str, Any]


class SignedFile(msgspec.Struct, Generic[S], frozen=True):
    """A metadata file: its record, the bytes that are signed, signatures by key id, and the file's digest."""

    path: str
    signed: S
    message: bytes
    signatures: Mapping[str, bytes]
    digest: str


class RoleKeys(msgspec.Struct, frozen=True):
    """Who may sign for one role: keys by key id, each of different material, and how many must."""

    keys: Mapping[str, PublicKey]
    threshold: int


def read(kind: type[S], data: bytes, path: str) -> SignedFile[S]:
    """Read one metadata file without judging its signatures; :class:`TrustRootRefused` for anything odd in it."""
    try:
        document = canonical.decode_foreign(data, max_bytes=MAX_BYTES, max_depth=canonical.MAX_DEPTH)
        file = canonical.convert(document, _File)
        _check_kind(kind, file.signed.get("_type"), path)
        signed = canonical.convert(file.signed, kind)
        message = canonical_form(file.signed)
    except TrustRootRefused:
        raise
    except StellaError as fault:
        raise TrustRootRefused(path=path, detail=f"{fault.reason}: {fault}") from fault
    if odd := signed.fault():
        raise TrustRootRefused(path=path, detail=odd)
    # A signature that is not hex digits is one more signature that fits nothing.
    signatures = {item.keyid: _hex(item.sig) or b"" for item in file.signatures}
    if len(signatures) != len(file.signatures):
        raise TrustRootRefused(path=path, detail="a key id signs twice")
    return SignedFile(path, signed, message, signatures, digest.of_bytes(data))


def _check_kind(kind: type[S], found: object, path: str) -> None:
    if found != kind.type:
        raise TrustRootRefused(
            path=path, detail="metadata of another role", expected=kind.type, found=ascii(found)[:40]
        )


def role_keys(root: SignedFile[Root], role: str) -> RoleKeys:
    """Return the keys and threshold that a root gives a role, each key admitted and bound to its id."""
    entry = root.signed.roles[role]
    keys = {name: _public_key(root, name) for name in entry.keyids}
    if len({key.fingerprint for key in keys.values()}) != len(keys):
        raise TrustRootRefused(path=root.path, role=role, detail="one key stands under two key ids")
    if entry.threshold > len(keys):
        raise TrustRootRefused(path=root.path, role=role, detail="fewer keys than the threshold")
    return RoleKeys(keys, entry.threshold)


def check_signed(file: SignedFile[S], by: RoleKeys) -> None:
    """Demand that a threshold of distinct keys signed the file; an invalid signature is left out, not fatal."""
    signers = {
        key.fingerprint
        for key_id, key in by.keys.items()
        if key_id in file.signatures and key.verify(file.message, file.signatures[key_id])
    }
    if len(signers) < by.threshold:
        raise TrustRootRefused(
            path=file.path, detail="too few distinct keys signed", expected=by.threshold, found=len(signers)
        )


def check_named(named: MetaFile | TargetFile, data: bytes, path: str, by: str) -> None:
    """Demand that bytes have the length and the SHA-256 digest, both required, that signed metadata gives them."""
    hashes = named.hashes or {}
    expected = "sha256:" + hashes.get("sha256", "")
    if len(data) != named.length or digest.of_bytes(data) != expected or set(hashes) != {"sha256"}:
        raise TrustRootRefused(path=path, detail=f"is not what {by} names", expected=ascii(expected)[1:-1][:71])


def key_id(keytype: str, scheme: str, keyval: Mapping[str, str]) -> str:
    """Return the one id that a key may have: SHA-256 of its canonical form."""
    form = {"keytype": keytype, "scheme": scheme, "keyval": dict(keyval)}
    return digest.hex_of(digest.of_bytes(canonical_form(form)))


def canonical_form(value: object) -> bytes:
    """Return the bytes that signatures of TUF metadata are made over: OLPC canonical JSON, in UTF-8.

    Members ascend by name, there is no white space, and in text only the quotation mark and the backslash are escaped,
    so that control characters stand as they are. :class:`MalformedDocument` for a float or text that is no Unicode.
    """
    pieces: list[str] = []
    _append(value, pieces)
    try:
        return "".join(pieces).encode()
    except UnicodeEncodeError:
        raise MalformedDocument(detail="lone surrogate") from None


def _append(value: object, pieces: list[str]) -> None:
    if type(value) is str:
        pieces.append(_quoted(value))
    elif type(value) is int:
        pieces.append(str(value))
    elif value is None or type(value) is bool:
        pieces.append({None: "null", False: "false", True: "true"}[value])
    elif type(value) is list:
        separator = "["
        for item in value:
            pieces.append(separator)
            _append(item, pieces)
            separator = ","
        pieces.append("]" if value else "[]")
    elif type(value) is dict:
        separator = "{"
        for name in sorted(value):
            pieces.append(f"{separator}{_quoted(name)}:")
            _append(value[name], pieces)
            separator = ","
        pieces.append("}" if value else "{}")
    else:
        raise MalformedDocument(detail=f"canonical JSON has no {type(value).__name__}")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _public_key(root: SignedFile[Root], name: str) -> PublicKey:
    key = root.signed.keys.get(name)
    if key is None:
        raise TrustRootRefused(path=root.path, detail="a role names a key that is not there", found=ascii(name)[:80])
    try:
        known_as, public = _admitted(key.keytype, key.scheme, key.keyval["public"])
    except StellaError as fault:
        raise TrustRootRefused(path=root.path, detail=f"{fault.reason}: {fault}") from fault
    if known_as != name:
        raise TrustRootRefused(path=root.path, detail="a key id is not the hash of its key", found=ascii(name)[:80])
    return public


@lru_cache(maxsize=64)
def _admitted(keytype: str, scheme: str, public: str) -> tuple[str, PublicKey]:
    """Return a key with its id. A chain of roots has the same few keys again and again, and admission is dear."""
    name = key_id(keytype, scheme, {"public": public})
    if keytype == "ed25519":
        return name, PublicKey.from_ed25519(_hex(public) or b"")
    return name, PublicKey.from_pem(public.encode(), KEY_FORMS[keytype, scheme])


def _hex(text: str) -> bytes | None:
    return bytes.fromhex(text) if _HEX.fullmatch(text) else None
