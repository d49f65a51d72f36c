"""The result of a verifier run and the receipt that travels back (docs/format.md section 7)."""

import msgspec

from kit.bytes import canonical
from kit.errors import MalformedDocument, UnsupportedVersion
from kit.trust.revocations import Revocation

SCHEMA_VERSION = "1.0"
RESULT_TYPE = "https://stella-ops.org/attestations/replay-result/1"
RECEIPT_TYPE = "https://stella-ops.org/attestations/receipt/1"
MAX_BYTES = 16 << 20

VERIFIED = "VERIFIED"
"""Every check held and a strict replay gave the recorded bytes."""
INTACT = "INTACT"
"""Every check of signatures and bytes held; the scan was not replayed."""
DIFFERS = "DIFFERS"
"""Signatures and bytes hold; the replay gave other outputs."""
WHAT_IF = "WHAT-IF"
"""A what-if replay was made; its outputs are those of no recorded scan."""
REFUSED = "REFUSED"
"""A check failed."""
AUDIT = "--at (audit)"
"""Source of a reference time that the operator chose; it says nothing of the present."""
VERDICTS = (VERIFIED, INTACT, DIFFERS, WHAT_IF, REFUSED)


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the result's records."""


class Check(_Document, frozen=True):
    """One check: passed, failed or not made, with the reason code or the reason why not."""

    number: int
    name: str
    state: str
    reason: str | None = None
    detail: str | None = None
    evidence: dict[str, object] | None = None


class ReferenceTime(_Document, frozen=True):
    """The time that expiry and age were judged by, and where it came from; ``clock`` is what a clock behind it said."""

    time: str
    source: str
    clock: str | None = None


class ScanEntry(_Document, frozen=True):
    """The scan that the run was about, as far as it was read."""

    id: str
    time: str
    subject: str


class KitEntry(_Document, frozen=True):
    """The kit that carried the scan; ``digest`` is that of its KIT.json."""

    id: str
    channel: str
    sequence: int
    created_at: str
    digest: str | None = None


class ActivationEntry(_Document, frozen=True):
    """The activation of a kit at an import: what it took the place of, and why the order of kits was overruled."""

    kit: str
    previous: str | None = None
    reason: str | None = None
    in_place: bool = False


class RootPackEntry(_Document, frozen=True):
    """The RootPack that the run relied on; ``revoked`` is every revocation that the site knew of with it."""

    pinned: str
    root_version: int
    timestamp_version: int
    expires: str
    issued: str | None = None
    snapshot_version: int | None = None
    targets_version: int | None = None
    revoked: tuple[Revocation, ...] = ()


class SignerEntry(_Document, frozen=True):
    """One signer whose signature was counted, and the window in which its key may sign; no end where none is set."""

    document: str
    fingerprint: str
    algorithm: str
    owner: str
    profile: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None


class EngineEntry(_Document, frozen=True):
    """An engine by version and digest."""

    version: str
    digest: str


class OutputEntry(_Document, frozen=True):
    """One output member: recorded and replayed digest."""

    path: str
    equal: bool
    recorded: str | None = None
    replayed: str | None = None


class Result(_Document, frozen=True):
    """What a run found. ``mode`` is ``verify``, ``strict``, ``what-if:<dimension>`` or ``import``.

    ``policy_verdict`` is what the policy says of the replayed findings; ``verdict`` is about the replay. ``activation``
    is there where the run made its kit the active one. ``notes`` is what the reader must know beside the verdict, a
    sentence each.
    """

    schema_version: str
    run_id: str
    mode: str
    verdict: str
    reason: str
    exit_code: int
    sentence: str
    next_step: str
    started_at: str
    finished_at: str
    reference_time: ReferenceTime
    checks: tuple[Check, ...]
    guard: dict[str, object]
    verifier: EngineEntry
    site: str | None = None
    manifest_digest: str | None = None
    scan: ScanEntry | None = None
    kit: KitEntry | None = None
    root_pack: RootPackEntry | None = None
    signers: tuple[SignerEntry, ...] = ()
    engine: EngineEntry | None = None
    inputs: dict[str, object] | None = None
    outputs: tuple[OutputEntry, ...] = ()
    policy_verdict: str | None = None
    causes: dict[str, int] | None = None
    counters: dict[str, int] | None = None
    difference_digest: str | None = None
    journal_digest: str | None = None
    notes: tuple[str, ...] = ()
    activation: ActivationEntry | None = None


class Receipt(_Document, frozen=True):
    """The small signed slip that travels back, on refusal too.

    ``holds`` is the digest of the KIT.json of which this run made the site keep a whole copy; a delta may build on it.
    """

    schema_version: str
    site: str
    run_id: str
    mode: str
    verdict: str
    reason: str
    exit_code: int
    finished_at: str
    result_digest: str
    reference_time: ReferenceTime | None = None
    kit_id: str | None = None
    sequence: int | None = None
    scan_id: str | None = None
    manifest_digest: str | None = None
    previous: str | None = None
    holds: str | None = None


def parse_result(data: bytes) -> Result:
    """Read a result document."""
    result = canonical.decode_record(data, Result, max_bytes=MAX_BYTES)
    _check(result.schema_version, result.verdict)
    return result


def parse_receipt(data: bytes) -> Receipt:
    """Read a receipt document."""
    receipt = canonical.decode_record(data, Receipt, max_bytes=MAX_BYTES)
    _check(receipt.schema_version, receipt.verdict)
    return receipt


def _check(schema_version: str, verdict: str) -> None:
    if schema_version != SCHEMA_VERSION:
        raise UnsupportedVersion(expected=SCHEMA_VERSION, found=schema_version)
    if verdict not in VERDICTS:
        raise MalformedDocument(pointer="/verdict", expected=" | ".join(VERDICTS), found=verdict[:32])
