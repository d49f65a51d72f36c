"""OpenVEX 0.2.0: the statements that decided, restated for the packages that they decided about, and nothing else."""

import json
from urllib.parse import quote

from kit.errors import UsageError
from scanner.export.model import PROGRAM, Evaluated, fixed_versions, joined, plain
from scanner.outputs import Finding, VexEntry

Json = dict[str, object]

CONTEXT = "https://openvex.dev/ns/v0.2.0"
_STATUSES = frozenset({"affected", "fixed", "not_affected", "under_investigation"})
_JUSTIFICATIONS = frozenset(
    {
        "component_not_present",
        "inline_mitigations_already_exist",
        "vulnerable_code_cannot_be_controlled_by_adversary",
        "vulnerable_code_not_in_execute_path",
        "vulnerable_code_not_present",
    }
)
_URI = ":/?#[]@!$&'()*+,;=%-._~"


def openvex(evaluated: Evaluated) -> bytes:
    """Return the document.

    A finding without a statement is not stated to be affected, nor one that a rule ignores to be not affected: those
    are decisions about work, not about code. Raises UsageError where nothing is left: a document states something.
    """
    statements = [
        _statement(finding, finding.vex)
        for finding in evaluated.findings.findings
        if finding.vex is not None and finding.vex.status in _STATUSES
    ]
    if not statements:
        raise UsageError(detail="no VEX statement holds for any finding, so there is nothing to state in OpenVEX")
    scan, standing = evaluated.verdict.scan, evaluated.standing
    document = {
        "@context": CONTEXT,
        "@id": f"urn:uuid:{evaluated.uuid('openvex')}",
        "author": f"{PROGRAM} {evaluated.version}{'' if standing.verified else ' (NOT VERIFIED)'}",
        "role": "Restates the VEX statements that decided a recorded scan",
        "timestamp": scan.time,
        "version": 1,
        "tooling": f"{PROGRAM} {evaluated.version}; scan {plain(scan.id)}; {plain(str(standing))}",
        "statements": statements,
    }
    return (json.dumps(document, indent=2) + "\n").encode("ascii")


def _statement(finding: Finding, vex: VexEntry) -> Json:
    purl = finding.component.purl
    found: Json = {
        "vulnerability": {"name": plain(finding.id), "aliases": sorted({plain(name) for name in finding.aliases})},
        "products": [{"@id": quote(purl, safe=_URI), "identifiers": {"purl": plain(purl)}}],
        "status": vex.status,
        "status_notes": f"Restated from statement {vex.statement} of the VEX document {vex.document}.",
    }
    if vex.status == "not_affected" and vex.justification in _JUSTIFICATIONS:
        found["justification"] = vex.justification
    elif vex.status == "not_affected":
        found["impact_statement"] = plain(vex.justification) if vex.justification else "No justification was given."
    elif vex.status == "affected":
        fixed = fixed_versions(finding)
        found["action_statement"] = f"Fixed in {joined(fixed)}." if fixed else "No fixed version is known."
    return found
