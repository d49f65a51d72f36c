"""What would be right at the place of a fault in a policy, told from the records that a policy is read into."""

import difflib
import re

from msgspec import inspect

from scanner.policy.document import PolicyDocument

_UNKNOWN = re.compile(r"Object contains unknown field `([^`\0]*)`")
_ENUM = re.compile(r"Invalid enum value ([^\0]*)")
_DATE_TIME = "Expected `datetime"


def explain(detail: str, pointer: str) -> str:
    """Return the detail of a fault in words that help to mend it; unchanged where there is nothing to add."""
    types = _at(pointer)
    if unknown := _UNKNOWN.match(detail):
        known = [field.encode_name for one in types if isinstance(one, inspect.StructType) for field in one.fields]
        near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here are {', '.join(sorted(known))}"
        return f"there is no {unknown[1]} here; {hint}"
    if detail.startswith(_DATE_TIME):
        return "a date and time with offset is expected, without quotes, such as 2026-12-31T00:00:00Z"
    if found := _ENUM.match(detail):
        allowed = [str(value) for one in types if isinstance(one, inspect.LiteralType) for value in one.values]
        return f"{found[1]} is none of {', '.join(allowed)}"
    return detail.replace(" | null`", "`")  # nobody can write null in TOML


def _at(pointer: str) -> list[inspect.Type]:
    """Return the types that a value at a pointer may have; none for a place that policies do not have."""
    types: list[inspect.Type] = [inspect.type_info(PolicyDocument)]
    for step in pointer.split("/")[1:]:
        types = [inner for one in _alternatives(types) for inner in _inside(one, step)]
    return _alternatives(types)


def _inside(outer: inspect.Type, step: str) -> list[inspect.Type]:
    if isinstance(outer, inspect.StructType):
        return [field.type for field in outer.fields if field.encode_name == step]
    if isinstance(outer, inspect.VarTupleType):
        return [outer.item_type]
    return []


def _alternatives(types: list[inspect.Type]) -> list[inspect.Type]:
    return [each for one in types for each in (one.types if isinstance(one, inspect.UnionType) else (one,))]
