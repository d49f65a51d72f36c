"""Where widely used verifiers are wrong: their answer and ours to the same bytes, kept to see when theirs changes.

The list with its reasons is in docs/threat-model.md. That python-tuf counts key ids, and what else it takes, is in
tests/kit/trust/test_rootpack_walk.py.
"""

import base64
import copy
import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from kit.bytes import merkle
from kit.errors import LedgerUnknown, SignatureInvalid, StellaError
from kit.ledger import checkpoint
from kit.ledger.note import NoteKey
from kit.trust import dsse
from kit.trust.keys import ECDSA_P256, ED25519, PemSigner

ONE, TWO = (PemSigner.from_seed(ECDSA_P256, bytes([number]) * 48) for number in (1, 2))
LOG = PemSigner.from_seed(ED25519, bytes([3]) * 32)
OK = "Ok"
Document = dict[str, object]


def ours(document: Document, threshold: int) -> str:
    keys = [ONE.public, TWO.public]
    try:
        dsse.verify(json.dumps(document).encode(), keys, threshold=threshold, payload_types=(dsse.IN_TOTO,), name="e")
    except StellaError as error:
        return error.reason
    return OK


def securesystemslib_key(signer: PemSigner, keyid: str | None = None) -> SSlibKey:
    return SSlibKey.from_crypto(load_der_public_key(signer.public.spki), keyid=keyid or signer.public.fingerprint)


def theirs(document: Document, threshold: int) -> str:
    keys = [securesystemslib_key(signer) for signer in (ONE, TWO)]
    try:
        Envelope.from_dict(copy.deepcopy(document)).verify(keys, threshold)
    except (KeyError, ValueError, VerificationError) as error:
        return type(error).__name__
    return OK


def signatures(document: Document) -> list[dict[str, str]]:
    return document["signatures"]  # type: ignore[return-value]


def without_key_id(document: Document) -> None:
    del signatures(document)[0]["keyid"]


def with_an_empty_key_id(document: Document) -> None:
    signatures(document)[0]["keyid"] = ""


def with_a_foreign_key_id(document: Document) -> None:
    signatures(document)[0]["keyid"] = "keystore://production"


def with_two_empty_key_ids(document: Document) -> None:
    for entry in signatures(document):
        entry["keyid"] = ""


def with_one_signature_more_that_cannot_be_read(document: Document) -> None:
    signatures(document).append({"keyid": "x", "sig": "!"})


@pytest.mark.parametrize(
    ("change", "their_answer"),
    [
        (without_key_id, "KeyError"),
        (with_an_empty_key_id, "VerificationError"),
        (with_a_foreign_key_id, "VerificationError"),
        (with_two_empty_key_ids, "ValueError"),
        (with_one_signature_more_that_cannot_be_read, "Error"),
    ],
)
def test_securesystemslib_lets_the_key_id_decide(change: Callable[[Document], None], their_answer: str) -> None:
    document: Document = json.loads(dsse.sign(b"{}", dsse.IN_TOTO, [ONE, TWO]))
    assert theirs(document, 2) == ours(document, 2) == OK
    change(document)
    assert (ours(document, 2), theirs(document, 2)) == (OK, their_answer)


def test_securesystemslib_counts_one_key_under_two_ids() -> None:
    document: Document = json.loads(dsse.sign(b"{}", dsse.IN_TOTO, [ONE]))
    signatures(document).append(signatures(document)[0] | {"keyid": "other"})
    keys = [securesystemslib_key(ONE), securesystemslib_key(ONE, "other")]
    assert len(Envelope.from_dict(copy.deepcopy(document)).verify(keys, 2)) == 2
    with pytest.raises(SignatureInvalid):
        dsse.verify(
            json.dumps(document).encode(),
            [ONE.public, ONE.public],
            threshold=2,
            payload_types=(dsse.IN_TOTO,),
            name="envelope",
        )


def test_securesystemslib_changes_what_it_reads() -> None:
    document: Document = json.loads(dsse.sign(b"{}", dsse.IN_TOTO, [ONE]))
    before = copy.deepcopy(document)
    Envelope.from_dict(document)
    assert document != before


def test_sigstore_counts_characters_where_dsse_counts_bytes() -> None:
    from sigstore.dsse import _pae

    assert _pae("text/x", b"1") == dsse.pae("text/x", b"1")
    assert _pae("text/\u00e9", b"1") == b"DSSEv1 6 text/\xc3\xa9 1 1"
    assert dsse.pae("text/\u00e9", b"1") == b"DSSEv1 7 text/\xc3\xa9 1 1"


def test_sigstore_takes_an_index_outside_of_the_tree() -> None:
    from sigstore._internal.merkle import verify_merkle_inclusion

    leaf = b"entry"
    root = merkle.leaf_hash(leaf)

    def entry(index: int, size: int, hashes: list[bytes], root: bytes) -> SimpleNamespace:
        proof = SimpleNamespace(log_index=index, tree_size=size, hashes=hashes, root_hash=root)
        return SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=proof, canonicalized_body=leaf))

    sibling = merkle.leaf_hash(b"other")
    pair = merkle.node_hash(sibling, root)
    verify_merkle_inclusion(entry(1, 2, [sibling], pair))
    assert merkle.verify_inclusion(root, 1, 2, [sibling], pair)
    # The second of a tree that holds one.
    verify_merkle_inclusion(entry(1, 1, [sibling], pair))
    assert not merkle.verify_inclusion(root, 1, 1, [sibling], pair)


def test_sigstore_does_not_look_at_the_names_of_a_checkpoint() -> None:
    from sigstore._internal.rekor.checkpoint import SignedNote

    mine, other = "log.example/mine", "log.example/other"
    text = checkpoint.Checkpoint(other, 1, bytes(32)).text
    key_id = NoteKey(mine, LOG.public).key_id(1)
    line = base64.b64encode(key_id + LOG.sign(text)).decode()
    data = text + b"\n" + f"\u2014 {other} {line}\n".encode()
    seen: list[bytes] = []
    keyring = SimpleNamespace(verify=lambda *, key_id, signature, data: seen.append(data))
    SignedNote.from_text(data.decode()).verify(keyring, key_id + bytes(28))
    assert seen == [text]
    assert LOG.public.verify(text, base64.b64decode(line)[4:])
    with pytest.raises(LedgerUnknown):
        checkpoint.open_signed(data, checkpoint.Trust((NoteKey(mine, LOG.public),)), path="checkpoint")


def test_sigstore_refuses_a_bundle_without_a_certificate() -> None:
    from sigstore.errors import Error
    from sigstore.models import Bundle

    envelope = json.loads(dsse.sign(b"{}", dsse.IN_TOTO, [ONE]))
    for entry in envelope["signatures"]:
        del entry["keyid"]
    bundle = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {"publicKey": {"hint": "x"}, "tlogEntries": []},
        "dsseEnvelope": envelope,
    }
    with pytest.raises(Error, match="expected certificate in bundle"):
        Bundle.from_json(json.dumps(bundle))
