"""A locker's receipt of a scan, checked without the locker (docs/format.md section 7.4)."""

from pathlib import Path

from kit import locker_receipt
from kit.errors import EvidenceMissing, UsageError
from kit.locker_receipt import Proven
from kit.trust.keys import MAX_PEM, PublicKey
from verifier.locker_notes import USAGE, trust_of
from verifier.medium import read_file
from verifier.receipt_intake import pack_of
from verifier.run_dir import stamp
from verifier.session import clock, moment


def check(data: bytes, name: str, *, rootpack: Path | None, key: Path | None, at: str | None) -> Proven:
    """Return what a receipt proves, under the key in a file or those of usage ``locker`` of a RootPack.

    Raises :class:`UsageError` unless one of the two is given, and what :func:`kit.locker_receipt.check` raises.
    """
    if key is not None:
        keys: tuple[PublicKey, ...] = (PublicKey.from_pem(read_file(key, limit=MAX_PEM)),)
    elif rootpack is not None:
        judged = moment(at, clock())
        keys = pack_of(rootpack, judged).standing(USAGE, at=stamp(judged)).current
    else:
        raise UsageError(detail="nothing says which locker is to be believed").then(
            "Give the locker's audit/audit.pub.pem by --key PEM, or a RootPack that has it: --rootpack DIR"
        )
    if not keys:
        raise EvidenceMissing(path=name, detail="the RootPack has no key of usage locker")
    return locker_receipt.check(data, trust_of(keys), path=name)


def as_document(proven: Proven) -> dict[str, object]:
    """Return what was proven as plain values."""
    signed = proven.opened.checkpoint
    return {
        "scan": proven.scan,
        "log": signed.origin,
        "size": signed.size,
        "root": signed.root.hex(),
        "signer": proven.opened.log.public.fingerprint,
        "events": list(proven.events),
    }


def as_text(proven: Proven) -> str:
    """Return what was proven as people read it."""
    signed = proven.opened.checkpoint
    lines = [
        f"scan    {proven.scan}",
        f"locker  {proven.opened.log.public.fingerprint}",
        f"log     {signed.origin}, {signed.size} events",
    ]
    lines += [f"{event['at']}  {event['kind']}" for event in proven.events]
    return "\n".join(lines)
