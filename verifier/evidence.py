"""What a run leaves behind beside its journal: result, receipt, replay record, metrics, report.

See docs/format.md section 7.
"""

import base64
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from kit import journal, layout, receipt_slip
from kit import receipt as receipts
from kit import result as results
from kit.bytes import canonical, digest
from kit.errors import (
    DigestMismatch,
    FileUndeclared,
    MalformedDocument,
    SignerUnknown,
    StellaError,
    UsageError,
)
from kit.result import Receipt, Result
from kit.trust import dsse, revocations, statement
from kit.trust.keys import PublicKey
from verifier import render, report, site_time
from verifier.facts import Facts
from verifier.medium import read_file
from verifier.run_dir import JOURNAL_FILE, RunDirectory, ends_finished
from verifier.site import Site

if TYPE_CHECKING:
    from scanner.difference import Difference

RESULT_FILE = "result.json"
RESULT_ENVELOPE = "result.dsse.json"
RECEIPT_FILE = "receipt.json"
RECEIPT_ENVELOPE = "receipt.dsse.json"
RECORD_FILE = "record.ndjson"
METRICS_FILE = "metrics.prom"
REPORT_FILE = "report.html"
DIFFERENCE_FILE = "diff.json"
OUTPUTS = "outputs"
VERIFIER = "https://stella-ops.org/verifier/site"
UNKNOWN_SCAN = "unknown"
"""Directory of runs whose manifest's place names no scan."""


def known(facts: Facts, site: Site) -> dict[str, object]:
    """Return the members of a result that the established facts fill."""
    members: dict[str, object] = {"manifest_digest": facts.manifest_digest}
    if facts.manifest is not None:
        scan = facts.manifest.scan
        members["scan"] = results.ScanEntry(id=scan.id, time=scan.time, subject=facts.manifest.subject.name)
        members["inputs"] = msgspec.to_builtins(facts.manifest.inputs)
        recorded = next(tool for tool in facts.manifest.inputs.tools if tool.name == "stella-engine")
        members["engine"] = results.EngineEntry(version=recorded.version, digest=recorded.sha256)
    if facts.kit is not None:
        kit = facts.kit
        members["kit"] = results.KitEntry(
            id=kit.kit_id,
            channel=kit.channel,
            sequence=kit.sequence,
            created_at=kit.created_at,
            digest=facts.kit_digest,
        )
    members["activation"] = facts.activation
    if facts.pack is not None:
        pack = facts.pack
        members["root_pack"] = results.RootPackEntry(
            pinned=digest.of_bytes(site.pinned_root),
            root_version=pack.root_version,
            timestamp_version=pack.versions.timestamp,
            expires=pack.expires,
            issued=pack.issued,
            snapshot_version=pack.versions.snapshot,
            targets_version=pack.versions.targets,
            revoked=pack.revoked,
        )
        members["signers"] = tuple(
            results.SignerEntry(
                document=document,
                fingerprint=key.fingerprint,
                algorithm=key.algorithm,
                owner=pack.owner(key),
                profile=pack.profile(key),
                valid_from=pack.window(key)[0],
                valid_until=pack.window(key)[1],
            )
            for document, key in facts.signers
        )
    return members


def leave(
    directory: RunDirectory,
    site: Site,
    result: Result,
    facts: Facts,
    difference: "Difference | None",
    outputs: Mapping[str, bytes],
) -> None:
    """Write and sign the result, then everything that is made of it; remember the receipt at the site."""
    encoded = canonical.encode_record(result)
    directory.write(RESULT_FILE, encoded)
    subjects = {RESULT_FILE: digest.of_bytes(encoded)}
    if result.manifest_digest:
        subjects[layout.MANIFEST_FILE] = result.manifest_digest
    if facts.manifest is not None:
        record = canonical.encode(replay_record(result, facts)) + b"\n"
        directory.write(RECORD_FILE, record)
        subjects[RECORD_FILE] = digest.of_bytes(record)
    directory.write(RESULT_ENVELOPE, _signed(site, subjects, results.RESULT_TYPE, summary(result)))
    with site.locked():
        receipt = make_receipt(result, digest.of_bytes(encoded), site)
        slip = canonical.encode_record(receipt)
        directory.write(RECEIPT_FILE, slip)
        envelope = _signed(site, {RECEIPT_FILE: digest.of_bytes(slip)}, results.RECEIPT_TYPE, receipt)
        directory.write(RECEIPT_ENVELOPE, envelope)
        site.update(last_receipt=digest.of_bytes(slip), **learned(result, facts, site))
    directory.write("receipt.txt", render.receipt_text(receipt, slip=slip_of(envelope)).encode())
    directory.write(METRICS_FILE, metrics(result, facts).encode())
    tree = msgspec.to_builtins(difference) if difference is not None else None
    lines = (directory.path / JOURNAL_FILE).read_bytes().splitlines()
    page = report.view(encoded, tree, outputs=outputs, journal=lines, receipt=slip)
    directory.write(REPORT_FILE, report.render(page))


def slip_of(envelope: bytes) -> str | None:
    """Return the slip of a receipt's envelope; None for the rare one that says what no slip can."""
    try:
        return receipt_slip.encode(envelope)
    except MalformedDocument:
        return None


def learned(result: Result, facts: Facts, site: Site) -> dict[str, object]:
    """Return what the site learns from a run, accepted or refused: how late it is, and which keys are revoked.

    Bad news counts also where it comes in a kit that is refused for something else: the RootPack is genuine.
    """
    floor = site.state.time_floor
    known = [time for time in (floor.time if floor is not None else None, facts.issued) if time is not None]
    own = site_time.own(result.reference_time, result.run_id, max(known, default=None), site.settings.jump)
    revoked = facts.pack.revoked if facts.pack is not None else ()
    return {
        "time_floor": site_time.raised(floor, *([own] if own is not None else [])),
        "revocations": revocations.strictest(site.state.revocations, revoked),
    }


def summary(result: Result) -> dict[str, object]:
    """Return the result's predicate, in the manner of a SLSA Verification Summary."""
    return {
        "verifier": {"id": VERIFIER, "version": result.verifier.version, "site": result.site or ""},
        "timeVerified": result.finished_at,
        "verificationResult": "PASSED" if result.verdict == results.VERIFIED else "FAILED",
        "verdict": result.verdict,
        "mode": result.mode,
        "reason": result.reason,
    }


def make_receipt(result: Result, result_digest: str, site: Site) -> Receipt:
    """Return the slip for a result, chained to the site's previous one."""
    return Receipt(
        schema_version=results.SCHEMA_VERSION,
        site=site.fingerprint,
        run_id=result.run_id,
        mode=result.mode,
        verdict=result.verdict,
        reason=result.reason,
        exit_code=result.exit_code,
        finished_at=result.finished_at,
        result_digest=result_digest,
        reference_time=result.reference_time,
        kit_id=result.kit.id if result.kit else None,
        sequence=result.kit.sequence if result.kit else None,
        scan_id=result.scan.id if result.scan else None,
        manifest_digest=result.manifest_digest,
        previous=site.state.last_receipt,
        holds=result.activation.kit if result.activation and not result.activation.in_place else None,
    )


def replay_record(result: Result, facts: Facts) -> dict[str, object]:
    """Return the replay record that an Evidence Locker ingests: who replayed what, with which artifacts."""
    manifest = facts.manifest
    if manifest is None:
        return {}
    outputs = manifest.outputs
    return {
        "scanId": manifest.scan.id,
        "tenantId": "default",
        "subjectDigest": manifest.subject.oci_digest or manifest.inputs.sbom.digest,
        "scanKind": "vuln",
        "startedAtUtc": result.started_at,
        "completedAtUtc": result.finished_at,
        "recordedAtUtc": manifest.scan.time,
        "artifacts": [
            {"type": kind, "digest": value, "uri": f"{layout.OUTPUT_BUNDLE}#{layout.OUTPUT_MEMBERS[kind]}"}
            for kind, value in (("sbom", outputs.sbom), ("vex", outputs.vex), ("log", outputs.log))
        ],
        "provenance": {"manifestDigest": result.manifest_digest or "", "verdict": result.verdict},
        "summary": {"policies": len(manifest.inputs.rules), "feeds": len(manifest.inputs.feeds)},
    }


def metrics(result: Result, facts: Facts) -> str:
    """Return the run's figures in the Prometheus text format, for a textfile collector."""
    outcome = result.verdict.lower()
    lines = [
        "# HELP replay_verify_total Runs of the verifier by outcome.",
        "# TYPE replay_verify_total counter",
        f'replay_verify_total{{lane="airgap",arch="{os.uname().machine}",result="{outcome}"}} 1',
    ]
    if facts.manifest is not None:
        bundles = facts.manifest.bundles
        lines += [
            "# HELP replay_bundle_size_bytes Size of a replayed bundle.",
            "# TYPE replay_bundle_size_bytes gauge",
            f'replay_bundle_size_bytes{{type="input"}} {bundles.input.archive_size}',
            f'replay_bundle_size_bytes{{type="output"}} {bundles.output.archive_size}',
        ]
    return "\n".join(lines) + "\n"


def check_run(directory: Path) -> None:
    """Refuse a path that is no run's directory, or that of a run which was cut off (:class:`UsageError`)."""
    if not (directory / JOURNAL_FILE).is_file():
        near = [path.parent for path in sorted(directory.glob(f"*/{JOURNAL_FILE}"))] if directory.is_dir() else []
        hint = f"The latest run here: {near[-1]}" if near else "Give the directory that the run's log line names."
        detail = "this is no run's directory" if directory.is_dir() else "there is no such directory"
        raise UsageError(path=str(directory), detail=detail).then(hint)
    if not (directory / RESULT_FILE).exists():
        raise UsageError(path=str(directory), detail="this run was cut off and has no result").then(
            "Run the same command again, and give that run's directory."
        )
    if not ends_finished(directory / JOURNAL_FILE):
        raise UsageError(
            path=str(directory), detail="this run did not end, so it counts for nothing, whatever its files say"
        ).then("Run the same command again, and give that run's directory.")


def read_run(directory: Path, key: PublicKey | None) -> bytes:
    """Return a run's result; with a key, only when that key signed it.

    Raises the errors of :func:`kit.trust.dsse.verify`, and :class:`DigestMismatch` for a result that is not the signed
    one.
    """
    check_run(directory)
    with _of_a_run():
        result = read_file(directory / RESULT_FILE, limit=results.MAX_BYTES)
        results.parse_result(result)
        if key is not None:
            check_signed(directory, RESULT_FILE, result, key)
    return result


def read_receipt(directory: Path, key: PublicKey | None) -> bytes:
    """Return a run's receipt; with a key, only when that key signed it."""
    check_run(directory)
    with _of_a_run():
        receipt = read_file(directory / RECEIPT_FILE, limit=results.MAX_BYTES)
        results.parse_receipt(receipt)
        if key is not None:
            check_signed(directory, RECEIPT_FILE, receipt, key)
    return receipt


def read_receipt_envelope(directory: Path, receipt: bytes) -> bytes:
    """Return the signed form of a run's receipt; :class:`DigestMismatch` for one that is about another."""
    with _of_a_run():
        envelope = read_file(directory / RECEIPT_ENVELOPE, limit=dsse.MAX_BYTES)
        if base64.b64encode(receipts.signed_payload(results.parse_receipt(receipt))) not in envelope:
            raise DigestMismatch(path=RECEIPT_ENVELOPE, expected=digest.of_bytes(receipt), found="another receipt")
    return envelope


@contextmanager
def _of_a_run() -> Iterator[None]:
    """Say what to do about a run's own file that is not what the run wrote: no medium and no kit has a part in it."""
    try:
        yield
    except SignerUnknown as error:
        raise error.then("Another site's key signed this run: name that site with --site DIR") from None
    except StellaError as error:
        raise error.then(
            "This file is not what the run wrote. Keep the directory, find out who changed it, and run again."
        ) from None


def page(directory: Path, result: bytes, *, is_checked: bool = True) -> bytes:
    """Return the page of a run, made from the documents in its directory that its result names by digest.

    Unless ``is_checked``, the result's signature was not checked, and the page says so in the place of the verdict.
    Raises :class:`DigestMismatch` for a document that is not the named one, :class:`FileUndeclared` for one it does not
    name.
    """
    with _of_a_run():
        parsed = results.parse_result(result)
        receipt = directory / RECEIPT_FILE
        difference = _named(directory / DIFFERENCE_FILE, parsed.difference_digest)
        shown = report.view(
            result,
            as_json(difference) if difference is not None else None,
            outputs=_kept_outputs(directory / OUTPUTS, parsed),
            journal=check_journal(directory, parsed),
            receipt=_receipt_of(receipt, result) if receipt.is_file() else None,
        )
    return report.render(replace(shown, is_checked=is_checked))


def _receipt_of(path: Path, result: bytes) -> bytes:
    """Return the receipt beside a result, if it is about that result."""
    data = read_file(path, limit=results.MAX_BYTES)
    named, found = results.parse_receipt(data).result_digest, digest.of_bytes(result)
    if named != found:
        raise DigestMismatch(path=RECEIPT_FILE, pointer="/resultDigest", expected=found, found=named)
    return data


def check_journal(directory: Path, result: Result) -> list[bytes]:
    """Return a run's journal, whose chain holds and leads to the line that the result names; then ``run-finished``."""
    lines = read_file(directory / JOURNAL_FILE, limit=results.MAX_BYTES).splitlines()
    entries = journal.read(lines)
    if len(lines) < 2 or digest.of_bytes(lines[-2]) != result.journal_digest or entries[-1].event != journal.FINISHED:
        raise DigestMismatch(path=JOURNAL_FILE, expected=result.journal_digest or "none", found="another last line")
    return lines


def _kept_outputs(directory: Path, result: Result) -> dict[str, bytes]:
    digests = {entry.path: entry.replayed for entry in result.outputs}
    kept: dict[str, bytes] = {}
    for path in sorted(directory.rglob("*")) if directory.is_dir() else []:
        if not path.is_dir():
            name = path.relative_to(directory).as_posix()
            data = _named(path, digests.get(name))
            if data is not None:
                kept[name] = data
    return kept


def _named(path: Path, expected: str | None) -> bytes | None:
    """Return the bytes of a file of a run that its result names by digest; None where there is neither."""
    if not path.exists() and not path.is_symlink():
        return None
    if expected is None or path.is_symlink():
        raise FileUndeclared(path=path.name, detail="the result does not name it")
    data = read_file(path, limit=results.MAX_BYTES)
    found = digest.of_bytes(data)
    if found != expected:
        raise DigestMismatch(path=path.name, expected=expected, found=found)
    return data


def as_json(data: bytes) -> dict[str, object]:
    """Return a canonical document of ours as a plain object."""
    value = canonical.decode(data, max_bytes=results.MAX_BYTES)
    if not isinstance(value, dict):
        raise MalformedDocument(expected="an object")
    return dict(value)


SIGNED = {RESULT_FILE: (RESULT_ENVELOPE, results.RESULT_TYPE), RECEIPT_FILE: (RECEIPT_ENVELOPE, results.RECEIPT_TYPE)}
"""The signed files of a run: envelope and predicate type of each."""


def check_signed(directory: Path, name: str, data: bytes, key: PublicKey) -> Mapping[str, str]:
    """Return everything that a key signed together with one of a run's files, by name and digest.

    Raises the errors of :func:`kit.trust.dsse.verify`, and :class:`DigestMismatch` when other bytes were signed.
    """
    envelope_name, predicate_type = SIGNED[name]
    envelope = read_file(directory / envelope_name, limit=dsse.MAX_BYTES)
    verified = dsse.verify(envelope, [key], threshold=1, payload_types=(dsse.IN_TOTO,), name=envelope_name)
    signed = statement.parse(verified.payload)
    found = digest.of_bytes(data)
    if signed.predicate_type != predicate_type or signed.subjects.get(name) != found:
        raise DigestMismatch(path=name, expected=signed.subjects.get(name, "not named"), found=found)
    return signed.subjects


def _signed(site: Site, subjects: dict[str, str], predicate_type: str, predicate: object) -> bytes:
    fields = msgspec.to_builtins(predicate)
    return dsse.sign(statement.make(subjects, predicate_type, fields), dsse.IN_TOTO, [site.signer])
