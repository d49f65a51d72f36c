"""A receipt as its site signed it, and what can be told of it once the signature holds (docs/format.md section 7.1)."""

import msgspec

from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, SignatureInvalid, UnsupportedVersion
from kit.result import Receipt
from kit.trust import dsse, statement
from kit.trust.keys import PublicKey

FILE = "receipt.json"
"""Name of the statement's one subject, and of the file in the run's directory."""
_NUMBER_DIGITS = 8


class Genuine(msgspec.Struct, frozen=True):
    """A receipt that a site's key signed; ``digest`` is that of ``receipt.json``, which the site's next one names."""

    receipt: Receipt
    digest: str
    signer: PublicKey


def signed_payload(receipt: Receipt) -> bytes:
    """Return what a site signs: the statement about a receipt, whose predicate is the receipt itself."""
    found = digest.of_bytes(canonical.encode_record(receipt))
    return statement.make({FILE: found}, results.RECEIPT_TYPE, msgspec.to_builtins(receipt))


def genuine(verified: dsse.Verified, name: str) -> Genuine:
    """Return the receipt that a verified envelope holds.

    Raises the reading errors of docs/format.md section 1.1, :class:`UnsupportedVersion` for a statement of another
    kind, :class:`DigestMismatch` for one about another receipt than it holds, and :class:`SignatureInvalid` for a
    receipt of a site that did not sign it.
    """
    said = statement.parse(verified.payload)
    if said.predicate_type != results.RECEIPT_TYPE:
        raise UnsupportedVersion(path=name, expected=results.RECEIPT_TYPE, found=ascii(said.predicate_type)[1:-1][:120])
    encoded = canonical.encode(dict(said.predicate))
    receipt = results.parse_receipt(encoded)
    found = digest.of_bytes(encoded)
    if dict(said.subjects) != {FILE: found}:
        raise DigestMismatch(path=name, pointer="/subject", expected=said.subjects.get(FILE, "not named"), found=found)
    signer = next((key for key in verified.signers if key.fingerprint == receipt.site), None)
    if signer is None:
        raise SignatureInvalid(path=name, signer=verified.signers[0].fingerprint, detail="it names another site")
    return Genuine(receipt, found, signer)


def check_number(receipt_digest: str) -> str:
    """Return eight decimal digits of a receipt's digest, by which two people compare over the telephone."""
    number = int(digest.hex_of(receipt_digest)[:16], 16) % 10**_NUMBER_DIGITS
    digits = f"{number:0{_NUMBER_DIGITS}d}"
    return f"{digits[:4]} {digits[4:]}"
