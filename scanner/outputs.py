"""The records of an evaluation's outputs: findings, VEX decisions, verdict, trees, trace (docs/matching.md section 8).

All are canonical JSON in our profile. ``findings.json`` names advisory records and nothing of a feed as a whole, so
that another snapshot changes only what its records cause. Arrays are sorted when they are made.
"""

import msgspec

from kit.reachability import CodeIdCoverage
from scanner.match import Evidence

SCHEMA_VERSION = "1.0"
MAX_MEMBER = 64 << 20
"""Bytes of one output member: what every reader of an output bundle takes."""

SBOM = "sbom.json"
FINDINGS = "findings.json"
VEX = "vex.json"
VERDICT = "verdict.json"
LOG = "logs/replay.log"
TRACE = "logs/trace.json"
FINDING_TREE = "merkle/finding-tree.json"
VERDICT_TREE = "merkle/verdict-tree.json"


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True, gc=False
):
    """Base of the outputs' records."""


class PackageEntry(_Document, frozen=True, gc=False):
    """A package as it was looked up, with the package URL that led there; the version as the SBOM spells it."""

    purl: str
    ecosystem: str
    package: str
    version: str


class ComponentEntry(PackageEntry, frozen=True, gc=False):
    """A package with the refs of all its instances in the SBOM, sorted."""

    refs: tuple[str, ...]


class VectorEntry(_Document, frozen=True, gc=False):
    """A severity as the record gives it."""

    type: str
    score: str


class RecordEntry(_Document, frozen=True, gc=False):
    """An advisory record that hits: SHA-256 of its canonical line, and what in it matched; ``fixed`` ascends."""

    feed: str
    id: str
    digest: str
    modified: str
    matched: tuple[Evidence, ...]
    fixed: tuple[str, ...] = ()
    published: str | None = None
    severity: tuple[VectorEntry, ...] = ()


class SeverityEntry(_Document, frozen=True, gc=False):
    """A finding's severity: level, CVSS score in tenths, and the record it comes from; or ``unknown`` with a reason."""

    level: str
    score: int | None = None
    vector: str | None = None
    feed: str | None = None
    record: str | None = None
    reason: str | None = None


class VexEntry(_Document, frozen=True, gc=False):
    """The VEX statement that holds: digest of its document and its position there."""

    status: str
    document: str
    statement: int
    justification: str | None = None


class ReachabilityEntry(_Document, frozen=True, gc=False):
    """What call graphs and traces say about the package.

    Reachable: the shortest path (``pathLength`` calls from ``entryPoint`` to ``node`` in ``graph``), or the use that
    was seen last (``symbol``, up to ``recordedAt``, in ``trace``), or both. Unknown: the reason.
    """

    state: str
    reason: str | None = None
    graph: str | None = None
    entry_point: str | None = None
    node: str | None = None
    path_length: int | None = None
    trace: str | None = None
    recorded_at: str | None = None
    symbol: str | None = None


class DowngradeEntry(_Document, frozen=True, gc=False):
    """The rule that lowered a finding before it was decided about, and the level it was lowered to."""

    rule: str
    to: str
    reason: str


class DecisionEntry(_Document, frozen=True, gc=False):
    """What the policy does about a finding, and what decided."""

    action: str
    by: str
    rule: str | None = None
    reason: str | None = None
    downgrade: DowngradeEntry | None = None


class Finding(_Document, frozen=True, gc=False):
    """One alias group in one package; ``aliases`` are its other names, ``records`` ascend by id, feed and digest.

    ``vulnerabilities`` are the names of each of those that the group joins, where it joins several.
    """

    id: str
    aliases: tuple[str, ...]
    component: ComponentEntry
    records: tuple[RecordEntry, ...]
    severity: SeverityEntry
    fix_available: bool
    decision: DecisionEntry
    vulnerabilities: tuple[tuple[str, ...], ...] = ()
    vex: VexEntry | None = None
    owned_by_os_package: bool = False
    reachability: ReachabilityEntry | None = None


class WithdrawnEntry(_Document, frozen=True, gc=False):
    """A withdrawn record that would hit."""

    component: PackageEntry
    feed: str
    id: str
    digest: str
    modified: str
    withdrawn: str


class UndecidableEntry(_Document, frozen=True, gc=False):
    """A record that cannot be judged for a package: affected entry and range by position, reason, offending text."""

    component: PackageEntry
    feed: str
    id: str
    digest: str
    modified: str
    affected: int
    reason: str
    range: int | None = None
    value: str | None = None


class NotEvaluatedEntry(_Document, frozen=True, gc=False):
    """A component that was not, or not fully, evaluated."""

    ref: str
    name: str
    reason: str
    version: str | None = None
    purl: str | None = None
    detail: str | None = None


class UnreadableEntry(_Document, frozen=True, gc=False):
    """A record of a feed that does not follow the schema, by digest."""

    feed: str
    digest: str


class FindingsDocument(_Document, frozen=True, gc=False):
    """``findings.json``."""

    schema_version: str
    contract: str
    findings: tuple[Finding, ...]
    undecidable: tuple[UndecidableEntry, ...]
    not_evaluated: tuple[NotEvaluatedEntry, ...]
    withdrawn: tuple[WithdrawnEntry, ...]
    unreadable: tuple[UnreadableEntry, ...]


class SkippedEntry(_Document, frozen=True, gc=False):
    """A part of an input document that was not read."""

    pointer: str
    reason: str
    detail: str | None = None


class VexDocumentEntry(_Document, frozen=True, gc=False):
    """A VEX document that was read."""

    name: str
    digest: str
    format: str
    author: str
    statements: int
    skipped: tuple[SkippedEntry, ...]


class VexStatementEntry(_Document, frozen=True, gc=False):
    """One statement as one side of a decision."""

    document: str
    statement: int
    author: str
    timestamp: str
    status: str
    justification: str | None = None


class VexBlockEntry(_Document, frozen=True, gc=False):
    """A component on the way to a finding's component, by ref, and the statement that holds for it."""

    ref: str
    statement: VexStatementEntry


class VexDecisionEntry(_Document, frozen=True, gc=False):
    """The statement that holds for a finding, or the first of those that together block every path to its component."""

    id: str
    component: PackageEntry
    decided: VexStatementEntry
    blocks: tuple[VexBlockEntry, ...] = ()


class VexConflictEntry(_Document, frozen=True, gc=False):
    """Statements that contradict one another and are equally trusted and recent; the most cautious holds."""

    id: str
    component: PackageEntry
    statements: tuple[VexStatementEntry, ...]


class VexPartialEntry(_Document, frozen=True, gc=False):
    """A statement that speaks for some vulnerabilities of a finding only, and therefore does not decide about it."""

    id: str
    component: PackageEntry
    statement: VexStatementEntry


class VexOutput(_Document, frozen=True, gc=False):
    """``vex.json``."""

    schema_version: str
    documents: tuple[VexDocumentEntry, ...]
    decisions: tuple[VexDecisionEntry, ...]
    conflicts: tuple[VexConflictEntry, ...]
    partial: tuple[VexPartialEntry, ...]


class ScanEntry(_Document, frozen=True, gc=False):
    """The scan that a verdict is about."""

    id: str
    time: str
    subject: str


class NamedInput(_Document, frozen=True, gc=False):
    """An input by name and digest."""

    name: str
    digest: str


class ReachabilityInput(_Document, frozen=True, gc=False):
    """A call graph or trace by URI; without a digest it was named and not there."""

    cas_uri: str
    digest: str | None = None


class InputsEntry(_Document, frozen=True, gc=False):
    """Everything that the evaluation read; the policy's digest is that of its compiled form."""

    sbom: str
    feeds: tuple[NamedInput, ...]
    vex: tuple[NamedInput, ...]
    policy: NamedInput
    reachability: tuple[ReachabilityInput, ...] = ()


class GroundEntry(_Document, frozen=True, gc=False):
    """Why the verdict is not better: how many of what, and the rule or bound concerned."""

    action: str
    kind: str
    count: int
    name: str | None = None
    bound: int | None = None


class VerdictDocument(_Document, frozen=True, gc=False):
    """``verdict.json``; ``findingRoot`` is the root of ``merkle/finding-tree.json``."""

    schema_version: str
    contract: str
    scan: ScanEntry
    inputs: InputsEntry
    verdict: str
    grounds: tuple[GroundEntry, ...]
    counts: dict[str, int]
    actions: dict[str, int]
    severities: dict[str, int]
    not_evaluated: dict[str, int]
    expired_rules: tuple[str, ...]
    finding_root: str


class FindingLeaf(_Document, frozen=True, gc=False):
    """One leaf of the finding tree: the leaf hash over the finding's canonical JSON."""

    id: str
    purl: str
    leaf_hash: str


class FindingTree(_Document, frozen=True, gc=False):
    """``merkle/finding-tree.json``: the findings in order of ``findings.json``."""

    schema_version: str
    leaves: tuple[FindingLeaf, ...]
    root: str


class MemberLeaf(_Document, frozen=True, gc=False):
    """One leaf of the verdict tree: the canonical JSON of path, size and digest."""

    path: str
    size: int
    digest: str


class VerdictTree(_Document, frozen=True, gc=False):
    """``merkle/verdict-tree.json``: all other output members by path."""

    schema_version: str
    leaves: tuple[MemberLeaf, ...]
    root: str


class FeedTrace(_Document, frozen=True, gc=False):
    """How many records of a feed were held against the SBOM."""

    name: str
    records: int


class GraphTrace(_Document, frozen=True, gc=False):
    """How large a call graph is, how much of it the entry points reach, and how much of it can be identified."""

    cas_uri: str
    nodes: int
    calls: int
    reached: int
    code_id_coverage: CodeIdCoverage


class Trace(_Document, frozen=True, gc=False):
    """``logs/trace.json``: counters that depend on the inputs only, never on how the feeds are stored."""

    schema_version: str
    feeds: tuple[FeedTrace, ...]
    counters: dict[str, int]
    graphs: tuple[GraphTrace, ...] = ()
