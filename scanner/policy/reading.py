"""From TOML to a policy, strictly: a fault is refused with its pointer and its line (docs/matching.md section 7)."""

import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from kit.errors import LimitExceeded, MalformedDocument, UnsupportedVersion
from scanner import identity
from scanner.policy import places
from scanner.policy.compiled import Policy
from scanner.policy.document import SCHEMA_VERSION, Conditions, PackageName, PolicyDocument, Rule
from scanner.policy.patterns import BadPattern, compile_pattern

MAX_BYTES = 256 << 10
MAX_RULES = 1_000
MAX_KEY = 16
"""How many parts a dotted key may have; the deepest that a policy knows has three."""
PATH = "policy.toml"

_RULE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}", re.ASCII)
_MAX_TEXT = 1000
_FIELD_FAULT = re.compile(r"([^\0]*?)(?: - at `\$([^`]*)`)?")
_STEP = re.compile(r"\.([A-Za-z]+)|\[(\d+)\]")
_UNKNOWN_MEMBER = re.compile(r"Object contains unknown field `([^\0]*)`")
_SYNTAX_PLACE = re.compile(r"\(at line (\d+), column \d+\)")
_AT_END = "(at end of document)"
_Place = tuple[str | int, ...]


class _Fault(Exception):
    """What is wrong, and where; becomes a refusal once the line is looked up."""

    def __init__(self, place: Sequence[str | int], detail: str, key: str = "") -> None:
        super().__init__(detail)
        self.place = tuple(place)
        self.detail = detail
        self.key = key


def load(data: bytes, *, time: str) -> Policy:
    """Read and compile a policy, its ends and ages judged at ``time`` (UTC, ``YYYY-MM-DDTHH:MM:SSZ``).

    Raises :class:`LimitExceeded`, :class:`UnsupportedVersion`, and :class:`MalformedDocument` with the line and, where
    the document is TOML, the pointer of the fault.
    """
    text, table = _parse(data)
    version = table.get("schemaVersion")
    if isinstance(version, str) and version != SCHEMA_VERSION:
        raise UnsupportedVersion(path=PATH, expected=SCHEMA_VERSION, found=version[:64])
    rules = table.get("rules")
    if isinstance(rules, list) and len(rules) > MAX_RULES:
        raise LimitExceeded(path=PATH, detail="rules", expected=MAX_RULES, found=len(rules))
    try:
        document = _checked(_converted(table))
    except _Fault as fault:
        pointer = "".join(f"/{step}" for step in fault.place)
        raise MalformedDocument(
            path=PATH, line=_line(text, fault.place, fault.key), pointer=pointer, detail=fault.detail
        ) from None
    return Policy(document, time)


def _parse(data: bytes) -> tuple[str, dict[str, Any]]:
    if len(data) > MAX_BYTES:
        raise LimitExceeded(path=PATH, expected=f"at most {MAX_BYTES} bytes", found=len(data))
    try:
        text = data.decode("utf-8")
        if (parts := places.longest_key(text)) > MAX_KEY:
            raise LimitExceeded(path=PATH, detail="parts of a dotted key", expected=MAX_KEY, found=parts)
        return text, tomllib.loads(text, parse_float=_number)
    except (RecursionError, MemoryError):
        raise LimitExceeded(path=PATH, detail="nested too deep") from None
    except ValueError as fault:
        raise MalformedDocument(path=PATH, **_syntax_place(data, fault), detail=str(fault)) from None


def _syntax_place(data: bytes, fault: ValueError) -> dict[str, int]:
    """Return the line of a fault that the reader of TOML found, where it says one."""
    if isinstance(fault, UnicodeDecodeError):
        return {"line": data.count(b"\n", 0, fault.start) + 1}
    if _AT_END in str(fault):
        return {"line": data.count(b"\n") + 1}
    found = _SYNTAX_PLACE.search(str(fault))
    return {"line": int(found.group(1))} if found else {}


def _number(text: str) -> Decimal:
    """Return a number with a fraction or exponent, exactly as it is written; one beyond reason is none."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Decimal("NaN")


def _converted(table: dict[str, Any]) -> PolicyDocument:
    try:
        return msgspec.convert(table, PolicyDocument, builtin_types=(datetime, Decimal))
    except RecursionError:
        raise LimitExceeded(path=PATH, detail="nested too deep") from None
    except msgspec.ValidationError as error:
        said = _FIELD_FAULT.fullmatch(str(error))
        detail, place = said.groups() if said else (str(error), None)
        unknown = _UNKNOWN_MEMBER.fullmatch(detail)
        raise _Fault(_steps(place or ""), detail, unknown.group(1) if unknown else "") from None


def _steps(place: str) -> _Place:
    """Return the steps of a place written as ``.rules[0].match``."""
    return tuple(name or int(index) for name, index in _STEP.findall(place))


def _line(text: str, place: _Place, key: str) -> int:
    """Return the line of a fault: of the unknown key where there is one, else of the value or what should hold it."""
    try:
        found = places.lines(text)
    except RecursionError:
        return 1
    return places.line_of(found, (*place, key) if key else place)


def _checked(document: PolicyDocument) -> PolicyDocument:
    """Return the document with packages normalised, times in UTC and scores in tenths, once its rules make sense."""
    _check_text(document.name, ("name",))
    if len(set(document.vex.trust)) != len(document.vex.trust):
        raise _Fault(("vex", "trust"), "an author is named twice")
    rules: list[Rule] = []
    seen: set[str] = set()
    for position, rule in enumerate(document.rules):
        place = ("rules", position)
        if not _RULE_ID.fullmatch(rule.id):
            raise _Fault((*place, "id"), "an id has [a-z0-9._-], at most 64")
        if rule.id in seen:
            raise _Fault((*place, "id"), "an id is used twice")
        seen.add(rule.id)
        rules.append(_checked_rule(rule, place))
    return msgspec.structs.replace(document, rules=tuple(rules))


def _checked_rule(rule: Rule, place: _Place) -> Rule:
    _check_text(rule.reason, (*place, "reason"))
    if rule.action == "downgrade" and rule.to is None:
        raise _Fault(place, "a downgrade says to which level: to")
    if rule.action != "downgrade" and rule.to is not None:
        raise _Fault((*place, "to"), "only a downgrade has a level to go to")
    match, within = rule.match, (*place, "match")
    if match == Conditions():
        raise _Fault(within, "a rule needs a condition; what holds for all is the default")
    for position, pattern in enumerate(match.purls):
        try:
            compile_pattern(pattern)
        except BadPattern as fault:
            raise _Fault((*within, "purls", position), str(fault)) from None
    match = msgspec.structs.replace(
        match,
        packages=_packages(match, (*within, "packages")),
        score_at_least=_tenths(match.score_at_least, (*within, "scoreAtLeast")),
        score_at_most=_tenths(match.score_at_most, (*within, "scoreAtMost")),
        published_before=_moment(match.published_before, (*within, "publishedBefore")),
    )
    return msgspec.structs.replace(rule, match=match, expires=_moment(rule.expires, (*place, "expires")))


def _packages(conditions: Conditions, place: _Place) -> tuple[PackageName, ...]:
    found = []
    for position, package in enumerate(conditions.packages):
        if isinstance(package, PackageName):
            name = identity.normalise(package.ecosystem, package.name)
            found.append(msgspec.structs.replace(package, name=name))
            continue
        try:
            parsed = identity.parse_purl(package)
        except identity.BadPurl as fault:
            raise _Fault((*place, position), str(fault)) from None
        # A package URL without a version stands for every version of the package.
        known = identity.from_purl(package, version="0")
        if isinstance(known, identity.NotEvaluated):
            raise _Fault((*place, position), f"{known.reason} {known.detail}".strip())
        if parsed.qualifiers:
            raise _Fault((*place, position), "a policy's package URL has no qualifiers")
        version = known.version if parsed.version else None
        found.append(PackageName(ecosystem=known.ecosystem, name=known.name, version=version))
    return tuple(found)


def _tenths(score: Decimal | int | None, place: _Place) -> int | None:
    """Return a score from 0 to 10 in tenths."""
    if score is None:
        return None
    value = Decimal(score)
    if not (value.is_finite() and 0 <= value <= 10 and value == value.quantize(Decimal("0.1"))):
        raise _Fault(place, "a score is a number from 0 to 10 with at most one decimal place")
    return int(value * 10)


def _moment(value: datetime | None, place: _Place) -> datetime | None:
    """Return a moment in UTC."""
    if value is None:
        return None
    if value.tzinfo is None or value.microsecond:
        raise _Fault(place, "a moment is a date-time with offset, in whole seconds")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise _Fault(place, "the moment is outside the calendar") from None


def _check_text(text: str, place: _Place) -> None:
    if not text.strip() or len(text) > _MAX_TEXT or not text.isprintable():
        raise _Fault(place, f"a printable text of at most {_MAX_TEXT} characters is needed")
