"""What a policy's author should look at again: rules that can never match (docs/matching.md section 7.5)."""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from itertools import islice

import msgspec

from scanner import cvss
from scanner.policy.compiled import Policy
from scanner.policy.conditions import named
from scanner.policy.document import Conditions, Rule

_LEVELS = frozenset({"unknown", *cvss.LEVELS})
_FOREVER = 1 << 31
_Range = tuple[int, int] | None
"""Both ends of what a pair of conditions allows, ``None`` where neither is given: then the unknown will do too."""
_STATELESS = frozenset({"none", "unknown"})
"""VEX statuses that say nothing: a rule that demands a statement decides about these findings."""


class Idle(msgspec.Struct, frozen=True):
    """A rule that can never match: because of an earlier one (``by``), or of its own conditions."""

    rule: str
    by: str | None = None


def idle_rules(policy: Policy) -> list[Idle]:
    """Return the rules that can never match while the policy's present rules last, in their order.

    What is found is certain; a rule may also be idle for a reason that takes more than comparing conditions to see.
    """
    suppress = frozenset(policy.document.vex.suppress)
    lasting = [rule for rule in policy.document.rules if rule.id not in policy.expired]
    found = []
    for position, rule in enumerate(lasting):
        if _contradicts_itself(rule.match):
            found.append(Idle(rule.id))
            continue
        covering = next(_covering(lasting, position, suppress), None)
        if covering is not None:
            found.append(Idle(rule.id, covering.id))
    return found


def _covering(rules: Sequence[Rule], position: int, suppress: AbstractSet[str]) -> Iterator[Rule]:
    """Yield the rules before a rule that take every finding from it."""
    later = rules[position]
    last_downgrade = max(
        (place for place, rule in enumerate(islice(rules, position)) if rule.action == "downgrade"), default=-1
    )
    for place, rule in enumerate(islice(rules, position)):
        if not _lasts_as_long(rule.expires, later.expires):
            continue
        # After a downgrade the later rule is asked about another level than the earlier one was.
        if place < last_downgrade and (_levels(rule.match) != _LEVELS or _scores(rule.match)):
            continue
        # Of a finding that joins several vulnerabilities the later rule may need to name one, the earlier one all.
        names_more = bool(rule.match.ids) and rule.settles and not later.settles
        if _decides_all(rule, later, suppress) and not names_more and _contains(rule.match, later.match):
            yield rule


def _lasts_as_long(earlier: datetime | None, later: datetime | None) -> bool:
    return earlier is None or (later is not None and later <= earlier)


def _decides_all(rule: Rule, later: Rule, suppress: AbstractSet[str]) -> bool:
    """Tell whether a rule's action ends the matter for every finding that the later one could match."""
    asked = set(later.match.vex_status)
    if asked & suppress and not rule.match.vex_status:
        return False
    if rule.action == "requireVex":
        return bool(asked) and asked <= _STATELESS
    return rule.action != "downgrade"


def _contains(outer: Conditions, inner: Conditions) -> bool:
    """Tell whether what meets the inner conditions always meets the outer ones."""
    lists = (
        (outer.ids, inner.ids),
        (outer.purls, inner.purls),
        (outer.ecosystems, inner.ecosystems),
        (outer.vex_status, inner.vex_status),
        (outer.reachability, inner.reachability),
    )
    values = (
        (outer.fix_available, inner.fix_available),
        (outer.owned_by_os_package, inner.owned_by_os_package),
    )
    return (
        all(not wide or (narrow and set(narrow) <= set(wide)) for wide, narrow in lists)
        and all(wide is None or wide == narrow for wide, narrow in values)
        and _contains_packages(outer, inner)
        and _levels(inner) <= _levels(outer)
        and _within(_scores(inner), _scores(outer))
        and _within(_ages(inner), _ages(outer))
        and _published_earlier(outer.published_before, inner.published_before)
    )


def _contains_packages(outer: Conditions, inner: Conditions) -> bool:
    wide = {(one.ecosystem, one.name, one.version) for one in named(outer)}
    narrow = [(one.ecosystem, one.name, one.version) for one in named(inner)]
    if not wide:
        return True
    return bool(narrow) and all(one in wide or (*one[:2], None) in wide for one in narrow)


def _published_earlier(outer: datetime | None, inner: datetime | None) -> bool:
    return outer is None or (inner is not None and inner <= outer)


def _within(inner: _Range, outer: _Range) -> bool:
    return outer is None or (inner is not None and outer[0] <= inner[0] and inner[1] <= outer[1])


def _contradicts_itself(match: Conditions) -> bool:
    scores, ages = _scores(match), _ages(match)
    return (
        not _levels(match)
        or (scores is not None and scores[0] > scores[1])
        or (ages is not None and ages[0] >= ages[1])
    )


def _levels(match: Conditions) -> frozenset[str]:
    """Return the levels that meet the conditions on level."""
    levels = frozenset(match.severities) if match.severities else _LEVELS
    if match.severity_at_least is not None:
        levels &= frozenset(cvss.LEVELS[cvss.LEVELS.index(match.severity_at_least) :])
    if match.severity_at_most is not None:
        levels &= frozenset(cvss.LEVELS[: cvss.LEVELS.index(match.severity_at_most) + 1])
    return levels


def _scores(match: Conditions) -> _Range:
    low, high = match.score_at_least, match.score_at_most
    return None if low is None and high is None else (int(low or 0), 100 if high is None else int(high))


def _ages(match: Conditions) -> _Range:
    least, below = match.age_at_least_days, match.age_below_days
    if least is None and below is None:
        return None
    return -_FOREVER if least is None else least, _FOREVER if below is None else below
