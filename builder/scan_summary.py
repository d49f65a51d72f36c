"""What a recorded scan found, in short, read back from its own output bundle (docs/matching.md section 8)."""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from kit import layout
from kit.bundle import BundleReader
from kit.bytes import canonical
from kit.manifest import Manifest
from scanner import outputs
from scanner.outputs import FindingsDocument, GroundEntry, VerdictDocument, VexOutput
from verifier.report_rows import words

_NO_FEED = "no-feed"
_WORST_FIRST = ("critical", "high", "medium", "low", "none", "unknown")
_ACTIONS = ("fail", "warn", "ignore")

T = TypeVar("T", bound=msgspec.Struct)


class _View(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of what is shown of a scan."""


class VexView(_View, frozen=True, kw_only=True):
    """A VEX document: how many statements it has, and how many of them decide about findings."""

    name: str
    statements: int
    applied: int


class Summary(_View, frozen=True, kw_only=True):
    """A recorded scan. ``no_feed`` counts by ecosystem the components that no feed of the scan speaks about."""

    record: str
    scan_id: str
    time: str
    subject: str
    verdict: str
    grounds: tuple[str, ...]
    counts: dict[str, int]
    severities: dict[str, int]
    actions: dict[str, int]
    not_evaluated: dict[str, int]
    no_feed: dict[str, int]
    vex: tuple[VexView, ...]

    @property
    def judgeable(self) -> int:
        """Return how many components are packages, evaluated or not."""
        return self.counts["evaluated"] + self.counts["notEvaluated"]


def read(directory: Path, manifest: Manifest) -> Summary:
    """Return the summary of a recorded scan; its output bundle is verified against the manifest."""
    with BundleReader(directory / layout.OUTPUT_BUNDLE, manifest.bundles.output) as reader:
        reader.verify()
        verdict = _decoded(reader, outputs.VERDICT, VerdictDocument)
        findings = _decoded(reader, outputs.FINDINGS, FindingsDocument)
        vex = _decoded(reader, outputs.VEX, VexOutput)
    ecosystems = Counter(entry.detail or "unknown" for entry in findings.not_evaluated if entry.reason == _NO_FEED)
    return Summary(
        record=str(directory),
        scan_id=verdict.scan.id,
        time=verdict.scan.time,
        subject=verdict.scan.subject,
        verdict=verdict.verdict,
        grounds=tuple(ground(one) for one in verdict.grounds),
        counts=verdict.counts,
        severities=_in_order(verdict.severities, _WORST_FIRST),
        actions=_in_order(verdict.actions, _ACTIONS),
        not_evaluated=verdict.not_evaluated,
        no_feed=dict(sorted(ecosystems.items())),
        vex=_vex(vex),
    )


def lines(summary: Summary) -> list[str]:
    """Return a summary as people read it."""
    counts = summary.counts
    rows = [
        ("record", summary.record),
        ("scan", f"{summary.scan_id} of {summary.time}"),
        ("subject", summary.subject),
        ("verdict", summary.verdict),
        *(("ground", one) for one in summary.grounds),
        ("findings", f"{counts['findings']} in {counts['packages']} packages" + _listed(summary.severities, ": ")),
        ("policy", _listed(summary.actions) or "nothing to decide"),
        ("components", f"{counts['components']}, evaluated {counts['evaluated']}"),
    ]
    for reason, count in summary.not_evaluated.items():
        where = _listed(summary.no_feed, ": ") if reason == _NO_FEED else ""
        rows.append(("left out", f"{count} {words(reason)}{where}"))
    others = ("undecidable", "unreadable", "sbomPartsLost", "withdrawn")
    rows += [("left out", f"{counts[name]} {_NOUNS[name]}") for name in others if counts.get(name)]
    rows += [("vex", _told(one)) for one in summary.vex]
    return [f"{name:<11} {text}" for name, text in rows]


def warnings(summary: Summary) -> list[str]:
    """Return what an operator must not overlook: a scan that evaluated nothing, VEX that decides nothing."""
    found = []
    if not summary.judgeable:
        found.append("NOTHING WAS EVALUATED: the SBOM names no package")
    elif not summary.counts["evaluated"]:
        lacking = f"; no feed speaks of {', '.join(summary.no_feed)}" if summary.no_feed else ""
        found.append(f"NOTHING WAS EVALUATED: 0 of {summary.judgeable} components{lacking}")
    found += [f"VEX document {one.name} applies to no finding" for one in summary.vex if not one.applied]
    return found


def ground(entry: GroundEntry) -> str:
    """Return in words why a verdict is not better."""
    told = {
        "rule": f"{entry.count} by rule {entry.name}",
        "default": f"{entry.count} by the policy's default",
        "threshold": f"{entry.count} exceed {entry.name} = {entry.bound}",
        "unevaluated": f"{entry.count} {_NOUNS.get(entry.name or '', words(entry.name or ''))}",
    }
    return f"{entry.action}: {told.get(entry.kind, f'{entry.count} by {words(entry.kind)}')}"


_NOUNS = {
    "notEvaluated": "components not evaluated",
    "sbomPartsLost": "parts of the SBOM not readable",
    "undecidable": "records not decidable",
    "unreadable": "records of feeds not readable",
    "withdrawn": "records withdrawn",
}


def _told(document: VexView) -> str:
    applied = (
        f"{document.applied} of {document.statements} statements apply" if document.applied else "applies to nothing"
    )
    return f"{document.name}: {applied}"


def _vex(document: VexOutput) -> tuple[VexView, ...]:
    """Count the statements that decide about findings, alone or together, by the document that makes them."""
    sides = [one.decided for one in document.decisions]
    sides += [block.statement for one in document.decisions for block in one.blocks]
    applied = Counter(name for name, _ in {(side.document, side.statement) for side in sides})
    return tuple(
        VexView(name=one.name, statements=one.statements, applied=applied[one.digest]) for one in document.documents
    )


def _listed(counts: Mapping[str, int], lead: str = "") -> str:
    named = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    return f"{lead}{named}" if named else ""


def _in_order(counts: Mapping[str, int], order: tuple[str, ...]) -> dict[str, int]:
    return {name: counts[name] for name in (*order, *sorted(set(counts) - set(order))) if name in counts}


def _decoded(reader: BundleReader, name: str, cls: type[T]) -> T:
    return canonical.decode_record(reader.read(name, limit=outputs.MAX_MEMBER), cls)
