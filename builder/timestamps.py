"""Asking authorities for time stamps over the signatures of records and kits (docs/format.md section 4.9).

The answer is verified under the RootPack, as a site will, before it is kept. A builder without a network takes the
request to the authority and the answer back as files.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from builder import files, web
from kit import layout
from kit.bytes import digest
from kit.errors import (
    AuthorityMissing,
    LimitExceeded,
    MalformedDocument,
    NotReadable,
    StellaError,
    TimestampForeign,
    UsageError,
)
from kit.trust import dsse, timestamp, trusted_root
from kit.trust.evidence import MAX_STAMP, MAX_STAMPS, STAMP_SUFFIX, Existence
from kit.trust.keys import PublicKey
from kit.trust.rootpack import TrustedPack
from verifier.medium import read_file

USAGE = "kit"
TIMEOUT = 30
WHOLE_SECONDS = 60
"""How long an authority may be silent, and how long its whole answer may take."""
"""Seconds to wait for an authority."""
QUERY, REPLY = "application/timestamp-query", "application/timestamp-reply"
SKEW = timedelta(hours=24)
MAX_CHAIN = trusted_root.MAX_CERTIFICATES * trusted_root.MAX_CERTIFICATE * 2

_ASK_AGAIN = (
    "Nothing was kept. Ask the authority again: stella timestamp RECORD --query FILE, and give its answer: --reply FILE"
)
_NEXT = {
    "TimestampForeign": (
        "Nothing was kept. Give the answer to this record's own request; if the record was signed anew since, ask "
        "again: stella timestamp RECORD --query FILE"
    ),
    "TimestampUnknown": (
        "Nothing was kept. Ask an authority that the RootPack trusts, or trust this one and ask again: "
        "stella rootpack add-tsa --chain CERTS.pem --uri URL"
    ),
    "TimestampExpired": (
        "Nothing was kept. Trust the authority's present certificates, and ask again: "
        "stella rootpack add-tsa --chain CERTS.pem --uri URL"
    ),
}
"""What to do about an answer, by the reason why it was refused."""

Ask = Callable[[bytes], bytes]
"""What brings a request to an authority and its answer back."""


@dataclass(frozen=True, slots=True)
class Stamped:
    """A stamp that was kept: its file beside the envelope, and what it proves; ``known`` if it was there before."""

    file: str
    proven: Existence
    known: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A record's or a kit's directory, its envelope, and the signatures of it by keys of the RootPack."""

    directory: Path
    envelope: str
    signatures: tuple[tuple[PublicKey, bytes], ...]

    @property
    def evidence(self) -> Path:
        """Return where the stamps lie."""
        return self.directory / layout.EVIDENCE_DIRECTORY


def place(directory: Path, pack: TrustedPack) -> Place:
    """Return what is to be stamped in a recorded scan's or a kit's directory; :class:`UsageError` for anything else."""
    name = layout.KIT_ENVELOPE if (directory / layout.KIT_FILE).is_file() else layout.MANIFEST_ENVELOPE
    if not (directory / name).is_file():
        raise UsageError(path=str(directory), expected="a recorded scan's or a kit's directory")
    if not pack.authorities:
        raise AuthorityMissing
    envelope = read_file(directory / name, limit=dsse.MAX_BYTES)
    _, signatures = dsse.signatures(envelope, pack.keys(USAGE, None), name=name)
    if not signatures:
        raise UsageError(path=str(directory / name), detail="no key of usage kit in the RootPack signed it")
    return Place(directory, name, tuple(signatures))


def stamp(where: Place, pack: TrustedPack, ask: Ask, *, now: datetime) -> list[Stamped]:
    """Ask an authority to stamp each signature, and keep the answers; raises what :func:`keep` raises."""
    return [
        keep(where, pack, ask(timestamp.request(signature, _nonce())), now=now) for _, signature in where.signatures
    ]


def query(where: Place) -> bytes:
    """Return the request for a stamp over the envelope's signature; of several, there is no telling which is meant."""
    if len(where.signatures) != 1:
        detail = f"{where.envelope} has {len(where.signatures)} signatures, and a request names one; use --tsa"
        raise UsageError(option="--query", detail=detail)
    return timestamp.request(where.signatures[0][1], _nonce())


def _nonce() -> int:
    """Return a number that no earlier request had: an answer can only be to the request that has it."""
    return secrets.randbits(64)


def keep(where: Place, pack: TrustedPack, reply: bytes, *, now: datetime) -> Stamped:
    """Keep an authority's answer beside the envelope if it is what sites will accept.

    Raises what :func:`kit.trust.timestamp.verify` raises, :class:`TimestampForeign` for a time that lies ahead of ours,
    and :class:`LimitExceeded` where there are too many stamps already.
    """
    proven = _verified(where, pack, reply)
    if datetime.fromisoformat(proven.time) > now + SKEW:
        raise TimestampForeign(
            path="the answer", found=proven.time, detail="lies ahead of this host's clock; one of both is wrong"
        )
    name = f"{digest.hex_of(proven.signer)[:8]}-{digest.hex_of(proven.by)[:8]}{STAMP_SUFFIX}"
    target = where.evidence / name
    shown = f"{layout.EVIDENCE_DIRECTORY}/{name}"
    if target.exists():
        try:
            before = timestamp.verify(
                read_file(target, limit=MAX_STAMP), where.signatures, pack.authorities, path=shown
            )
        except (TimestampForeign, MalformedDocument):
            pass  # of a record that was signed anew since, or damaged: the new one takes its place
        else:
            return Stamped(shown, before, known=True)
    files.make_directory(where.evidence)
    if len(list(where.evidence.glob(f"*{STAMP_SUFFIX}"))) >= MAX_STAMPS:
        raise LimitExceeded(path=layout.EVIDENCE_DIRECTORY, detail="time stamps", expected=MAX_STAMPS)
    files.write_atomic(target, reply)
    return Stamped(shown, proven)


def _verified(where: Place, pack: TrustedPack, reply: bytes) -> Existence:
    """Return what an answer proves; what is wrong with it is told to whoever asked, not to a site."""
    try:
        return timestamp.verify(reply, where.signatures, pack.authorities, path="the answer")
    except StellaError as fault:
        if fault.next_step != type(fault).next_step:
            raise
        raise fault.then(_NEXT.get(fault.reason, _ASK_AGAIN)) from None


def by_http(url: str) -> Ask:
    """Return what asks an authority by HTTP POST (RFC 3161 section 3.4); raises :class:`NotReadable` when asked."""
    if not url.startswith(("http://", "https://")):
        raise UsageError(option="--tsa", expected="http:// or https://", found=url[:80])

    def ask(request: bytes) -> bytes:
        try:
            return web.within(WHOLE_SECONDS, lambda: once(request))
        except TimeoutError as fault:
            raise _unanswered(url, f"no whole answer in {WHOLE_SECONDS} seconds") from fault

    def once(request: bytes) -> bytes:
        import requests

        headers = {"Content-Type": QUERY, "Accept": REPLY}
        try:
            with requests.post(
                url, data=request, headers=headers, timeout=TIMEOUT, stream=True, allow_redirects=False
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    raise _unanswered(url, f"HTTP status {answer.status_code}")
                kind = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                if kind != REPLY:
                    raise _unanswered(url, f"not a time stamp but {ascii(kind)[:60]}")
                # No more than a stamp may have is read, whatever the length that is promised.
                data = bytearray()
                for part in answer.iter_content(8192):
                    data += part
                    if len(data) > MAX_STAMP:
                        raise LimitExceeded(path=url, expected=MAX_STAMP)
        except requests.RequestException as fault:
            raise _unanswered(url, type(fault).__name__) from fault
        return bytes(data)

    return ask


def read_chain(path: Path) -> list[bytes]:
    """Return the certificates of a PEM file in DER, in its order; :class:`UsageError` for a file that has none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(read_file(path, limit=MAX_CHAIN))
    except ValueError as fault:
        raise UsageError(option="--chain", path=str(path), expected="certificates in PEM") from fault
    return [one.public_bytes(Encoding.DER) for one in found]


def _unanswered(url: str, detail: str) -> NotReadable:
    return NotReadable(path=url, detail=f"the authority did not answer: {detail}").then(
        "Try again, or take the request there by hand: stella timestamp RECORD --query FILE"
    )
