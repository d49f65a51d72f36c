"""Sigstore bundles v0.3 over an envelope, one a signer, for verifiers other than ours (docs/format.md section 4.10).

DSSE signs the pre-authentication encoding, so a bundle holds the very signature of the envelope and nothing that is not
in it. A bundle is derived: it is never read here, but made again and compared byte for byte.
"""

import base64
from collections.abc import Sequence

from kit.bytes import canonical, digest
from kit.trust import dsse
from kit.trust.keys import PublicKey

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
SUFFIX = ".sigstore.json"


def file_name(key: PublicKey) -> str:
    """Return the name of the bundle that holds a key's signature of a manifest."""
    return f"manifest.{digest.hex_of(key.fingerprint)[:8]}{SUFFIX}"


def bundles(envelope: bytes, keys: Sequence[PublicKey], *, name: str) -> dict[str, bytes]:
    """Return by file name the bundle of each of ``keys`` that signed an envelope; of its signatures the first.

    ``name`` is the envelope's file, for errors. Raises the reading errors of docs/format.md section 1.1.
    """
    opened = dsse.open_unjudged(envelope, keys, name=name)
    made: dict[str, bytes] = {}
    for entry in opened.entries:
        if entry.signer is not None:
            made.setdefault(file_name(entry.signer), _bundle(opened, entry.signer, entry.value))
    return made


def _bundle(opened: dsse.Opened, key: PublicKey, signature: bytes) -> bytes:
    """Return one bundle in canonical form; the key id of its signature equals the hint, as the format asks."""
    hint = _base64(bytes.fromhex(digest.hex_of(key.fingerprint)))
    return canonical.encode(
        {
            "dsseEnvelope": {
                "payload": _base64(opened.payload),
                "payloadType": opened.payload_type,
                "signatures": [{"keyid": hint, "sig": _base64(signature)}],
            },
            "mediaType": MEDIA_TYPE,
            "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        }
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
