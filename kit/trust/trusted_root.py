"""Time-stamping authorities as ``trusted_root.json`` names them: Sigstore's TrustedRoot v0.1 (docs/format.md 4.9).

Only ``mediaType`` and ``timestampAuthorities`` are interpreted; other members are kept as they are, for other tools.
The certificates are looked into by :mod:`kit.trust.certificates`.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from kit.bytes import canonical
from kit.errors import MalformedDocument

FILE = "trusted_root.json"
MEDIA_TYPE = "application/vnd.dev.sigstore.trustedroot+json;version=0.1"
MAX_BYTES = 1 << 20
MAX_AUTHORITIES = 32
MAX_CERTIFICATES = 8
MAX_CERTIFICATE = 16 << 10

AUTHORITIES = "timestampAuthorities"
_EMPTY = ("tlogs", "certificateAuthorities", "ctlogs")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z", re.ASCII)


class Authority(msgspec.Struct, frozen=True):
    """A time-stamping authority: certificates in DER, its own first and the root last, and an inclusive window."""

    uri: str
    chain: tuple[bytes, ...]
    valid_from: datetime
    valid_until: datetime | None = None


def parse(data: bytes) -> tuple[Authority, ...]:
    """Read the authorities of a ``trusted_root.json``, in its order.

    Raises :class:`MalformedDocument` for what they may not be, and the reading errors of docs/format.md section 1.1.
    """
    found = _document(data).get(AUTHORITIES, [])
    if not isinstance(found, list) or len(found) > MAX_AUTHORITIES:
        raise _malformed(f"/{AUTHORITIES}", f"must be an array of at most {MAX_AUTHORITIES}")
    return tuple(_authority(entry, f"/{AUTHORITIES}/{at}") for at, entry in enumerate(found))


def add(data: bytes | None, authority: Authority, *, subject: dict[str, str]) -> bytes:
    """Return a ``trusted_root.json``, a new one for None, with one more authority, in canonical form.

    ``subject`` has the authority's ``commonName`` and ``organization``, as far as its certificate names them.
    """
    document = _document(data) if data is not None else {"mediaType": MEDIA_TYPE, **{name: [] for name in _EMPTY}}
    window = {"start": _text(authority.valid_from)}
    if authority.valid_until is not None:
        window["end"] = _text(authority.valid_until)
    certificates = [{"rawBytes": base64.b64encode(one).decode()} for one in authority.chain]
    entry = {
        "certChain": {"certificates": certificates},
        "subject": subject,
        "uri": authority.uri,
        "validFor": window,
    }
    known = document.get(AUTHORITIES, [])
    encoded = canonical.encode({**document, AUTHORITIES: [*(known if isinstance(known, list) else []), entry]})
    parse(encoded)
    return encoded


def _document(data: bytes) -> Mapping[str, object]:
    document = canonical.decode_foreign(data, max_bytes=MAX_BYTES, max_depth=canonical.MAX_DEPTH)
    if not isinstance(document, dict) or document.get("mediaType") != MEDIA_TYPE:
        raise _malformed("/mediaType", f"must be {MEDIA_TYPE}")
    return document


def _authority(entry: object, pointer: str) -> Authority:
    if not isinstance(entry, dict) or not {"subject", "uri", "certChain", "validFor"} >= set(entry):
        raise _malformed(pointer, "must have certChain and validFor, and may have subject and uri")
    uri = entry.get("uri", "")
    if not isinstance(uri, str) or len(uri) > 256 or not (uri.isascii() and uri.isprintable()):
        raise _malformed(f"{pointer}/uri", "must be at most 256 printable ASCII characters")
    window = entry.get("validFor")
    if not isinstance(window, dict) or not {"start", "end"} >= set(window):
        raise _malformed(f"{pointer}/validFor", "must have start, and may have end")
    start = _time(window.get("start"), f"{pointer}/validFor/start")
    end = _time(window["end"], f"{pointer}/validFor/end") if "end" in window else None
    if end is not None and end < start:
        raise _malformed(f"{pointer}/validFor", "ends before it starts")
    return Authority(uri, tuple(_chain(entry.get("certChain"), f"{pointer}/certChain")), start, end)


def _chain(found: object, pointer: str) -> Iterator[bytes]:
    certificates = found.get("certificates") if isinstance(found, dict) else None
    if not isinstance(certificates, list) or not 1 <= len(certificates) <= MAX_CERTIFICATES:
        raise _malformed(pointer, f"must have 1 to {MAX_CERTIFICATES} certificates")
    for at, certificate in enumerate(certificates):
        raw = certificate.get("rawBytes") if isinstance(certificate, dict) and len(certificate) == 1 else None
        try:
            data = base64.b64decode(raw, validate=True) if isinstance(raw, str) else b""
        except (binascii.Error, ValueError):
            data = b""
        if not 0 < len(data) <= MAX_CERTIFICATE or base64.b64encode(data).decode() != raw:
            raise _malformed(f"{pointer}/certificates/{at}", f"must be base64 of at most {MAX_CERTIFICATE} bytes")
        yield data


def _time(text: object, pointer: str) -> datetime:
    """Return a time of Protocol Buffers' JSON; digits beyond a microsecond are left out."""
    if isinstance(text, str) and _TIME.fullmatch(text):
        whole, _, fraction = text[:-1].partition(".")
        try:
            return datetime.fromisoformat(f"{whole}.{fraction[:6]:0<6}+00:00")
        except ValueError:
            pass
    raise _malformed(pointer, "must be a UTC time, YYYY-MM-DDTHH:MM:SSZ")


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _malformed(pointer: str, detail: str) -> MalformedDocument:
    return MalformedDocument(path=FILE, pointer=pointer, detail=detail)
