"""Which record classes can only ever hold values of the canonical profile: docs/format.md section 1.1.

A class is inspected once. What its field types exclude (floats, null, foreign keys) needs no look at the values; what
they cannot exclude (the size of an integer without declared bounds, the characters of a mapping's keys) is left to a
small check per record. Field types are believed: constructors do not check them, mypy and the decoders do.
"""

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import Annotated, Any

import msgspec
from msgspec import inspect

from kit.errors import NotCanonical

MAX_INTEGER = (1 << 53) - 1

# A number of bytes or of things; its declared bounds make a look at the value unnecessary.
Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_INTEGER)]

# Refuses, by NotCanonical, a value that its type admits and the profile does not.
Check = Callable[[Any], None]
Classes = frozenset[type[Any]]


class TypeTooWide(Exception):
    """A field type says too little about its values: no error, the caller looks at every value instead."""


def record_check(cls: type[msgspec.Struct]) -> Check | None:
    """Return the check that records of the class need beside encoding, None when they need none.

    NotCanonical when the class may hold a float, null or the like. TypeTooWide when its types do not tell.
    """
    tells, check = _inspected(cls)
    if not tells:
        raise TypeTooWide
    return check


@cache
def _inspected(cls: type[msgspec.Struct]) -> tuple[bool, Check | None]:
    """Return whether the class's types tell enough, and the check; the answer "no" is remembered as well."""
    info = inspect.type_info(cls)
    if not isinstance(info, inspect.StructType):
        raise NotCanonical(record=cls.__name__, detail="not a record class")
    try:
        return True, _struct(info, frozenset())
    except TypeTooWide:
        return False, None


def _struct(kind: inspect.StructType, outer: Classes) -> Check | None:
    """Return the check of a record class; outer holds the classes under inspection, which may contain themselves."""
    if kind.cls in outer:
        return lambda record: _check_again(kind.cls, record)
    outer |= {kind.cls}
    checks: list[tuple[Callable[[Any], Any], Check]] = []
    for field in kind.fields:
        where = f"{kind.cls.__name__}.{field.name}"
        if not field.encode_name.isascii():
            raise NotCanonical(record=where, detail="member name is not ASCII")
        optional = field.default is None and bool(kind.cls.__struct_config__.omit_defaults)
        check = _value(field.type, where, outer, optional=optional)
        if check is not None:
            checks.append((attrgetter(field.name), check))
    if not checks:
        return None

    def check_fields(record: Any) -> None:
        for get, check in checks:
            check(get(record))

    return check_fields


def _value(kind: inspect.Type, where: str, outer: Classes, *, optional: bool = False) -> Check | None:
    """Return the check for values of a type; optional: None is the default, which is left out when encoding."""
    match kind:
        case inspect.Metadata():
            return _value(kind.type, where, outer, optional=optional)
        case inspect.StrType() | inspect.BoolType():
            return None
        case inspect.IntType():
            return None if _is_bounded(kind) else _check_integer
        case inspect.LiteralType():
            _check_constants(kind.values, where)
            return None
        case inspect.EnumType():
            _check_constants([item.value for item in kind.cls], where)
            return None
        case inspect.StructType():
            return _struct(kind, outer)
        case inspect.ListType() | inspect.VarTupleType():
            return _each(_value(kind.item_type, where, outer))
        case inspect.TupleType():
            return _positions([_value(item, where, outer) for item in kind.item_types])
        case inspect.DictType():
            return _mapping(kind, where, outer)
        case inspect.UnionType():
            return _union(kind, where, outer, optional=optional)
        case inspect.FloatType() | inspect.NoneType():
            raise NotCanonical(record=where, detail="may hold a floating-point number or null")
        case inspect.SetType() | inspect.FrozenSetType():
            raise NotCanonical(record=where, detail="a set has no order")
        case _:
            raise TypeTooWide(where)


def _is_bounded(kind: inspect.IntType) -> bool:
    return kind.ge is not None and kind.le is not None and kind.ge >= -MAX_INTEGER and kind.le <= MAX_INTEGER


def _check_again(cls: type[msgspec.Struct], record: Any) -> None:
    check = record_check(cls)
    if check is not None:
        check(record)


def _check_integer(value: Any) -> None:
    if not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise NotCanonical(detail="integer beyond 2^53 - 1", found=ascii(value)[:40])


def _check_constants(values: Iterable[Any], where: str) -> None:
    for value in values:
        if not isinstance(value, str | int):
            raise NotCanonical(record=where, detail="constant that is neither text nor integer")
        if isinstance(value, int):
            _check_integer(value)


def _each(check: Check | None) -> Check | None:
    if check is None:
        return None

    def check_items(items: Any) -> None:
        for item in items:
            check(item)

    return check_items


def _positions(checks: list[Check | None]) -> Check | None:
    if not any(checks):
        return None

    def check_tuple(items: Any) -> None:
        for check, item in zip(checks, items, strict=True):
            if check is not None:
                check(item)

    return check_tuple


def _mapping(kind: inspect.DictType, where: str, outer: Classes) -> Check:
    if not isinstance(kind.key_type, inspect.StrType):
        raise NotCanonical(record=where, detail="mapping whose keys are not text")
    check_values = _each(_value(kind.value_type, where, outer))

    def check_mapping(mapping: Any) -> None:
        for key in mapping:
            if not key.isascii():
                raise NotCanonical(record=where, detail="member name is not ASCII", found=ascii(key)[:80])
        if check_values is not None:
            check_values(mapping.values())

    return check_mapping


def _union(kind: inspect.UnionType, where: str, outer: Classes, *, optional: bool) -> Check | None:
    types = [item for item in kind.types if not (optional and isinstance(item, inspect.NoneType))]
    checks = [_value(item, where, outer) for item in types]
    needed = [check for check in checks if check is not None]
    if not needed:
        return None
    if len(types) > 1:
        # Which alternative a value is of is the encoder's knowledge, not ours.
        raise TypeTooWide(where)
    only = needed[0]
    return lambda value: None if value is None else only(value)
