"""Statements: canonical when written, strict when read."""

import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.errors import DuplicateMember, LimitExceeded, MalformedDocument, StellaError, UnsupportedVersion
from kit.trust import statement

DIGEST = "sha256:" + "ab" * 32
KIND = "https://example.org/predicate/1"


def document(**members):
    whole = {
        "_type": statement.TYPE,
        "predicate": {"a": 1},
        "predicateType": KIND,
        "subject": [{"digest": {"sha256": "ab" * 32}, "name": "manifest.json"}],
    }
    return {name: value for name, value in (whole | members).items() if value is not ...}


def encoded(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def test_written_statement_is_canonical_and_sorted():
    data = statement.make({"b": DIGEST, "a": DIGEST}, KIND, {"z": 1, "y": ["x"]})
    assert data == canonical.encode(json.loads(data))
    assert [subject["name"] for subject in json.loads(data)["subject"]] == ["a", "b"]


def test_written_statement_reads_back():
    parsed = statement.parse(statement.make({"b": DIGEST, "a": DIGEST}, KIND, {"z": 1}))
    assert parsed == statement.Statement({"a": DIGEST, "b": DIGEST}, KIND, {"z": 1})


def test_predicate_may_be_a_record():
    class Predicate(msgspec.Struct, rename="camel", omit_defaults=True):
        kit_id: str
        note: str | None = None

    parsed = statement.parse(statement.make({"a": DIGEST}, KIND, Predicate(kit_id="k")))
    assert parsed.predicate == {"kitId": "k"}


def test_statement_of_others_need_not_be_canonical():
    assert statement.parse(json.dumps(document(), indent=2).encode()).subjects == {"manifest.json": DIGEST}


def subjects(*changes):
    return [{"digest": {"sha256": "ab" * 32}, "name": "manifest.json"} | change for change in changes]


REFUSED = {
    "no JSON": (b"\xff", MalformedDocument),
    "not an object": (b"[]", MalformedDocument),
    "another type": (encoded(document(_type="https://in-toto.io/Statement/v0.1")), UnsupportedVersion),
    "no type": (encoded(document(_type=...)), MalformedDocument),
    "no subjects": (encoded(document(subject=[])), MalformedDocument),
    "subjects absent": (encoded(document(subject=...)), MalformedDocument),
    "subject named twice": (
        encoded(document(subject=subjects({}, {"digest": {"sha256": "cd" * 32}}))),
        MalformedDocument,
    ),
    "empty name": (encoded(document(subject=subjects({"name": ""}))), MalformedDocument),
    "no digest": (encoded(document(subject=subjects({"digest": {}}))), MalformedDocument),
    "other digest": (encoded(document(subject=subjects({"digest": {"sha512": "ab" * 64}}))), MalformedDocument),
    "two digests": (
        encoded(document(subject=subjects({"digest": {"sha256": "ab" * 32, "sha1": "ab" * 20}}))),
        MalformedDocument,
    ),
    "uppercase digest": (encoded(document(subject=subjects({"digest": {"sha256": "AB" * 32}}))), MalformedDocument),
    "short digest": (encoded(document(subject=subjects({"digest": {"sha256": "ab" * 31}}))), MalformedDocument),
    "digest and line feed": (
        encoded(document(subject=subjects({"digest": {"sha256": "ab" * 32 + "\n"}}))),
        MalformedDocument,
    ),
    "prefixed digest": (encoded(document(subject=subjects({"digest": {"sha256": DIGEST}}))), MalformedDocument),
    "unknown member": (encoded(document(extra=1)), MalformedDocument),
    "unknown subject member": (encoded(document(subject=subjects({"uri": "x"}))), MalformedDocument),
    "no predicate": (encoded(document(predicate=...)), MalformedDocument),
    "predicate not an object": (encoded(document(predicate=[])), MalformedDocument),
    "empty predicate type": (encoded(document(predicateType="")), MalformedDocument),
    "duplicate member": (encoded(document()).replace(b'"name"', b'"name":"x","name"'), DuplicateMember),
    "duplicate in predicate": (encoded(document()).replace(b'"a":1', b'"a":1,"a":2'), DuplicateMember),
    "null in predicate": (encoded(document(predicate={"a": None})), MalformedDocument),
    "float in predicate": (encoded(document(predicate={"a": 1.5})), MalformedDocument),
    "too many subjects": (
        encoded(document(subject=subjects(*({"name": str(number)} for number in range(statement.MAX_SUBJECTS + 1))))),
        LimitExceeded,
    ),
}


@pytest.mark.parametrize(("data", "cause"), REFUSED.values(), ids=REFUSED.keys())
def test_odd_statement_is_refused(data, cause):
    with pytest.raises(cause):
        statement.parse(data)


def test_hostile_type_is_shown_as_ascii():
    with pytest.raises(UnsupportedVersion) as refusal:
        statement.parse(encoded(document(_type="\x1b[2J" * 100)))
    shown = str(refusal.value.details["found"])
    assert shown.isprintable()
    assert len(shown) <= 160


@pytest.mark.parametrize("digest", ["ab" * 32, "sha256:AB", "sha512:" + "ab" * 64, ""])
def test_only_sha256_digests_are_written(digest):
    with pytest.raises(MalformedDocument):
        statement.make({"a": digest}, KIND, {})


names = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), min_size=1, max_size=20)
digests = st.binary(min_size=32, max_size=32).map(lambda raw: "sha256:" + raw.hex())
values = st.recursive(
    st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(st.characters(codec="utf-8"), max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcXYZ019", max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(names, digests, min_size=1, max_size=5), st.dictionaries(st.text("abc", max_size=3), values))
def test_any_statement_survives(given_subjects, predicate):
    parsed = statement.parse(statement.make(given_subjects, KIND, predicate))
    assert parsed.subjects == given_subjects
    assert parsed.predicate == predicate


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(document(), values | st.none() | st.floats())).map(
        lambda value: json.dumps(document() | value).encode()
    )
    | st.binary(max_size=64)
)
def test_anything_else_is_read_or_refused_with_a_typed_error(data):
    try:
        parsed = statement.parse(data)
    except StellaError:
        return
    assert parsed.subjects


@given(st.integers(0, 400), st.integers(0, 7))
def test_flipped_bit_is_read_or_refused_with_a_typed_error(at, bit):
    data = bytearray(encoded(document()))
    data[at % len(data)] ^= 1 << bit
    with contextlib.suppress(StellaError):
        statement.parse(bytes(data))
