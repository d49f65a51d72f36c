"""CycloneDX 1.6: a Vulnerability Disclosure Report of all findings, a VEX of those that a statement speaks about."""

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

from kit.bytes.canonical import decode_foreign
from kit.errors import StellaError
from scanner.export.model import PROGRAM, Evaluated, decided_by, finding_key, fixed_versions, joined, key, plain
from scanner.outputs import ComponentEntry, Finding

Json = dict[str, object]

_STATES = {
    "affected": "exploitable",
    "fixed": "resolved",
    "not_affected": "not_affected",
    "under_investigation": "in_triage",
}
_JUSTIFICATIONS = {
    "component_not_present": "code_not_present",
    "vulnerable_code_not_present": "code_not_present",
    "vulnerable_code_not_in_execute_path": "code_not_reachable",
    "inline_mitigations_already_exist": "protected_by_mitigating_control",
}
"""OpenVEX words with a CycloneDX word of the same meaning; any other stands in the detail alone."""
_METHODS = (("CVSS:3.0/", "CVSSv3"), ("CVSS:3.1/", "CVSSv31"), ("CVSS:4.0/", "CVSSv4"))
_SERIAL = re.compile(r"urn:uuid:([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})", re.ASCII)
_MAX_VERSION = 1024


def vdr(evaluated: Evaluated) -> bytes:
    """Return the report of all findings, with the components that they are about."""
    return _document(evaluated, "vdr", evaluated.findings.findings, link=False)


def vex(evaluated: Evaluated) -> bytes:
    """Return the findings that a VEX statement speaks about; components are links into the SBOM where it has a serial.

    A status that none of the formats knows stands in the properties and gives no state.
    """
    spoken = [finding for finding in evaluated.findings.findings if finding.vex is not None]
    return _document(evaluated, "vex", spoken, link=evaluated.bom_link is not None)


def bom_link(sbom: bytes) -> str | None:
    """Return the BOM-Link of an SBOM document, ``None`` where it is no CycloneDX document with a serial number."""
    try:
        document = decode_foreign(sbom, max_bytes=64 << 20)
    except StellaError:
        return None
    if not isinstance(document, dict) or document.get("bomFormat") != "CycloneDX":
        return None
    serial, version = document.get("serialNumber"), document.get("version", 1)
    found = _SERIAL.fullmatch(serial) if isinstance(serial, str) else None
    if found is None or not isinstance(version, int) or isinstance(version, bool) or version < 1:
        return None
    return f"urn:cdx:{found[1]}/{version}"


def _document(evaluated: Evaluated, kind: str, findings: Iterable[Finding], *, link: bool) -> bytes:
    found = list(findings)
    scan, standing = evaluated.verdict.scan, evaluated.standing
    components = {} if link else {_ref(one.component): _component(one.component) for one in found}
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{evaluated.uuid('cyclonedx', kind)}",
        "version": 1,
        "metadata": {
            "timestamp": scan.time,
            "tools": {"components": [{"type": "application", "name": PROGRAM, "version": evaluated.version}]},
            "component": {"type": "application", "bom-ref": "subject", "name": plain(scan.subject)},
            "properties": _properties(
                ("verified", "true" if standing.verified else "false"),
                ("standing", str(standing)),
                ("scan", scan.id),
                ("sbom", evaluated.verdict.inputs.sbom),
                ("policyVerdict", evaluated.verdict.verdict),
                *((f"count:{name}", str(count)) for name, count in sorted(evaluated.verdict.counts.items())),
            ),
        },
        "components": list(components.values()),
        "vulnerabilities": [_vulnerability(one, evaluated.bom_link if link else None) for one in found],
    }
    return (json.dumps(document, indent=2) + "\n").encode("ascii")


def _ref(component: ComponentEntry) -> str:
    return f"package-{key(component.purl, component.ecosystem, component.package, component.version)[:32]}"


def _component(component: ComponentEntry) -> Json:
    found: Json = {
        "type": "library",
        "bom-ref": _ref(component),
        "name": plain(component.package),
        "purl": plain(component.purl),
        "properties": _properties(*(("instance", ref) for ref in component.refs)),
    }
    return found | _version(component)


def _version(component: ComponentEntry) -> Json:
    version = plain(component.version)
    return {"version": version} if 0 < len(version) <= _MAX_VERSION else {}


def _vulnerability(finding: Finding, link: str | None) -> Json:
    component = finding.component
    refs = [f"{link}#{quote(ref, safe='')}" for ref in component.refs] if link else [_ref(component)]
    status = finding.vex.status if finding.vex else None
    judged = {"not_affected": "unaffected", "fixed": "unaffected", "under_investigation": "unknown"}.get(
        status or "", "affected"
    )
    version = _version(component)
    feeds = ", ".join(dict.fromkeys(record.feed for record in finding.records)) or "unknown"
    found: Json = {
        "bom-ref": f"finding-{finding_key(finding)[:32]}",
        "id": plain(finding.id),
        "source": {"name": plain(feeds)},
        "references": [{"id": plain(name), "source": {"name": plain(feeds)}} for name in finding.aliases],
        "ratings": [_rating(finding)],
        "affects": [{"ref": ref} | ({"versions": [version | {"status": judged}]} if version else {}) for ref in refs],
        "properties": _properties(
            ("action", finding.decision.action),
            ("decidedBy", decided_by(finding)),
            *((("vexStatus", status),) if status else ()),
            *(("record", f"{record.feed} {record.id} {record.digest}") for record in finding.records),
        ),
    }
    fixed = fixed_versions(finding)
    if fixed:
        found["recommendation"] = f"Fixed in {joined(fixed)}."
    analysis = _analysis(finding)
    return found | ({"analysis": analysis} if analysis else {})


def _rating(finding: Finding) -> Json:
    """Return the severity; the score is the one number of our exports with a fraction, since the format wants it so."""
    severity = finding.severity
    rating: Json = {"severity": severity.level}
    if severity.feed:
        rating["source"] = {"name": plain(severity.feed)}
    if severity.score is not None:
        rating["score"] = severity.score / 10
    if severity.vector is not None:
        vector = severity.vector
        rating["method"] = next((method for start, method in _METHODS if vector.startswith(start)), "other")
        rating["vector"] = plain(vector)
    return rating


def _analysis(finding: Finding) -> Json:
    """Return what the statement that holds says; a policy's decision is no analysis and stays in the properties."""
    vex = finding.vex
    if vex is None or vex.status not in _STATES:
        return {}
    analysis: Json = {"state": _STATES[vex.status]}
    if vex.status == "not_affected" and vex.justification in _JUSTIFICATIONS:
        analysis["justification"] = _JUSTIFICATIONS[vex.justification]
    words = plain(vex.justification) if vex.justification else "no justification given"
    analysis["detail"] = f"{vex.status}: {words} (statement {vex.statement} of VEX document {vex.document})"
    return analysis


def _properties(*pairs: tuple[str, str]) -> list[Json]:
    return [{"name": f"{PROGRAM}:{name}", "value": plain(value)} for name, value in pairs]
