"""The retention declaration: one promise about one bundle, signed (``ReplayRetention``, draft 2020-12).

``checksum`` is over the canonical JSON of the other members. Persisted, a declaration is the predicate of an in-toto
statement about the bundle, in a DSSE envelope signed by the locker's own key.
"""

import json
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from kit.bytes import canonical, digest
from kit.errors import DigestMismatch, InternalError, MalformedDocument, UnsupportedVersion
from kit.trust import dsse, statement
from kit.trust.keys import PublicKey, Signer
from locker.settings import Policy
from verifier.run_dir import stamp

PREDICATE_TYPE = "https://stella-ops.org/attestations/replay-retention/1"
SCHEMA_FILE = "replay-retention.schema.json"
MAX_BYTES = 64 << 10
_KINDS = {"site-result": ("replay_log", "replay_log")}
_SEALED = ("sealed_bundle", "evidence_bundle")
_ENVELOPE = "retention.dsse.json"


def make(
    policy: Policy, tenant: str, kind: str, *, ingested_at: datetime, now: datetime, held: bool
) -> dict[str, object]:
    """Return the declaration of a bundle of a kind (``input``, ``output``, ``site-result``) under a policy.

    ``held`` says whether a hold touched the bundle when the declaration was made; later holds are rows of their own.
    """
    bundle_type, dataset = _KINDS.get(kind, _SEALED)
    declared: dict[str, object] = {
        "retention_policy_id": policy.policy,
        "tenant_id": tenant,
        "dataset": dataset,
        "bundle_type": bundle_type,
        "retention_days": policy.cold_days,
        "legal_hold": held,
        "purge_after": stamp(ingested_at + timedelta(days=policy.cold_days)),
        "created_at": stamp(now),
    }
    return declared | {"checksum": _checksum(declared)}


def sign(declared: dict[str, object], bundle: str, signer: Signer) -> str:
    """Return the envelope of a declaration about a bundle, ``sha256:<hex>``."""
    payload = statement.make({"bundle": bundle}, PREDICATE_TYPE, declared)
    return dsse.sign(payload, dsse.IN_TOTO, [signer]).decode()


def check(document: object) -> dict[str, Any]:
    """Return a declaration that is valid against the schema, formats included, and whose checksum fits.

    Raises :class:`MalformedDocument` and :class:`DigestMismatch`.
    """
    fault = next(iter(_validator().iter_errors(document)), None)
    if fault is not None:
        pointer = "".join(f"/{part}" for part in fault.absolute_path)
        raise MalformedDocument(path="retention declaration", pointer=pointer, detail=fault.message[:200])
    if not isinstance(document, dict):
        raise InternalError(detail="the schema let pass what is no object")
    rest = {name: value for name, value in document.items() if name != "checksum"}
    given = document["checksum"]
    expected = _checksum(rest, given["algorithm"])["value"]
    if given["value"].lower() != expected:
        raise DigestMismatch(path="retention declaration", expected=expected, found=given["value"])
    return document


def verify(envelope: bytes, bundle: str, key: PublicKey) -> dict[str, Any]:
    """Return the declaration that an envelope has about a bundle; the errors of DSSE and of :func:`check`."""
    signed = dsse.verify(envelope, [key], threshold=1, payload_types=(dsse.IN_TOTO,), name=_ENVELOPE)
    read = statement.parse(signed.payload)
    if read.predicate_type != PREDICATE_TYPE:
        raise UnsupportedVersion(path=_ENVELOPE, expected=PREDICATE_TYPE, found=read.predicate_type[:120])
    if read.subjects != {"bundle": bundle}:
        raise DigestMismatch(path=_ENVELOPE, expected=bundle, found=read.subjects.get("bundle", "no bundle"))
    return check(dict(read.predicate))


def _checksum(rest: dict[str, object], algorithm: str = "sha256") -> dict[str, str]:
    import hashlib

    encoded = canonical.encode(rest)
    if algorithm == "sha256":
        return {"algorithm": algorithm, "value": digest.hex_of(digest.of_bytes(encoded))}
    return {"algorithm": algorithm, "value": hashlib.sha512(encoded).hexdigest()}


@cache
def _validator() -> Any:
    """Return the schema's validator; it knows ``date-time`` only where rfc3339-validator is installed."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    schema = json.loads(Path(__file__).with_name(SCHEMA_FILE).read_bytes())
    checker = Draft202012Validator.FORMAT_CHECKER
    if "date-time" not in checker.checkers:
        raise InternalError(detail="the package rfc3339-validator is missing: dates would go unchecked")
    return Draft202012Validator(schema, format_checker=checker)
