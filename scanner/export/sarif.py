"""SARIF 2.1.0 (OASIS Standard, errata 01): one run, a rule for each vulnerability, a result for each finding."""

import json
from collections.abc import Mapping

from scanner import outputs
from scanner.export.model import PROGRAM, Evaluated, decided_by, finding_key, fixed_versions, joined, plain, score
from scanner.outputs import Finding

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {"fail": "error", "warn": "warning", "ignore": "note"}

Json = dict[str, object]


def sarif(evaluated: Evaluated) -> bytes:
    """Return the SARIF log.

    ``executionSuccessful`` is true for a verified evaluation alone; any other has an error among its notifications.
    """
    findings = evaluated.findings.findings
    rules = {finding.id: finding for finding in reversed(evaluated.gravest_first)}
    places = {name: place for place, name in enumerate(sorted(rules))}
    scan, standing = evaluated.verdict.scan, evaluated.standing
    run: Json = {
        "tool": {
            "driver": {
                "name": PROGRAM,
                "version": evaluated.version,
                "properties": {"matchContract": evaluated.findings.contract},
                "rules": [_rule(rules[name]) for name in sorted(rules)],
            }
        },
        "automationDetails": {"id": f"{PROGRAM}/{plain(scan.id)}", "guid": evaluated.uuid("sarif")},
        "invocations": [_invocation(evaluated)],
        "artifacts": [
            {
                "location": {"uri": outputs.SBOM, "uriBaseId": "OUTPUTS"},
                "mimeType": "application/json",
                "description": {"text": "The normalised SBOM, a member of the output bundle."},
            }
        ],
        "originalUriBaseIds": {"OUTPUTS": {"description": {"text": "The recorded scan's output bundle."}}},
        "columnKind": "unicodeCodePoints",
        "properties": {
            "verified": standing.verified,
            "standing": plain(str(standing)),
            "subject": plain(scan.subject),
            "policyVerdict": evaluated.verdict.verdict,
            "counts": dict(evaluated.verdict.counts),
        },
        "results": [_result(finding, places) for finding in findings],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json.dumps(log, indent=2) + "\n").encode("ascii")


def _invocation(evaluated: Evaluated) -> Json:
    """Return how the evaluation came about; its times are the frozen time of the scan."""
    standing, time = evaluated.standing, evaluated.verdict.scan.time
    notes: list[Json] = []
    if not standing.verified:
        notes.append(_notification("error", "not-verified", plain(str(standing))))
    gaps = [(name, count) for name, count in evaluated.verdict.counts.items() if name in _GAPS and count]
    notes += [_notification("warning", name, f"{_GAPS[name]}: {count}") for name, count in sorted(gaps)]
    return {
        "executionSuccessful": standing.verified,
        "startTimeUtc": time,
        "endTimeUtc": time,
        "toolExecutionNotifications": notes,
    }


_GAPS = {
    "notEvaluated": "components that were not evaluated",
    "sbomPartsLost": "parts of the SBOM that could not be read",
    "undecidable": "records that could not be judged",
    "unreadable": "records that could not be read",
}


def _notification(level: str, name: str, text: str) -> Json:
    return {"level": level, "descriptor": {"id": name}, "message": {"text": text}}


def _rule(finding: Finding) -> Json:
    """Return the rule of a vulnerability, as its gravest finding has it; its names are all that the records tell."""
    names = joined((finding.id, *finding.aliases))
    properties: Json = {"tags": ["security", "vulnerability"], "aliases": [plain(name) for name in finding.aliases]}
    if score(finding):
        properties["security-severity"] = score(finding)
    return {
        "id": plain(finding.id),
        "shortDescription": {"text": names},
        "help": {"text": f"Known vulnerability {names}; the advisory records are named by digest in each result."},
        "properties": properties,
    }


def _result(finding: Finding, places: Mapping[str, int]) -> Json:
    component, decision = finding.component, finding.decision
    fixed = fixed_versions(finding)
    said = f"fixed in {joined(fixed)}" if fixed else "no fixed version is known"
    text = f"{plain(finding.id)} affects {plain(component.purl)} ({finding.severity.level}); {said}."
    result: Json = {
        "ruleId": plain(finding.id),
        "ruleIndex": places[finding.id],
        "level": _LEVELS.get(decision.action, "error"),
        "message": {"text": text.replace("[", "\\[").replace("]", "\\]").replace("{", "{{").replace("}", "}}")},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": outputs.SBOM, "uriBaseId": "OUTPUTS", "index": 0},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [
                    {"fullyQualifiedName": plain(component.purl), "name": plain(component.package), "kind": "package"}
                ],
            }
        ],
        "partialFingerprints": {"stellaFinding/v1": finding_key(finding)},
        "properties": {
            "severity": finding.severity.level,
            "action": decision.action,
            "decidedBy": plain(decided_by(finding)),
            "instances": [plain(ref) for ref in component.refs],
            "fixed": [plain(version) for version in fixed],
            "records": [{"feed": one.feed, "id": plain(one.id), "digest": one.digest} for one in finding.records],
        },
    }
    if decision.action == "ignore":
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": plain(decided_by(finding))}
        ]
    return result
