"""Tables of the findings, gravest first: CSV (RFC 4180), Markdown (GitHub Flavored), and plain text for a terminal."""

import textwrap
from collections.abc import Iterator, Sequence

from scanner.export.model import Evaluated, decided_by, fixed_versions, plain, score
from scanner.outputs import Finding

_COLUMNS = (
    "id",
    "aliases",
    "purl",
    "ecosystem",
    "package",
    "version",
    "severity",
    "score",
    "vector",
    "action",
    "decidedBy",
    "rule",
    "reason",
    "vexStatus",
    "vexJustification",
    "fixed",
    "records",
    "instances",
    "verified",
    "standing",
)
_FORMULA = ("=", "+", "-", "@")
_MARKDOWN = frozenset("\\`*_{}[]<>#|!~&$@")
_NARROWEST = 66
_GIVING_WAY = ((6, 7), (4, 8), (3, 8), (2, 8), (1, 8), (0, 8), (5, 6))
"""Columns by position, and how narrow each may become: why, fixed, version, package, id, severity, action."""
_GAPS = ("notEvaluated", "sbomPartsLost", "undecidable", "unreadable")


def csv_table(evaluated: Evaluated) -> bytes:
    """Return CSV: a header, then a row for each finding; every row says how far it can be relied on.

    A cell that a spreadsheet would take for a formula begins with an apostrophe.
    """
    standing = evaluated.standing
    rows: list[Sequence[str]] = [_COLUMNS]
    for finding in evaluated.gravest_first:
        row = (*_cells(finding), "true" if standing.verified else "false", str(standing))
        rows.append([_harmless(plain(cell)) for cell in row])
    return "".join(",".join(map(_quoted, row)) + "\r\n" for row in rows).encode("ascii")


def _quoted(cell: str) -> str:
    """Return a field of RFC 4180, in quotes where it needs them; the frozen program has no reader of CSV on board."""
    return '"' + cell.replace('"', '""') + '"' if any(sign in cell for sign in ',"\r\n') else cell


def markdown(evaluated: Evaluated) -> bytes:
    """Return Markdown: standing, verdict, what was not evaluated, then one table."""
    lines = [f"# Findings of {_escaped(evaluated.verdict.scan.subject)}", ""]
    lines += [f"{line}  " for line in map(_escaped, _head(evaluated))]
    if not evaluated.standing.verified:
        lines[2] = f"**{_escaped(str(evaluated.standing))}**  "
    lines += ["", "| severity | id | package | version | fixed in | action | why |", "|---|---|---|---|---|---|---|"]
    for finding in evaluated.gravest_first:
        lines.append("| " + " | ".join(_escaped(cell) for cell in _row(finding)) + " |")
    return ("\n".join(lines) + "\n").encode("ascii")


def text_table(evaluated: Evaluated, width: int = 80) -> bytes:
    """Return lines of at most ``width`` columns, 66 at least; a cell that is cut ends in ``..``."""
    rows: list[tuple[str, ...]] = [("SEVERITY", "ID", "PACKAGE", "VERSION", "FIXED IN", "ACTION", "WHY")]
    rows += [tuple(plain(cell) for cell in _row(finding)) for finding in evaluated.gravest_first]
    widths = _widths(rows, max(width, _NARROWEST))
    lines = [line for text in _head(evaluated) for line in textwrap.wrap(plain(text), max(width, _NARROWEST))]
    lines.append("")
    lines += ["  ".join(_cut(cell, size).ljust(size) for cell, size in zip(row, widths, strict=True)) for row in rows]
    return ("\n".join(line.rstrip() for line in lines) + "\n").encode("ascii")


def _head(evaluated: Evaluated) -> Iterator[str]:
    verdict, counts = evaluated.verdict, evaluated.verdict.counts
    yield str(evaluated.standing)
    yield f"scan {verdict.scan.id} of {verdict.scan.subject} at {verdict.scan.time}"
    actions = ", ".join(f"{count} {action}" for action, count in sorted(verdict.actions.items()))
    yield f"policy's verdict {verdict.verdict}; {len(evaluated.findings.findings)} findings ({actions})"
    gaps = ", ".join(f"{counts[name]} {name}" for name in _GAPS if counts.get(name))
    yield f"gaps: {gaps or 'none'}"


def _row(finding: Finding) -> tuple[str, ...]:
    severity = " ".join(part for part in (finding.severity.level, score(finding)) if part)
    fixed = ", ".join(fixed_versions(finding)) or "none known"
    component = finding.component
    action = finding.decision.action
    return severity, finding.id, component.package, component.version, fixed, action, decided_by(finding)


def _cells(finding: Finding) -> tuple[str, ...]:
    component, severity, decision, vex = finding.component, finding.severity, finding.decision, finding.vex
    return (
        finding.id,
        " ".join(finding.aliases),
        component.purl,
        component.ecosystem,
        component.package,
        component.version,
        severity.level,
        score(finding),
        severity.vector or "",
        decision.action,
        decision.by,
        decision.rule or "",
        decision.reason or "",
        vex.status if vex else "",
        (vex.justification or "") if vex else "",
        " ".join(fixed_versions(finding)),
        " ".join(f"{record.feed}/{record.id}" for record in finding.records),
        " ".join(component.refs),
    )


def _harmless(cell: str) -> str:
    return f"'{cell}" if cell.lstrip(" '").startswith(_FORMULA) else cell


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is: no markup, no cell border, no link made of a bare address."""
    escaped = "".join(f"\\{sign}" if sign in _MARKDOWN else sign for sign in plain(text))
    return escaped.replace("://", ":\\//").replace("www.", "www\\.")


def _widths(rows: Sequence[tuple[str, ...]], width: int) -> list[int]:
    """Return the width of each column: what it needs; where that is too much, columns give way in a fixed order."""
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    excess = sum(widths) + 2 * (len(widths) - 1) - width
    for place, least in _GIVING_WAY:
        cut = max(0, min(excess, widths[place] - least))
        widths[place] -= cut
        excess -= cut
    return widths


def _cut(cell: str, size: int) -> str:
    return cell if len(cell) <= size else cell[: size - 2] + ".."
