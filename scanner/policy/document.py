"""The records of a policy as written (docs/matching.md sections 7 and 7.1)."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

SCHEMA_VERSION = "1.0"

Outcome = Literal["ignore", "warn", "fail"]
Action = Literal["ignore", "downgrade", "requireVex", "warn", "fail"]
Level = Literal["none", "low", "medium", "high", "critical"]
LowerLevel = Literal["none", "low", "medium", "high"]
Severity = Literal["unknown", "none", "low", "medium", "high", "critical"]
VexStatus = Literal["none", "not_affected", "affected", "fixed", "under_investigation", "unknown"]
Reachability = Literal["reachable", "unreachable", "unknown"]
SuppressingStatus = Literal["not_affected", "fixed"]
Bound = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]
Days = Annotated[int, msgspec.Meta(ge=0, le=36_500)]


class _Document(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True
):
    """Base of the policy's records."""


class PackageName(_Document, frozen=True):
    """A package of an ecosystem; with a version, that one only."""

    ecosystem: str
    name: str
    version: str | None = None


class Conditions(_Document, frozen=True):
    """What a rule asks for. All that are given must hold; within a list one is enough.

    ``ids`` are record ids and aliases; ``packages`` are package URLs or ecosystem and name, as looked up; ``purls`` are
    patterns for the package URL as the SBOM has it; scores are numbers from 0 to 10; ``none`` as a VEX status is the
    lack of a statement.
    """

    ids: tuple[str, ...] = ()
    packages: tuple[str | PackageName, ...] = ()
    purls: tuple[str, ...] = ()
    ecosystems: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    severity_at_least: Level | None = None
    severity_at_most: Level | None = None
    score_at_least: Decimal | int | None = None
    score_at_most: Decimal | int | None = None
    vex_status: tuple[VexStatus, ...] = ()
    fix_available: bool | None = None
    owned_by_os_package: bool | None = None
    reachability: tuple[Reachability, ...] = ()
    age_at_least_days: Days | None = None
    age_below_days: Days | None = None
    published_before: datetime | None = None


class Rule(_Document, frozen=True):
    """One rule. ``to`` is the level of a downgrade; ``expires`` is the first moment at which it no longer matches."""

    id: str
    action: Action
    reason: str
    match: Conditions
    to: LowerLevel | None = None
    expires: datetime | None = None

    @property
    def settles(self) -> bool:
        """Whether the rule makes less of what it matches, so that it has to name all of that."""
        return self.action in {"ignore", "downgrade"}


class Thresholds(_Document, frozen=True):
    """Counts above which the verdict is ``fail`` whatever the rules say; absent means no bound."""

    max_findings: Bound | None = None
    max_warnings: Bound | None = None
    max_undecidable: Bound | None = None
    max_not_evaluated: Bound | None = None


class Vex(_Document, frozen=True):
    """How VEX statements are used: authors in order of trust, and the statuses that suppress a finding."""

    trust: tuple[str, ...] = ()
    suppress: tuple[SuppressingStatus, ...] = ("not_affected", "fixed")


class PolicyDocument(_Document, frozen=True):
    """A policy as written."""

    schema_version: str
    name: str
    default: Outcome = "warn"
    unevaluated: Outcome = "warn"
    rules: tuple[Rule, ...] = ()
    thresholds: Thresholds = Thresholds()
    vex: Vex = Vex()
