"""kit.bytes.merkle against the published RFC 6962 vectors and a recursive reading of the RFC."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.bytes import merkle

sizes = st.integers(min_value=0, max_value=70)


def leaves_of(count):
    return [merkle.leaf_hash(b"leaf %d" % index) for index in range(count)]


def recursive_root(hashes):
    """RFC 6962 section 2.1, word for word."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    cut = 1
    while cut * 2 < len(hashes):
        cut *= 2
    return hashlib.sha256(b"\x01" + recursive_root(hashes[:cut]) + recursive_root(hashes[cut:])).digest()


def test_published_roots(vectors):
    cases = vectors("merkle")
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in cases["leaves"]]
    for size, expected in enumerate(cases["roots"]):
        assert merkle.root(hashes[:size]).hex() == expected


def test_published_inclusion_proofs(vectors):
    cases = vectors("merkle")
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in cases["leaves"]]
    for case in cases["inclusion"]:
        proof = merkle.inclusion_proof(case["index"], hashes[: case["size"]])
        assert [item.hex() for item in proof] == case["proof"]


def test_published_consistency_proofs(vectors):
    cases = vectors("merkle")
    hashes = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in cases["leaves"]]
    for case in cases["consistency"]:
        proof = merkle.consistency_proof(case["old"], hashes[: case["new"]])
        assert [item.hex() for item in proof] == case["proof"]


@given(sizes)
def test_root_is_the_recursive_root(size):
    hashes = leaves_of(size)
    assert merkle.root(hashes) == recursive_root(hashes)


def test_tree_has_the_root_of_every_prefix():
    hashes = leaves_of(40)
    tree = merkle.Tree()
    for size, leaf in enumerate(hashes):
        assert (tree.size, tree.root()) == (size, recursive_root(hashes[:size]))
        tree.append(leaf)


def test_every_inclusion_proof_up_to_20_leaves_holds_only_for_its_leaf_index_and_size():
    for size in range(1, 21):
        hashes = leaves_of(size)
        root = merkle.root(hashes)
        for index in range(size):
            proof = merkle.inclusion_proof(index, hashes)
            assert merkle.verify_inclusion(hashes[index], index, size, proof, root)
            for other in range(size):
                if other != index:
                    assert not merkle.verify_inclusion(hashes[other], index, size, proof, root)
                    assert not merkle.verify_inclusion(hashes[index], other, size, proof, root)


def test_every_consistency_proof_up_to_20_leaves_holds():
    hashes = leaves_of(20)
    roots = [merkle.root(hashes[:size]) for size in range(21)]
    for new in range(21):
        for old in range(new + 1):
            proof = merkle.consistency_proof(old, hashes[:new])
            assert merkle.verify_consistency(old, new, roots[old], roots[new], proof)
            for wrong in range(21):
                if wrong != old:
                    assert not merkle.verify_consistency(old, new, roots[wrong], roots[new], proof)
                # The empty tree is a prefix of whatever the new root may be.
                if wrong != new and old:
                    assert not merkle.verify_consistency(old, new, roots[old], roots[wrong], proof)


@given(st.data(), st.integers(min_value=1, max_value=70))
def test_changed_inclusion_proof_fails(data, size):
    hashes = leaves_of(size)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, hashes)
    changed = data.draw(changes(proof))
    assert not merkle.verify_inclusion(hashes[index], index, size, changed, merkle.root(hashes))


@given(st.data(), st.integers(min_value=1, max_value=70))
def test_changed_consistency_proof_fails(data, size):
    hashes = leaves_of(size)
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(old, hashes)
    changed = data.draw(changes(proof))
    assert not merkle.verify_consistency(old, size, merkle.root(hashes[:old]), merkle.root(hashes), changed)


@st.composite
def changes(draw, proof):
    """Return the proof with one item changed, dropped, doubled or added."""
    changed = list(proof)
    kind = draw(st.sampled_from(["flip", "drop", "double", "short"])) if changed else "add"
    at = draw(st.integers(0, len(changed) - 1)) if changed else 0
    if kind == "flip":
        changed[at] = bytes([changed[at][0] ^ 1]) + changed[at][1:]
    elif kind == "drop":
        del changed[at]
    elif kind == "double":
        changed.insert(at, changed[at])
    elif kind == "short":
        changed[at] = changed[at][:-1]
    else:
        changed.append(bytes(32))
    return changed


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_for_a_leaf_that_is_not_there(index, size):
    with pytest.raises(IndexError):
        merkle.inclusion_proof(index, leaves_of(size))
    assert not merkle.verify_inclusion(bytes(32), index, size, [], bytes(32))


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_no_proof_for_a_size_that_never_was(old, new):
    with pytest.raises(IndexError):
        merkle.consistency_proof(old, leaves_of(new))
    assert not merkle.verify_consistency(old, new, bytes(32), bytes(32), [])


def test_empty_tree_extends_to_any_tree_only_with_its_own_root_and_no_proof():
    root = merkle.root(leaves_of(5))
    assert merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, root, [])
    assert not merkle.verify_consistency(0, 5, root, root, [])
    assert not merkle.verify_consistency(0, 5, merkle.EMPTY_ROOT, root, [root])
    assert merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, merkle.EMPTY_ROOT, [])
    assert not merkle.verify_consistency(0, 0, merkle.EMPTY_ROOT, root, [])


def test_inner_node_is_not_accepted_as_a_leaf():
    hashes = leaves_of(4)
    root = merkle.root(hashes)
    inner = merkle.node_hash(hashes[0], hashes[1])
    proof = merkle.inclusion_proof(0, hashes)[1:]
    assert not merkle.verify_inclusion(inner, 0, 4, proof, root)
    assert merkle.leaf_hash(hashes[0] + hashes[1]) != inner
