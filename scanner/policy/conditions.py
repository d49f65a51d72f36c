"""What a rule may ask about a finding, as named tests (docs/matching.md section 7.1)."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from scanner import cvss, identity
from scanner.instant import parse_instant
from scanner.policy.document import Conditions, PackageName
from scanner.policy.patterns import Pattern, compile_pattern

UNKNOWN = "unknown"
DAY = 86_400
_CEILING = {"none": 0, "low": 39, "medium": 69, "high": 89, "critical": 100}
"""The highest score, in tenths, of each level."""


class Facts(msgspec.Struct, frozen=True):
    """What the rules may ask about a finding.

    ``score`` is in tenths, ``None`` where the level comes from a word or is unknown; ``published`` is the earliest time
    of publication of the finding's records, as written; ``reachability`` is ``unknown`` without evidence.
    ``vulnerabilities`` are the names of each where the finding joins several, nothing where it is one.
    """

    names: Sequence[str]
    package: identity.Package
    severity: str
    vex_status: str | None
    fix_available: bool
    purl: str = ""
    score: int | None = None
    owned: bool = False
    published: str | None = None
    reachability: str = UNKNOWN
    vulnerabilities: Sequence[Sequence[str]] = ()


Test = Callable[[Facts], bool]


class Condition(msgspec.Struct, frozen=True):
    """One condition of a rule, under its name in the policy; ``cost`` counts the comparisons of one test."""

    name: str
    holds: Test
    cost: int = 1


def compile_conditions(wanted: Conditions, time: str, *, settles: bool = False) -> tuple[Condition, ...]:
    """Return the conditions that are given; ages are judged at ``time``, UTC.

    A rule that ``settles`` what it matches has to name every vulnerability that a finding joins, any other only one.
    Scores are in tenths and packages normalised, as :mod:`scanner.policy.reading` leaves them.
    """
    return tuple(_conditions(wanted, time, settles=settles))


def exceeds(facts: Facts, level: str) -> bool:
    """Tell whether a finding is graver than a level; what is unknown might be."""
    return facts.severity not in cvss.LEVELS or cvss.LEVELS.index(facts.severity) > cvss.LEVELS.index(level)


def lowered(facts: Facts, level: str) -> Facts:
    """Return the facts as they are after a downgrade: the level, and a score that is not above it."""
    score = None if facts.score is None else min(facts.score, _CEILING[level])
    return replace(facts, severity=level, score=score)


def _conditions(wanted: Conditions, time: str, *, settles: bool) -> Iterator[Condition]:
    if wanted.ids:
        names = frozenset(wanted.ids)
        yield Condition("ids", _every_vulnerability(names) if settles else _any_name(names))
    if wanted.packages:
        yield Condition("packages", _is_package(wanted))
    if wanted.ecosystems:
        yield Condition("ecosystems", _ecosystem(frozenset(wanted.ecosystems)))
    if wanted.severities:
        yield Condition("severities", _severity(frozenset(wanted.severities)))
    yield from _bounds(wanted)
    if wanted.vex_status:
        yield Condition("vexStatus", _vex_status(frozenset(wanted.vex_status)))
    if wanted.fix_available is not None:
        yield Condition("fixAvailable", _fix_available(wanted=wanted.fix_available))
    if wanted.owned_by_os_package is not None:
        yield Condition("ownedByOsPackage", _owned(wanted=wanted.owned_by_os_package))
    if wanted.reachability:
        yield Condition("reachability", _reachability(frozenset(wanted.reachability)))
    yield from _ages(wanted, time)
    if wanted.purls:
        patterns = [compile_pattern(pattern) for pattern in wanted.purls]
        yield Condition("purls", _purl(patterns), cost=sum(pattern.cost for pattern in patterns))


def _bounds(wanted: Conditions) -> Iterator[Condition]:
    """Yield the bounds of level and score; what is unknown lies within none."""
    if wanted.severity_at_least is not None:
        least = cvss.LEVELS.index(wanted.severity_at_least)
        yield Condition("severityAtLeast", lambda facts: _place(facts.severity) >= least)
    if wanted.severity_at_most is not None:
        most = cvss.LEVELS.index(wanted.severity_at_most)
        yield Condition("severityAtMost", lambda facts: 0 <= _place(facts.severity) <= most)
    if wanted.score_at_least is not None:
        low = int(wanted.score_at_least)
        yield Condition("scoreAtLeast", lambda facts: facts.score is not None and facts.score >= low)
    if wanted.score_at_most is not None:
        high = int(wanted.score_at_most)
        yield Condition("scoreAtMost", lambda facts: facts.score is not None and facts.score <= high)


def _ages(wanted: Conditions, time: str) -> Iterator[Condition]:
    """Yield the conditions on the time of publication; a finding whose records name none meets none of them."""
    now = _seconds(time)
    if wanted.age_at_least_days is not None:
        latest = now - wanted.age_at_least_days * DAY
        yield Condition("ageAtLeastDays", _published(lambda moment: moment <= latest))
    if wanted.age_below_days is not None:
        earliest = now - wanted.age_below_days * DAY
        yield Condition("ageBelowDays", _published(lambda moment: moment > earliest))
    if wanted.published_before is not None:
        end = _seconds(written(wanted.published_before))
        yield Condition("publishedBefore", _published(lambda moment: moment < end))


def written(moment: datetime) -> str:
    """Return a moment in UTC as ``YYYY-MM-DDTHH:MM:SSZ``."""
    return moment.isoformat().replace("+00:00", "Z")


def _seconds(time: str) -> int:
    instant = parse_instant(time)
    return instant[0] if instant else 0


def _place(level: str) -> int:
    return cvss.LEVELS.index(level) if level in cvss.LEVELS else -1


def _published(test: Callable[[int], bool]) -> Test:
    def holds(facts: Facts) -> bool:
        instant = parse_instant(facts.published) if facts.published else None
        return instant is not None and test(instant[0])

    return holds


def _any_name(names: frozenset[str]) -> Test:
    return lambda facts: not names.isdisjoint(facts.names)


def _every_vulnerability(names: frozenset[str]) -> Test:
    return lambda facts: all(not names.isdisjoint(one) for one in facts.vulnerabilities or (facts.names,))


def _is_package(wanted: Conditions) -> Test:
    known = {(one.ecosystem, one.name, one.version) for one in named(wanted)}

    def holds(facts: Facts) -> bool:
        package = facts.package
        place = package.ecosystem, package.name
        return (*place, None) in known or (*place, package.version) in known

    return holds


def named(wanted: Conditions) -> Iterator[PackageName]:
    """Yield the packages of a rule, which are names by now."""
    return (package for package in wanted.packages if isinstance(package, PackageName))


def _ecosystem(names: frozenset[str]) -> Test:
    return lambda facts: facts.package.ecosystem in names


def _severity(levels: frozenset[str]) -> Test:
    return lambda facts: facts.severity in levels


def _vex_status(statuses: frozenset[str]) -> Test:
    return lambda facts: (facts.vex_status or "none") in statuses


def _fix_available(*, wanted: bool) -> Test:
    return lambda facts: facts.fix_available == wanted


def _owned(*, wanted: bool) -> Test:
    return lambda facts: facts.owned == wanted


def _reachability(states: frozenset[str]) -> Test:
    return lambda facts: facts.reachability in states


def _purl(patterns: Sequence[Pattern]) -> Test:
    return lambda facts: any(pattern.matches(facts.purl) for pattern in patterns)
