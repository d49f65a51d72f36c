"""The auditor's page: one run as one HTML file without scripts or references to anything outside itself.

Every check is shown, made or not. Whatever the result does not hold is shown as absent, so that the page of a refused
run has the same shape as one of a verified run. The same run gives the same bytes.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kit import layout
from kit.bytes import canonical, digest
from kit.errors import MalformedDocument
from verifier import texts
from verifier.report_difference import DifferenceView, difference_view
from verifier.report_findings import MOST_BESIDE_DIFFERENCES, MOST_FINDINGS, FindingsView, findings_view
from verifier.report_rows import (
    CheckRow,
    Entry,
    Fact,
    InputRow,
    JournalRow,
    JsonObject,
    check_rows,
    fact,
    guard_rows,
    input_rows,
    joined,
    journal_rows,
    rows_of,
    section,
    text_of,
)

TONES = {"VERIFIED": "good", "INTACT": "calm", "DIFFERS": "warn", "WHAT-IF": "calm", "REFUSED": "bad"}
_MODES = {"strict": "strict replay", "verify": "verification without replay"}


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run as its documents tell it, each as decoded JSON; whatever a run did not leave behind is None or empty.

    ``result_digest`` is the digest of the bytes of ``result.json``; ``findings`` and ``verdict`` are the replayed ones.
    Unless ``is_checked``, nobody knows who wrote them: the page then says so in the place of the verdict.
    """

    result: JsonObject
    result_digest: str
    difference: JsonObject | None = None
    findings: JsonObject | None = None
    verdict: JsonObject | None = None
    journal: Sequence[JsonObject] = ()
    receipt: JsonObject | None = None
    is_checked: bool = True


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the template shows, in the order in which it shows it."""

    tone: str
    verdict: str
    mode: str
    reason: str
    exit_code: str
    sentence: str
    next_step: str
    run_place: str
    policy: str
    tallies: tuple[Fact, ...]
    about: tuple[Fact, ...]
    checks: tuple[CheckRow, ...]
    signers: tuple[Entry, ...]
    trust: tuple[Fact, ...]
    guard: tuple[Entry, ...]
    inputs: tuple[InputRow, ...]
    outputs: tuple[Entry, ...]
    findings: FindingsView | None
    difference: DifferenceView | None
    receipt: tuple[Fact, ...]
    journal: tuple[JournalRow, ...]
    result_digest: str
    verifier: str


def view(
    result: bytes,
    difference: JsonObject | None = None,
    *,
    outputs: Mapping[str, bytes] | None = None,
    journal: Iterable[bytes] = (),
    receipt: bytes | None = None,
) -> RunView:
    """Return the view of a run from its documents.

    ``result`` and ``receipt`` are the bytes of their files, ``outputs`` the replayed members by path, ``journal`` lines
    without their line feed. Raises the errors of :func:`kit.bytes.canonical.decode`.
    """
    members = outputs or {}
    return RunView(
        result=_document(result),
        result_digest=digest.of_bytes(result),
        difference=difference,
        findings=_member(members, layout.OUTPUT_MEMBERS["findings"]),
        verdict=_member(members, layout.OUTPUT_MEMBERS["verdict"]),
        journal=tuple(_document(line) for line in journal),
        receipt=_document(receipt) if receipt is not None else None,
    )


def render(run: RunView) -> bytes:
    """Return the page of a run: ASCII bytes of one HTML file."""
    style = texts.render("report.css.j2").strip()
    style_digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    page = texts.render("report.html.j2", page=page_of(run), style=texts.trusted(style), style_digest=style_digest)
    return page.encode("ascii", "xmlcharrefreplace")


def page_of(run: RunView) -> Page:
    """Return what the page of a run shows."""
    result = run.result
    verdict = text_of(result, "verdict") or "REFUSED"
    checks = check_rows(result)
    outputs = _outputs(result)
    tree = difference_view(run.difference)
    most = MOST_FINDINGS if tree is None or tree.is_equal else MOST_BESIDE_DIFFERENCES
    findings = findings_view(run.findings, run.verdict, most)
    verifier = section(result, "verifier")
    run_place = "/".join(
        ("...", text_of(section(result, "scan"), "id") or "unknown", text_of(result, "runId") or "RUN")
    )
    return Page(
        tone=TONES.get(verdict, "bad") if run.is_checked else "bad",
        verdict=verdict if run.is_checked else texts.NOT_CHECKED,
        mode=_mode(text_of(result, "mode")),
        reason=text_of(result, "reason") or "none given",
        exit_code=text_of(result, "exitCode") or "none given",
        sentence=(text_of(result, "sentence") or "") if run.is_checked else texts.not_checked(verdict),
        next_step=_with_places(text_of(result, "nextStep") or "", run_place) if run.is_checked else texts.CHECK_IT,
        run_place=run_place,
        policy=text_of(result, "policyVerdict") or (findings.verdict if findings is not None else ""),
        tallies=_tallies(checks, outputs, findings),
        about=_about(result),
        checks=checks,
        signers=_signers(result),
        trust=_trust(result),
        guard=guard_rows(section(result, "guard")),
        inputs=input_rows(section(result, "inputs")),
        outputs=outputs,
        findings=findings,
        difference=tree,
        receipt=_receipt(run),
        journal=journal_rows(run.journal),
        result_digest=_bare(run.result_digest),
        verifier=" ".join(part for part in ("stella", text_of(verifier, "version")) if part),
    )


def _with_places(next_step: str, run_place: str) -> str:
    """Fill in the places that a signed result does not name, as far as the result tells them."""
    return next_step.replace("RUN_DIR", run_place).replace("MANIFEST", "the scan's manifest.json in the kit")


def _document(data: bytes) -> JsonObject:
    value = canonical.decode(data)
    if not isinstance(value, dict):
        raise MalformedDocument(pointer="", expected="an object", found=type(value).__name__)
    return value


def _member(members: Mapping[str, bytes], path: str) -> JsonObject | None:
    return _document(members[path]) if path in members else None


def _mode(mode: str | None) -> str:
    name, _, dimension = (mode or "").partition(":")
    if name == "what-if":
        return f"what-if replay, {dimension or 'nothing'} varied"
    return _MODES.get(name, name or "mode not recorded")


def _tallies(checks: Sequence[CheckRow], outputs: Sequence[Entry], findings: FindingsView | None) -> tuple[Fact, ...]:
    """Return the few numbers that sum the page up."""
    made = [sum(row.state == state for row in checks) for state in ("passed", "failed", "not-made")]
    tallies = [
        Fact("checks passed", str(made[0])),
        Fact("failed", str(made[1]), tone="bad" if made[1] else ""),
        Fact("not made", str(made[2]), tone="dim"),
    ]
    if outputs:
        equal = sum(row.state == "equal" for row in outputs)
        tallies.append(
            Fact("outputs equal", f"{equal} of {len(outputs)}", tone="" if equal == len(outputs) else "warn")
        )
    if findings is not None:
        tallies.append(Fact("findings", str(findings.total)))
        tallies.append(Fact("not evaluated", str(findings.not_evaluated_total), tone="dim"))
    return tuple(tallies)


def _about(result: JsonObject) -> tuple[Fact, ...]:
    scan, kit, time = section(result, "scan"), section(result, "kit"), section(result, "referenceTime")
    order = joined(text_of(kit, "channel"), "no.", text_of(kit, "sequence"))
    span = joined(text_of(result, "startedAt"), "to", text_of(result, "finishedAt"))
    return (
        fact("Subject", text_of(scan, "subject")),
        fact("Scan time", text_of(scan, "time")),
        fact("Scan", text_of(scan, "id"), code=True),
        fact("Run", text_of(result, "runId"), code=True),
        fact("Kit", text_of(kit, "id"), code=True),
        fact("Kit's number", joined(order, "made", text_of(kit, "createdAt"))),
        fact("Reference time", joined(text_of(time, "time"), "from", text_of(time, "source"))),
        fact("Run time", span),
        fact("Manifest", text_of(result, "manifestDigest"), code=True),
    )


def _signers(result: JsonObject) -> tuple[Entry, ...]:
    """Return one entry a key, with every document that it signed."""
    signed: dict[str, list[JsonObject]] = {}
    for row in rows_of(result, "signers"):
        signed.setdefault(text_of(row, "fingerprint") or "", []).append(row)
    return tuple(
        Entry(
            name=", ".join(text_of(row, "document") or text_of(row, "usage") or "signature" for row in rows),
            state=text_of(rows[0], "owner") or "owner not recorded",
            detail=text_of(rows[0], "algorithm") or "",
            digest=texts.grouped(fingerprint),
            notes=_window(rows[0]),
        )
        for fingerprint, rows in signed.items()
    )


def _window(row: JsonObject) -> tuple[str, ...]:
    """Return the window in which a key may sign, where the result records one."""
    begin, end = text_of(row, "validFrom"), text_of(row, "validUntil")
    return (f"valid from {begin or 'the beginning'} until {end or 'further notice'}",) if begin or end else ()


def _trust(result: JsonObject) -> tuple[Fact, ...]:
    pack = section(result, "rootPack")
    pinned = text_of(pack, "pinned") or text_of(pack, "fingerprint")
    return (
        fact("Pinned root", texts.grouped(pinned) if pinned else None, code=True),
        fact("Version", joined(text_of(pack, "rootVersion"), "timestamp", text_of(pack, "timestampVersion"))),
        fact("Issued", text_of(pack, "issued")),
        fact("Expires", text_of(pack, "expires")),
        fact("Site's key", texts.grouped(site) if (site := text_of(result, "site")) else None, code=True),
    )


def _outputs(result: JsonObject) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            text_of(row, "path") or text_of(row, "name") or "output",
            state="equal" if row.get("equal") is True else "differs",
            digest=_bare(text_of(row, "replayed")) or "not produced",
            notes=() if row.get("equal") is True else (_bare(text_of(row, "recorded")) or "not recorded",),
        )
        for row in rows_of(result, "outputs")
    )


def _bare(digest: str | None) -> str:
    return (digest or "").removeprefix("sha256:")


def _previous(receipt: JsonObject) -> Fact:
    label, previous = "Receipt before it", text_of(receipt, "previous")
    return fact(label, previous, code=True) if previous else Fact(label, "none: the first receipt of this site")


def _receipt(run: RunView) -> tuple[Fact, ...]:
    if run.receipt is None:
        return ()
    return (
        fact("Site", texts.grouped(site) if (site := text_of(run.receipt, "site")) else None, code=True),
        fact("Result", text_of(run.receipt, "resultDigest"), code=True),
        _previous(run.receipt),
    )
