"""Two policies, their differences, and the policies in between (docs/matching.md section 9.3)."""

from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import msgspec

from scanner import difference
from scanner.difference import Change
from scanner.policy import Policy, PolicyDocument
from scanner.policy.conditions import named, written
from scanner.policy.document import Rule

TIME = "scan/time"
ORDER = "policy/order of rules"

_OF_THE_VERDICT = frozenset({"name", "schema_version", "thresholds", "unevaluated"})
"""Members of a policy that no decision about a finding depends on."""
_KEPT = 64


class PolicyChanges:
    """What differs between a recorded and a replayed policy as far as findings are concerned.

    ``changes`` are in the order in which they are named: rules as the replayed policy has them, then the rest.
    ``size`` is how many rules a policy in between has at most, ``general`` how many changes can concern any finding.
    """

    def __init__(self, recorded: Policy, replayed: Policy, times: tuple[str, str]) -> None:
        self._documents = recorded.document, replayed.document
        self._times = times
        self._old = {rule.id: rule for rule in recorded.document.rules}
        self._new = {rule.id: rule for rule in replayed.document.rules}
        self.size = len(self._old.keys() | self._new.keys())
        self.changes: Mapping[str, Change] = {change.id: change for change in self._found()}
        self._place = {name: place for place, name in enumerate(self.changes)}
        self._general: list[str] = []
        self._by_key: dict[str | tuple[str, str], list[str]] = {}
        for name in self.changes:
            self._file(name)
        self.general = len(self._general)
        self.undone = lru_cache(maxsize=_KEPT)(self._undone)

    def about(self, names: Collection[str], package: tuple[str, str]) -> list[str]:
        """Return the changes that can concern a finding of these names in a package (ecosystem, name)."""
        keys: tuple[str | tuple[str, str], ...] = (*names, package)
        found = {name for key in keys for name in self._by_key.get(key, ())}
        return sorted(found.union(self._general), key=self._place.__getitem__) if found else self._general

    def _undone(self, undone: frozenset[str]) -> Policy:
        """Return the replayed policy with some changes undone."""
        old, new = self._documents
        fields: dict[str, Any] = {}
        for name, part, before, after in _members(old, new):
            if f"policy/{_path(name, part)}" in undone and before != after:
                held = fields.get(name, getattr(new, name))
                fields[name] = msgspec.structs.replace(held, **{part: before}) if part else before
        document = msgspec.structs.replace(new, rules=self._rules(undone), **fields)
        return Policy(document, self.time(undone))

    def time(self, undone: Collection[str]) -> str:
        """Return the scan's time with changes undone."""
        return self._times[0 if TIME in undone else 1]

    def _rules(self, undone: frozenset[str]) -> tuple[Rule, ...]:
        first, second = (self._old, self._new) if ORDER in undone else (self._new, self._old)
        order = list(first)
        previous = ""
        for name in second:
            if name not in first:
                order.insert(order.index(previous) + 1 if previous else 0, name)
            previous = name
        chosen = ((self._old if f"policy/rules/{name}" in undone else self._new).get(name) for name in order)
        return tuple(rule for rule in chosen if rule is not None)

    def _found(self) -> Iterable[Change]:
        for name in [*self._new, *(one for one in self._old if one not in self._new)]:
            detail = _told(self._old.get(name), self._new.get(name))
            if detail:
                yield _change(f"policy/rules/{name}", f"rule {name} {detail}")
        common = [
            [name for name in one if name in other] for one, other in ((self._old, self._new), (self._new, self._old))
        ]
        if common[0] != common[1]:
            yield _change(ORDER, "the rules stand in another order")
        for name, part, before, after in _members(*self._documents):
            if before != after:
                path = _path(name, part)
                yield _change(f"policy/{path}", f"{path.replace('/', '.')} is {_word(after)}, was {_word(before)}")
        rules = [(name, rule) for side in (self._new, self._old) for name, rule in side.items()]
        ended = list(dict.fromkeys(name for name, rule in rules if self._ends_between(rule)))
        asked = any(_asks_for_age(rule) for _, rule in rules)
        if self._times[0] != self._times[1] and (ended or asked):
            yield _change(TIME, self._time_told(ended))

    def _ends_between(self, rule: Rule) -> bool:
        """Tell whether a rule has ended at one of the two times only."""
        return rule.expires is not None and len({written(rule.expires) <= time for time in self._times}) > 1

    def _time_told(self, ended: list[str]) -> str:
        """Say what the policy makes of the two times."""
        between = f"between {self._times[0]} and {self._times[1]}"
        if ended:
            return f"the end of a rule lies {between}: {', '.join(ended)}"
        return f"a rule asks for an age, and it differs {between}"

    def _file(self, name: str) -> None:
        """File a change under the ids and packages that it can concern."""
        rule = name.removeprefix("policy/rules/")
        rules = [one for one in (self._old.get(rule), self._new.get(rule)) if one is not None and rule != name]
        if not rules or not all(one.match.ids or one.match.packages for one in rules):
            self._general.append(name)
            return
        keys: set[str | tuple[str, str]] = set()
        for one in rules:
            keys.update(one.match.ids or ((package.ecosystem, package.name) for package in named(one.match)))
        for key in keys:
            self._by_key.setdefault(key, []).append(name)


def _members(old: PolicyDocument, new: PolicyDocument) -> Iterable[tuple[str, str, Any, Any]]:
    """Yield (member, part of it where it is a record, before, after) of all but the rules."""
    for one in msgspec.structs.fields(PolicyDocument):
        if one.name == "rules" or one.name in _OF_THE_VERDICT:
            continue
        before, after = getattr(old, one.name), getattr(new, one.name)
        if isinstance(before, msgspec.Struct):
            for inner in msgspec.structs.fields(before):
                yield one.name, inner.name, getattr(before, inner.name), getattr(after, inner.name)
        else:
            yield one.name, "", before, after


def _path(name: str, part: str) -> str:
    return f"{name}/{part}" if part else name


def _told(old: Rule | None, new: Rule | None) -> str:
    """Say what became of a rule; nothing where it is the same."""
    if old is None or new is None:
        return "added" if old is None else "removed"
    differing = [one.name for one in msgspec.structs.fields(Rule) if getattr(old, one.name) != getattr(new, one.name)]
    return f"changed: {', '.join(differing)}" if differing else ""


def _change(identifier: str, detail: str) -> Change:
    return Change(id=identifier, cause=difference.POLICY_RULE, detail=detail)


def _word(value: object) -> str:
    plain = msgspec.to_builtins(value)
    return ", ".join(map(str, plain)) or "none" if isinstance(plain, list) else str(plain)


def _asks_for_age(rule: Rule) -> bool:
    return rule.match.age_at_least_days is not None or rule.match.age_below_days is not None
