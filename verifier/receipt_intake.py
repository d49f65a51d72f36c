"""Receipts as they come home: envelopes, slips, printed texts, directories of runs; and whose keys they are held to."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import msgspec

from kit import receipt as receipts
from kit import receipt_slip
from kit.errors import (
    EvidenceMissing,
    FileMissing,
    LimitExceeded,
    MalformedDocument,
    StellaError,
    TrustRootRefused,
)
from kit.receipt import Genuine
from kit.receipt_chain import Link
from kit.trust import dsse, rootpack
from kit.trust.keys import MAX_PEM, PublicKey
from verifier import texts
from verifier.evidence import RECEIPT_ENVELOPE, RECEIPT_FILE
from verifier.medium import read_file
from verifier.run_dir import stamp

STANDARD_INPUT = "-"
MAX_TEXT = dsse.MAX_BYTES
MAX_RECEIPTS = 10_000
_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"%PDF", b"GIF8", b"RIFF", b"II*\x00", b"MM\x00*", b"\x00\x00\x00")


_NEXT = {
    "SignatureInvalid": (
        "Do not believe this receipt: somebody changed it, or made it up. Ask the site, and compare the check number "
        "by voice."
    ),
    "SignerUnknown": "Do not believe it before the site's key is enrolled; stella rootpack show lists those that are.",
    "SignerRetired": "The site's key is no longer current; judge an old receipt by the time it came: --at TIME.",
    "SignerRevoked": "Do not believe this receipt: another than the site may hold the key.",
}
_AGAIN = "Ask the site for this receipt again: receipt.dsse.json, receipt.txt, or the code on paper."
_OURS = ("SignerNotYetValid", "TrustExpired", "TrustRootRefused", "FileMissing")


@contextmanager
def about_a_receipt() -> Iterator[None]:
    """Say what to do about a receipt where the error would speak of a kit."""
    try:
        yield
    except StellaError as error:
        if error.next_step == type(error).next_step and error.reason not in _OURS:
            raise error.then(_NEXT.get(error.reason, _AGAIN)) from None
        raise


class Sites(msgspec.Struct, frozen=True):
    """The keys that receipts are held to, and how each site is called."""

    verify: Callable[[bytes, str], dsse.Verified]
    owner: Callable[[PublicKey], str]

    def genuine(self, envelope: bytes, name: str) -> Genuine:
        """Return the receipt of an envelope that one of these sites signed."""
        return receipts.genuine(self.verify(envelope, name), name)

    def called(self, key: PublicKey) -> str:
        """Return how people call a site: its owner's name, else its key's first digits."""
        return self.owner(key) or f"the site with the key {texts.grouped(key.fingerprint, 16)}"


def of_rootpack(directory: Path, moment: datetime) -> Sites:
    """Return the sites of a RootPack that is ours: trusted from its own oldest root on, not expired at the moment.

    Raises the errors of :func:`kit.trust.rootpack.load`.
    """
    pack = pack_of(directory, moment)

    def verify(envelope: bytes, name: str) -> dsse.Verified:
        return pack.verify(envelope, usage="site", at=stamp(moment), payload_types=(dsse.IN_TOTO,), name=name)

    return Sites(verify, pack.owner)


def pack_of(directory: Path, moment: datetime) -> rootpack.TrustedPack:
    """Return a RootPack that is ours; raises the errors of :func:`kit.trust.rootpack.load`."""
    files = rootpack.read_directory(directory)
    versions = rootpack.root_versions(files)
    if not versions:
        raise TrustRootRefused(path=directory.name, detail="there is no root metadata")
    oldest = files[rootpack.root_path(versions[0])]
    return rootpack.load(files, pinned_root=oldest, reference_time=moment)


def of_key(path: Path) -> Sites:
    """Return the one site whose public key is in a file; windows and revocations are not known then."""
    key = PublicKey.from_pem(read_file(path, limit=MAX_PEM))

    def verify(envelope: bytes, name: str) -> dsse.Verified:
        return dsse.verify(envelope, [key], threshold=1, payload_types=(dsse.IN_TOTO,), name=name)

    return Sites(verify, lambda _: "")


def link_of(found: Genuine) -> Link:
    """Return the place of a receipt in its site's chain."""
    return Link(found.digest, found.receipt.previous, found.receipt.finished_at)


def files_at(path: Path) -> Iterator[Path]:
    """Yield the files to read at a place that an operator named: itself, or every signed receipt below a directory."""
    if not path.is_dir():
        yield path
        return
    found = sorted(path.rglob(RECEIPT_ENVELOPE))
    if not found:
        raise FileMissing(path=str(path), detail=f"no {RECEIPT_ENVELOPE} in it or below it").then(
            "Name a run's directory, one above it, or the file that holds the receipt."
        )
    yield from found


def envelopes(data: bytes, name: str) -> list[bytes]:
    """Return the envelopes in a file's bytes: one that is such, or those of the slips in a text."""
    if len(data) > MAX_TEXT:
        raise LimitExceeded(path=name, expected=MAX_TEXT)
    if data.startswith(_PICTURES):
        raise MalformedDocument(path=name, detail="this is a picture or a page").then(
            "Read the code with a phone or a scanner, and give the text that it finds: STELLA1:..."
        )
    if data.lstrip().startswith(b"{"):
        return [_envelope(data, name)]
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise MalformedDocument(path=name, detail="neither a signed receipt nor a text in UTF-8") from fault
    slips = receipt_slip.find(text)
    if not slips:
        raise MalformedDocument(path=name, expected=f"{RECEIPT_ENVELOPE} or {receipt_slip.PREFIX}...").then(
            "Give receipt.dsse.json, receipt.txt, or the text that a phone reads from the code."
        )
    if len(slips) > MAX_RECEIPTS:
        raise LimitExceeded(path=name, detail="slips in one text", expected=MAX_RECEIPTS, found=len(slips))
    try:
        return [receipt_slip.decode(slip) for slip in slips]
    except StellaError as error:
        error.details["path"] = name
        raise


def _envelope(data: bytes, name: str) -> bytes:
    """Return bytes that may be an envelope; those of a receipt without its signature are told apart."""
    if b'"payload"' not in data and b'"resultDigest"' in data:
        raise EvidenceMissing(path=name, detail="this receipt carries no signature").then(
            f"Give {RECEIPT_ENVELOPE}, which lies beside {RECEIPT_FILE} in the run's directory."
        )
    return data
