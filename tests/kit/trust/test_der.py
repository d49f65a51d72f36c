"""The strict DER reader: what it reads, and each way in which an encoding may be something else than DER."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from kit.trust import der
from kit.trust.der import Reader

WRONG_ELEMENTS = {
    "nothing": "",
    "tag alone": "04",
    "content that is cut off": "0402aa",
    "indefinite length": "04800000",
    "length of lengths with nothing behind": "0481",
    "long length where a short one does": "04810100",
    "long length with a zero before it": "04820080" + "00" * 128,
    "length in five bytes": "04850000000001aa",
    "high tag number": "1f0401aa",
    "another tag": "0501aa",
}
WRONG_INTEGERS = ["0200", "02020001", "0202007f", "0202ffff", "0202ff80", "0241" + "01" * 65]
INTEGERS = [(0, "020100"), (127, "02017f"), (128, "02020080"), (-1, "0201ff"), (-128, "020180"), (-129, "0202ff7f")]
WRONG_OIDS = ["0600", "060180", "06022a80", "06032a8001", "06152a" + "81" * 19 + "7f"]
WRONG_SETS = {"two alike": "3106020101020101", "falling": "3106020102020101", "cut": "31050201010201"}


@pytest.mark.parametrize("encoded", WRONG_ELEMENTS.values(), ids=WRONG_ELEMENTS)
def test_element_that_is_not_der_is_refused(encoded):
    with pytest.raises(ValueError, match=r"element|length"):
        Reader(bytes.fromhex(encoded)).content(der.OCTETS)


@pytest.mark.parametrize(("value", "encoded"), INTEGERS)
def test_integers_are_read_in_their_shortest_form(value, encoded):
    assert Reader(bytes.fromhex(encoded)).integer() == value


@pytest.mark.parametrize("encoded", WRONG_INTEGERS)
def test_integer_in_another_form_is_refused(encoded):
    with pytest.raises(ValueError, match="integer"):
        Reader(bytes.fromhex(encoded)).integer()


@pytest.mark.parametrize("encoded", WRONG_OIDS)
def test_object_identifier_in_another_form_is_refused(encoded):
    with pytest.raises(ValueError, match=r"arc|object"):
        Reader(bytes.fromhex(encoded)).oid()


@pytest.mark.parametrize("encoded", WRONG_SETS.values(), ids=WRONG_SETS)
def test_set_out_of_order_is_refused(encoded):
    with pytest.raises(ValueError, match=r"ascend|element"):
        Reader(bytes.fromhex(encoded)).elements(der.SET)


@pytest.mark.parametrize("octet", [0, 1, 0x7F, 0xFE])
def test_flag_is_written_where_it_is_set_and_nowhere_else(octet):
    with pytest.raises(ValueError, match="boolean"):
        Reader(bytes([1, 1, octet])).flag()
    assert Reader(b"\1\1\xff").flag()
    assert not Reader(b"\5\0").flag()


@pytest.mark.parametrize("text", ["2.5.4.3", "1.2.840.113549.1.9.16.1.4", "0.0", "1.39.1", "2.999.3", "2.16.840.1"])
def test_object_identifiers_are_those_of_an_independent_encoder(text):
    encoded = x509.ObjectIdentifier(text)
    name = x509.Name([x509.NameAttribute(encoded, "x")]).public_bytes()
    inner = Reader(name).inside(der.SEQUENCE).inside(der.SET).inside(der.SEQUENCE)
    assert inner.oid() == text


@given(st.integers(0, 1 << 200))
def test_written_integers_are_read_back(value):
    assert Reader(der.encode_integer(value)).integer() == value


@given(st.binary(max_size=70_000), st.sampled_from([der.OCTETS, der.SEQUENCE]))
def test_written_elements_are_read_back(content, tag):
    reader = Reader(der.encode(tag, content) + b"\x05\x00")
    assert (reader.content(tag), reader.raw()) == (content, b"\x05\x00")
    reader.finish()


def test_what_is_left_over_is_refused():
    with pytest.raises(ValueError, match="left over"):
        Reader(b"\x05\x00").finish()
