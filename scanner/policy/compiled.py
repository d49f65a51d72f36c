"""A policy at one moment: its identity, and its decisions (docs/matching.md sections 7.3 and 7.5)."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from kit.bytes import canonical, digest
from kit.errors import LimitExceeded
from scanner.policy.conditions import Condition, Facts, compile_conditions, exceeds, lowered, named, written
from scanner.policy.document import Outcome, PolicyDocument, Rule

MAX_COMPARISONS = 3_000_000
"""How many rules and conditions the findings of one scan may be held against: 30,000 findings, a hundred rules that
name neither ids nor packages."""
ACTIONS = ("ignore", "warn", "fail")
"""What can be done about a finding, the gravest last."""
_NO_STATEMENT = (None, "unknown")


class Downgrade(msgspec.Struct, frozen=True):
    """A rule that lowered a finding before another decided, the level it lowered to, and its reason."""

    rule: str
    to: str
    reason: str


class Decision(msgspec.Struct, frozen=True):
    """What is done about a finding and what decided: a rule (then with its id), VEX, or the default."""

    action: Outcome
    by: Literal["rule", "vex", "default"]
    rule: str | None = None
    reason: str | None = None
    downgrade: Downgrade | None = None


class Answer(msgspec.Struct, frozen=True):
    """What one rule says about a finding.

    ``matched``, or the name of the first condition that does not hold: one of the policy's, ``expires``,
    ``vex.suppress`` for a rule that a suppressed finding is not put before, ``requireVex`` where a statement is there,
    ``downgrade`` where there is nothing to lower.
    """

    rule: Rule
    matched: bool
    unmet: str | None = None


class _Compiled(msgspec.Struct, frozen=True):
    rule: Rule
    conditions: tuple[Condition, ...]


class Policy:
    """A compiled policy at one moment.

    ``encoded`` is its canonical form, with defaults filled in and packages normalised; ``digest`` identifies it.
    ``expired`` are the ids of the rules that have ended, sorted.
    """

    def __init__(self, document: PolicyDocument, time: str) -> None:
        self.document = document
        self.encoded = canonical.encode(_compiled_form(document))
        self.digest = digest.of_bytes(self.encoded)
        ended = {rule.id for rule in document.rules if rule.expires and written(rule.expires) <= time}
        self.expired = tuple(sorted(ended))
        self._rules = [
            _Compiled(rule, compile_conditions(rule.match, time, settles=rule.settles))
            for rule in document.rules
            if rule.id not in ended
        ]
        self._comparisons = 0
        self._by_id: dict[str, list[int]] = {}
        self._by_package: dict[tuple[str, str], list[int]] = {}
        self._general: list[int] = []
        for position, compiled in enumerate(self._rules):
            self._place(position, compiled.rule)

    def decide(self, facts: Facts) -> Decision:
        """Return what is done about a finding.

        A finding whose VEX status suppresses it is put before those rules only that name a VEX status, and ignored
        where none of them matches. Raises :class:`LimitExceeded` beyond ``MAX_COMPARISONS`` in the life of the policy.
        """
        rules = (self._rules[position] for position in self._candidates(facts))
        decision, _ = self._answer(facts, rules, explain=False)
        return decision

    def explain(self, facts: Facts) -> tuple[Decision, list[Answer]]:
        """Return the decision about a finding and, in their order, what every rule up to the deciding one says."""
        ended = set(self.expired)
        compiled = {one.rule.id: one for one in self._rules}
        decision, answers = self._answer(facts, list(compiled.values()), explain=True)
        told = {answer.rule.id: answer for answer in answers}
        every = []
        for rule in self.document.rules:
            if rule.id in ended:
                every.append(Answer(rule, matched=False, unmet="expires"))
            elif rule.id in told:
                every.append(told[rule.id])
            if rule.id == decision.rule:
                break
        return decision, every

    def _answer(self, facts: Facts, rules: Iterable[_Compiled], *, explain: bool) -> tuple[Decision, list[Answer]]:
        """Put a finding before rules, in their order."""
        suppressed = facts.vex_status in self.document.vex.suppress
        answers: list[Answer] = []
        downgrade: Downgrade | None = None
        if self._comparisons > MAX_COMPARISONS:
            raise LimitExceeded(detail="comparisons of findings with the policy's rules", expected=MAX_COMPARISONS)
        for compiled in rules:
            rule = compiled.rule
            unmet = self._unmet(compiled, facts, suppressed=suppressed, downgraded=downgrade is not None)
            if explain:
                answers.append(Answer(rule, matched=unmet is None, unmet=unmet))
            if unmet is not None:
                continue
            match rule.action:
                case "downgrade":
                    level = rule.to or "none"
                    downgrade = Downgrade(rule.id, level, rule.reason)
                    facts = lowered(facts, level)
                case "requireVex":
                    return Decision("fail", "rule", rule.id, rule.reason, downgrade), answers
                case "ignore" | "warn" | "fail":
                    return Decision(rule.action, "rule", rule.id, rule.reason, downgrade), answers
        if suppressed:
            return Decision("ignore", "vex", downgrade=downgrade), answers
        return Decision(self.document.default, "default", downgrade=downgrade), answers

    def _place(self, position: int, rule: Rule) -> None:
        """File a rule under its most selective condition, so that a finding meets few rules."""
        if rule.match.ids:
            for name in rule.match.ids:
                self._by_id.setdefault(name, []).append(position)
        elif rule.match.packages:
            for package in named(rule.match):
                self._by_package.setdefault((package.ecosystem, package.name), []).append(position)
        else:
            self._general.append(position)

    def _candidates(self, facts: Facts) -> Sequence[int]:
        found = set(self._by_package.get((facts.package.ecosystem, facts.package.name), ()))
        for name in facts.names:
            found.update(self._by_id.get(name, ()))
        return sorted(found.union(self._general)) if found else self._general

    def _unmet(self, compiled: _Compiled, facts: Facts, *, suppressed: bool, downgraded: bool) -> str | None:
        """Return the name of the first condition of a rule that does not hold, ``None`` where all do."""
        rule = compiled.rule
        self._comparisons += 1
        if suppressed and not rule.match.vex_status:
            return "vex.suppress"
        for condition in compiled.conditions:
            self._comparisons += condition.cost
            if not condition.holds(facts):
                return condition.name
        if rule.action == "requireVex" and facts.vex_status not in _NO_STATEMENT:
            return "requireVex"
        if rule.action == "downgrade" and (downgraded or not exceeds(facts, rule.to or "none")):
            return "downgrade"
        return None


def worst(actions: Iterable[str]) -> str:
    """Return the gravest of actions, ``ignore`` for none."""
    return max(actions, key=ACTIONS.index, default="ignore")


def _compiled_form(document: PolicyDocument) -> dict[str, object]:
    """Return the whole policy as plain values, nothing left to a default."""
    compiled: dict[str, object] = msgspec.to_builtins(document)
    compiled["default"] = document.default
    compiled["unevaluated"] = document.unevaluated
    compiled["vex"] = {"trust": list(document.vex.trust), "suppress": sorted(document.vex.suppress)}
    return compiled
