"""The policy: what is done about a finding, as ordered rules in TOML (docs/matching.md section 7).

A rule has conditions, an action, a reason and, if wanted, an end. The first rule whose conditions all hold decides.
There is no clock here: an end is judged at the scan's frozen time. There are no regular expressions, so no condition
can take long.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, NoReturn

import msgspec

from kit.bytes import canonical, digest
from kit.errors import LimitExceeded, MalformedDocument, UnsupportedVersion
from scanner import cvss, identity

SCHEMA_VERSION = "1.0"
MAX_BYTES = 256 << 10
PATH = "policy.toml"

Action = Literal["ignore", "warn", "fail"]
Level = Literal["none", "low", "medium", "high", "critical"]
Severity = Literal["unknown", "none", "low", "medium", "high", "critical"]
VexStatus = Literal["none", "not_affected", "affected", "fixed", "under_investigation", "unknown"]
SuppressingStatus = Literal["not_affected", "fixed"]
Bound = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]

_RULE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_MAX_TEXT = 1000
_FIELD_FAULT = re.compile(r"(.*?)(?: - at `\$(.*)`)?", re.DOTALL)
_ACTIONS = ("ignore", "warn", "fail")


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

    ``ids`` are record ids and aliases; ``packages`` are package URLs or ecosystem and name; ``none`` as a VEX status
    is the lack of a statement.
    """

    ids: tuple[str, ...] = ()
    packages: tuple[str | PackageName, ...] = ()
    ecosystems: tuple[str, ...] = ()
    severities: tuple[Severity, ...] = ()
    severity_at_least: Level | None = None
    severity_at_most: Level | None = None
    vex_status: tuple[VexStatus, ...] = ()
    fix_available: bool | None = None


class Rule(_Document, frozen=True):
    """One rule. ``expires`` is the first moment at which it no longer matches."""

    id: str
    action: Action
    reason: str
    match: Conditions
    expires: datetime | None = None


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
    default: Action = "warn"
    unevaluated: Action = "warn"
    rules: tuple[Rule, ...] = ()
    thresholds: Thresholds = Thresholds()
    vex: Vex = Vex()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules may ask about a finding."""

    names: Sequence[str]
    package: identity.Package
    severity: str
    vex_status: str | None
    fix_available: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What is done about a finding and what decided: a rule (then with its id), VEX, or the default."""

    action: Action
    by: Literal["rule", "vex", "default"]
    rule: str | None = None
    reason: str | None = None


class Policy:
    """A compiled policy at one moment.

    ``encoded`` is its canonical form, with defaults filled in and packages normalised; ``digest`` identifies it.
    ``expired`` are the ids of the rules that have ended, sorted.
    """

    def __init__(self, document: PolicyDocument, time: str) -> None:
        self.document = document
        self.encoded = canonical.encode(_compiled(document))
        self.digest = digest.of_bytes(self.encoded)
        ended = {rule.id for rule in document.rules if rule.expires and _written(rule.expires) <= time}
        self.expired = tuple(sorted(ended))
        self._rules = [rule for rule in document.rules if rule.id not in ended]
        self._by_id: dict[str, list[int]] = {}
        self._by_package: dict[tuple[str, str], list[int]] = {}
        self._general: list[int] = []
        for position, rule in enumerate(self._rules):
            self._place(position, rule.match)

    def decide(self, facts: Facts) -> Decision:
        """Return what is done about a finding.

        A finding whose VEX status suppresses it is put before those rules only that name a VEX status, and ignored
        where none of them matches.
        """
        suppressed = facts.vex_status in self.document.vex.suppress
        for position in self._candidates(facts):
            rule = self._rules[position]
            if suppressed and not rule.match.vex_status:
                continue
            if _holds(rule.match, facts):
                return Decision(rule.action, "rule", rule.id, rule.reason)
        if suppressed:
            return Decision("ignore", "vex")
        return Decision(self.document.default, "default")

    def _place(self, position: int, conditions: Conditions) -> None:
        """File a rule under its most selective condition, so that a finding meets few rules."""
        if conditions.ids:
            for name in conditions.ids:
                self._by_id.setdefault(name, []).append(position)
        elif conditions.packages:
            for package in _named(conditions):
                self._by_package.setdefault((package.ecosystem, package.name), []).append(position)
        else:
            self._general.append(position)

    def _candidates(self, facts: Facts) -> Iterable[int]:
        found = set(self._by_package.get((facts.package.ecosystem, facts.package.name), ()))
        for name in facts.names:
            found.update(self._by_id.get(name, ()))
        return sorted(found.union(self._general)) if found else self._general


def load(data: bytes, *, time: str) -> Policy:
    """Read and compile a policy, its ends judged at ``time`` (UTC, ``YYYY-MM-DDTHH:MM:SSZ``).

    Raises :class:`LimitExceeded`, :class:`MalformedDocument` with the pointer of the fault,
    :class:`UnsupportedVersion`.
    """
    if len(data) > MAX_BYTES:
        raise LimitExceeded(path=PATH, expected=f"at most {MAX_BYTES} bytes", found=len(data))
    try:
        table = tomllib.loads(data.decode("utf-8"))
    except RecursionError:
        raise LimitExceeded(path=PATH, detail="nested too deep") from None
    except ValueError as fault:
        raise MalformedDocument(path=PATH, detail=str(fault)) from None
    version = table.get("schemaVersion")
    if isinstance(version, str) and version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=PATH, expected=SCHEMA_VERSION, found=version[:64])
    try:
        document = msgspec.convert(table, PolicyDocument, builtin_types=(datetime,))
    except msgspec.ValidationError as fault:
        text, place = _FIELD_FAULT.fullmatch(str(fault)).groups()  # type: ignore[union-attr]
        _refuse(_pointer(place or ""), text)
    return Policy(_checked(document), time)


def worst(actions: Iterable[str]) -> str:
    """Return the gravest of actions, ``ignore`` for none."""
    return max(actions, key=_ACTIONS.index, default="ignore")


def _checked(document: PolicyDocument) -> PolicyDocument:
    """Return the document with ends as text and packages normalised, once its rules make sense."""
    _check_text(document.name, "/name")
    if len(set(document.vex.trust)) != len(document.vex.trust):
        _refuse("/vex/trust", "an author is named twice")
    rules: list[Rule] = []
    seen: set[str] = set()
    for position, rule in enumerate(document.rules):
        pointer = f"/rules/{position}"
        if not _RULE_ID.fullmatch(rule.id):
            _refuse(f"{pointer}/id", "an id has [a-z0-9._-], at most 64")
        if rule.id in seen:
            _refuse(f"{pointer}/id", "an id is used twice")
        seen.add(rule.id)
        _check_text(rule.reason, f"{pointer}/reason")
        if rule.match == Conditions():
            _refuse(f"{pointer}/match", "a rule needs a condition; what holds for all is the default")
        match = msgspec.structs.replace(rule.match, packages=_packages(rule.match, f"{pointer}/match/packages"))
        expires = None if rule.expires is None else _end(rule.expires, f"{pointer}/expires")
        rules.append(msgspec.structs.replace(rule, match=match, expires=expires))
    return msgspec.structs.replace(document, rules=tuple(rules))


def _packages(conditions: Conditions, pointer: str) -> tuple[PackageName, ...]:
    found = []
    for position, package in enumerate(conditions.packages):
        if isinstance(package, PackageName):
            name = identity.normalise(package.ecosystem, package.name)
            found.append(msgspec.structs.replace(package, name=name))
            continue
        try:
            parsed = identity.parse_purl(package)
        except identity.BadPurl as fault:
            _refuse(f"{pointer}/{position}", str(fault))
        # A package URL without a version stands for every version of the package.
        known = identity.from_purl(package, version="0")
        if isinstance(known, identity.NotEvaluated):
            _refuse(f"{pointer}/{position}", f"{known.reason} {known.detail}".strip())
        if parsed.qualifiers:
            _refuse(f"{pointer}/{position}", "a policy's package URL has no qualifiers")
        version = known.version if parsed.version else None
        found.append(PackageName(ecosystem=known.ecosystem, name=known.name, version=version))
    return tuple(found)


def _end(value: datetime, pointer: str) -> datetime:
    """Return a rule's end in UTC."""
    if value.tzinfo is None or value.microsecond:
        _refuse(pointer, "an end is a date-time with offset, in whole seconds")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        _refuse(pointer, "the end is outside the calendar")


def _written(end: datetime) -> str:
    return end.isoformat().replace("+00:00", "Z")


def _named(conditions: Conditions) -> Iterable[PackageName]:
    return (package for package in conditions.packages if isinstance(package, PackageName))


def _holds(conditions: Conditions, facts: Facts) -> bool:
    """Tell whether all of a rule's conditions hold."""
    if conditions.ids and not set(conditions.ids).intersection(facts.names):
        return False
    if conditions.packages and not any(_is_package(package, facts.package) for package in _named(conditions)):
        return False
    if conditions.ecosystems and facts.package.ecosystem not in conditions.ecosystems:
        return False
    if conditions.severities and facts.severity not in conditions.severities:
        return False
    if not _within(conditions, facts.severity):
        return False
    if conditions.vex_status and (facts.vex_status or "none") not in conditions.vex_status:
        return False
    return conditions.fix_available in {None, facts.fix_available}


def _is_package(wanted: PackageName, package: identity.Package) -> bool:
    return (
        wanted.name == package.name
        and wanted.ecosystem == package.ecosystem
        and wanted.version in {None, package.version}
    )


def _within(conditions: Conditions, severity: str) -> bool:
    """Tell whether a severity lies within a rule's bounds; an unknown one lies within none."""
    least, most = conditions.severity_at_least, conditions.severity_at_most
    if least is None and most is None:
        return True
    if severity not in cvss.LEVELS:
        return False
    place = cvss.LEVELS.index(severity)
    above = least is None or place >= cvss.LEVELS.index(least)
    return above and (most is None or place <= cvss.LEVELS.index(most))


def _compiled(document: PolicyDocument) -> dict[str, object]:
    """Return the whole policy as plain values, nothing left to a default."""
    compiled: dict[str, object] = msgspec.to_builtins(document)
    compiled["default"] = document.default
    compiled["unevaluated"] = document.unevaluated
    compiled["vex"] = {"trust": list(document.vex.trust), "suppress": sorted(document.vex.suppress)}
    return compiled


def _check_text(text: str, pointer: str) -> None:
    if not text.strip() or len(text) > _MAX_TEXT or not text.isprintable():
        _refuse(pointer, f"a printable text of at most {_MAX_TEXT} characters is needed")


def _pointer(place: str) -> str:
    """Return the JSON pointer of a place written as ``.rules[0].match``."""
    return re.sub(r"\[(\d+)\]", r"/\1", place).replace(".", "/")


def _refuse(pointer: str, detail: str) -> NoReturn:
    raise MalformedDocument(path=PATH, pointer=pointer, detail=detail)
