"""Our reader of TUF metadata against python-tuf: the same signed bytes, the same files accepted, the same refused.

Where ours is stricter the case says why; nothing that python-tuf refuses is accepted.
"""

import copy
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.formats import encode_canonical
from tuf.api import metadata as tuf

from kit.errors import MalformedDocument, TrustRootRefused
from kit.trust import metadata

PATHS = {
    metadata.Root: "metadata/1.root.json",
    metadata.Timestamp: "metadata/timestamp.json",
    metadata.Snapshot: "metadata/1.snapshot.json",
    metadata.Targets: "metadata/1.targets.json",
}
THEIRS = {kind: getattr(tuf, kind.__name__) for kind in PATHS}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def theirs(kind, data):
    """Return the signed bytes as python-tuf has them, None where it refuses the file."""
    try:
        document = json.loads(data)
        found = tuf.Metadata[THEIRS[kind]].from_dict(copy.deepcopy(document))
        if not isinstance(found.signed, THEIRS[kind]):
            return None
        again = found.signed_bytes
    except Exception:  # noqa: BLE001 - whatever it raises, it refuses
        return None
    # What it would drop from the signed part, it never verified as it stands in the file.
    return again if encode_canonical(document["signed"]).encode() == again else None


def ours(kind, data):
    try:
        return metadata.read(kind, data, PATHS[kind]).message
    except TrustRootRefused:
        return None


def same(kind, document):
    data = json.dumps(document).encode()
    found = ours(kind, data)
    return found is not None and found == theirs(kind, data)


def neither(kind, document):
    data = json.dumps(document).encode()
    return ours(kind, data) is None and theirs(kind, data) is None


@pytest.fixture
def documents(publisher):
    """Return the four files of a repository, decoded, by kind of record."""
    publisher.root_keys = ("root-1", "ec-2")
    publisher.root_signers = publisher.root_keys
    files = publisher.files()
    return {kind: json.loads(files[path]) for kind, path in PATHS.items()}


@given(plain)
def test_canonical_form_is_that_of_securesystemslib(value):
    assert metadata.canonical_form(value) == encode_canonical(value).encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("\x00\x1f\n\t\x7f\u2028", b'"\x00\x1f\n\t\x7f\xe2\x80\xa8"'),
        ('a"b\\c/', b'"a\\"b\\\\c/"'),
        ({"b": [], "a": {}, "B": [None, True, -1]}, b'{"B":[null,true,-1],"a":{},"b":[]}'),
        ({"\U00010000": 1, "\uffff": 2}, '{"\uffff":2,"\U00010000":1}'.encode()),
    ],
    ids=["control characters", "escapes", "containers", "order by code point"],
)
def test_canonical_form_by_hand(value, expected):
    assert metadata.canonical_form(value) == expected == encode_canonical(value).encode()


@pytest.mark.parametrize("value", [1.0, float("nan"), b"", "\ud800", {"a": [0.5]}], ids=repr)
def test_what_has_no_canonical_form_is_refused(value):
    with pytest.raises(MalformedDocument):
        metadata.canonical_form(value)


@pytest.mark.parametrize("kind", PATHS, ids=lambda kind: kind.type)
def test_what_python_tuf_writes_reads_the_same(documents, kind):
    assert same(kind, documents[kind])
    written = tuf.Metadata.from_dict(copy.deepcopy(documents[kind])).signed
    record = metadata.read(kind, json.dumps(documents[kind]).encode(), PATHS[kind]).signed
    assert (record.type, record.version, record.expires) == (written.type, written.version, written.expires)
    for at in (record.expires, datetime(2026, 1, 1, tzinfo=UTC)):
        assert record.is_expired(at) is written.is_expired(at)


def test_keys_and_thresholds_read_the_same(documents):
    root = metadata.read(metadata.Root, json.dumps(documents[metadata.Root]).encode(), "root")
    written = tuf.Metadata.from_dict(copy.deepcopy(documents[metadata.Root]))
    for role, entry in written.signed.roles.items():
        keys = metadata.role_keys(root, role)
        assert (sorted(keys.keys), keys.threshold) == (sorted(entry.keyids), entry.threshold)
    metadata.check_signed(root, metadata.role_keys(root, "root"))
    written.signed.verify_delegate("root", written.signed_bytes, written.signatures)
    for key_id, key in written.signed.keys.items():
        assert metadata.key_id(key.keytype, key.scheme, key.keyval) == key_id


@pytest.mark.parametrize("kind", PATHS, ids=lambda kind: kind.type)
@given(name=texts, value=plain)
def test_members_that_nobody_knows_are_signed_and_kept(memory, kind, name, value):
    """Section 4.1 of the specification asks a client to keep them in what it verifies."""
    document = copy.deepcopy(memory[kind])
    if name in document["signed"] or name in {"delegations", metadata.ISSUED}:
        return
    document["signed"][name] = value
    assert same(kind, document)


@pytest.fixture(scope="module")
def memory(publisher_class):
    """Return one set of documents for all examples of a property."""
    files = publisher_class().files()
    return {kind: json.loads(files[path]) for kind, path in PATHS.items()}


STRANGE = (None, True, False, 0, -1, 1.0, 1.5, 2**53, 2**64, "", "1", "\u0661", [], [1], {}, {"a": 1})


def places(value, path=()):
    """Yield the path of every value inside a document."""
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*path, number))


def changed(document, path, value):
    """Return a copy with another value at a path; without that member for a value of ``...``."""
    made = copy.deepcopy(document)
    inside = made
    for step in path[:-1]:
        inside = inside[step]
    if value is ...:
        del inside[path[-1]]
    else:
        inside[path[-1]] = value
    return made


def is_of_another_type(value, genuine):
    """Tell whether a value has another type than the genuine one, or is an integer that not every reader can hold."""
    if type(value) is list and type(genuine) is list:
        return any(type(item) is not type(genuine[0]) for item in value)
    return type(value) is not type(genuine) or (type(value) is int and value >= 2**53)


def at(document, path):
    for step in path:
        document = document[step]
    return document


@pytest.mark.parametrize("kind", PATHS, ids=lambda kind: kind.type)
def test_only_for_its_type_is_a_value_refused_that_python_tuf_takes(documents, kind):
    """Every value of every file replaced by strange ones, one at a time, and every member left out."""
    document = documents[kind]
    agreed = stricter = 0
    for path in filter(None, places(document)):
        for value in (*STRANGE, ...):
            data = json.dumps(changed(document, path, value)).encode()
            mine, other = ours(kind, data), theirs(kind, data)
            if mine == other:
                agreed += 1
            else:
                assert mine is None, (path, value)
                assert is_of_another_type(value, at(document, path)), (path, value)
                stricter += 1
    assert agreed > stricter > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: signed["roles"].pop("snapshot"),
        lambda signed: signed["roles"].update(mirror=signed["roles"]["root"]),
        lambda signed: signed["roles"]["root"]["keyids"].append(signed["roles"]["root"]["keyids"][0]),
        lambda signed: signed["keys"].update({"ab" * 32: {"keytype": "x", "scheme": "y", "keyval": {"public": "z"}}}),
        lambda signed: signed["keys"].update({"ab" * 32: {"keytype": "ed25519", "scheme": "ed25519"}}),
        lambda signed: signed.update(spec_version="1"),
        lambda signed: signed.update(spec_version="1.0.x"),
        lambda signed: signed.update(spec_version="2.0.0"),
        lambda signed: signed.update(expires="2027-02-30T00:00:00Z"),
        lambda signed: signed.update(expires="2027-02-03T00:00:00+00:00"),
        lambda signed: signed.update(expires="2027-02-03T24:00:00Z"),
        lambda signed: signed.update(expires="2027-02-03 00:00:00Z"),
        lambda signed: signed.update(expires="\u0662027-02-03T00:00:00Z"),
    ],
)
def test_roots_that_break_a_rule_are_refused_by_both(documents, change):
    document = documents[metadata.Root]
    change(document["signed"])
    assert neither(metadata.Root, document)


@pytest.mark.parametrize("kind", PATHS, ids=lambda kind: kind.type)
@pytest.mark.parametrize("other", PATHS, ids=lambda kind: kind.type)
def test_each_role_is_read_as_itself_only(documents, kind, other):
    assert (ours(kind, json.dumps(documents[other]).encode()) is not None) is (kind is other)


@pytest.mark.parametrize(
    "text",
    [b'"version":1.0', b'"version":1e0', b'"version":9007199254740993', b'"version":1,"version":1', b'"version":NaN'],
    ids=["float", "exponent", "beyond a double", "duplicate", "not a number"],
)
def test_numbers_that_readers_take_differently_are_refused(documents, text):
    """python-tuf's JSON reader takes the last two forms."""
    data = json.dumps(documents[metadata.Targets], separators=(",", ":")).encode()
    assert ours(metadata.Targets, data)
    assert ours(metadata.Targets, data.replace(b'"version":1', text)) is None


def test_control_characters_are_signed_as_they_are(publisher, documents):
    signed = documents[metadata.Targets]["signed"] | {"note": 'tab\t nul\x00 quote" back\\ line\u2028'}
    data = publisher.sign_plain(signed, ("targets-1",))
    root = metadata.read(metadata.Root, json.dumps(documents[metadata.Root]).encode(), "root")
    metadata.check_signed(metadata.read(metadata.Targets, data, "targets"), metadata.role_keys(root, "targets"))
    assert ours(metadata.Targets, data) == theirs(metadata.Targets, data)
