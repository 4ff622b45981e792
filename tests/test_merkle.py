"""Is the tree that of RFC 9162, and do proofs prove what they should and nothing else?"""

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trackledger.domain import merkle
from trackledger.domain.merkle import CompactRange, leaf_hash, perfect_root

# The test data of Certificate Transparency, for RFC 6962 (the same tree): the leaves, the root of the first 1, 2, …
LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
SECOND = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
THIRD_AND_FOURTH = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
FIFTH = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
LAST_TWO = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
LAST_FOUR = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
FIFTH_AND_SIXTH = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
INCLUSION = {
    (0, 1): [],
    (0, 8): [SECOND, THIRD_AND_FOURTH, LAST_FOUR],
    (5, 8): [FIFTH, LAST_TWO, ROOTS[3]],
    (2, 3): [ROOTS[1]],
    (1, 5): [ROOTS[0], THIRD_AND_FOURTH, FIFTH],
}
CONSISTENCY = {
    (1, 1): [],
    (1, 8): [SECOND, THIRD_AND_FOURTH, LAST_FOUR],
    (6, 8): [FIFTH_AND_SIXTH, LAST_TWO, ROOTS[3]],
    (2, 5): [THIRD_AND_FOURTH, FIFTH],
}


class Tree:
    """A list, and the nodes over it."""

    def __init__(self, entries: list[bytes]) -> None:
        self.leaves = [leaf_hash(one) for one in entries]

    def node(self, height: int, number: int) -> bytes:
        return perfect_root(self.leaves[number << height : (number + 1) << height])

    def root(self, size: int) -> bytes:
        return merkle.root(size, self.node)


SAMPLE = Tree(LEAVES)


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert CompactRange().root() == merkle.root(0, SAMPLE.node) == sha256(b"").digest()


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert SAMPLE.root(size).hex() == ROOTS[size - 1]
    assert CompactRange(SAMPLE.leaves[:size]).root().hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_published_inclusion_proofs(index: int, size: int) -> None:
    proof = merkle.inclusion_proof(index, size, SAMPLE.node)

    assert [one.hex() for one in proof] == INCLUSION[index, size]
    found = merkle.root_by_inclusion(index, size, SAMPLE.leaves[index], proof)
    assert found is not None and found.hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_published_consistency_proofs(old: int, new: int) -> None:
    proof = merkle.consistency_proof(old, new, SAMPLE.node)

    assert [one.hex() for one in proof] == CONSISTENCY[old, new]
    assert merkle.is_consistent(old, SAMPLE.root(old), new, SAMPLE.root(new), proof)


# the definitions of RFC 9162, 2.1.1, 2.1.3.1 and 2.1.4.1, word for word


def largest_power_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def mth(entries: list[bytes]) -> bytes:
    if not entries:
        return sha256().digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = largest_power_below(len(entries))
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(m: int, entries: list[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = largest_power_below(len(entries))
    if m < k:
        return [*path(m, entries[:k]), mth(entries[k:])]
    return [*path(m - k, entries[k:]), mth(entries[:k])]


def subproof(m: int, entries: list[bytes], known: bool) -> list[bytes]:
    n = len(entries)
    if m == n:
        return [] if known else [mth(entries)]
    k = largest_power_below(n)
    if m <= k:
        return [*subproof(m, entries[:k], known), mth(entries[k:])]
    return [*subproof(m - k, entries[k:], False), mth(entries[:k])]


some_entries = st.integers(1, 70).map(lambda n: [bytes([one]) * (one % 5) for one in range(n)])


@given(some_entries, st.data())
def test_everything_is_as_the_rfc_defines_it(entries: list[bytes], data: st.DataObject) -> None:
    tree, size = Tree(entries), len(entries)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))

    assert tree.root(size) == CompactRange(tree.leaves).root() == mth(entries)
    assert merkle.inclusion_proof(index, size, tree.node) == path(index, entries)
    assert merkle.consistency_proof(old, size, tree.node) == subproof(old, entries, True)


@given(st.lists(st.integers(0, 4), max_size=8))
def test_subtrees_can_be_appended_where_they_fit(heights: list[int]) -> None:
    grown = CompactRange()
    leaves: list[bytes] = []
    for height in heights:
        if len(leaves) % (1 << height) == 0:
            more = [leaf_hash(bytes([n % 256])) for n in range(len(leaves), len(leaves) + (1 << height))]
            leaves += more
            grown.append(perfect_root(more), height)

    assert (grown.size, grown.root()) == (len(leaves), CompactRange(leaves).root())
    assert all(len(a) == len(b) == merkle.HASH_BYTES for a, b in pairwise(grown.nodes))


@given(some_entries, st.data())
def test_a_proof_that_is_changed_proves_nothing(entries: list[bytes], data: st.DataObject) -> None:
    tree, size = Tree(entries), len(entries)
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    whole, earlier = tree.root(size), tree.root(old)
    inclusion = merkle.inclusion_proof(index, size, tree.node)
    consistency = merkle.consistency_proof(old, size, tree.node)

    assert merkle.root_by_inclusion(index, size, tree.leaves[index], inclusion) == whole
    assert merkle.is_consistent(old, earlier, size, whole, consistency)
    for wrong in changed(inclusion, data):
        assert merkle.root_by_inclusion(index, size, tree.leaves[index], wrong) != whole
    for wrong in changed(consistency, data):
        assert not merkle.is_consistent(old, earlier, size, whole, wrong)
    assert merkle.root_by_inclusion(index, size, leaf_hash(b"another"), inclusion) != whole
    assert merkle.root_by_inclusion(size, size, tree.leaves[index], inclusion) is None
    assert not merkle.is_consistent(old, leaf_hash(b"another"), size, whole, consistency)
    assert not merkle.is_consistent(old, earlier, size, leaf_hash(b"another"), consistency)
    assert not merkle.is_consistent(size + 1, earlier, size, whole, consistency)
    assert not merkle.is_consistent(0, earlier, size, whole, consistency)


def changed(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    """A proof with one hash too many, too few, another, or in another order."""
    at = data.draw(st.integers(0, max(0, len(proof) - 1)))
    wrong = [[*proof, leaf_hash(b"more")], [leaf_hash(b"more"), *proof]]
    if proof:
        wrong += [proof[:at] + proof[at + 1 :], [*proof[:at], leaf_hash(b"other"), *proof[at + 1 :]]]
    if len(set(proof)) > 1:
        wrong.append(proof[1:] + proof[:1])
    return wrong
