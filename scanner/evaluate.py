"""The evaluation: a pure function of SBOM, feeds, VEX documents, policy and a frozen time (docs/matching.md section 8).

There is no clock, no environment and no order of arrival: equal inputs give equal bytes, whatever the machine, the
hash seed, or the way in which a feed is stored.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from kit.bytes import canonical, digest, merkle
from kit.errors import LimitExceeded, NameCollision
from kit.manifest import check_time
from scanner import outputs, policy
from scanner.candidates import NOT_A_PACKAGE, FeedSource, Judged, Target, Unevaluated, judge, survey
from scanner.findings import Assembled, Given, assemble, package_entry
from scanner.match import MATCH_CONTRACT, State
from scanner.policy import Policy
from scanner.reachability import Evidence, Source
from scanner.sbom import Sbom, normalised, read_sbom
from scanner.vex import Allowance, VexDocument, VexIndex, read_vex

__all__ = ["MATCH_CONTRACT", "EvaluationInput", "FeedSource", "evaluate"]

_SKIPPED_GAPS = frozenset({"malformed", "more", "other-purl"})
"""Parts of an SBOM whose loss can hide a package."""


class EvaluationInput(msgspec.Struct, frozen=True):
    """Everything that an evaluation reads; the order of feeds and documents does not count.

    ``time`` is UTC, ``YYYY-MM-DDTHH:MM:SSZ``; ``vex`` holds names and documents; ``reachability`` holds what the
    manifest says of each graph and trace, and its bytes where it is carried.
    """

    scan_id: str
    time: str
    subject: str
    sbom: bytes
    feeds: Sequence[FeedSource]
    vex: Sequence[tuple[str, bytes]]
    policy: bytes
    reachability: Sequence[Source] = ()


class _Evaluation(msgspec.Struct, frozen=True):
    """What was read and found, before it is written."""

    given: EvaluationInput
    sbom: Sbom
    vex: tuple[VexDocument, ...]
    rules: Policy
    evidence: Evidence
    targets: Sequence[Target]
    unevaluated: Sequence[Unevaluated]
    judged: Judged
    assembled: Assembled


def evaluate(given: EvaluationInput) -> dict[str, bytes]:
    """Return the output members, by path, ascending.

    Raises the errors of the readers for an SBOM, VEX document, graph, trace or policy that is refused as a whole,
    :class:`NameCollision` where two inputs of a kind have one name, :class:`LimitExceeded` where inputs or outputs are
    beyond a counted bound (docs/matching.md section 4.6). Parts and records that cannot be read are listed
    in the outputs.
    """
    check_time(given.time, "/scan/time")
    rules = policy.load(given.policy, time=given.time)
    sbom = read_sbom(given.sbom)
    evidence = Evidence(given.reachability, given.time)
    covered = frozenset(ecosystem for feed in given.feeds for ecosystem in feed.ecosystems)
    targets, unevaluated = survey(sbom, covered)
    judged = judge(targets, given.feeds)
    statements = VexIndex(wanted=_names(judged))
    documents = _read_vex(given.vex, statements)
    assembled = assemble(judged, targets, Given(sbom, statements, evidence, rules, given.time))
    return _write(_Evaluation(given, sbom, documents, rules, evidence, targets, unevaluated, judged, assembled))


def _names(judged: Judged) -> frozenset[str]:
    """Return all ids under which a statement may speak of a finding."""
    hits = (hit for hits in judged.hits.values() for hit in hits)
    return frozenset(name for hit in hits for name in (hit.id, *hit.aliases, *hit.upstream))


def _read_vex(given: Iterable[tuple[str, bytes]], statements: VexIndex) -> tuple[VexDocument, ...]:
    """Read the documents, one after the other, and file what they say about the findings."""
    documents: dict[str, VexDocument] = {}
    allowance = Allowance()
    for name, data in sorted(given, key=lambda one: one[0]):
        if name in documents:
            raise NameCollision(path=name, detail="two VEX documents have this name")
        documents[name] = statements.add(read_vex(name, data, allowance, wanted=statements.wanted))
    return tuple(documents.values())


def _write(done: _Evaluation) -> dict[str, bytes]:
    """Return the output members of an evaluation."""
    tree = _finding_tree(done.assembled.findings)
    verdict = _verdict(done, tree.root)
    members = {
        outputs.SBOM: canonical.encode(normalised(done.sbom)),
        outputs.FINDINGS: canonical.encode_record(_findings(done)),
        outputs.VEX: canonical.encode_record(_vex(done)),
        outputs.VERDICT: canonical.encode_record(verdict),
        outputs.FINDING_TREE: canonical.encode_record(tree),
        outputs.TRACE: canonical.encode_record(_trace(done)),
        outputs.LOG: _log(done, verdict),
    }
    members[outputs.VERDICT_TREE] = canonical.encode_record(_verdict_tree(members))
    for path, data in members.items():
        if len(data) > outputs.MAX_MEMBER:
            raise LimitExceeded(path=path, expected=outputs.MAX_MEMBER, found=len(data))
    return {path: members[path] for path in sorted(members)}


def _findings(done: _Evaluation) -> outputs.FindingsDocument:
    judged, packages = done.judged, [package_entry(target) for target in done.targets]
    return outputs.FindingsDocument(
        schema_version=outputs.SCHEMA_VERSION,
        contract=MATCH_CONTRACT,
        findings=tuple(done.assembled.findings),
        undecidable=tuple(
            outputs.UndecidableEntry(
                component=packages[number],
                feed=one.feed,
                id=one.id,
                digest=one.digest,
                modified=one.modified,
                affected=one.affected,
                reason=one.doubt.reason,
                range=one.doubt.range,
                value=one.doubt.value,
            )
            for number in sorted(judged.undecided)
            for one in sorted(judged.undecided[number], key=lambda one: (one.id, one.feed, one.digest))
        ),
        not_evaluated=tuple(
            outputs.NotEvaluatedEntry(
                ref=one.ref,
                name=one.name,
                reason=one.reason,
                version=one.version or None,
                purl=one.purl or None,
                detail=one.detail or None,
            )
            for one in done.unevaluated
        ),
        withdrawn=tuple(
            outputs.WithdrawnEntry(
                component=packages[number],
                feed=one.feed,
                id=one.id,
                digest=one.digest,
                modified=one.modified,
                withdrawn=one.withdrawn or "",
            )
            for number in sorted(judged.withdrawn)
            for one in sorted(judged.withdrawn[number], key=lambda one: (one.id, one.feed, one.digest))
        ),
        unreadable=tuple(outputs.UnreadableEntry(feed=feed, digest=line) for feed, line in judged.unreadable),
    )


def _vex(done: _Evaluation) -> outputs.VexOutput:
    return outputs.VexOutput(
        schema_version=outputs.SCHEMA_VERSION,
        documents=tuple(
            outputs.VexDocumentEntry(
                name=document.name,
                digest=document.digest,
                format=document.format,
                author=document.author,
                statements=document.count,
                skipped=tuple(
                    outputs.SkippedEntry(pointer=one.pointer, reason=one.reason, detail=one.detail or None)
                    for one in document.skipped
                ),
            )
            for document in done.vex
        ),
        decisions=tuple(done.assembled.decisions),
        conflicts=tuple(done.assembled.conflicts),
        partial=tuple(done.assembled.partial),
    )


def _verdict(done: _Evaluation, finding_root: str) -> outputs.VerdictDocument:
    given, rules, findings = done.given, done.rules, done.assembled.findings
    reasons = Counter(one.reason for one in done.unevaluated)
    actions = Counter(finding.decision.action for finding in findings)
    counts = _counts(done, reasons)
    grounds = _grounds(done, counts, actions)
    return outputs.VerdictDocument(
        schema_version=outputs.SCHEMA_VERSION,
        contract=MATCH_CONTRACT,
        scan=outputs.ScanEntry(id=given.scan_id, time=given.time, subject=given.subject),
        inputs=outputs.InputsEntry(
            sbom=done.sbom.digest,
            feeds=tuple(
                outputs.NamedInput(name=feed.name, digest=feed.snapshot_digest)
                for feed in sorted(given.feeds, key=lambda one: one.name)
            ),
            vex=tuple(outputs.NamedInput(name=one.name, digest=one.digest) for one in done.vex),
            policy=outputs.NamedInput(name=rules.document.name, digest=rules.digest),
            reachability=tuple(
                outputs.ReachabilityInput(cas_uri=one.uri, digest=one.digest) for one in done.evidence.sources
            ),
        ),
        verdict={"ignore": "pass"}.get(worst := policy.worst(ground.action for ground in grounds), worst),
        grounds=tuple(grounds),
        counts=counts,
        actions={action: actions[action] for action in ("fail", "ignore", "warn")},
        severities=dict(sorted(Counter(finding.severity.level for finding in findings).items())),
        not_evaluated=dict(sorted(reasons.items())),
        expired_rules=rules.expired,
        finding_root=finding_root,
    )


def _counts(done: _Evaluation, reasons: Mapping[str, int]) -> dict[str, int]:
    """Return the accounting: every component is evaluated, not evaluated with a reason, or no package at all."""
    judged = done.judged
    others = reasons.get(NOT_A_PACKAGE, 0)
    missed = sum(reasons.values()) - others
    return {
        "components": len(done.sbom.components),
        "evaluated": len(done.sbom.components) - missed - others,
        "findings": len(done.assembled.findings),
        "notEvaluated": missed,
        "notPackages": others,
        "packages": len(done.targets),
        "sbomPartsLost": sum(one.reason in _SKIPPED_GAPS for one in done.sbom.skipped),
        "undecidable": sum(len(one) for one in judged.undecided.values()),
        "unreadable": len(judged.unreadable),
        "withdrawn": sum(len(one) for one in judged.withdrawn.values()),
    }


def _grounds(done: _Evaluation, counts: Mapping[str, int], actions: Mapping[str, int]) -> list[outputs.GroundEntry]:
    """Return what speaks against a pass: findings by what decided, gaps in the evaluation, thresholds."""
    document = done.rules.document
    grounds = []
    decided = Counter(
        (finding.decision.action, finding.decision.by, finding.decision.rule) for finding in done.assembled.findings
    )
    for (action, by, rule), count in decided.items():
        if action != "ignore":
            grounds.append(outputs.GroundEntry(action=action, kind=by, count=count, name=rule))
    if document.unevaluated != "ignore":
        grounds += [
            outputs.GroundEntry(action=document.unevaluated, kind="unevaluated", count=counts[name], name=name)
            for name in ("notEvaluated", "sbomPartsLost", "undecidable", "unreadable")
            if counts[name]
        ]
    if done.evidence.missing:
        missing = done.evidence.missing
        grounds.append(
            outputs.GroundEntry(action="warn", kind="reachability", count=missing, name="reachability:unknown")
        )
    bounds = document.thresholds
    for name, bound, count in (
        ("maxFindings", bounds.max_findings, actions["fail"] + actions["warn"]),
        ("maxNotEvaluated", bounds.max_not_evaluated, counts["notEvaluated"]),
        ("maxUndecidable", bounds.max_undecidable, counts["undecidable"]),
        ("maxWarnings", bounds.max_warnings, actions["warn"]),
    ):
        if bound is not None and count > bound:
            grounds.append(outputs.GroundEntry(action="fail", kind="threshold", count=count, name=name, bound=bound))
    return sorted(grounds, key=lambda one: (one.action, one.kind, one.name or ""))


def _finding_tree(findings: Sequence[outputs.Finding]) -> outputs.FindingTree:
    hashes = [merkle.leaf_hash(canonical.encode_record(finding)) for finding in findings]
    return outputs.FindingTree(
        schema_version=outputs.SCHEMA_VERSION,
        leaves=tuple(
            outputs.FindingLeaf(id=finding.id, purl=finding.component.purl, leaf_hash=digest.of_raw(leaf))
            for finding, leaf in zip(findings, hashes, strict=True)
        ),
        root=digest.of_raw(merkle.root(hashes)),
    )


def _verdict_tree(members: Mapping[str, bytes]) -> outputs.VerdictTree:
    leaves = tuple(
        outputs.MemberLeaf(path=path, size=len(members[path]), digest=digest.of_bytes(members[path]))
        for path in sorted(members)
    )
    hashes = [merkle.leaf_hash(canonical.encode_record(leaf)) for leaf in leaves]
    return outputs.VerdictTree(
        schema_version=outputs.SCHEMA_VERSION, leaves=leaves, root=digest.of_raw(merkle.root(hashes))
    )


def _trace(done: _Evaluation) -> outputs.Trace:
    judged = done.judged
    return outputs.Trace(
        schema_version=outputs.SCHEMA_VERSION,
        feeds=tuple(outputs.FeedTrace(name=name, records=judged.records[name]) for name in sorted(judged.records)),
        counters={
            "gitRanges": judged.git_ranges,
            "pairsAffected": judged.pairs[State.AFFECTED],
            "pairsNotAffected": judged.pairs[State.NOT_AFFECTED],
            "pairsNotEvaluated": judged.pairs[State.NOT_EVALUATED],
            "pairsUndecidable": judged.pairs[State.UNDECIDABLE],
            "records": sum(judged.records.values()),
            "vexConflicts": len(done.assembled.conflicts),
            "vexDecisions": len(done.assembled.decisions),
            "vexPartial": len(done.assembled.partial),
            "vexStatements": sum(document.count for document in done.vex),
        },
        graphs=tuple(
            outputs.GraphTrace(
                cas_uri=one.uri,
                nodes=one.nodes,
                calls=one.calls,
                reached=one.reached,
                code_id_coverage=one.coverage,
            )
            for one in done.evidence.sources
            if one.coverage is not None
        ),
    )


def _log(done: _Evaluation, verdict: outputs.VerdictDocument) -> bytes:
    """Return the log: one line a step, ``step key=value …``, values as ASCII JSON."""
    given, rules = done.given, done.rules
    lines: list[tuple[str, dict[str, str | int]]] = [
        ("scan", {"id": given.scan_id, "time": given.time, "subject": given.subject, "contract": MATCH_CONTRACT}),
        ("sbom", {"digest": done.sbom.digest, "format": done.sbom.format, "specVersion": done.sbom.spec_version}),
    ]
    for feed in verdict.inputs.feeds:
        records = done.judged.records[feed.name]
        lines.append(("feed", {"name": feed.name, "snapshot": feed.digest, "records": records}))
    lines += [("vex", {"name": document.name, "digest": document.digest}) for document in verdict.inputs.vex]
    for source in verdict.inputs.reachability:
        lines.append(("reachability", {"casUri": source.cas_uri, "digest": source.digest or "not there"}))
    lines += [
        ("policy", {"name": rules.document.name, "digest": rules.digest, "expiredRules": len(rules.expired)}),
        ("match", dict(_trace(done).counters)),
        ("account", dict(verdict.counts)),
        ("decide", dict(verdict.actions)),
        ("verdict", {"verdict": verdict.verdict, "findingRoot": verdict.finding_root}),
    ]
    text = (
        " ".join([step, *(f"{key}={json.dumps(value)}" for key, value in values.items())]) for step, values in lines
    )
    return "".join(f"{line}\n" for line in text).encode("ascii")
