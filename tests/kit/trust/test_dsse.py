"""Envelopes: what is accepted, which refusal each fault gets, and agreement with securesystemslib and openssl."""

import base64
import json
import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner, SSlibKey

from kit.errors import (
    DuplicateMember,
    EvidenceMissing,
    InternalError,
    LimitExceeded,
    MalformedDocument,
    SignatureInvalid,
    SignerRetired,
    SignerUnknown,
    StellaError,
)
from kit.trust import dsse
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner, PublicKey

TYPES = (dsse.IN_TOTO,)
BODY = b'{"a":1}'


def b64(data):
    return base64.b64encode(data).decode()


def check(envelope, keys, threshold=1, retired=()):
    return dsse.verify(envelope, keys, threshold=threshold, payload_types=TYPES, name="kit.dsse.json", retired=retired)


def changed(envelope, **members):
    """Return the envelope with members replaced."""
    return json.dumps(json.loads(envelope) | members).encode()


@pytest.fixture(scope="module")
def alice(make_signer):
    return make_signer("alice")


@pytest.fixture(scope="module")
def bob(make_signer):
    return make_signer("bob", ED25519)


@pytest.fixture(scope="module")
def carol(make_signer):
    return make_signer("carol")


@pytest.fixture(scope="module")
def signed(alice):
    return dsse.sign(BODY, dsse.IN_TOTO, [alice])


@pytest.fixture(scope="module")
def both(alice, bob):
    return dsse.sign(BODY, dsse.IN_TOTO, [bob, alice])


# The format


def test_pae_is_that_of_the_specification():
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == expected


def test_pae_counts_bytes_not_characters():
    assert dsse.pae("text/\u00fc", b"\xc3\xbc") == b"DSSEv1 7 text/\xc3\xbc 2 \xc3\xbc"


def test_own_envelope_is_canonical_and_repeatable(alice, bob, both):
    assert both == dsse.sign(BODY, dsse.IN_TOTO, [alice, bob, alice])
    document = json.loads(both)
    assert both == json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    keyids = [entry["keyid"] for entry in document["signatures"]]
    assert keyids == sorted([alice.public.fingerprint, bob.public.fingerprint])


def test_verified_bytes_and_distinct_signers_are_handed_on(alice, bob, both):
    verified = check(both, [alice.public, bob.public], threshold=2)
    assert verified.payload == BODY
    assert verified.payload_type == dsse.IN_TOTO
    assert [key.fingerprint for key in verified.signers] == sorted([alice.public.fingerprint, bob.public.fingerprint])


def test_unknown_members_are_ignored(alice, signed):
    more = json.loads(signed) | {"extra": [1.5, None]}
    more["signatures"][0]["cert"] = "x"
    assert check(json.dumps(more, indent=1).encode(), [alice.public]).payload == BODY


def test_url_safe_base64_is_accepted(alice):
    body = bytes(range(256))
    envelope = json.loads(dsse.sign(body, dsse.IN_TOTO, [alice]))
    envelope["payload"] = base64.urlsafe_b64encode(body).decode()
    entry = envelope["signatures"][0]
    entry["sig"] = base64.urlsafe_b64encode(base64.b64decode(entry["sig"])).decode()
    assert check(json.dumps(envelope).encode(), [alice.public]).payload == body


@pytest.mark.parametrize("keyid", [None, "", "somebody", "0" * 64])
def test_key_id_does_not_decide(alice, bob, signed, keyid):
    envelope = json.loads(signed)
    envelope["signatures"][0] |= {"keyid": keyid}
    assert check(json.dumps(envelope).encode(), [bob.public, alice.public]).signers == (alice.public,)


def test_absent_key_id_is_an_empty_one(alice, bob, signed):
    envelope = json.loads(signed)
    del envelope["signatures"][0]["keyid"]
    assert check(json.dumps(envelope).encode(), [bob.public, alice.public]).signers == (alice.public,)


# Refusals of the document


MALFORMED = {
    "not JSON": b"payload",
    "array": b"[]",
    "no type": b'{"payload":"","signatures":[]}',
    "empty type": b'{"payload":"","payloadType":"","signatures":[]}',
    "type is a number": b'{"payload":"","payloadType":1,"signatures":[]}',
    "no payload": b'{"payloadType":"t","signatures":[]}',
    "payload not base64": b'{"payload":"*","payloadType":"t","signatures":[]}',
    "payload with line feed": b'{"payload":"YWJj\\n","payloadType":"t","signatures":[]}',
    "payload not padded": b'{"payload":"YQ","payloadType":"t","signatures":[]}',
    "payload with spare bits": b'{"payload":"YR==","payloadType":"t","signatures":[]}',
    "payload of two alphabets": b'{"payload":"-_+/","payloadType":"t","signatures":[]}',
    "no signatures": b'{"payload":"","payloadType":"t"}',
    "signatures an object": b'{"payload":"","payloadType":"t","signatures":{}}',
    "trailing text": b'{"payload":"","payloadType":"t","signatures":[]}x',
    "byte order mark": b'\xef\xbb\xbf{"payload":"","payloadType":"t","signatures":[]}',
    "not a number": b'{"payload":"","payloadType":"t","signatures":[],"x":NaN}',
}


@pytest.mark.parametrize("envelope", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_envelope_is_refused(alice, envelope):
    with pytest.raises(MalformedDocument) as refusal:
        check(envelope, [alice.public])
    assert refusal.value.details["path"] == "kit.dsse.json"


def test_duplicate_member_is_refused(alice, signed):
    for member in (b'"payload":"e30=",', b'"payloadType":"x",', b'"signatures":[],'):
        with pytest.raises(DuplicateMember):
            check(signed.replace(b"{", b"{" + member, 1), [alice.public])
    with pytest.raises(DuplicateMember):
        check(signed.replace(b'"keyid"', b'"keyid":"","keyid"'), [alice.public])


def test_oversize_envelope_is_refused(alice, signed):
    padded = signed + b" " * (dsse.MAX_BYTES - len(signed))
    assert check(padded, [alice.public]).payload == BODY
    with pytest.raises(LimitExceeded):
        check(padded + b" ", [alice.public])


def test_too_many_signatures_are_refused(alice, signed):
    entries = json.loads(signed)["signatures"]
    assert check(changed(signed, signatures=entries * dsse.MAX_SIGNATURES), [alice.public]).payload == BODY
    with pytest.raises(LimitExceeded):
        check(changed(signed, signatures=entries * (dsse.MAX_SIGNATURES + 1)), [alice.public])


def test_envelope_without_signatures_is_missing_evidence(alice, signed):
    with pytest.raises(EvidenceMissing):
        check(changed(signed, signatures=[]), [alice.public])


def test_genuine_envelope_of_another_type_is_refused(alice):
    with pytest.raises(MalformedDocument) as refusal:
        check(dsse.sign(BODY, "text/plain", [alice]), [alice.public])
    assert refusal.value.details["pointer"] == "/payloadType"


@pytest.mark.parametrize("threshold", [0, -1])
def test_threshold_below_one_is_a_bug_not_a_pass(alice, signed, threshold):
    with pytest.raises(InternalError):
        check(signed, [alice.public], threshold=threshold)


# Threats


def test_swapped_payload_type_is_refused(alice):
    other = dsse.sign(BODY, "text/plain", [alice])
    with pytest.raises(SignatureInvalid):
        check(changed(other, payloadType=dsse.IN_TOTO), [alice.public])


def test_changed_payload_is_refused(alice, signed):
    with pytest.raises(SignatureInvalid):
        check(changed(signed, payload=b64(BODY + b" ")), [alice.public])


def test_repeated_signature_counts_once(alice, bob, signed):
    entries = json.loads(signed)["signatures"]
    twice = changed(signed, signatures=[entries[0], {"keyid": bob.public.fingerprint} | {"sig": entries[0]["sig"]}])
    with pytest.raises(SignatureInvalid) as refusal:
        check(twice, [alice.public, bob.public], threshold=2)
    assert (refusal.value.details["expected"], refusal.value.details["found"]) == (2, 1)


def test_two_signatures_of_one_key_count_once(alice, bob, signed):
    again = ec.derive_private_key(alice._key.private_numbers().private_value, ec.SECP256R1())
    random_nonce = again.sign(dsse.pae(dsse.IN_TOTO, BODY), ec.ECDSA(SHA256()))
    entries = [*json.loads(signed)["signatures"], {"keyid": "", "sig": b64(random_nonce)}]
    assert check(changed(signed, signatures=entries), [alice.public]).signers == (alice.public,)
    with pytest.raises(SignatureInvalid):
        check(changed(signed, signatures=entries), [alice.public, bob.public], threshold=2)


def test_one_key_listed_twice_counts_once(alice, signed):
    twin = PublicKey.from_spki(alice.public.spki)
    with pytest.raises(SignatureInvalid):
        check(signed, [alice.public, twin], threshold=2)


def test_key_id_steering_neither_hides_nor_names_a_signer(alice, bob, both):
    envelope = json.loads(both)
    entries = envelope["signatures"]
    entries[0]["keyid"], entries[1]["keyid"] = entries[1]["keyid"], entries[0]["keyid"]
    verified = check(json.dumps(envelope).encode(), [alice.public, bob.public], threshold=2)
    assert {key.fingerprint for key in verified.signers} == {alice.public.fingerprint, bob.public.fingerprint}


def test_signature_of_an_unknown_key_under_a_trusted_key_id_is_refused(alice, carol):
    envelope = json.loads(dsse.sign(BODY, dsse.IN_TOTO, [carol]))
    envelope["signatures"][0]["keyid"] = alice.public.fingerprint
    with pytest.raises(SignatureInvalid):
        check(json.dumps(envelope).encode(), [alice.public])


BAD_ENTRIES = [
    {},
    {"sig": ""},
    {"sig": "***"},
    {"sig": 5},
    {"sig": None, "keyid": None},
    {"sig": "AAAA", "keyid": 7},
    {"sig": "\u00fc", "keyid": "\u00fc"},
    "text",
    None,
    [],
]


@pytest.mark.parametrize("entry", BAD_ENTRIES, ids=repr)
def test_one_bad_signature_spoils_no_other(alice, bob, both, entry):
    entries = [entry, *json.loads(both)["signatures"], entry]
    verified = check(changed(both, signatures=entries), [alice.public, bob.public], threshold=2)
    assert len(verified.signers) == 2


# Which cause


def envelope_of(entries):
    return json.dumps({"payload": b64(BODY), "payloadType": dsse.IN_TOTO, "signatures": entries}).encode()


@pytest.fixture
def entry():
    def make(signer, keyid=None, *, good=True):
        body = BODY if good else b"other"
        signature = signer.sign(dsse.pae(dsse.IN_TOTO, body))
        return {"keyid": signer.public.fingerprint if keyid is None else keyid, "sig": b64(signature)}

    return make


def test_cause_is_told_by_the_key_id_that_failed(alice, bob, carol, entry):
    keys = [alice.public, bob.public]
    bare_hex = alice.public.fingerprint.removeprefix("sha256:")
    base64_hint = b64(bytes.fromhex(bare_hex))
    cases = [
        ([entry(carol)], SignerUnknown),
        ([entry(carol, "")], SignerUnknown),
        ([entry(carol, "elsewhere")], SignerUnknown),
        ([entry(alice, good=False)], SignatureInvalid),
        ([entry(alice, bare_hex, good=False)], SignatureInvalid),
        ([entry(alice, base64_hint, good=False)], SignatureInvalid),
        ([entry(alice, "", good=False)], SignerUnknown),
        ([entry(carol), entry(bob, good=False)], SignatureInvalid),
    ]
    for entries, cause in cases:
        with pytest.raises(cause):
            check(envelope_of(entries), keys)


def test_lone_candidate_that_does_not_fit_is_a_bad_signature(alice, carol, entry):
    with pytest.raises(SignatureInvalid):
        check(envelope_of([entry(alice, "", good=False)]), [alice.public])
    with pytest.raises(SignerUnknown):
        check(envelope_of([entry(carol)]), [alice.public])


def test_no_trusted_key_at_all_means_unknown_signer(alice, entry):
    with pytest.raises(SignerUnknown) as refusal:
        check(envelope_of([entry(alice)]), [])
    assert refusal.value.details["found"] == alice.public.fingerprint


def test_hostile_key_id_is_shown_as_ascii(alice, carol, entry):
    with pytest.raises(SignerUnknown) as refusal:
        check(envelope_of([entry(carol, "\x1b[2J\u202e" + "x" * 500)]), [alice.public])
    shown = str(refusal.value.details["found"])
    assert shown.isascii()
    assert shown.isprintable()
    assert len(shown) <= 160


def test_key_outside_its_window_is_retired_not_unknown(alice, bob, carol, entry):
    with pytest.raises(SignerRetired) as refusal:
        check(envelope_of([entry(bob)]), [alice.public], retired=[bob.public])
    assert refusal.value.details["signer"] == bob.public.fingerprint
    with pytest.raises(SignatureInvalid):
        check(envelope_of([entry(bob, good=False)]), [alice.public], retired=[bob.public])
    with pytest.raises(SignerUnknown):
        check(envelope_of([entry(carol)]), [alice.public], retired=[bob.public])


def test_retired_key_never_counts(alice, bob, both):
    assert check(both, [alice.public], retired=[bob.public]).signers == (alice.public,)
    with pytest.raises(SignerRetired):
        check(both, [alice.public], threshold=2, retired=[bob.public])


def test_key_that_is_both_current_and_retired_is_current(alice, signed):
    assert check(signed, [alice.public], retired=[alice.public]).signers == (alice.public,)


def test_forged_is_told_before_retired(alice, bob, entry):
    with pytest.raises(SignatureInvalid):
        check(envelope_of([entry(bob), entry(alice, good=False)]), [alice.public], retired=[bob.public])


def test_bad_twin_of_a_good_signature_is_not_blamed(alice, bob, entry):
    with pytest.raises(SignatureInvalid) as refusal:
        check(envelope_of([entry(alice), entry(alice, good=False)]), [alice.public, bob.public], threshold=2)
    assert refusal.value.details["detail"] == "too few distinct keys signed"


def test_too_few_signers_are_counted(alice, bob, signed):
    with pytest.raises(SignatureInvalid) as refusal:
        check(signed, [alice.public, bob.public], threshold=2)
    assert (refusal.value.details["expected"], refusal.value.details["found"]) == (2, 1)


# Every byte, and any bytes


def test_every_flipped_bit_is_refused_or_changes_nothing(alice, signed):
    """A key id is a hint, so flipping it alone may leave the same verdict; nothing else may."""
    document = json.loads(signed)
    key_id_at = signed.index(document["signatures"][0]["keyid"].encode())
    key_id = range(key_id_at, key_id_at + len(document["signatures"][0]["keyid"]))
    name = range(signed.index(b'"keyid"'), signed.index(b'"keyid"') + len('"keyid"'))
    for at in range(len(signed)):
        for bit in (0, 3, 5, 7):
            flipped = bytearray(signed)
            flipped[at] ^= 1 << bit
            try:
                verified = check(bytes(flipped), [alice.public])
            except StellaError:
                continue
            assert at in key_id or at in name, (at, bit)
            assert verified == check(signed, [alice.public])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=8,
)
near_envelopes = st.fixed_dictionaries(
    {},
    optional={
        "payload": json_values | st.binary(max_size=8).map(b64),
        "payloadType": json_values | st.just(dsse.IN_TOTO),
        "signatures": json_values
        | st.lists(st.fixed_dictionaries({}, optional={"sig": json_values, "keyid": json_values}) | json_values),
    },
)


@given(near_envelopes.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=64))
def test_anything_unsigned_is_refused_with_a_typed_error(envelope):
    key = PemSigner.from_seed(ECDSA_P256, bytes(48)).public
    with pytest.raises(StellaError):
        check(envelope, [key])


@given(st.binary(max_size=300), st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()))
def test_any_payload_and_type_survive(payload, kind):
    signer = PemSigner.from_seed(ED25519, bytes(32))
    envelope = dsse.sign(payload, kind, [signer])
    verified = dsse.verify(envelope, [signer.public], threshold=1, payload_types={kind}, name="x")
    assert (verified.payload, verified.payload_type) == (payload, kind)


# Agreement with others


def sslib_key(public):
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return SSlibKey.from_crypto(load_der_public_key(public.spki), keyid=public.fingerprint)


def test_securesystemslib_accepts_ours(alice, bob, both):
    envelope = Envelope.from_dict(json.loads(both))
    accepted = envelope.verify([sslib_key(alice.public), sslib_key(bob.public)], 2)
    assert set(accepted) == {alice.public.fingerprint, bob.public.fingerprint}


def test_we_accept_securesystemslibs(spki):
    keys = [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
    envelope = Envelope(BODY, dsse.IN_TOTO, {})
    for key in keys:
        envelope.sign(CryptoSigner(key))
    verified = check(json.dumps(envelope.to_dict()).encode(), [PublicKey.from_spki(spki(key)) for key in keys], 2)
    assert verified.payload == BODY


@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl command here")
def test_openssl_verifies_our_signature(tmp_path, alice, signed):
    paths = {"key": alice.public.to_pem(), "pae": dsse.pae(dsse.IN_TOTO, BODY)}
    paths["sig"] = base64.b64decode(json.loads(signed)["signatures"][0]["sig"])
    for name, data in paths.items():
        (tmp_path / name).write_bytes(data)
    command = ["openssl", "dgst", "-sha256", "-verify", "key", "-signature", "sig", "pae"]
    assert subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout == b"Verified OK\n"
    (tmp_path / "pae").write_bytes(paths["pae"] + b" ")
    assert subprocess.run(command, cwd=tmp_path, check=False, capture_output=True).returncode != 0
