"""Decoding advisory records: what is read, what is ignored, what is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanner import advisory

RECORD = {"id": "X-1", "modified": "2024-01-01T00:00:00Z"}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
MEMBERS = ["id", "modified", "withdrawn", "aliases", "upstream", "affected", "severity", "database_specific", "package"]


def decode(record: object) -> advisory.Advisory:
    return advisory.decode(json.dumps(record).encode())


def test_fields_that_are_not_known_are_ignored():
    found = decode(RECORD | {"schema_version": "1.99.0", "new": {"a": [1.5, None]}, "details": "text"})
    assert found.id == "X-1"
    assert found.affected is None


def test_a_null_is_an_absent_list():
    entry = {"package": {"ecosystem": "PyPI", "name": "a"}, "ranges": None, "versions": None, "severity": None}
    found = decode(RECORD | {"aliases": None, "affected": [entry], "withdrawn": None})
    assert advisory.extent(found.affected[0]) == advisory.Extent((), ())


@pytest.mark.parametrize(
    "fault",
    [
        {"id": 1},
        {"id": None},
        {"modified": None},
        {"aliases": "CVE-1"},
        {"aliases": [1]},
        {"affected": {}},
        {"affected": [None]},
        {"affected": [{"package": {"ecosystem": "PyPI"}}]},
        {"severity": [{"type": "CVSS_V3"}]},
        {"withdrawn": True},
        {"database_specific": []},
    ],
    ids=json.dumps,
)
def test_a_member_of_another_type_is_refused(fault):
    with pytest.raises(advisory.MalformedRecord):
        decode(RECORD | fault)


@pytest.mark.parametrize(
    "fault",
    [
        {"ranges": 1},
        {"ranges": [{}]},
        {"ranges": [{"type": "GIT", "events": [1]}]},
        {"versions": [1]},
        {"versions": {}},
    ],
    ids=json.dumps,
)
def test_a_malformed_extent_is_refused_when_it_is_asked_for(fault):
    found = decode(RECORD | {"affected": [fault]})
    with pytest.raises(advisory.MalformedRecord):
        advisory.extent(found.affected[0])


@pytest.mark.parametrize("line", [b"", b"[]", b"null", b"{", b'{"id":"\xff","modified":""}', b"[" * 100_000])
def test_what_is_no_record_is_refused(line):
    with pytest.raises(advisory.MalformedRecord):
        advisory.decode(line)


@pytest.mark.parametrize(
    ("given_value", "word"),
    [({"severity": "HIGH"}, "high"), ({"severity": 7.5}, ""), ({"severity": None}, ""), ({}, ""), (None, "")],
    ids=str,
)
def test_a_severity_word_is_a_text_or_nothing(given_value, word):
    assert decode(RECORD | {"database_specific": given_value}).severity_word == word


@given(
    st.binary(max_size=60)
    | st.dictionaries(st.sampled_from(MEMBERS), json_values).map(lambda d: json.dumps(d).encode())
)
def test_any_line_is_a_record_or_refused(line):
    try:
        found = advisory.decode(line)
        for entry in found.affected or ():
            advisory.extent(entry)
        assert isinstance(found.severity_word, str)
    except advisory.MalformedRecord:
        pass
