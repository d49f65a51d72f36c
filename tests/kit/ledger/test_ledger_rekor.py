"""Rekor's entries and upstream's receipt, made from their descriptions; each bound field is altered once."""

import base64
import hashlib
import json
from copy import deepcopy

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import merkle
from kit.errors import (
    DuplicateMember,
    EvidenceMissing,
    LedgerEntryForeign,
    LedgerProofWrong,
    LedgerSignatureInvalid,
    LedgerUnknown,
    LimitExceeded,
    MalformedDocument,
    StellaError,
    UnsupportedVersion,
)
from kit.ledger import checkpoint, evidence, note, rekor

TREE_ID = "1193050959916656506"
TIME = 1_780_000_000
KINDS = [("dsse", "0.0.1"), ("hashedrekord", "0.0.1"), ("dsse", "0.0.2"), ("hashedrekord", "0.0.2")]


def b64(data):
    return base64.b64encode(data).decode()


def body_of(kind, logged):
    """Return the body that Rekor stores for an envelope's first signature."""
    (signer, *_), (sig, *_) = logged.verified.signers, sorted(logged.signatures)
    payload, message = hashlib.sha256(logged.verified.payload), hashlib.sha256(logged.message)
    details = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "publicKey": {"rawBytes": b64(signer.spki)}}
    name, version = kind
    spec = {
        ("dsse", "0.0.1"): {
            "envelopeHash": {"algorithm": "sha256", "value": hashlib.sha256(logged.envelope).hexdigest()},
            "payloadHash": {"algorithm": "sha256", "value": payload.hexdigest()},
            "signatures": [{"signature": sig, "verifier": b64(signer.to_pem())}],
        },
        ("hashedrekord", "0.0.1"): {
            "data": {"hash": {"algorithm": "sha256", "value": message.hexdigest()}},
            "signature": {"content": sig, "publicKey": {"content": b64(signer.to_pem())}},
        },
        ("dsse", "0.0.2"): {
            "dsseV002": {
                "payloadHash": {"algorithm": "SHA2_256", "digest": b64(payload.digest())},
                "signatures": [{"content": sig, "verifier": details}],
            }
        },
        ("hashedrekord", "0.0.2"): {
            "hashedRekordV002": {
                "data": {"algorithm": "SHA2_256", "digest": b64(message.digest())},
                "signature": {"content": sig, "verifier": details},
            }
        },
    }[kind]
    return {"apiVersion": version, "kind": name, "spec": spec}


def signed(tree, key):
    """Return a checkpoint as Rekor signs it: the key's name is not all of the origin."""
    return note.encode(tree.text, [note.sign(tree.text, "rekor.example", key)])


class Rekor:
    """A log in the manner of Rekor that has our envelope's body as its third entry."""

    def __init__(self, kind, logged, new_log, signer, *, body=None):
        self.kind = kind
        self.v1 = kind[1] == "0.0.1"
        key = signer(40, "ecdsa-p256-sha256" if self.v1 else "ed25519")
        self.body = rfc8785.dumps(body or body_of(kind, logged))
        origin = f"rekor.example - {TREE_ID}" if self.v1 else "rekor.example"
        self.log = new_log(key, [b"a", b"b", self.body, b"d", b"e"], origin)
        self.logged = logged

    def entry(self):
        tree = self.log.tree()
        hashes = merkle.inclusion_proof(2, self.log.leaves)
        key_id = bytes.fromhex(self.log.key.public.hints[1]) if self.v1 else self.log.note_key.key_hash(1)
        document = {
            "logIndex": "25579" if self.v1 else "2",
            "logId": {"keyId": b64(key_id)},
            "kindVersion": {"kind": self.kind[0], "version": self.kind[1]},
            "inclusionProof": {
                "logIndex": "2",
                "rootHash": b64(tree.root),
                "treeSize": "5",
                "hashes": [b64(each) for each in hashes],
                "checkpoint": {"envelope": signed(tree, self.log.key).decode()},
            },
            "canonicalizedBody": b64(self.body),
        }
        if self.v1:
            promised = {
                "body": b64(self.body),
                "integratedTime": TIME,
                "logID": key_id.hex(),
                "logIndex": 25579,
            }
            document["integratedTime"] = str(TIME)
            document["inclusionPromise"] = {"signedEntryTimestamp": b64(self.log.key.sign(rfc8785.dumps(promised)))}
        return document

    def verify(self, document):
        data = document if isinstance(document, bytes) else json.dumps(document).encode()
        return rekor.verify(data, self.logged, self.log.trust(), path="entry.rekor.json")

    def receipt(self):
        tree = self.log.tree()
        return {
            "uuid": f"108e9186e8c5677a{merkle.leaf_hash(self.body).hex()}",
            "logIndex": 2,
            "rootHash": tree.root.hex(),
            "hashes": [each.hex() for each in merkle.inclusion_proof(2, self.log.leaves)],
            "checkpoint": signed(tree, self.log.key).decode(),
        }


@pytest.fixture(params=KINDS, ids=" ".join)
def log_of_kind(request, logged, new_log, signer):
    return Rekor(request.param, logged, new_log, signer)


@pytest.fixture
def first(logged, new_log, signer):
    return Rekor(KINDS[0], logged, new_log, signer)


@pytest.fixture
def second(logged, new_log, signer):
    return Rekor(KINDS[3], logged, new_log, signer)


def places(document, path=()):
    """Yield the place of every text in a document."""
    items = document.items() if isinstance(document, dict) else enumerate(document)
    for name, value in items:
        if isinstance(value, str):
            yield (*path, name)
        else:
            yield from places(value, (*path, name))


def at(document, place):
    for name in place[:-1]:
        document = document[name]
    return document, place[-1]


def test_entry_of_our_envelope_is_found(log_of_kind):
    found = log_of_kind.verify(log_of_kind.entry())
    assert found.kind == ("rekor-v1" if log_of_kind.v1 else "rekor-v2")
    assert (found.index, found.opened.checkpoint.size) == (2, 5)
    assert found.time == (TIME if log_of_kind.v1 else None)


def test_every_text_of_an_entry_counts(log_of_kind):
    good = log_of_kind.entry()
    free = set() if log_of_kind.v1 else {("logIndex",)}
    for place in set(places(good)) - free:
        for change in ("", "0", "AAAA", "x"):
            document = deepcopy(good)
            holder, name = at(document, place)
            if holder[name] == change:
                continue
            holder[name] = change
            with pytest.raises(StellaError):
                log_of_kind.verify(document)


def test_every_text_of_a_body_is_bound(log_of_kind, logged, new_log, signer):
    """The log has the altered body, rightly proven; only what it says is wrong."""
    good = body_of(log_of_kind.kind, logged)
    free = {("spec", "envelopeHash", "value"), ("spec", "envelopeHash", "algorithm")}
    bound = {place for place in places(good) if place not in free and place[-1] != "keyDetails"}
    for place in bound:
        body = deepcopy(good)
        holder, name = at(body, place)
        holder[name] = "AAAA"
        other = Rekor(log_of_kind.kind, logged, new_log, signer, body=body)
        with pytest.raises((LedgerEntryForeign, MalformedDocument)):
            other.verify(other.entry())


def test_body_of_another_envelope_is_foreign(log_of_kind, logged, new_log, signer, envelope):
    other = Rekor(log_of_kind.kind, envelope("other.json"), new_log, signer)
    other.logged = logged
    with pytest.raises(LedgerEntryForeign):
        other.verify(other.entry())


def test_body_by_another_key_is_foreign(log_of_kind, logged, new_log, signer, envelope):
    """Same payload, signed by somebody else too, and that signature was logged."""
    other = Rekor(log_of_kind.kind, envelope("manifest.json", 2), new_log, signer)
    other.logged = logged
    with pytest.raises(LedgerEntryForeign) as caught:
        other.verify(other.entry())
    assert "key" in caught.value.details["detail"]


def test_another_signature_of_our_key_is_foreign(log_of_kind, logged, new_log, signer):
    """ECDSA has many signatures of one message; the logged one must be the envelope's."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(signer(1, "ecdsa-p256-sha256").to_pem(), None)
    fresh = b64(key.sign(logged.message, ECDSA(SHA256())))
    (own,) = logged.signatures
    text = json.dumps(body_of(log_of_kind.kind, logged)).replace(json.dumps(own)[1:-1], fresh)
    other = Rekor(log_of_kind.kind, logged, new_log, signer, body=json.loads(text))
    with pytest.raises(LedgerEntryForeign) as caught:
        other.verify(other.entry())
    assert "signature" in caught.value.details["detail"]


def test_body_without_signatures_is_foreign(logged, new_log, signer):
    body = body_of(KINDS[0], logged)
    body["spec"]["signatures"] = []
    with pytest.raises(LedgerEntryForeign):
        (log := Rekor(KINDS[0], logged, new_log, signer, body=body)).verify(log.entry())


def test_certificate_in_the_place_of_a_key_is_foreign(logged, new_log, signer):
    body = body_of(KINDS[3], logged)
    verifier = body["spec"]["hashedRekordV002"]["signature"]["verifier"]
    verifier["x509Certificate"] = verifier["publicKey"]
    with pytest.raises(LedgerEntryForeign):
        (log := Rekor(KINDS[3], logged, new_log, signer, body=body)).verify(log.entry())


@pytest.mark.parametrize("kind", [("intoto", "0.0.2"), ("dsse", "0.0.3"), ("rekord", "0.0.1")])
def test_unknown_kind_is_refused(logged, new_log, signer, kind):
    body = body_of(KINDS[0], logged) | {"kind": kind[0], "apiVersion": kind[1]}
    log = Rekor(KINDS[0], logged, new_log, signer, body=body)
    log.kind = kind
    with pytest.raises(UnsupportedVersion):
        log.verify(log.entry())


def test_kind_of_the_entry_is_that_of_the_body(first):
    document = first.entry()
    document["kindVersion"]["version"] = "0.0.2"
    with pytest.raises(MalformedDocument):
        first.verify(document)


def test_promise_alone_proves_nothing(first):
    document = first.entry()
    del document["inclusionProof"]
    with pytest.raises(EvidenceMissing):
        first.verify(document)


def test_promise_is_checked_where_there_is_one(first):
    document = first.entry()
    document["integratedTime"] = str(TIME + 1)
    with pytest.raises(LedgerSignatureInvalid):
        first.verify(document)
    document = first.entry()
    document["logIndex"] = "25580"
    with pytest.raises(LedgerSignatureInvalid):
        first.verify(document)
    del document["inclusionPromise"]
    assert first.verify(document).time is None


def test_log_of_the_second_generation_makes_no_promise(second, first):
    document = second.entry() | {"inclusionPromise": first.entry()["inclusionPromise"]}
    with pytest.raises(MalformedDocument):
        second.verify(document)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("inclusionProof", "treeSize"), "6"),
        (("inclusionProof", "rootHash"), b64(bytes(32))),
        (("inclusionProof", "logIndex"), "5"),
    ],
)
def test_copies_are_held_against_the_checkpoint(log_of_kind, place, value):
    document = log_of_kind.entry()
    holder, name = at(document, place)
    holder[name] = value
    with pytest.raises(LedgerProofWrong):
        log_of_kind.verify(document)


def test_id_of_another_log_is_refused(log_of_kind):
    document = log_of_kind.entry() | {"logId": {"keyId": b64(bytes(32))}}
    with pytest.raises(LedgerProofWrong):
        log_of_kind.verify(document)


def test_log_that_is_not_trusted_is_unknown(log_of_kind, log, logged):
    data = json.dumps(log_of_kind.entry()).encode()
    with pytest.raises(LedgerUnknown):
        rekor.verify(data, logged, log.trust(), path="entry")


def test_document_is_read_strictly(first):
    document = first.entry()
    with pytest.raises(MalformedDocument):
        first.verify(document | {"more": 1})
    with pytest.raises(MalformedDocument):
        first.verify(document | {"logIndex": 25579})
    with pytest.raises(DuplicateMember):
        first.verify(json.dumps(document).replace('"logIndex"', '"logIndex": "1", "logIndex"', 1).encode())
    with pytest.raises(LimitExceeded):
        first.verify(b" " * (rekor.MAX_BYTES + 1))
    document["inclusionProof"]["hashes"] = [b64(bytes(32))] * 65
    with pytest.raises(LimitExceeded):
        first.verify(document)


def test_receipt_of_upstream_proves_the_body_beside_it(log_of_kind, logged):
    files = {evidence.RECEIPT_FILE: json.dumps(log_of_kind.receipt()).encode(), evidence.BODY_FILE: log_of_kind.body}
    (found,) = evidence.verify(files, logged, log_of_kind.log.trust())
    assert (found.kind, found.index) == ("rekor-receipt", 2)
    del files[evidence.BODY_FILE]
    with pytest.raises(EvidenceMissing):
        evidence.verify(files, logged, log_of_kind.log.trust())


def test_receipt_may_name_its_checkpoint_s_file(first, logged):
    receipt = first.receipt()
    text = receipt["checkpoint"].encode()
    receipt["checkpoint"] = "rekor.checkpoint"
    files = {evidence.RECEIPT_FILE: json.dumps(receipt).encode(), evidence.BODY_FILE: first.body}
    assert evidence.verify(files | {"rekor.checkpoint": text}, logged, first.log.trust())[0].index == 2
    with pytest.raises(EvidenceMissing):
        evidence.verify(files, logged, first.log.trust())
    receipt["checkpoint"] = "../../keys"
    files[evidence.RECEIPT_FILE] = json.dumps(receipt).encode()
    with pytest.raises(EvidenceMissing):
        evidence.verify(files | {"rekor.checkpoint": text}, logged, first.log.trust())


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"uuid": "0" * 64}, LedgerEntryForeign),
        ({"uuid": ""}, LedgerEntryForeign),
        ({"logIndex": 1}, LedgerProofWrong),
        ({"logIndex": 7}, LedgerProofWrong),
        ({"logIndex": -1}, MalformedDocument),
        ({"rootHash": "0" * 64}, LedgerProofWrong),
        ({"rootHash": "A" * 64}, MalformedDocument),
        ({"hashes": []}, LedgerProofWrong),
        ({"hashes": ["0" * 63]}, MalformedDocument),
        ({"treeSize": 5}, MalformedDocument),
        ({"checkpoint": "x\n"}, MalformedDocument),
    ],
)
def test_altered_receipt_is_refused(first, logged, change, error):
    receipt = json.dumps(first.receipt() | change).encode()
    with pytest.raises(error):
        evidence.verify({evidence.RECEIPT_FILE: receipt, evidence.BODY_FILE: first.body}, logged, first.log.trust())


MEMBERS = ["kind", "apiVersion", "spec", "canonicalizedBody", "inclusionProof", "kindVersion", "uuid"]
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=60)
@given(anything=ANYTHING)
def test_any_document_is_refused(anything, envelope):
    data, logged = json.dumps(anything).encode(), envelope()
    for files in ({"a.rekor.json": data}, {evidence.RECEIPT_FILE: data, evidence.BODY_FILE: data}):
        with pytest.raises(StellaError):
            evidence.verify(files, logged, checkpoint.Trust(()))
