"""Checkpoints and cosignatures: who signed what, for which log."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import merkle
from kit.errors import (
    LedgerQuorumMissing,
    LedgerSignatureInvalid,
    LedgerUnknown,
    LimitExceeded,
    MalformedDocument,
    SignerNotYetValid,
    SignerRetired,
    SignerRevoked,
    StellaError,
)
from kit.ledger import checkpoint, note
from kit.ledger.checkpoint import Checkpoint, Trust
from kit.ledger.note import NoteKey

ROOT = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I="
WITNESSES = [f"witness.example/{number}" for number in range(3)]


def witness_keys(signer):
    return tuple(NoteKey(name, signer(20 + number).public) for number, name in enumerate(WITNESSES))


def cosigned(log, signer, *times):
    data = checkpoint.sign(log.tree(), log.key)
    for number, time in enumerate(times):
        data = checkpoint.cosign(data, WITNESSES[number], signer(20 + number), time=time)
    return data


def test_checkpoint_of_the_specification_is_read():
    read = checkpoint.parse(f"example.com/behind-the-sofa\n20852163\n{ROOT}\n".encode(), "note")
    assert (read.origin, read.size, read.root.hex()[:8]) == ("example.com/behind-the-sofa", 20852163, "0ac5186a")


def test_cosigned_message_is_the_specification_s(log, signer):
    read = note.parse(cosigned(log, signer, 1679315147), "note")
    message = b"cosignature/v1\ntime 1679315147\n" + log.tree().text
    line = note.by_key(read, witness_keys(signer), note.TYPE_COSIGNATURE)[witness_keys(signer)[0]]
    assert line.value[:8] == (1679315147).to_bytes(8)
    assert signer(20).public.verify(message, line.value[8:])


@pytest.mark.parametrize(
    "text",
    [
        f"origin\n1\n{ROOT}",
        f"\n1\n{ROOT}\n",
        f"origin\n01\n{ROOT}\n",
        f"origin\n-1\n{ROOT}\n",
        f"origin\n+1\n{ROOT}\n",
        f"origin\n1_0\n{ROOT}\n",
        f"origin\n\u0661\n{ROOT}\n",
        f"origin\n{1 << 53}\n{ROOT}\n",
        f"origin\n{'9' * 400}\n{ROOT}\n",
        f"origin\n\n{ROOT}\n",
        f"origin\n1\n{ROOT[:-4]}\n",
        f"origin\n1\n{ROOT} \n",
        f"origin\n1\n{ROOT.replace('2I=', '2J=')}\n",
        f"origin\n0\n{ROOT}\n",
        f"origin\n1\n{ROOT}\n\nextension\n",
        f"origin\r\n1\r\n{ROOT}\r\n",
        "origin\n1\n",
        "",
    ],
)
def test_text_that_is_no_checkpoint_is_refused(text):
    with pytest.raises(MalformedDocument):
        checkpoint.parse(text.encode(), "note")


def test_extension_lines_are_read_and_limited():
    text = f"origin\n1\n{ROOT}\n" + "x\n" * checkpoint.MAX_EXTENSIONS
    assert len(checkpoint.parse(text.encode(), "note").extensions) == checkpoint.MAX_EXTENSIONS
    with pytest.raises(LimitExceeded):
        checkpoint.parse(f"{text}x\n".encode(), "note")


@pytest.mark.parametrize("algorithm", ["ed25519", "ecdsa-p256-sha256"])
def test_own_log_is_opened(log, new_log, signer, algorithm):
    own = new_log(signer(3, algorithm), log.entries)
    opened = checkpoint.open_signed(checkpoint.sign(own.tree(), own.key), own.trust(), path="note")
    assert (opened.checkpoint, opened.log, opened.cosignatures) == (own.tree(), own.note_key, ())


def test_every_single_bit_of_a_signed_checkpoint_counts(log, signer):
    trust = log.trust(witnesses=witness_keys(signer), quorum=2)
    data = cosigned(log, signer, 1, 2)
    assert checkpoint.open_signed(data, trust, path="note").checkpoint == log.tree()
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StellaError):
            checkpoint.open_signed(bytes(flipped), trust, path="note")


def test_key_of_another_log_with_the_same_hint_is_unknown(log, signer, monkeypatch):
    stranger = NoteKey("log.example/two", log.key.public)
    monkeypatch.setattr(NoteKey, "key_id", lambda self, kind: b"hint")
    data = checkpoint.sign(log.tree(), log.key)
    assert checkpoint.open_signed(data, log.trust(), path="note").log == log.note_key
    with pytest.raises(LedgerUnknown):
        checkpoint.open_signed(data, Trust((stranger,)), path="note")


def test_trusted_key_signs_for_its_own_log_only(log, signer):
    """Key and hint are right, but the text speaks for another log."""
    foreign = Checkpoint("log.example/two", 7, log.tree().root)
    data = note.encode(foreign.text, [note.sign(foreign.text, log.origin, log.key)])
    with pytest.raises(LedgerUnknown):
        checkpoint.open_signed(data, log.trust(), path="note")


@pytest.mark.parametrize(
    ("origin", "belongs"),
    [
        ("rekor.example", True),
        ("rekor.example - 1193050959916656506", True),
        ("rekor.example - ", False),
        ("rekor.example - 12x", False),
        ("rekor.example - 1 - 2", False),
        ("rekor.example2 - 12", False),
        ("x", False),
    ],
)
def test_origin_is_the_key_s_name_or_a_tree_of_rekor(origin, belongs):
    assert checkpoint.is_origin(origin, "rekor.example") is belongs


def test_foreign_signatures_beside_ours_are_passed_over(log, signer):
    data = checkpoint.cosign(checkpoint.sign(log.tree(), log.key), "stranger.example", signer(99), time=1)
    assert checkpoint.open_signed(data, log.trust(), path="note").cosignatures == ()


def test_one_bad_signature_of_a_trusted_key_refuses_the_note(log, signer):
    line = note.sign(log.tree().text, log.origin, log.key)
    bad = note.SignatureLine(line.name, line.key_id, line.value[:-1])
    with pytest.raises(LedgerSignatureInvalid):
        checkpoint.open_signed(note.encode(log.tree().text, [bad]), log.trust(), path="note")
    witnesses = witness_keys(signer)
    data = cosigned(log, signer, 5).replace(b"\n7\n", b"\n8\n")
    with pytest.raises(LedgerSignatureInvalid):
        checkpoint.open_signed(data, log.trust(witnesses=witnesses), path="note")
    moved = (
        checkpoint.sign(log.tree(6), log.key) + cosigned(log, signer, 5).rpartition(b"\n\n")[2].split(b"\n")[1] + b"\n"
    )
    with pytest.raises(LedgerSignatureInvalid):
        checkpoint.open_signed(moved, log.trust(witnesses=witnesses), path="note")


@pytest.mark.parametrize(
    ("group", "refusal"),
    [("retired", SignerRetired), ("early", SignerNotYetValid), ("compromised", SignerRevoked)],
)
def test_key_that_counts_no_more_is_told_apart(log, group, refusal):
    trust = Trust((), **{group: (log.note_key,)})
    with pytest.raises(refusal):
        checkpoint.open_signed(checkpoint.sign(log.tree(), log.key), trust, path="note")


@pytest.mark.parametrize(
    ("quorum", "times", "enough"), [(0, (), True), (2, (5,), False), (2, (5, 5), True), (3, (5, 5), False)]
)
def test_quorum_counts_distinct_witnesses(log, signer, quorum, times, enough):
    trust = log.trust(witnesses=witness_keys(signer), quorum=quorum)
    data = cosigned(log, signer, *times)
    if enough:
        opened = checkpoint.open_signed(data, trust, path="note")
        assert [(one.witness.name, one.time) for one in opened.cosignatures] == list(
            zip(WITNESSES, times, strict=False)
        )
    else:
        with pytest.raises(LedgerQuorumMissing):
            checkpoint.open_signed(data, trust, path="note")


def test_one_witness_under_two_names_is_two_keys_of_the_keyring_never(log, signer):
    """The same witness cannot cosign twice: two lines under one name and id are refused."""
    data = checkpoint.cosign(cosigned(log, signer, 5), WITNESSES[0], signer(20), time=6)
    with pytest.raises(MalformedDocument):
        checkpoint.open_signed(data, log.trust(witnesses=witness_keys(signer), quorum=2), path="note")


def test_two_keys_under_one_name_are_one_witness(log, signer):
    """While a witness rotates its key both may count, but what they saw was seen by one."""
    witnesses = (*witness_keys(signer)[:2], NoteKey(WITNESSES[0], signer(30).public))
    data = checkpoint.cosign(cosigned(log, signer, 5), WITNESSES[0], signer(30), time=5)
    opened = checkpoint.open_signed(data, log.trust(witnesses=witnesses, quorum=1), path="note")
    assert [one.witness.name for one in opened.cosignatures] == [WITNESSES[0]] * 2
    with pytest.raises(LedgerQuorumMissing) as caught:
        checkpoint.open_signed(data, log.trust(witnesses=witnesses, quorum=2), path="note")
    assert caught.value.details["found"] == 1
    whole = checkpoint.cosign(data, WITNESSES[1], signer(21), time=5)
    assert checkpoint.open_signed(whole, log.trust(witnesses=witnesses, quorum=2), path="note")


def test_fresh_cosignature_takes_the_place_of_the_old_one_and_strangers_are_left_out(log, signer):
    signed, witnesses = cosigned(log, signer, 5, 5), witness_keys(signer)[:2]
    lines = [checkpoint.cosignature(signed, WITNESSES[at], signer(20 + at), time=9) for at in (0, 2)]
    data, found = checkpoint.with_cosignatures(signed, lines, witnesses, path="note")
    assert found == witnesses[:1]
    opened = checkpoint.open_signed(data, log.trust(witnesses=witness_keys(signer)), path="note")
    assert [(one.witness.name, one.time) for one in opened.cosignatures] == [(WITNESSES[0], 9), (WITNESSES[1], 5)]
    assert checkpoint.with_cosignatures(signed, lines[1:], witnesses, path="note") == (signed, ())


def test_cosignature_of_another_tree_is_not_taken(log, signer):
    other = checkpoint.sign(log.tree(6), log.key)
    line = checkpoint.cosignature(other, WITNESSES[0], signer(20), time=9)
    with pytest.raises(LedgerSignatureInvalid):
        checkpoint.with_cosignatures(cosigned(log, signer), [line], witness_keys(signer), path="note")


def test_cosignature_from_the_future_does_not_count(log, signer):
    witnesses = witness_keys(signer)
    data = cosigned(log, signer, 100, 200)
    assert len(checkpoint.open_signed(data, log.trust(witnesses=witnesses, latest=200), path="n").cosignatures) == 2
    with pytest.raises(LedgerQuorumMissing):
        checkpoint.open_signed(data, log.trust(witnesses=witnesses, quorum=2, latest=199), path="n")


def test_log_s_own_signature_is_no_cosignature(log, signer):
    """A key of usage log that is entered as a witness too would need a signature of the other type."""
    with pytest.raises(LedgerQuorumMissing):
        checkpoint.open_signed(
            checkpoint.sign(log.tree(), log.key), log.trust(witnesses=(log.note_key,), quorum=1), path="note"
        )


@settings(max_examples=50)
@given(
    st.text(alphabet=st.characters(min_codepoint=0x21, exclude_categories=("Cs",)), min_size=1, max_size=20),
    st.integers(0, checkpoint.MAX_SIZE),
    st.binary(min_size=32, max_size=32),
)
def test_text_is_read_back(origin, size, root):
    whole = Checkpoint(origin, size, root if size else merkle.EMPTY_ROOT)
    assert checkpoint.parse(whole.text, "note") == whole
