"""Findings and verdict prepared for the auditor's page: counts, the gravest findings, and what was not evaluated."""

from collections import Counter
from collections.abc import Sequence

import msgspec

from verifier.report_rows import JsonObject, inline, joined, rows_of, section, text_of, words

ACTIONS = ("fail", "warn", "ignore")
LEVELS = ("critical", "high", "medium", "low", "none", "unknown")
MOST_FINDINGS = 12
MOST_BESIDE_DIFFERENCES = 6
MOST_LEFT_OUT = 10
_NO_PACKAGE = "not-a-package"
"""Reason of a component that is no gap in the evaluation: a file, an operating system, the subject itself."""


class LevelRow(msgspec.Struct, frozen=True):
    """One severity with its findings by action, in the order of :data:`ACTIONS`, and all of them."""

    level: str
    counts: tuple[str, ...]
    total: str


class FindingRow(msgspec.Struct, frozen=True):
    """One finding."""

    id: str
    alias: str
    package: str
    version: str
    level: str
    score: str
    action: str
    why: str
    fixed: str

    @property
    def tone(self) -> str:
        """Return the style of the severity; a level that we do not know has none of its own."""
        return self.level if self.level in LEVELS else "unknown"

    @property
    def weight(self) -> str:
        """Return the style of the action; an action that we do not know looks like the gravest."""
        return self.action if self.action in ACTIONS else ACTIONS[0]


class LeftOutRow(msgspec.Struct, frozen=True):
    """Something that was not judged: what, its version, and why not."""

    kind: str
    name: str
    reason: str


class LeftOutCount(msgspec.Struct, frozen=True):
    """How many components of one ecosystem, the type of their purl, were not evaluated for one reason."""

    reason: str
    ecosystem: str
    count: str


class FindingsView(msgspec.Struct, frozen=True):
    """The findings of a scan; ``shown`` and ``left_out`` are cut to what fits a page, the totals are not."""

    verdict: str
    grounds: tuple[str, ...]
    actions: tuple[str, ...]
    levels: tuple[LevelRow, ...]
    total: int
    shown: tuple[FindingRow, ...]
    heading: str
    not_evaluated_total: int
    left_out: tuple[LeftOutRow, ...]
    left_out_total: int
    left_out_counts: tuple[LeftOutCount, ...]
    expired_rules: str


def findings_view(
    findings: JsonObject | None, verdict: JsonObject | None, most: int = MOST_FINDINGS
) -> FindingsView | None:
    """Return the findings ready to be shown, at most so many one by one; ``None`` where a run has none to show."""
    if findings is None:
        return None
    rows = sorted((_finding(row) for row in rows_of(findings, "findings")), key=_gravity)
    left_out = _left_out(findings)
    told = verdict or {}
    expired = told.get("expiredRules")
    return FindingsView(
        verdict=text_of(told, "verdict") or "not recorded",
        grounds=tuple(_ground(row) for row in rows_of(told, "grounds")),
        actions=ACTIONS,
        levels=_levels(rows),
        total=len(rows),
        shown=tuple(rows[:most]),
        heading=_heading(rows, most),
        not_evaluated_total=len(_gaps(findings)),
        left_out=left_out[:MOST_LEFT_OUT],
        left_out_total=len(left_out),
        left_out_counts=_counts(findings),
        expired_rules=inline(expired) if expired else "",
    )


def _heading(rows: Sequence[FindingRow], most: int) -> str:
    """Say which findings are shown and in which order; without a severity none is graver than another."""
    graded = any(row.level != "unknown" for row in rows)
    if len(rows) <= most:
        return f"Each finding, {'gravest first' if graded else 'by decision and name; no severity is known'}"
    shown = f"{most} of {len(rows)}"
    told = f"The gravest {shown}" if graded else f"The first {shown} by decision and name; no severity is known"
    return f"{told}; findings.json has all"


def _gravity(row: FindingRow) -> tuple[int, int, int, str, str]:
    """Sort by action, then severity, then score, gravest first."""
    score = int(row.score.replace(".", "")) if row.score else 0
    return _place(ACTIONS, row.action), _place(LEVELS, row.level), -score, row.id, row.package


def _place(order: Sequence[str], word: str) -> int:
    return order.index(word) if word in order else len(order)


def _finding(row: JsonObject) -> FindingRow:
    component, severity = section(row, "component"), section(row, "severity")
    decision, vex = section(row, "decision"), section(row, "vex")
    aliases = row.get("aliases")
    return FindingRow(
        id=text_of(row, "id") or "unnamed",
        alias=_best_alias(aliases),
        package=text_of(component, "package") or text_of(component, "purl") or "",
        version=text_of(component, "version") or "",
        level=text_of(severity, "level") or "unknown",
        score=_score(severity.get("score")),
        action=text_of(decision, "action") or "not decided",
        why=inline([_why(decision, vex), *_circumstances(row, decision)]),
        fixed=_fixed(row),
    )


def _best_alias(aliases: object) -> str:
    """Return the alias that people know best: the first CVE, else the first of all."""
    names = [str(name) for name in _list(aliases)]
    return next((name for name in names if name.startswith("CVE-")), names[0] if names else "")


def _score(tenths: object) -> str:
    """Return a score kept in tenths as people write it."""
    return f"{tenths // 10}.{tenths % 10}" if isinstance(tenths, int) and tenths >= 0 else ""


def _why(decision: JsonObject, vex: JsonObject) -> str:
    """Return what decided about a finding: a rule with its reason, a VEX statement, or the policy's default."""
    status = text_of(vex, "status")
    statement = f"VEX {words(status)}" if status else None
    by = text_of(decision, "by")
    if by == "rule":
        decided = f"rule {text_of(decision, 'rule')}: {text_of(decision, 'reason') or 'no reason given'}"
        return joined(decided, "", statement) or decided
    justification = text_of(vex, "justification")
    told = f"{statement}: {words(justification)}" if statement and justification else statement
    if by == "vex":
        return told or "VEX"
    return joined("default of the policy", "", told) or ""


def _circumstances(row: JsonObject, decision: JsonObject) -> list[str]:
    """Return what else is known about a finding that a policy may weigh."""
    told = []
    if lowered := section(decision, "downgrade"):
        rule, level, reason = (text_of(lowered, name) or "" for name in ("rule", "to", "reason"))
        told.append(f"lowered to {level} by rule {rule}: {reason}")
    if reachability := section(row, "reachability"):
        why = text_of(reachability, "reason")
        state = words(text_of(reachability, "state") or "unknown")
        told.append(f"{state} by the call graphs" + (f" ({words(why)})" if why else ""))
    if row.get("ownedByOsPackage") is True:
        told.append("installed by a package of the operating system")
    return told


def _fixed(row: JsonObject) -> str:
    fixed = {str(version) for record in rows_of(row, "records") for version in _list(record.get("fixed"))}
    return inline(sorted(fixed)) if fixed else "no fix"


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, (list, tuple)) else ()


def _levels(rows: Sequence[FindingRow]) -> tuple[LevelRow, ...]:
    found = []
    for level in LEVELS:
        actions = [row.action for row in rows if row.level == level]
        if actions:
            counts = tuple(str(actions.count(action)) for action in ACTIONS)
            found.append(LevelRow(level, counts, str(len(actions))))
    return tuple(found)


def _ground(row: JsonObject) -> str:
    count, kind, name = (text_of(row, key) or "" for key in ("count", "kind", "name"))
    told = {
        "rule": f"{count} by rule {name}",
        "threshold": f"{count} above {words(name)} {text_of(row, 'bound') or ''}",
        "unevaluated": f"{count} {words(name)}",
    }
    return f"{text_of(row, 'action') or 'ground'}: {told.get(kind, f'{count} by {words(kind)}')}"


def _left_out(findings: JsonObject) -> tuple[LeftOutRow, ...]:
    """Return whatever the evaluation could not judge, or judged to be withdrawn."""
    rows = [
        LeftOutRow(
            "component",
            " ".join(part for part in (text_of(row, "name"), text_of(row, "version")) if part),
            joined(words(text_of(row, "reason") or "no reason given"), "", text_of(row, "detail")) or "",
        )
        for row in _gaps(findings)
    ]
    for row in rows_of(findings, "undecidable"):
        reason = joined(words(text_of(row, "reason") or ""), "", text_of(row, "value")) or ""
        rows.append(LeftOutRow("undecidable", _record_of(row), reason))
    rows += [
        LeftOutRow("withdrawn", _record_of(row), f"withdrawn {text_of(row, 'withdrawn') or ''}")
        for row in rows_of(findings, "withdrawn")
    ]
    rows += [
        LeftOutRow("unreadable", f"record of {text_of(row, 'feed') or 'a feed'}", inline(row.get("digest")))
        for row in rows_of(findings, "unreadable")
    ]
    return tuple(rows)


def _counts(findings: JsonObject) -> tuple[LeftOutCount, ...]:
    """Return how many components were not evaluated, by reason and ecosystem, the most first."""
    counts = Counter(
        (words(text_of(row, "reason") or "no reason given"), _ecosystem(text_of(row, "purl")))
        for row in _gaps(findings)
    )
    ordered = sorted(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    return tuple(LeftOutCount(reason, ecosystem, str(count)) for (reason, ecosystem), count in ordered)


def _ecosystem(purl: str | None) -> str:
    return (purl or "").removeprefix("pkg:").partition("/")[0] or "no purl"


def _gaps(findings: JsonObject) -> list[JsonObject]:
    return [row for row in rows_of(findings, "notEvaluated") if text_of(row, "reason") != _NO_PACKAGE]


def _record_of(row: JsonObject) -> str:
    component = section(row, "component")
    return f"{text_of(row, 'id')} for {text_of(component, 'package')} {text_of(component, 'version')}"
