"""kit.bytes.canonical for records: what their classes rule out, and schemas (docs/format.md section 1.1)."""

import enum
from typing import Any, Literal

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.bytes.canonical import JsonValue
from kit.bytes.record_types import Size
from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, NotCanonical, StellaError

MAX = (1 << 53) - 1

ascii_names = st.text(st.characters(codec="ascii"), max_size=6)
texts = st.text(max_size=12)


class Inner(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    path: str
    size: Size
    some_flag: bool = False


class Outer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    schema_version: Literal["1.0"] = "1.0"
    all_members: tuple[Inner, ...] = ()
    counts: dict[str, int] = {}
    note: str | None = None
    number: int = 0


@given(st.builds(Inner, path=texts, size=st.integers(0, MAX), some_flag=st.booleans()))
def test_record_is_encoded_like_its_plain_value(record):
    data = canonical.encode_record(record)
    assert data == rfc8785.dumps(msgspec.to_builtins(record))
    assert canonical.decode_record(data, Inner) == record


@given(
    st.builds(
        Outer,
        all_members=st.lists(st.builds(Inner, path=texts, size=st.integers(0, MAX)), max_size=3).map(tuple),
        counts=st.dictionaries(ascii_names, st.integers(-MAX, MAX), max_size=3),
        note=st.none() | texts,
        number=st.integers(-MAX, MAX),
    )
)
def test_nested_record_is_encoded_like_its_plain_value(record):
    data = canonical.encode_record(record)
    assert data == rfc8785.dumps(msgspec.to_builtins(record))
    assert canonical.decode_record(data, Outer) == record
    assert canonical.decode_record(data + b"\n", Outer, canonical=False) == record


@pytest.mark.parametrize(
    "record",
    [
        Outer(number=MAX + 1),
        Outer(number=-MAX - 1),
        Outer(counts={"a": MAX + 1}),
        Outer(counts={"\u00e9": 1}),
        Outer(note="\ud800"),
        Outer(all_members=(Inner(path="\udc00", size=1),)),
    ],
)
def test_record_whose_values_are_outside_the_profile_is_refused(record):
    with pytest.raises(NotCanonical):
        canonical.encode_record(record)


def test_default_that_is_written_out_is_read():
    assert canonical.decode_record(b'{"path":"a","size":1,"someFlag":false}', Inner) == Inner(path="a", size=1)


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"path":"a"}', ""),
        (b'{"path":1,"size":1}', "/path"),
        (b'{"path":"a","size":"1"}', "/size"),
        (b'{"path":"a","size":-1}', "/size"),
        (b'{"path":"a","size":1,"someFlag":0}', "/someFlag"),
        (b'{"path":"a","size":1,"unknown":1}', ""),
        (b"[]", ""),
        (b'"x"', ""),
    ],
)
def test_document_that_breaks_its_schema_is_malformed_with_its_place(data, pointer):
    for canonical_too in (True, False):
        with pytest.raises(MalformedDocument) as caught:
            canonical.decode_record(data, Inner, canonical=canonical_too)
        assert caught.value.details["pointer"] == pointer


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        (b'{"allMembers":[{"path":"a","size":1},{"path":"a","size":true}]}', "/allMembers/1/size"),
        (b'{"counts":{"a":"x"}}', "/counts/*"),
        (b'{"schemaVersion":"2.0"}', "/schemaVersion"),
    ],
)
def test_place_inside_a_document_is_a_json_pointer(data, pointer):
    with pytest.raises(MalformedDocument) as caught:
        canonical.decode_record(data, Outer)
    assert caught.value.details["pointer"] == pointer


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b'{"path":"a","size":1,"size":1}', DuplicateMember),
        (b'{"size":1,"path":"a"}', NotCanonical),
        (b'{"path":"a","size":1} ', NotCanonical),
        (b'{"path":"a","size":1.0}', NotCanonical),
        (b'{"path":null,"size":1}', NotCanonical),
        (b'{"path":"\\ud800","size":1}', NotCanonical),
        (b'{"path":"a","size":1', MalformedDocument),
    ],
)
def test_record_is_read_as_strictly_as_a_value(data, error):
    with pytest.raises(error):
        canonical.decode_record(data, Inner)


@given(st.data())
def test_no_change_of_one_byte_of_a_record_is_overlooked(data):
    record = Inner(path="a\u00e9", size=12, some_flag=True)
    encoded = bytearray(canonical.encode_record(record))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    try:
        found = canonical.decode_record(bytes(encoded), Inner)
    except StellaError:
        return
    assert found != record
    assert canonical.encode_record(found) == bytes(encoded)


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Tree(msgspec.Struct, frozen=True, omit_defaults=True):
    number: int
    below: tuple["Tree", ...] = ()


class Loose(msgspec.Struct, frozen=True, omit_defaults=True):
    value: JsonValue = None
    named: dict[str, JsonValue] | None = None


class Strict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    colour: Colour = Colour.RED
    pair: tuple[int, str] = (1, "a")
    listed: list[list[int]] = []
    maybe_record: Inner | None = None
    maybe_number: int | None = None
    either: int | str = 0


def test_records_of_every_allowed_shape_are_encoded_like_their_plain_values():
    for record in (
        Tree(number=1, below=(Tree(number=2, below=(Tree(number=3),)),)),
        Loose(value={"b": [1, "x"], "a": {}}),
        Loose(value="x", named={"a": 1}),
        Loose(value=1),
        Strict(),
        Strict(colour=Colour.BLUE, pair=(2, "b"), listed=[[1], []], maybe_number=5, either="x"),
        Strict(maybe_record=Inner(path="a", size=1), either=7),
    ):
        assert canonical.encode_record(record) == rfc8785.dumps(msgspec.to_builtins(record))


@pytest.mark.parametrize(
    "record",
    [
        Tree(number=1, below=(Tree(number=2, below=(Tree(number=MAX + 1),)),)),
        Loose(value=1.5),
        Loose(value=object()),
        Loose(value={"a": {1, 2.5}}),
        Loose(value={"a": None}),
        Loose(value={"\u00e9": 1}),
        Loose(value=["\ud800"]),
        Strict(listed=[[1], [MAX + 1]]),
        Strict(pair=(MAX + 1, "a")),
        Strict(maybe_number=MAX + 1),
        Strict(either=MAX + 1),
    ],
)
def test_wide_and_nested_fields_are_looked_at(record):
    with pytest.raises(NotCanonical):
        canonical.encode_record(record)


class Floating(msgspec.Struct, omit_defaults=True):
    score: float = 0.0


class Nullable(msgspec.Struct):
    note: str | None = None


class NullableInside(msgspec.Struct, omit_defaults=True):
    notes: tuple[str | None, ...] = ()


class NullableRequired(msgspec.Struct, omit_defaults=True):
    note: str | None


class NullableLiteral(msgspec.Struct, omit_defaults=True):
    note: Literal["a", None] = "a"  # noqa: PYI061 - the shape under test


class NumberKeys(msgspec.Struct, omit_defaults=True):
    counts: dict[int, str] = {}


class Unordered(msgspec.Struct, omit_defaults=True):
    values: frozenset[str] = frozenset()


class Deep(msgspec.Struct, omit_defaults=True):
    floating: tuple[dict[str, Floating], ...] = ()


class OtherName(msgspec.Struct, rename={"name": "n\u00e4me"}):
    name: str = ""


@pytest.mark.parametrize(
    "record",
    [
        Floating(),
        Nullable(note="x"),
        NullableInside(),
        NullableRequired(note="x"),
        NullableLiteral(),
        NumberKeys(),
        Unordered(),
        Deep(),
        OtherName(),
    ],
    ids=lambda record: type(record).__name__,
)
def test_class_that_may_hold_what_the_profile_refuses_is_refused(record):
    with pytest.raises(NotCanonical):
        canonical.encode_record(record)


def test_record_that_contains_itself_or_is_over_its_size_is_refused():
    value: list[Any] = []
    value.append(value)
    with pytest.raises(LimitExceeded):
        canonical.encode_record(Loose(value=value))
    with pytest.raises(LimitExceeded):
        canonical.decode_record(b"\xff" * 6, Outer, max_bytes=5)


def test_errors_show_what_a_document_says_in_bounded_ascii():
    hostile = "\u202e\u0007" + "x" * 100_000
    for call in (
        lambda: canonical.decode_record(canonical.encode_foreign({hostile: 1}), Inner, canonical=False),
        lambda: canonical.decode_record(canonical.encode_foreign({"\u0007" + "x" * 100_000: 1}), Inner),
        lambda: canonical.encode({"\u0007" + "x" * 100_000: None}),
        lambda: canonical.encode({hostile: None}),
        lambda: canonical.decode(canonical.encode_foreign({"\u001b[2J" + "x" * 100_000: [1.5]})),
    ):
        with pytest.raises(StellaError) as caught:
            call()
        assert len(str(caught.value)) < 400
        assert str(caught.value).isascii()
        assert str(caught.value).isprintable()
