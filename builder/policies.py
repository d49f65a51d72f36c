"""Trying a policy: is it valid, what in it never matches, which rule decides about each finding and why not another."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from builder import policy_hints, requests
from kit import layout
from kit import manifest as manifests
from kit.bundle import BundleReader
from kit.bytes import canonical
from kit.errors import FileMissing, MalformedDocument, StellaError, UsageError
from scanner import findings, outputs
from scanner import policy as policies
from scanner.outputs import Finding, FindingsDocument
from scanner.policy import Policy
from scanner.policy.compiled import Answer
from scanner.policy.review import idle_rules
from verifier.medium import read_file

MAX_DOCUMENT = 64 << 20

T = TypeVar("T", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Recorded:
    """Findings to try a policy on, and the frozen time of their scan where it is known."""

    findings: tuple[Finding, ...]
    time: str | None


def load(path: Path, time: str) -> Policy:
    """Return the policy of a file that the operator named, compiled for a time."""
    data = requests.read(path, "FILE", limit=policies.MAX_BYTES)
    try:
        return policies.load(data, time=time)
    except StellaError as fault:
        fault.details["path"] = str(path)
        if "pointer" in fault.details:
            told = policy_hints.explain(str(fault.details["detail"]), str(fault.details["pointer"]))
            fault.details["detail"] = told
        raise fault.then("Correct the policy at that place; docs/policy.md says what is expected.") from None


def summary(policy: Policy, time: str) -> dict[str, object]:
    """Return what ``stella policy check`` says about a policy that is valid."""
    idle = {one.rule: one.by for one in idle_rules(policy)}
    return {
        "name": policy.document.name,
        "digest": policy.digest,
        "time": time,
        "rules": [
            {
                "id": rule.id,
                "action": rule.action,
                "state": _state(rule.id, policy, idle),
                "expires": msgspec.to_builtins(rule.expires) if rule.expires else "",
                "reason": rule.reason,
            }
            for rule in policy.document.rules
        ],
        "default": policy.document.default,
        "unevaluated": policy.document.unevaluated,
        "expired": list(policy.expired),
        "neverMatch": [
            {
                "rule": name,
                "because": f"{by} takes all that it could match" if by else "its conditions exclude one another",
            }
            for name, by in idle.items()
        ],
    }


def _state(rule: str, policy: Policy, idle: dict[str, str | None]) -> str:
    if rule in policy.expired:
        return "expired"
    return "never matches" if rule in idle else "in force"


def recorded(place: Path) -> Recorded:
    """Read findings from a ``findings.json``, a run's directory, a recorded scan's directory or its manifest.

    Bundles and members are held against the manifest; signatures are not checked. Raises :class:`FileMissing`, and the
    readers' errors.
    """
    if place.name in (layout.MANIFEST_FILE, layout.INPUT_BUNDLE, layout.OUTPUT_BUNDLE):
        return _from_scan(place.parent)
    if not place.is_dir():
        return _from_files(place)
    if (place / layout.MANIFEST_FILE).is_file():
        return _from_scan(place)
    for directory in (place, place / "outputs"):
        if (directory / outputs.FINDINGS).is_file():
            return _from_files(directory / outputs.FINDINGS)
    raise FileMissing(path=outputs.FINDINGS, detail="this is neither a run nor a recorded scan", found=place.name)


def choose(found: Iterable[Finding], name: str | None) -> list[Finding]:
    """Return the findings that bear an id or alias; all without one. Raises :class:`UsageError` where none does."""
    chosen = [one for one in found if name is None or name in (one.id, *one.aliases)]
    if name is not None and not chosen:
        raise UsageError(detail="no finding has this id or alias", found=name[:80])
    return chosen


def explanation(policy: Policy, finding: Finding) -> dict[str, Any]:
    """Return which rule decides about a finding, and of each rule asked before what did not hold."""
    facts = findings.facts(finding)
    decision, answers = policy.explain(facts)
    return {
        "id": finding.id,
        "purl": finding.component.purl,
        "action": decision.action,
        "decidedBy": f"rule {decision.rule}" if decision.rule else decision.by,
        "reason": decision.reason or "",
        "facts": {
            "aliases": list(finding.aliases),
            "severity": facts.severity,
            "score": "" if facts.score is None else f"{facts.score // 10}.{facts.score % 10}",
            "vexStatus": facts.vex_status or "none",
            "fixAvailable": facts.fix_available,
            "ownedByOsPackage": facts.owned,
            "published": facts.published or "",
            "reachability": facts.reachability,
        },
        "rules": [{"rule": answer.rule.id, "answer": _answer(answer)} for answer in answers],
    }


def _answer(answer: Answer) -> str:
    """Return what a rule said, in words."""
    rule = answer.rule
    if answer.matched:
        return f"lowers it to {rule.to}" if rule.action == "downgrade" else "decides"
    words = {
        "expires": "has ended",
        "vex.suppress": "names no vexStatus, and VEX suppresses the finding",
        "requireVex": "holds, and the statement that it demands is there",
        "downgrade": "holds, and there is nothing to lower",
    }
    return words.get(answer.unmet or "", f"no match: {answer.unmet}")


def _from_files(place: Path) -> Recorded:
    data = read_file(place, limit=MAX_DOCUMENT)
    beside = place.with_name(outputs.VERDICT)
    verdict = read_file(beside, limit=MAX_DOCUMENT) if beside.is_file() else None
    return _decoded(data, verdict)


def _from_scan(directory: Path) -> Recorded:
    manifest = manifests.parse(read_file(directory / layout.MANIFEST_FILE, limit=manifests.MAX_BYTES))
    with BundleReader(directory / layout.OUTPUT_BUNDLE, manifest.bundles.output) as reader:
        reader.verify()
        return _decoded(
            reader.read(outputs.FINDINGS, limit=MAX_DOCUMENT), reader.read(outputs.VERDICT, limit=MAX_DOCUMENT)
        )


def _decoded(data: bytes, verdict: bytes | None) -> Recorded:
    document = _record(outputs.FINDINGS, data, FindingsDocument)
    if document.schema_version != outputs.SCHEMA_VERSION:
        raise MalformedDocument(path=outputs.FINDINGS, pointer="/schemaVersion", found=document.schema_version[:40])
    if verdict is None:
        return Recorded(document.findings, None)
    return Recorded(document.findings, _record(outputs.VERDICT, verdict, outputs.VerdictDocument).scan.time)


def _record(name: str, data: bytes, cls: type[T]) -> T:
    try:
        return canonical.decode_record(data, cls, canonical=False)
    except StellaError as error:
        error.details.setdefault("path", name)
        raise
