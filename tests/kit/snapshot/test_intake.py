"""One record on its way in: what is accepted, refused, or odd."""

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import digest
from kit.bytes.merkle import leaf_hash
from kit.snapshot.intake import MAX_RECORD, Advisory, judge, shown
from kit.snapshot.records import Refused


def spelled(ecosystem: str, name: str) -> str:
    return name.lower() if ecosystem == "PyPI" else name


GOOD: dict[str, Any] = {"id": "T-1", "modified": "2026-01-01T00:00:00Z"}


def affected(*packages: tuple[str, str]) -> dict[str, Any]:
    return {"affected": [{"package": {"ecosystem": ecosystem, "name": name}} for ecosystem, name in packages]}


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "malformed"),
        (b"{", "malformed"),
        (b"\xef\xbb\xbf{}", "malformed"),
        (b'{"id":"T-1","modified":NaN}', "malformed"),
        (b'{"id":"T-1","modified":"\\ud800"}', "malformed"),
        (b'{"id":"T-1","modified":"\xff"}', "malformed"),
        (b'{"id":"T-1","modified":1e999}', "malformed"),
        (b'{"id":"T-1","x":' + b"[" * 70 + b"]" * 70 + b"}", "malformed"),
        (b'{"id":"T-1"} {}', "malformed"),
        (b'{"id":"T-1","id":"T-2"}', "duplicate-member"),
        (b'{"id":"T-1","x":{"a":1,"\\u0061":2}}', "duplicate-member"),
        (b'{"id":"T-1","a":1,"a":"\\u0022\\u0022"}', "duplicate-member"),
        (b"[]", "not-an-object"),
        (b'"T-1"', "not-an-object"),
        (b"1.5", "not-an-object"),
        (b"{}", "no-id"),
        (b'{"id":7,"modified":"x"}', "no-id"),
        (b'{"id":"","modified":"x"}', "no-id"),
        (b'{"id":null,"modified":"x"}', "no-id"),
        (b'{"id":"T 1","modified":"x"}', "id-characters"),
        (b'{"id":"../T","modified":"x"}', "id-characters"),
        (b'{"id":"T\\n","modified":"x"}', "id-characters"),
        ('{"id":"T-\u0661","modified":"x"}'.encode(), "id-characters"),
        (b'{"id":"' + b"a" * 129 + b'","modified":"x"}', "id-characters"),
        (b'{"id":"T-1"}', "no-modified"),
        (b'{"id":"T-1","modified":""}', "no-modified"),
        (b'{"id":"T-1","modified":5}', "no-modified"),
        (b'{"id":"T-1","modified":"x","schema_version":"2.0.0"}', "schema-version"),
        (b'{"id":"T-1","modified":"x","schema_version":"1"}', "schema-version"),
        (b'{"id":"T-1","modified":"x","schema_version":1.7}', "schema-version"),
        (b'{"id":"T-1","modified":"x","affected":{}}', "malformed"),
        (b'{"id":"T-1","modified":"x","affected":[1]}', "malformed"),
        (b'{"id":"T-1","modified":"x","affected":[{"package":"p"}]}', "malformed"),
        (b'{"id":"T-1","modified":"x","affected":[{"package":{"ecosystem":"Go"}}]}', "malformed"),
        (b'{"id":"T-1","modified":"x","affected":[{"package":{"ecosystem":["Go"],"name":"p"}}]}', "malformed"),
        (b'{"id":"T-1","modified":"x","details":"' + b"x" * MAX_RECORD + b'"}', "too-large"),
    ],
)
def test_unfit_record_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    found = judge("T-1.json", raw, spelled)
    assert isinstance(found, Refused)
    assert (found.reason, found.file, found.digest) == (reason, "T-1.json", digest.of_bytes(raw))


def test_record_that_grows_beyond_the_limit_in_canonical_form_is_refused() -> None:
    raw = b'{"id":"T-1","modified":"x","n":[' + b",".join([b"1e20"] * 195_000) + b"]}"
    assert len(raw) <= MAX_RECORD
    found = judge(None, raw, spelled)
    assert isinstance(found, Refused)
    assert found.reason == "too-large"


@pytest.mark.parametrize("version", ["1.0.0", "1.8.0", "1.99", "1.7.5-rc.1"])
def test_newer_minor_schema_and_unknown_members_are_accepted(version: str) -> None:
    raw = json.dumps(GOOD | {"schema_version": version, "novelty": {"a": [1.5, None]}}).encode()
    assert isinstance(judge(None, raw, spelled), Advisory)


@pytest.mark.parametrize("withdrawn", [True, False])
def test_withdrawn_record_is_kept_and_marked(withdrawn: bool) -> None:
    raw = json.dumps(GOOD | {"withdrawn": "2026-01-01T00:00:00Z" if withdrawn else None}).encode()
    found = judge(None, raw, spelled)
    assert isinstance(found, Advisory)
    assert found.withdrawn is withdrawn


@pytest.mark.parametrize(
    ("file", "more", "odd"),
    [
        ("T-1.json", affected(("Go", "p")), ()),
        ("deep/T-1.json", affected(("Go", "p")), ()),
        (None, affected(("Go", "p")), ()),
        ("T-2.json", affected(("Go", "p")), ("file-name",)),
        ("ALSA-2019_1972.json", {"id": "ALSA-2019:1972"} | affected(("Go", "p")), ()),
        (None, {}, ("no-package",)),
        (None, {"affected": None}, ("no-package",)),
        (None, {"affected": [{"ranges": []}, {"package": None}]}, ("no-package",)),
        (None, affected(("Go", "a\tb")), ("package-name",)),
        (None, affected(("Go", "a\nb"), ("Go", "fine")), ("package-name",)),
        (None, affected(("Go", "")), ("package-name",)),
        (None, affected(("", "p")), ("package-name",)),
        (None, affected(("Go", "p" * 2000)), ("package-name",)),
        ("x.json", affected(("Go", "a\x85b")), ("file-name", "package-name")),
    ],
)
def test_unusual_record_is_kept_and_called_odd(file: str | None, more: dict[str, Any], odd: tuple[str, ...]) -> None:
    found = judge(file, json.dumps(GOOD | more).encode(), spelled)
    assert isinstance(found, Advisory)
    assert found.odd == odd


def test_keys_are_normalised_distinct_and_in_document_order() -> None:
    more = affected(("npm", "B"), ("PyPI", "Zope"), ("PyPI", "ZOPE"), ("npm", "b"), ("Debian:12", "zope"))
    found = judge(None, json.dumps(GOOD | more).encode(), spelled)
    assert isinstance(found, Advisory)
    assert found.keys == (b"npm\tB", b"PyPI\tzope", b"npm\tb", b"Debian:12\tzope")
    assert found.order == (b"npm\tB", b"T-1", leaf_hash(found.line))


@pytest.mark.parametrize(
    ("name", "expected"),
    [(None, None), ("a.json", "a.json"), ("a\nb", r"'a\nb'"), ("\ud800", r"'\ud800'"), ("x" * 300, "x" * 200)],
)
def test_name_of_the_source_is_made_fit_to_be_shown(name: str | None, expected: str | None) -> None:
    assert shown(name) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(), JSON, max_size=5), st.booleans())
def test_line_of_any_record_is_rfc_8785_and_judged_the_same_again(more: dict[str, Any], indent: bool) -> None:
    value = {key: item for key, item in more.items() if key not in {"affected", "withdrawn", "schema_version"}} | GOOD
    found = judge(None, json.dumps(value, indent=2 if indent else None).encode(), spelled)
    assert isinstance(found, Advisory)
    assert found.line == rfc8785.dumps(_as_doubles(value))
    assert judge(None, found.line, spelled) == found


@settings(deadline=None)
@given(
    st.binary(max_size=60) | st.text(max_size=60).map(str.encode) | JSON.map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_accepted_or_refused_and_never_raise(raw: bytes) -> None:
    assert isinstance(judge(None, raw, spelled), Advisory | Refused)


def _as_doubles(value: Any) -> Any:
    """Return the value with integers beyond 2^53 - 1 as the doubles that ECMAScript reads."""
    if isinstance(value, dict):
        return {key: _as_doubles(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_doubles(item) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**53 - 1:
        return float(value)
    return value
