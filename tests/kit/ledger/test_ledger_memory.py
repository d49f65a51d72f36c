"""What a site remembers of logs: growth is followed, forks and roll-backs are caught."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kit.bytes import canonical, merkle
from kit.errors import LedgerConsistencyMissing, LedgerForked, LedgerRolledBack, LimitExceeded, StellaError
from kit.ledger import memory
from kit.ledger.checkpoint import Checkpoint
from kit.ledger.memory import Seen
from kit.ledger.proof import Tree

NOW = "2026-06-01T12:00:00Z"
LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(64)]


def tree(size, leaves=LEAVES, origin="log.example"):
    return Checkpoint(origin, size, merkle.root(leaves[:size]))


def seen(size, *prefixes, leaves=LEAVES, origin="log.example"):
    return Seen(tree(size, leaves, origin), tuple(Tree(old, merkle.root(leaves[:old])) for old in prefixes))


def after(*steps):
    known = ()
    for step in steps:
        known = memory.remember(known, [step], now=NOW)
    return known


def test_first_use_is_noted_with_its_time():
    assert memory.check((), seen(5), path="p") == memory.FIRST_USE
    (log,) = after(seen(5))
    assert (log.origin, log.first_seen, [one.size for one in log.trees]) == ("log.example", NOW, [5])


@pytest.mark.parametrize(
    ("then", "standing"),
    [
        (seen(10), memory.KNOWN),
        (seen(4), memory.KNOWN),
        (seen(12, 10), memory.GROWN),
        (seen(12, 3, 4, 10), memory.GROWN),
        (seen(12), LedgerConsistencyMissing),
        (seen(12, 4), LedgerConsistencyMissing),
        (seen(7), LedgerRolledBack),
        (seen(7, 4), LedgerRolledBack),
        (seen(10, leaves=LEAVES[1:]), LedgerForked),
        (seen(4, leaves=LEAVES[1:]), LedgerForked),
        (seen(12, 10, leaves=LEAVES[1:]), LedgerForked),
        (seen(12, 4, leaves=LEAVES[1:]), LedgerForked),
        (seen(7, 4, leaves=LEAVES[1:]), LedgerForked),
        (seen(3, origin="other.example"), memory.FIRST_USE),
    ],
)
def test_next_checkpoint_is_held_against_the_memory(then, standing):
    known = after(seen(10, 4))
    if isinstance(standing, str):
        assert memory.check(known, then, path="p") == standing
        return
    with pytest.raises(standing) as caught:
        memory.check(known, then, path="p")
    assert caught.value.details["origin"] == "log.example"
    with pytest.raises(standing):
        memory.remember(known, [then], now=NOW)


def test_accepted_trees_outlive_mere_prefixes(monkeypatch):
    monkeypatch.setattr(memory, "MAX_TREES", 3)
    monkeypatch.setattr(memory, "MAX_ACCEPTED", 2)
    (log,) = after(seen(5, 2), seen(20, 5, 6, 7, 8, 9))
    assert [(one.size, one.accepted) for one in log.trees] == [
        (5, True),
        (7, False),
        (8, False),
        (9, False),
        (20, True),
    ]
    (log,) = memory.remember((log,), [seen(30, 20)], now=NOW)
    assert [one.size for one in log.trees] == [7, 8, 9, 20, 30]


def test_memory_grows_no_further_than_its_counts(monkeypatch):
    """Kit after kit, each with the most trees that one may prove, from the most logs that there may be."""
    monkeypatch.setattr(memory, "MAX_TREES", 5)
    monkeypatch.setattr(memory, "MAX_ACCEPTED", 7)
    monkeypatch.setattr(memory, "MAX_LOGS", 3)
    known, sizes = (), []
    for size in range(2, 64):
        steps = [seen(size, *range(max(1, size - 8), size), origin=f"log.example/{one}") for one in range(3)]
        known = memory.remember(known, steps, now=NOW)
        sizes.append(max(len(log.trees) for log in known))
    assert len(known) == 3
    assert max(sizes) == sizes[-1] == 7 + 5
    assert all(log.trees[-1].size == 63 for log in known)


def test_log_too_many_is_refused_and_none_forgotten(monkeypatch):
    monkeypatch.setattr(memory, "MAX_LOGS", 2)
    known = after(seen(3, origin="rekor.example - 1"), seen(3, origin="rekor.example - 2"))
    with pytest.raises(LimitExceeded):
        memory.remember(known, [seen(3, origin="rekor.example - 3")], now=NOW)
    assert memory.remember(known, [seen(4, 3, origin="rekor.example - 1")], now=NOW)


def test_largest_memory_is_within_what_a_site_reads_back():
    """With real limits: the longest names of logs apart, every tree of every log."""
    widest = memory.KnownTree(size=2**53 - 1, root="sha256:" + "0" * 64, accepted=True)
    one = len(canonical.encode_record(widest)) + 1
    assert memory.MAX_LOGS * (memory.MAX_ACCEPTED + memory.MAX_TREES) * one < canonical.MAX_BYTES // 2


def test_memory_is_canonical_and_sorted():
    known = after(seen(3, origin="z.example"), seen(4, origin="a.example"))
    assert [log.origin for log in known] == ["a.example", "z.example"]
    encoded = canonical.encode_record(known[0])
    assert canonical.decode_record(encoded, memory.KnownLog) == known[0]


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(1, 40), st.sets(st.integers(1, 39), max_size=4), st.booleans()), max_size=8))
def test_site_never_holds_two_trees_that_contradict(steps):
    """Whatever two branches of a forked log show, everything remembered belongs to one of them."""
    fork = [*LEAVES[:10], *reversed(LEAVES)]
    known = ()
    for size, prefixes, other in steps:
        step = seen(size, *(old for old in prefixes if old < size), leaves=fork if other else LEAVES)
        try:
            known = memory.remember(known, [step], now=NOW)
        except StellaError:
            continue
    for log in known:
        for branch in (LEAVES, fork):
            if log.trees[-1].root == "sha256:" + merkle.root(branch[: log.trees[-1].size]).hex():
                roots = [f"sha256:{merkle.root(branch[: one.size]).hex()}" for one in log.trees]
                assert [one.root for one in log.trees] == roots
                break
        else:
            pytest.fail("the highest tree is of neither branch")
