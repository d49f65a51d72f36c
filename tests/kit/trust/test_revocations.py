"""The list of revoked keys: how it is read, how two are joined, and which keys count under it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import canonical
from kit.errors import MalformedDocument, SignerNotYetValid, SignerRetired, SignerRevoked, StellaError
from kit.trust import dsse, revocations, rootpack
from kit.trust.revocations import Revocation

A, B = (f"sha256:{digit * 64}" for digit in "ab")
DAYS = [f"2026-0{month}-01T00:00:00Z" for month in range(1, 8)]

entries = st.builds(
    Revocation,
    fingerprint=st.sampled_from([A, B]),
    state=st.sampled_from(revocations.STATES),
    since=st.sampled_from(DAYS),
)
lists = st.lists(entries, max_size=4, unique_by=lambda entry: entry.fingerprint)


def entry(**changes: str) -> Revocation:
    return Revocation(**({"fingerprint": A, "state": "retired", "since": DAYS[2]} | changes))


def test_list_is_read_as_it_was_written() -> None:
    listed = revocations.make([entry(fingerprint=B), entry(reason="put aside")])
    assert revocations.parse(canonical.encode_record(listed)) == listed.keys
    assert [one.fingerprint for one in listed.keys] == [A, B]


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "lost"},
        {"since": "2026-01-01"},
        {"fingerprint": "sha256:0"},
        {"reason": "\x07"},
        {"reason": "x" * 161},
    ],
    ids=repr,
)
def test_entry_that_breaks_a_rule_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(MalformedDocument):
        revocations.make([entry(**changes)])


def test_key_stands_once_and_in_order() -> None:
    for keys in ([entry(), entry(state="compromised")], [entry(fingerprint=B), entry()]):
        record = revocations.Revocations(schema_version="1.0", keys=tuple(keys))
        with pytest.raises(MalformedDocument):
            revocations.parse(canonical.encode_record(record))


@given(st.binary(max_size=200))
def test_bytes_are_read_or_refused_with_a_typed_error(data: bytes) -> None:
    try:
        revocations.parse(data)
    except StellaError:
        return
    assert json.loads(data)["schemaVersion"] == "1.0"


@given(lists, lists, lists)
def test_joining_is_strict_and_does_not_depend_on_order(one, other, third) -> None:
    joined = revocations.strictest(one, other)
    assert joined == revocations.strictest(other, one)
    assert revocations.strictest(joined, third) == revocations.strictest(one, revocations.strictest(other, third))
    for each in (*one, *other):
        (kept,) = [found for found in joined if found.fingerprint == each.fingerprint]
        assert (kept.state, kept.since) <= (each.state, each.since)


@pytest.mark.parametrize(
    ("state", "at", "taken_in", "refusal"),
    [
        (None, DAYS[4], None, None),
        (None, "2025-12-01T00:00:00Z", None, SignerNotYetValid),
        (None, "2025-12-01T00:00:00Z", DAYS[1], None),
        ("retired", "2025-12-01T00:00:00Z", None, SignerNotYetValid),
        ("compromised", "2025-12-01T00:00:00Z", None, SignerRevoked),
        ("retired", DAYS[1], None, None),
        ("retired", DAYS[2], None, SignerRetired),
        ("retired", DAYS[4], DAYS[1], None),
        ("retired", DAYS[4], DAYS[2], SignerRetired),
        ("compromised", DAYS[1], None, SignerRevoked),
        ("compromised", DAYS[4], None, SignerRevoked),
        ("compromised", DAYS[4], DAYS[1], None),
        ("compromised", DAYS[4], DAYS[2], SignerRevoked),
        ("compromised", DAYS[1], DAYS[4], SignerRevoked),
        ("compromised", DAYS[4], "2025-12-01T00:00:00Z", SignerRevoked),
    ],
)
def test_key_counts_by_the_readers_own_records(publisher, make_signer, now, state, at, taken_in, refusal) -> None:
    """The list says since the third day; the key's window begins with 2026."""
    key = make_signer("kit")
    if state is not None:
        listed = revocations.make([entry(fingerprint=key.public.fingerprint, state=state)])
        publisher.extra_targets = {revocations.FILE: canonical.encode_record(listed)}
    files = publisher.files()
    pack = rootpack.load(files, pinned_root=files["metadata/1.root.json"], reference_time=now)
    envelope = dsse.sign(b"{}", dsse.IN_TOTO, [key])
    arguments = {"usage": "kit", "at": at, "taken_in": taken_in, "payload_types": (dsse.IN_TOTO,), "name": "x"}
    assert (key.public in pack.keys("kit", at)) == (refusal is None and taken_in is None) or taken_in is not None
    if refusal is None:
        assert pack.verify(envelope, **arguments).signers == (key.public,)
    else:
        with pytest.raises(refusal):
            pack.verify(envelope, **arguments)


def test_same_signature_never_counts_for_a_compromised_and_a_current_key(publisher, make_signer, now) -> None:
    key = make_signer("kit")
    listed = revocations.make([entry(fingerprint=key.public.fingerprint, state="compromised")])
    publisher.extra_targets = {revocations.FILE: canonical.encode_record(listed)}
    files = publisher.files()
    pack = rootpack.load(files, pinned_root=files["metadata/1.root.json"], reference_time=now)
    envelope = dsse.sign(b"{}", dsse.IN_TOTO, [key, make_signer("stranger")])
    with pytest.raises(SignerRevoked):
        pack.verify(envelope, usage="kit", at=DAYS[5], payload_types=(dsse.IN_TOTO,), name="x")


def test_pack_is_judged_by_a_newer_ones_list(publisher, make_signer, now) -> None:
    files = publisher.files()
    pack = rootpack.load(files, pinned_root=files["metadata/1.root.json"], reference_time=now)
    key = make_signer("kit").public
    assert pack.keys("kit", DAYS[5]) == (key,)
    told = pack.under([entry(fingerprint=key.fingerprint, state="compromised")])
    assert (told.keys("kit", DAYS[5]), told.keys("kit", None)) == ((), (key,))


def test_key_revoked_before_its_window_began_is_retired_and_not_early(publisher, make_signer, now) -> None:
    files = publisher.files()
    pack = rootpack.load(files, pinned_root=files["metadata/1.root.json"], reference_time=now)
    key = make_signer("kit")
    told = pack.under([entry(fingerprint=key.public.fingerprint, since="2025-06-01T00:00:00Z")])
    envelope = dsse.sign(b"{}", dsse.IN_TOTO, [key])
    with pytest.raises(SignerRetired):
        told.verify(envelope, usage="kit", at="2025-12-01T00:00:00Z", payload_types=(dsse.IN_TOTO,), name="x")
