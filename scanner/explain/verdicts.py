"""Which part of the policy changed a verdict by itself, findings aside (docs/matching.md section 9.2)."""

import msgspec

from kit.bytes.canonical import JsonValue
from scanner import difference
from scanner.difference import Cause, Change
from scanner.explain.causes import named
from scanner.explain.evidence import EvidenceChanges
from scanner.explain.sides import Side
from scanner.outputs import GroundEntry
from scanner.policy.document import Thresholds

_THRESHOLDS = {one.encode_name: one.name for one in msgspec.structs.fields(Thresholds)}


def verdict_cause(sides: tuple[Side, Side], place: str, before: JsonValue, after: JsonValue) -> Cause | None:
    """Return the policy's part in one difference of the verdict, ``None`` where it has none of its own."""
    old, new = (side.rules.document for side in sides)
    if place.startswith("/grounds/"):
        was, now = _ground(before), _ground(after)
        ground = now or was
        if ground is None:
            return None
        if ground.kind == "threshold" and ground.name in _THRESHOLDS:
            name = _THRESHOLDS[ground.name]
            bounds = getattr(old.thresholds, name), getattr(new.thresholds, name)
            if bounds[0] != bounds[1] and _undone(was, now, bounds[0]):
                return _part(f"thresholds/{ground.name}", *bounds)
        if ground.kind == "reachability":
            return named(EvidenceChanges(*(side.evidence for side in sides)).missing())
        if ground.kind == "unevaluated" and old.unevaluated != new.unevaluated:
            return _part("unevaluated", old.unevaluated, new.unevaluated)
    if place.startswith("/expiredRules/"):
        rule = str(after or before)
        if sides[0].given.time != sides[1].given.time and _same_rule(sides, rule):
            change = Change(
                id="scan/time",
                cause=difference.POLICY_RULE,
                detail=f"the end of rule {rule} lies between the two times",
            )
            return named([change])
        return named([Change(id=f"policy/rules/{rule}", cause=difference.POLICY_RULE, detail=f"rule {rule} differs")])
    return None


def _undone(was: GroundEntry | None, now: GroundEntry | None, bound: int | None) -> bool:
    """Tell whether the recorded bound alone would give the recorded ground with the replayed count.

    A count that no ground names is not known; it does not exceed the bound of its side.
    """
    if now is None:
        return was is not None and bound is not None
    exceeded = bound is not None and now.count > bound
    return exceeded == (was is not None)


def _same_rule(sides: tuple[Side, Side], name: str) -> bool:
    found = [[rule for rule in side.rules.document.rules if rule.id == name] for side in sides]
    return found[0] == found[1]


def _part(name: str, before: object, after: object) -> Cause | None:
    words = ("none" if value is None else value for value in (after, before))
    detail = "{} is {}, was {}".format(name.replace("/", "."), *words)
    return named([Change(id=f"policy/{name}", cause=difference.POLICY_RULE, detail=detail)])


def _ground(value: JsonValue) -> GroundEntry | None:
    try:
        return msgspec.convert(value, GroundEntry)
    except msgspec.ValidationError:
        return None
