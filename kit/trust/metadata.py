"""One signed TUF metadata file, read strictly (TUF specification 1.0, section 4; docs/format.md section 4.4).

python-tuf's Metadata API gives the record. Around it stand the rules that it leaves out: duplicate members refused,
what was verified is what is used, key ids are hashes of their keys, thresholds count distinct key material. Signatures
are checked with our own keys, so that a key is admitted by one rule everywhere.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar, cast

from securesystemslib.exceptions import Error as FormError
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import (  # type: ignore[attr-defined]  # python-tuf re-exports them without saying so
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import SerializationError

from kit.bytes import canonical, digest
from kit.errors import StellaError, TrustRootRefused
from kit.trust.keys import PublicKey

__all__ = [
    "MetaFile",
    "Metadata",
    "Role",
    "RoleKeys",
    "Root",
    "Signed",
    "SignedFile",
    "Snapshot",
    "TargetFile",
    "Targets",
    "Timestamp",
    "check_integers",
    "check_named",
    "check_signed",
    "key_id",
    "read",
    "role_keys",
]

MAX_BYTES = 1 << 20

_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_KEY_FORMS = {
    ("ed25519", "ed25519"),
    ("ecdsa", "ecdsa-sha2-nistp256"),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256"),
}

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, slots=True)
class SignedFile(Generic[S]):
    """A metadata file: its record, the bytes that are signed, signatures by key id, and the file's digest."""

    path: str
    signed: S
    message: bytes
    signatures: Mapping[str, bytes]
    digest: str


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Who may sign for one role: keys by key id, each of different material, and how many must."""

    keys: Mapping[str, PublicKey]
    threshold: int


def read(kind: type[S], data: bytes, path: str) -> SignedFile[S]:
    """Read one metadata file without judging its signatures; :class:`TrustRootRefused` for anything odd in it."""
    try:
        document = canonical.decode_foreign(data, max_bytes=MAX_BYTES, max_depth=canonical.MAX_DEPTH)
    except StellaError as fault:
        raise TrustRootRefused(path=path, detail=f"{fault.reason}: {fault}") from fault
    try:
        message = _canonical(cast("dict[str, object]", document)["signed"])
        metadata = Metadata[S].from_dict(cast("dict[str, object]", document))
        again = metadata.signed_bytes
    except (ValueError, KeyError, TypeError, AttributeError, FormError, SerializationError) as fault:
        raise TrustRootRefused(path=path, detail="not TUF metadata") from fault
    if not isinstance(metadata.signed, kind):
        raise TrustRootRefused(
            path=path, detail="metadata of another role", expected=kind.type, found=metadata.signed.type
        )
    if again != message:
        raise TrustRootRefused(path=path, detail="a value or member has no place in this metadata")
    if metadata.unrecognized_fields or any(sig.unrecognized_fields for sig in metadata.signatures.values()):
        raise TrustRootRefused(path=path, detail="there are members that nobody signed")
    check_integers(path, metadata.signed.version)
    # A signature that is not hex digits is one more signature that fits nothing.
    signatures = {name: _hex(sig.signature) or b"" for name, sig in metadata.signatures.items()}
    return SignedFile(path, metadata.signed, message, signatures, digest.of_bytes(data))


def role_keys(root: SignedFile[Root], role: str) -> RoleKeys:
    """Return the keys and threshold that a root gives a role, each key admitted and bound to its id."""
    entry = root.signed.roles[role]
    check_integers(root.path, entry.threshold)
    keys = {key_id: _public_key(root, key_id) for key_id in _texts(root.path, entry.keyids)}
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
    check_integers(by, named.length if named.length is not None else -1)
    expected = "sha256:" + str((named.hashes or {}).get("sha256", ""))
    if len(data) != named.length or digest.of_bytes(data) != expected or set(named.hashes or ()) != {"sha256"}:
        raise TrustRootRefused(path=path, detail=f"is not what {by} names", expected=expected[:71])


def check_integers(path: str, *values: object) -> None:
    """Demand integers from 0 on; python-tuf takes ``true`` for a version."""
    for value in values:
        if type(value) is not int or value < 0:
            raise TrustRootRefused(path=path, detail="a version, length or threshold is not a whole number")


def key_id(keytype: str, scheme: str, keyval: Mapping[str, object]) -> str:
    """Return the one id that a key may have: SHA-256 of its canonical form, as python-tuf makes it."""
    form = {"keytype": keytype, "scheme": scheme, "keyval": dict(keyval)}
    return digest.hex_of(digest.of_bytes(_canonical(form)))


def _public_key(root: SignedFile[Root], name: str) -> PublicKey:
    key = root.signed.keys.get(name)
    if key is None:
        raise TrustRootRefused(path=root.path, detail="a role names a key that is not there", found=ascii(name)[:80])
    if (key.keytype, key.scheme) not in _KEY_FORMS or set(key.keyval) != {"public"}:
        raise TrustRootRefused(path=root.path, detail="unknown key algorithm", found=ascii(key.scheme)[:64])
    if key_id(key.keytype, key.scheme, key.keyval) != name:
        raise TrustRootRefused(path=root.path, detail="a key id is not the hash of its key", found=ascii(name)[:80])
    try:
        if key.keytype == "ed25519":
            return PublicKey.from_ed25519(_hex(key.keyval["public"]) or b"")
        return PublicKey.from_pem(str(key.keyval["public"]).encode())
    except StellaError as fault:
        raise TrustRootRefused(path=root.path, detail=f"{fault.reason}: {fault}") from fault


def _hex(text: object) -> bytes | None:
    return bytes.fromhex(text) if isinstance(text, str) and _HEX.fullmatch(text) else None


def _texts(path: str, values: object) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise TrustRootRefused(path=path, detail="key ids are an array of texts")
    return values


def _canonical(value: object) -> bytes:
    text = encode_canonical(value)  # type: ignore[arg-type]
    return (text or "").encode()
