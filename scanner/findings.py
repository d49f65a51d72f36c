"""From hits to findings: one per package and alias group, with severity, VEX statement and decision.

docs/matching.md sections 5 to 8.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec.structs import replace

from scanner import groups, policy, reachability
from scanner.candidates import Hit, Judged, Target
from scanner.identity import Package
from scanner.instant import parse_instant
from scanner.outputs import (
    ComponentEntry,
    DecisionEntry,
    DowngradeEntry,
    Finding,
    PackageEntry,
    ReachabilityEntry,
    RecordEntry,
    VectorEntry,
    VexBlockEntry,
    VexConflictEntry,
    VexDecisionEntry,
    VexEntry,
    VexPartialEntry,
    VexStatementEntry,
)
from scanner.policy import Facts, Policy
from scanner.sbom import Sbom
from scanner.severity import assess
from scanner.vex import Block, Decision, Resolver, Status, VexIndex

_CAUTION: tuple[Status | None, ...] = ("affected", "under_investigation", "unknown", None, "fixed", "not_affected")
"""Most cautious first; ``None`` is a vulnerability of the group that no statement speaks for."""
_UNDECIDED = DecisionEntry(action="", by="")
"""Stands in a finding until its facts have been put before the policy."""


class Given(msgspec.Struct, frozen=True):
    """What findings are made with, beside the hits: inventory, statements, evidence of reachability, policy, time."""

    sbom: Sbom
    vex: VexIndex
    evidence: reachability.About
    rules: Policy
    time: str


class Assembled(msgspec.Struct):
    """Findings and what VEX had to say about them, each sorted by package and id."""

    findings: list[Finding] = msgspec.field(default_factory=list)
    decisions: list[VexDecisionEntry] = msgspec.field(default_factory=list)
    conflicts: list[VexConflictEntry] = msgspec.field(default_factory=list)
    partial: list[VexPartialEntry] = msgspec.field(default_factory=list)


def assemble(judged: Judged, targets: Sequence[Target], given: Given) -> Assembled:
    """Return the findings of all targets; targets are sorted, and so are the findings of each."""
    trust = given.rules.document.vex.trust
    resolver = Resolver(given.vex, given.sbom, trust, parse_instant(given.time))
    components = {component.ref: component for component in given.sbom.components}
    assembled = Assembled()
    for number, target in enumerate(targets):
        hits = judged.hits.get(number)
        if not hits:
            continue
        hits = sorted(hits, key=lambda hit: (hit.id, hit.feed, hit.digest))
        grouped = groups.group(hits)
        grouped.sort(key=lambda group: groups.rank(groups.representative(hit.id for hit in group)))
        for group in grouped:
            # An instance that no system package owns is nobody else's to mend, so all must be owned.
            owned = all(components[ref].owner is not None for ref in target.refs)
            _assemble_one(group, target, owned, given, resolver, assembled)
    return assembled


def package_entry(target: Target) -> PackageEntry:
    """Return a target as the outputs name it."""
    package = target.package
    return PackageEntry(purl=target.purl, ecosystem=package.ecosystem, package=package.name, version=package.version)


def decision_entry(decision: policy.Decision) -> DecisionEntry:
    """Return a decision as the outputs state it."""
    lowered = decision.downgrade
    return DecisionEntry(
        action=decision.action,
        by=decision.by,
        rule=decision.rule,
        reason=decision.reason,
        downgrade=DowngradeEntry(rule=lowered.rule, to=lowered.to, reason=lowered.reason) if lowered else None,
    )


def facts(finding: Finding) -> Facts:
    """Return what the policy may ask about a finding; its own decision does not count."""
    component = finding.component
    return Facts(
        names=(finding.id, *finding.aliases),
        vulnerabilities=finding.vulnerabilities,
        package=Package(component.ecosystem, component.package, component.version),
        severity=finding.severity.level,
        vex_status=finding.vex.status if finding.vex else None,
        fix_available=finding.fix_available,
        purl=component.purl,
        score=finding.severity.score,
        owned=finding.owned_by_os_package,
        published=_first_published(finding.records),
        reachability=finding.reachability.state if finding.reachability else reachability.UNKNOWN,
    )


def vulnerabilities(group: Sequence[Hit]) -> list[tuple[str, ...]]:
    """Return the vulnerabilities of a group, each as all the names under which a statement may speak for it.

    A group is one vulnerability as a rule. Some records join several CVE ids; then each is on its own, so that a
    statement about one never settles the others. Upstream ids count only where there is just one and the group has no
    CVE id itself: a distribution's record then is that vulnerability.
    """
    names = _names(group)
    known = sorted(name for name in names if _is_cve(name))
    if not known:
        upstream = {name for hit in group for name in hit.upstream}
        return [tuple(sorted(names | upstream if len(upstream) == 1 else names))]
    if len(known) == 1:
        return [tuple(sorted(names))]
    speakers: dict[str, set[str]] = {name: {name} for name in known}
    for hit in group:
        if not _is_cve(hit.id):
            # A record that is itself one of the CVEs speaks for no other, whatever it calls its alias.
            for name in speakers.keys() & set(hit.aliases):
                speakers[name].add(hit.id)
    parts = [tuple(sorted(speakers[name])) for name in known]
    parts += [tuple(sorted({hit.id, *hit.aliases})) for hit in group if not any(map(_is_cve, (hit.id, *hit.aliases)))]
    return parts


def _is_cve(name: str) -> bool:
    return name[:4].upper() == "CVE-"


def _names(group: Iterable[Hit]) -> set[str]:
    return {name for hit in group for name in (hit.id, *hit.aliases)}


def _assemble_one(
    group: Sequence[Hit], target: Target, owned: bool, given: Given, resolver: Resolver, assembled: Assembled
) -> None:
    """Make one finding and note which statements were weighed."""
    identifier = groups.representative(hit.id for hit in group)
    package = package_entry(target)
    joined = vulnerabilities(group)
    parts = [resolver.decide(names, target.refs) for names in joined]
    statement = min(parts, key=lambda part: _CAUTION.index(part.status if part else None))
    _note(identifier, package, [part for part in parts if part], statement, assembled)
    found = Finding(
        id=identifier,
        aliases=tuple(sorted(_names(group) - {identifier}, key=groups.rank)),
        component=ComponentEntry(
            purl=package.purl,
            ecosystem=package.ecosystem,
            package=package.package,
            version=package.version,
            refs=target.refs,
        ),
        records=tuple(_record(hit) for hit in group),
        severity=assess(group),
        fix_available=any(hit.fixed for hit in group),
        vulnerabilities=tuple(joined) if len(joined) > 1 else (),
        vex=_vex(statement) if statement else None,
        owned_by_os_package=owned,
        reachability=_reachability(given.evidence.about(package.purl, package.version, package.package)),
        decision=_UNDECIDED,
    )
    decision = decision_entry(given.rules.decide(facts(found)))
    assembled.findings.append(replace(found, decision=decision))


def _reachability(verdict: reachability.Verdict | None) -> ReachabilityEntry | None:
    if verdict is None:
        return None
    path, seen = verdict.path, verdict.seen
    return ReachabilityEntry(
        state=verdict.state,
        reason=verdict.reason,
        graph=path.graph if path else None,
        entry_point=path.entry_point if path else None,
        node=path.node if path else None,
        path_length=path.length if path else None,
        trace=seen.trace if seen else None,
        recorded_at=seen.recorded_at if seen else None,
        symbol=(seen.symbol or None) if seen else None,
    )


def _first_published(records: Sequence[RecordEntry]) -> str | None:
    """Return the earliest time of publication that can be read, ``None`` without one."""
    times = [(parse_instant(record.published), record.published) for record in records if record.published]
    return min(((instant, text) for instant, text in times if instant), default=(None, None))[1]


def _record(hit: Hit) -> RecordEntry:
    return RecordEntry(
        feed=hit.feed,
        id=hit.id,
        digest=hit.digest,
        modified=hit.modified,
        matched=hit.matched,
        fixed=hit.fixed,
        published=hit.published,
        severity=tuple(VectorEntry(type=one.type, score=one.score) for one in hit.severity),
    )


def _vex(decision: Decision) -> VexEntry:
    return VexEntry(
        status=decision.status,
        document=decision.statement.digest,
        statement=decision.statement.index,
        justification=decision.justification,
    )


def _statement(decision: Decision | Block) -> VexStatementEntry:
    return VexStatementEntry(
        document=decision.statement.digest,
        statement=decision.statement.index,
        author=decision.author,
        timestamp=decision.timestamp,
        status=decision.status,
        justification=decision.justification,
    )


def _note(
    identifier: str, package: PackageEntry, parts: Sequence[Decision], held: Decision | None, assembled: Assembled
) -> None:
    """Note the statement that holds, those that speak for a part of the finding only, and the conflicts on the way."""
    if held is not None:
        blocks = tuple(VexBlockEntry(ref=one.ref, statement=_statement(one)) for one in held.blocks)
        assembled.decisions.append(
            VexDecisionEntry(id=identifier, component=package, decided=_statement(held), blocks=blocks)
        )
    weighed: Mapping[object, Decision] = {part.statement: part for part in parts}
    for part in weighed.values():
        if held is None or part.statement != held.statement:
            assembled.partial.append(VexPartialEntry(id=identifier, component=package, statement=_statement(part)))
        if part.conflict:
            statements = tuple(
                VexStatementEntry(
                    document=one.statement.digest,
                    statement=one.statement.index,
                    author=one.author,
                    timestamp=one.timestamp,
                    status=one.status,
                )
                for one in part.conflict
            )
            assembled.conflicts.append(VexConflictEntry(id=identifier, component=package, statements=statements))
