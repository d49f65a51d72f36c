"""kit.bytes.foreign: others' JSON, against the standard library and the rfc8785 package."""

import json
import math
import os
import struct
import zipfile
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical, foreign
from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, NotCanonical, StellaError

MAX = (1 << 53) - 1

floats = st.floats(allow_nan=False, allow_infinity=False)
# Names on both sides of the surrogates, where UTF-16 units and code points sort differently.
member_names = st.text(
    st.characters(codec="utf-8") | st.sampled_from('a\u00e9\ud7ff\ue000\uffff\U00010000\U0001f600"\\\n'), max_size=5
)
scalars = st.none() | st.booleans() | st.integers(-MAX, MAX) | floats | st.text(max_size=10)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(member_names, inner, max_size=5), max_leaves=20
)


@st.composite
def sources(draw, value):
    """Return a JSON text of the value with white space and escapes as they come, and whether it has a duplicate."""
    duplicate = False

    def space():
        return draw(st.sampled_from(["", "", " ", "\n\t"]))

    def text(content):
        out = '"'
        for unit in content:
            escaped = draw(st.booleans()) or unit in '"\\' or unit < " "
            if not escaped:
                out += unit
            elif unit in '"\\' and draw(st.booleans()):
                out += "\\" + unit
            else:
                out += "".join(
                    f"\\u{part:04x}"
                    for part in struct.unpack(f">{len(unit.encode('utf-16-be')) // 2}H", unit.encode("utf-16-be"))
                )
        return out + '"'

    def write(item):
        nonlocal duplicate
        if isinstance(item, str):
            return text(item)
        if isinstance(item, list):
            return (
                "[" + ",".join(space() + write(inner) + space() for inner in item) + (space() if not item else "") + "]"
            )
        if isinstance(item, dict):
            members = list(item.items())
            if members and draw(st.integers(0, 9)) == 0:
                duplicate = True
                members.insert(draw(st.integers(0, len(members))), draw(st.sampled_from(members)))
            return (
                "{"
                + ",".join(space() + text(name) + space() + ":" + space() + write(inner) for name, inner in members)
                + "}"
            )
        return json.dumps(item)

    source = space() + write(value) + space()
    return source.encode("utf-8"), duplicate


@given(values)
def test_encoding_is_rfc_8785(value):
    data = foreign.encode_foreign(value)
    assert data == rfc8785.dumps(value)
    assert foreign.encode_foreign(foreign.decode_foreign(data)) == data
    assert foreign.recode_foreign(data)[1] == data


@given(st.data(), values)
def test_any_spelling_is_read_as_the_standard_library_does_and_duplicates_are_found(data, value):
    source, duplicate = data.draw(sources(value))
    if duplicate:
        for read in (foreign.decode_foreign, foreign.recode_foreign):
            with pytest.raises(DuplicateMember):
                read(source)
    else:
        assert foreign.decode_foreign(source) == json.loads(source) == value
        assert foreign.recode_foreign(source) == (value, rfc8785.dumps(value))


@given(
    st.binary(max_size=40) | st.text(st.sampled_from('{}[]",:0123e.-+ntfalsru\\ \n\u00e9'), max_size=30).map(str.encode)
)
def test_any_bytes_are_refused_or_read_as_the_standard_library_does(data):
    try:
        value = foreign.decode_foreign(data)
    except StellaError:
        return
    assert json.loads(data) == value


@given(floats)
def test_numbers_are_written_as_ecmascript_does(number):
    written = foreign.ecmascript_number(number)
    assert written.encode() == rfc8785.dumps(number)
    assert float(written) == number


def test_number_vectors(vectors):
    for bits, expected in vectors("numbers"):
        (number,) = struct.unpack(">d", bytes.fromhex(bits))
        assert foreign.ecmascript_number(number) == expected
        assert foreign.encode_foreign([number]) == f"[{expected}]".encode()


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf, 10**400])
def test_number_that_is_not_finite_has_no_form(number):
    with pytest.raises(NotCanonical):
        foreign.encode_foreign({"a": [number]})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (b"9007199254740991", b"9007199254740991"),
        (b"9007199254740993", b"9007199254740992"),
        (b"-9007199254740993", b"-9007199254740992"),
        (b"123456789012345678901234567890", b"1.2345678901234568e+29"),
        (b"1" + b"0" * 300, b"1e+300"),
        (b"1.0", b"1"),
        (b"-0", b"0"),
        (b"-0.0", b"0"),
        (b"1E2", b"100"),
        (b"0.1e-6", b"1e-7"),
    ],
)
def test_number_is_read_as_a_double(source, expected):
    value, data = foreign.recode_foreign(source)
    assert data == expected
    assert foreign.decode_foreign(source) == value
    assert foreign.recode_foreign(data) == (value, expected)


@pytest.mark.parametrize("source", [b"1e999", b"-1e999", b"9" * 400, b"9" * 5000, b"1" + b"0" * 10_000 + b".5"])
def test_number_beyond_a_double_is_refused(source):
    with pytest.raises(MalformedDocument):
        foreign.decode_foreign(b"[" + source + b"]")


def test_huge_fraction_is_read():
    assert foreign.decode_foreign(b"0." + b"3" * 100_000) == pytest.approx(1 / 3)


@pytest.mark.parametrize("name", ["\ud800", "a\udfff"])
def test_lone_surrogate_has_no_form(name):
    for value in (name, [name], {name: 1}, {"\U0001f600": 1, name: 2.5}):
        with pytest.raises(NotCanonical):
            foreign.encode_foreign(value)


@pytest.mark.parametrize("value", [object(), {1: 2}, {"a": b"x"}, {1, 2.5}])
def test_value_that_is_no_json_is_refused(value):
    with pytest.raises(NotCanonical):
        foreign.encode_foreign(value)


def test_value_that_contains_itself_is_refused():
    value = [1.5]
    value.append(value)
    with pytest.raises(LimitExceeded):
        foreign.encode_foreign(value)


def test_member_order_is_by_utf_16_units():
    value = {"\U0001f600": 1, "\ufb33": 2, "z": 3}
    assert foreign.recode_foreign(json.dumps(value, ensure_ascii=False).encode())[1] == canonical.encode_foreign(value)
    assert canonical.encode_foreign(value) == '{"z":3,"\U0001f600":1,"\ufb33":2}'.encode()


def test_real_advisories_and_sboms_are_read_and_written_as_by_others():
    given = os.environ.get("STELLA_TEST_DATA")
    data = Path(given) if given else Path(__file__).parents[4] / "shared" / "data"
    if not data.is_dir():
        pytest.skip("no test data here: set STELLA_TEST_DATA")
    documents = [path.read_bytes() for path in sorted(data.glob("sboms/*.json"))]
    for archive in sorted(data.glob("osv/*/*/all.zip")):
        with zipfile.ZipFile(archive) as records:
            documents += [records.read(name) for name in sorted(records.namelist())[::29]]
    assert documents
    for document in documents:
        value, encoded = foreign.recode_foreign(document)
        assert value == json.loads(document)
        assert encoded == rfc8785.dumps(value)
