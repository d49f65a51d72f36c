"""A receipt such as sites sign, for tests that need one of any content."""

import msgspec

from kit.bytes import digest
from kit.result import Receipt, ReferenceTime

RECEIPT = Receipt(
    schema_version="1.0",
    site=digest.of_bytes(b"site"),
    run_id="20260601t110000z-4f1c",
    mode="strict",
    verdict="VERIFIED",
    reason="Ok",
    exit_code=0,
    finished_at="2026-06-01T11:00:04Z",
    result_digest=digest.of_bytes(b"result"),
    reference_time=ReferenceTime(time="2026-06-01T11:00:00Z", source="site clock"),
    kit_id="orders-000042-5be1c09a77d2",
    sequence=42,
    scan_id="5e11a000-0000-4000-8000-00000000000a",
    manifest_digest=digest.of_bytes(b"manifest"),
)


def receipt_of(site: str, **changes: object) -> Receipt:
    """Return the receipt of a site, given by the fingerprint of its key."""
    return msgspec.structs.replace(RECEIPT, site=site, **changes)
