"""Proof files, and what all evidence of a scan proves together."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from kit.bytes import canonical, merkle
from kit.errors import (
    EvidenceMissing,
    LedgerConsistencyMissing,
    LedgerEntryForeign,
    LedgerForked,
    LedgerProofWrong,
    LimitExceeded,
    MalformedDocument,
    StellaError,
    UnsupportedVersion,
)
from kit.ledger import checkpoint, entry, evidence, proof
from kit.ledger.proof import ConsistencyProofs, InclusionProof, Tree

HASH = "gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ="
HEAD = "c2sp.org/tlog-proof@v1\n"
TAIL = "\nnote"
LATER = "2026-06-01T12:00:00Z"


def changed(data, **changes):
    return proof.encode_inclusion(replace(proof.parse_inclusion(data, "p"), **changes))


def test_form_is_the_specification_s():
    data = f"{HEAD}extra AAEC\nindex 73894\n{HASH}\n{HASH}\n\nexample.com/fancylog\n1\n{HASH}\n\nrest\n".encode()
    read = proof.parse_inclusion(data, "p")
    assert (read.index, len(read.hashes), read.extra) == (73894, 2, b"\0\1\2")
    assert read.checkpoint.startswith(b"example.com/fancylog\n1\n")
    assert proof.encode_inclusion(read) == data


@pytest.mark.parametrize(
    "text",
    [
        "",
        HEAD,
        f"{HEAD}index 1\n{HASH}",
        f"{HEAD}index 01\n{TAIL}",
        f"{HEAD}index -1\n{TAIL}",
        f"{HEAD}index \n{TAIL}",
        f"{HEAD}index 1 \n{TAIL}",
        f"{HEAD}index {1 << 60}\n{TAIL}",
        f"{HEAD}Index 1\n{TAIL}",
        f"{HEAD}{HASH}\n{TAIL}",
        f"{HEAD}extra AAE\nindex 1\n{TAIL}",
        f"{HEAD}extra\nindex 1\n{TAIL}",
        f"{HEAD}extra AAEC\nextra AAEC\nindex 1\n{TAIL}",
        f"{HEAD}index 1\nextra AAEC\n{TAIL}",
        f"{HEAD}index 1\n{HASH} \n{TAIL}",
        f"{HEAD}index 1\n{HASH[:-4]}\n{TAIL}",
        f"{HEAD}index 1\n{HASH.replace('PlQ=', 'PlR=')}\n{TAIL}",
        f"{HEAD}index 1\r\n{TAIL}",
        f"c2sp.org/tlog-proof@v2\nindex 1\n{TAIL}",
        f"\n{HEAD}index 1\n{TAIL}",
    ],
)
def test_proof_that_is_none_is_refused(text):
    with pytest.raises(MalformedDocument):
        proof.parse_inclusion(text.encode(), "p")


def test_proofs_are_limited():
    proof.parse_inclusion(f"{HEAD}index 1\n{f'{HASH}{chr(10)}' * 64}{TAIL}".encode(), "p")
    for text in (f"{HEAD}index 1\n{f'{HASH}{chr(10)}' * 65}{TAIL}", "x" * (proof.MAX_INCLUSION + 1)):
        with pytest.raises(LimitExceeded):
            proof.parse_inclusion(text.encode(), "p")
    many = tuple((Tree(size, bytes(32)), ()) for size in range(1, proof.MAX_TREES + 2))
    whole = ConsistencyProofs("log", 1 << 20, many)
    with pytest.raises(LimitExceeded):
        proof.parse_consistency(proof.encode_consistency(whole), "c")


@given(
    st.integers(0, checkpoint.MAX_SIZE),
    st.lists(st.binary(min_size=32, max_size=32), max_size=8),
    st.none() | st.binary(max_size=60),
)
def test_inclusion_is_read_back(index, hashes, extra):
    whole = InclusionProof(index, tuple(hashes), b"note\n", extra)
    assert proof.parse_inclusion(proof.encode_inclusion(whole), "p") == whole


@given(st.binary(max_size=200) | st.text(alphabet="index old\nsize=A0 /@v1", max_size=200).map(str.encode))
def test_any_bytes_are_read_or_refused(data):
    for parse, encode in (
        (proof.parse_inclusion, proof.encode_inclusion),
        (proof.parse_consistency, proof.encode_consistency),
    ):
        for head in (b"", HEAD.encode(), f"{proof.CONSISTENCY_HEADER}\n".encode()):
            try:
                read = parse(head + data, "p")
            except StellaError:
                continue
            assert encode(read) == head + data


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_proofs_of_any_tree_hold_and_no_other(new_log, signer, data):
    size = data.draw(st.integers(1, 70))
    log = new_log(signer(1), [bytes([number]) for number in range(size)])
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    tree, leaf = log.tree(), log.leaves[index]
    hashes = merkle.inclusion_proof(index, log.leaves)
    proof.check_inclusion(leaf, index, hashes, tree, path="p")
    other = data.draw(st.integers(0, 2 * size).filter(lambda number: number != index))
    wrong = [(leaf, other, hashes), (leaf, index, [*hashes, bytes(32)]), (bytes(32), index, hashes)]
    wrong += [(leaf, index, hashes[:-1])] if hashes else []
    for one in wrong:
        with pytest.raises(LedgerProofWrong):
            proof.check_inclusion(*one, tree, path="p")
    if old < size:
        history = log.history(old)
        assert proof.check_consistency(history, tree, path="c") == (Tree(old, log.tree(old).root),)
        ((first, path),) = history.proofs
        flipped = bytes([first.root[0] ^ 1]) + first.root[1:]
        spoilt = [
            (Tree(first.size, flipped), path),
            (first, (*path, bytes(32))),
            (first, path[:-1]),
            (Tree(first.size - 1 or size, first.root), path),
        ]
        for one in spoilt:
            with pytest.raises(LedgerProofWrong):
                proof.check_consistency(replace(history, proofs=(one,)), tree, path="c")


def test_evidence_of_our_envelope_is_found(log, logged):
    for extra in (None, log.entries[4]):
        (found,) = evidence.verify({"log.tlog-proof": log.inclusion(4, extra=extra)}, logged, log.trust())
        assert (found.kind, found.index, found.opened.checkpoint, found.time) == ("tlog-proof", 4, log.tree(), None)


def test_every_single_bit_of_the_evidence_counts(log, logged):
    data = log.inclusion(4, extra=log.entries[4])
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StellaError):
            evidence.verify({"log.tlog-proof": bytes(flipped)}, logged, log.trust())


def test_every_single_bit_of_the_history_counts(log, logged):
    files = {"log.tlog-proof": log.inclusion(4)}
    data = proof.encode_consistency(log.history(3, 5))
    (found,) = evidence.verify(files | {"log.tlog-consistency": data}, logged, log.trust())
    assert [tree.size for tree in found.seen.prefixes] == [3, 5]
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(StellaError):
            evidence.verify(files | {"log.tlog-consistency": bytes(flipped)}, logged, log.trust())


def test_entry_of_another_envelope_is_foreign(log, logged, envelope):
    other = entry.make(envelope("other.json"))
    log.entries.append(other)
    with pytest.raises(LedgerEntryForeign) as caught:
        evidence.verify({"log.tlog-proof": log.inclusion(7, extra=other)}, logged, log.trust())
    assert caught.value.details["pointer"] == "/envelope"


@pytest.mark.parametrize("field", ["envelope", "payload", "payloadType", "signers"])
def test_every_field_of_an_entry_is_bound(log, logged, field):
    document = canonical.decode(entry.make(logged))
    other = "sha256:" + "0" * 64
    document[field] = {"signers": [other], "payloadType": "text/plain"}.get(field, other)
    log.entries.append(canonical.encode(document))
    with pytest.raises(LedgerEntryForeign) as caught:
        evidence.verify({"log.tlog-proof": log.inclusion(7, extra=log.entries[7])}, logged, log.trust())
    assert caught.value.details["pointer"] == f"/{field}"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"schemaVersion": "2.0"}, UnsupportedVersion),
        ({"signers": []}, MalformedDocument),
        ({"signers": ["b", "a"]}, MalformedDocument),
        ({"more": 1}, MalformedDocument),
    ],
)
def test_entry_that_is_none_is_refused(logged, change, error):
    with pytest.raises(error):
        entry.parse(canonical.encode(canonical.decode(entry.make(logged)) | change), "p")


def test_entry_may_name_more_signers_than_counted_but_not_fewer(envelope):
    both, one = envelope("manifest.json", 1, 2), envelope("manifest.json", 1)
    fewer = replace(both, verified=one.verified)
    entry.check(entry.parse(entry.make(both), "p"), fewer, path="p")
    with pytest.raises(LedgerEntryForeign):
        entry.check(entry.parse(entry.make(fewer), "p"), both, path="p")


def test_index_beyond_the_tree_is_refused(log, logged):
    data = changed(log.inclusion(4), index=12)
    with pytest.raises(LedgerProofWrong) as caught:
        evidence.verify({"log.tlog-proof": data}, logged, log.trust())
    assert "no such entry" in str(caught.value)


def test_proof_of_the_empty_tree_is_refused(log, logged):
    empty = checkpoint.sign(log.tree(0), log.key)
    with pytest.raises(LedgerProofWrong):
        evidence.verify(
            {"log.tlog-proof": changed(log.inclusion(4), index=0, hashes=(), checkpoint=empty)}, logged, log.trust()
        )


def test_history_of_nothing_is_refused(log, logged):
    files = {
        "log.tlog-proof": log.inclusion(4),
        "log.tlog-consistency": proof.encode_consistency(log.history(3, size=6)),
    }
    with pytest.raises(LedgerProofWrong):
        evidence.verify(files, logged, log.trust())
    with pytest.raises(EvidenceMissing):
        evidence.verify({"log.tlog-consistency": proof.encode_consistency(log.history(3))}, logged, log.trust())


def test_evidence_is_limited(log, logged):
    data = log.inclusion(4)
    files = {f"{number}.tlog-proof": data for number in range(evidence.MAX_FILES + 1)}
    for many in (files, {"a.tlog-consistency": b" " * (evidence.MAX_BYTES + 1)}):
        with pytest.raises(LimitExceeded):
            evidence.verify(many, logged, log.trust())


def test_two_proofs_of_one_log_must_agree(log, logged):
    early, late = log.inclusion(4, 6), log.inclusion(4)
    findings = evidence.verify({"a.tlog-proof": late, "b.tlog-proof": early}, logged, log.trust())
    assert [finding.file for finding in findings] == ["b.tlog-proof", "a.tlog-proof"]
    with pytest.raises(LedgerConsistencyMissing):
        evidence.hold_against((), findings, now=LATER)
    history = proof.encode_consistency(log.history(6))
    files = {"a.tlog-proof": late, "b.tlog-proof": early, "c.tlog-consistency": history}
    assert evidence.hold_against((), evidence.verify(files, logged, log.trust()), now=LATER) == [
        "first use",
        "grown since remembered",
    ]
    log.entries[0] = b"another"
    files = {"a.tlog-proof": late, "b.tlog-proof": log.inclusion(4)}
    with pytest.raises(LedgerForked):
        evidence.hold_against((), evidence.verify(files, logged, log.trust()), now=LATER)


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("a.tlog-proof", True),
        ("a.rekor.json", True),
        ("rekor-receipt.json", True),
        ("rekor-body.json", True),
        ("my-rekor-receipt.json", False),
        ("token.tsr", False),
        ("a.tlog-proof.txt", False),
    ],
)
def test_files_are_known_by_name(name, ours):
    assert (evidence.limit_of(name) is not None) is ours
