"""The receipt of a scan: its events with their proofs (kit.locker_receipt; docs/locker.md, "Receipts")."""

from kit import locker_receipt
from kit.errors import UsageError
from locker import timeline
from locker.audit_keys import Signed
from locker.store import Locker


def make(locker: Locker, scan: str, signed: Signed) -> bytes:
    """Return the receipt of a scan under a checkpoint; :class:`UsageError` for a scan that was never taken in."""
    with locker.rows.read() as connection:
        told = [one for one in timeline.of_scan(connection, scan) if one.leaf < signed.checkpoint.size]
        if not any(one.event.kind == locker_receipt.INGESTED for one in told):
            raise UsageError(detail="the locker has not taken in this scan", found=scan[:64])
        # The first events tell of the ingest; where there are too many, it is those after them that are left out.
        proofs = [timeline.proof_of(connection, one, signed) for one in told[: locker_receipt.MAX_EVENTS]]
    return locker_receipt.encode(scan, proofs)
