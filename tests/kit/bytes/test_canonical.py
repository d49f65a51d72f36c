"""kit.bytes.canonical: docs/format.md section 1.1, with the rfc8785 package as oracle."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.errors import LimitExceeded, MalformedDocument, NotCanonical, StellaError

MAX = (1 << 53) - 1

ascii_names = st.text(st.characters(codec="ascii"), max_size=6)
texts = st.text(max_size=12)
scalars = st.booleans() | st.integers(-MAX, MAX) | texts
profile = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ascii_names, inner, max_size=4), max_leaves=15
)


@given(profile)
def test_encoding_is_rfc_8785_and_decoding_gives_the_value_back(value):
    data = canonical.encode(value)
    assert data == rfc8785.dumps(value)
    assert canonical.decode(data) == value
    assert canonical.decode(data, canonical=False) == value
    assert canonical.decode_foreign(data) == value


def test_vectors(vectors):
    for case in vectors("canonical"):
        source, expected = case["source"].encode(), case["canonical"].encode()
        value = canonical.decode(source, canonical=False)
        assert canonical.encode(value) == expected, case["name"]
        assert canonical.decode(expected) == value
        assert canonical.recode_foreign(source) == (value, expected)
        if source != expected:
            with pytest.raises(NotCanonical):
                canonical.decode(source)


def test_malformed_documents_are_refused_by_every_reader(vectors):
    for name, text, reason in vectors("malformed"):
        source = text.encode()
        for read, refusal in (
            (canonical.decode, "NotCanonical"),
            (lambda data: canonical.decode(data, canonical=False), "MalformedDocument"),
            (canonical.decode_foreign, "MalformedDocument"),
            (canonical.recode_foreign, "MalformedDocument"),
        ):
            with pytest.raises(StellaError) as caught:
                read(source)
            assert caught.value.reason == (refusal if reason == "refusal" else reason), name


@pytest.mark.parametrize(
    "data",
    [
        b"\xff",
        b'"\xff"',
        b'"\xc0\xaf"',
        b'"\xed\xa0\x80"',
        b'"\xf4\x90\x80\x80"',
        b'"\xc3"',
        '"a"'.encode("utf-16"),
        '"a"'.encode("utf-32"),
    ],
)
def test_what_is_not_utf_8_is_malformed(data):
    for read in (canonical.decode, canonical.decode_foreign):
        with pytest.raises(MalformedDocument):
            read(data)


@pytest.mark.parametrize("data", [b"\xef\xbb\xbf{}", b"\xef\xbb\xbf"])
def test_byte_order_mark_is_refused(data):
    with pytest.raises(NotCanonical):
        canonical.decode(data)
    for read in (lambda data: canonical.decode(data, canonical=False), canonical.decode_foreign):
        with pytest.raises(MalformedDocument):
            read(data)


@pytest.mark.parametrize(
    "text",
    [
        "1.5",
        "1.0",
        "1e2",
        "-0.0",
        "null",
        '{"a":null}',
        "[1,[null]]",
        str(MAX + 1),
        str(-MAX - 1),
        "9" * 30,
        '{"\u00e9":1}',
    ],
)
def test_value_outside_the_profile_is_refused(text):
    with pytest.raises(NotCanonical):
        canonical.decode(text.encode())
    with pytest.raises(MalformedDocument):
        canonical.decode(text.encode(), canonical=False)


@pytest.mark.parametrize(
    "data",
    [
        b" 1",
        b"1\n",
        b'{"a": 1}',
        b'{"b":1,"a":2}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000A"',
        b"-0",
        b'"\\u001F"',
        b'"\\u00e9"',
    ],
)
def test_other_spelling_is_not_canonical_and_otherwise_accepted(data):
    with pytest.raises(NotCanonical):
        canonical.decode(data)
    assert canonical.decode(data, canonical=False) == json.loads(data)


@given(
    st.binary(max_size=40) | st.text(st.sampled_from('{}[]",:0123e.-+ntfalsru\\ \n\u00e9'), max_size=30).map(str.encode)
)
def test_any_bytes_are_refused_or_are_the_encoding_of_what_is_read(data):
    try:
        value = canonical.decode(data)
    except StellaError:
        return
    assert rfc8785.dumps(value) == data


@pytest.mark.parametrize(
    ("value", "pointer"),
    [
        (1.0, ""),
        (None, ""),
        (b"bytes", ""),
        ({"a": [True, {"b/c~d": 0.5}]}, "/a/1/b~1c~0d"),
        ({"a": None}, "/a"),
        ([0, MAX + 1], "/1"),
        ([0, -MAX - 1], "/1"),
        ([{"\u00e9": 1}], "/0"),
        ({1: 2}, ""),
        ([object()], "/0"),
        ([float("nan")], "/0"),
        ((1, (2, None)), "/1/1"),
        ([[[[[[[[[[[[1.5]]]]]]]]]]]], "/0" * 12),
        ({"text": "\u00e9", "x": None}, "/x"),
    ],
)
def test_value_that_has_no_canonical_form_is_refused_with_its_place(value, pointer):
    with pytest.raises(NotCanonical) as caught:
        canonical.encode(value)
    assert caught.value.details["pointer"] == pointer


def test_large_value_is_looked_at_to_its_end():
    value = ["x" * 100] * 20_000
    assert canonical.decode(canonical.encode(value)) == value
    for fault in (1.5, None, MAX + 1, {"\u00e9": 1}):
        with pytest.raises(NotCanonical) as caught:
            canonical.encode([*value, fault])
        assert caught.value.details["pointer"] == "/20000"


def test_lone_surrogate_has_no_canonical_form():
    for value in ("\ud800", {"a": "\udfff"}, {"\ud800": 1}):
        with pytest.raises(NotCanonical):
            canonical.encode(value)


def test_value_that_contains_itself_is_refused():
    value: list[Any] = []
    value.append(value)
    with pytest.raises(LimitExceeded):
        canonical.encode(value)


def test_deeply_nested_value_is_encoded_and_read_as_far_as_allowed():
    for depth in (8, 9, 32, 33, 60):
        data = b'{"a":' * depth + b"1" + b"}" * depth
        value = canonical.decode(data, max_depth=depth)
        assert canonical.encode(value) == data
        with pytest.raises(LimitExceeded):
            canonical.decode(data, max_depth=depth - 1)
        assert canonical.decode_foreign(data, max_depth=depth) == value
        with pytest.raises(LimitExceeded):
            canonical.decode_foreign(data, max_depth=depth - 1)


@pytest.mark.parametrize("open_bracket", [b"[", b'{"a":', b"[[],", b'[{"a":'])
def test_endless_nesting_is_refused(open_bracket):
    for count in (65, 1_000, 100_000):
        data = open_bracket * count
        for read in (canonical.decode, canonical.decode_foreign):
            with pytest.raises(StellaError):
                read(data)
    closed = b"[" * 100_000 + b"]" * 100_000
    for read in (canonical.decode, canonical.decode_foreign):
        with pytest.raises(LimitExceeded):
            read(closed)


def test_document_over_its_size_is_refused_before_it_is_read():
    assert canonical.decode(b'"abc"', max_bytes=5) == "abc"
    for read in (canonical.decode, canonical.decode_foreign, canonical.recode_foreign):
        with pytest.raises(LimitExceeded):
            read(b"\xff" * 6, max_bytes=5)


def test_document_of_too_many_values_is_refused_before_it_is_read():
    for data in (b"[" + b"[]," * 700_000 + b"1]", b"[" + b"1," * 1_100_000 + b"1]", b"{" * 1_100_000):
        for read in (canonical.decode, canonical.decode_foreign):
            with pytest.raises(LimitExceeded):
                read(data)


def test_many_values_are_read_where_the_document_is_as_large_as_they_warrant():
    data = b"[" + b",".join([b'"%024d"' % 7] * 1_050_000) + b"]"
    assert len(canonical.decode(data)) == 1_050_000
