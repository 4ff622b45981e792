"""How is a growing list summed up in one hash, and what proves that something is in it? RFC 9162, 2.1, with SHA-256.

Leaves and inner nodes are hashed with different first bytes, so that neither can pass for the other.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

HASH_BYTES = 32

EMPTY_ROOT = sha256().digest()
"""The root of a tree without leaves."""

Node = Callable[[int, int], bytes]
"""Gives the hash of a perfect subtree of a tree by its height and its number from the left: `(h, i)` is the one over
the leaves from `i * 2**h` up to, not including, `(i + 1) * 2**h`."""


def leaf_hash(data: bytes) -> bytes:
    """The hash of one entry of the list."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root of a perfect tree, over 1, 2, 4, 8, … hashes of one height."""
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return hashes[0]


def joined(nodes: Iterable[bytes]) -> bytes:
    """The root of the tree that consists of perfect subtrees, from the left, none of them smaller than the next."""
    right_first = reversed(list(nodes))
    root = next(right_first, EMPTY_ROOT)
    for left in right_first:
        root = node_hash(left, root)
    return root


class CompactRange:
    """A tree that grows to the right, known by its `size` in leaves and the perfect subtrees that it consists of:
    `nodes`, from the left, as many as there are ones in the binary `size`."""

    __slots__ = ("nodes", "size")

    def __init__(self, hashes: Iterable[bytes] = ()) -> None:
        self.size = 0
        self.nodes: list[bytes] = []
        for one in hashes:
            self.append(one)

    def append(self, hash_: bytes, height: int = 0) -> None:
        """Add a leaf, or a perfect subtree of a height, of whose size this tree is a multiple."""
        bit = 1 << height
        assert self.size % bit == 0
        self.size += bit
        while (self.size - bit) & bit:
            hash_ = node_hash(self.nodes.pop(), hash_)
            bit <<= 1
        self.nodes.append(hash_)

    def root(self) -> bytes:
        """The hash of it all."""
        return joined(self.nodes)


def root(size: int, node: Node) -> bytes:
    """The root of the first `size` leaves."""
    return _root(0, size, node)


def inclusion_proof(index: int, size: int, node: Node) -> list[bytes]:
    """What leads from the leaf `index`, counted from 0, to the root of the first `size` leaves. RFC 9162, 2.1.3.1."""
    assert 0 <= index < size
    begin, end, path = 0, size, []
    while end - begin > 1:
        middle = begin + _split(end - begin)
        if index < middle:
            path.append(_root(middle, end, node))
            end = middle
        else:
            path.append(_root(begin, middle, node))
            begin = middle
    return path[::-1]


def consistency_proof(old: int, new: int, node: Node) -> list[bytes]:
    """What leads from the root of the first `old` leaves to that of the first `new` ones. RFC 9162, 2.1.4.1."""
    assert 0 < old <= new
    begin, end, path = 0, new, []
    while end != old:
        middle = begin + _split(end - begin)
        if old <= middle:
            path.append(_root(middle, end, node))
            end = middle
        else:
            path.append(_root(begin, middle, node))
            begin = middle
    if begin:
        path.append(_root(begin, end, node))
    return path[::-1]


def root_by_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes | None:
    """The root of a tree of `size` leaves to which a proof leads from the hash `leaf` of the leaf `index`; None where
    it does not fit. RFC 9162, 2.1.3.2."""
    if not 0 <= index < size:
        return None
    here, last, found = index, size - 1, leaf
    for one in proof:
        if last == 0:
            return None
        if here & 1 or here == last:
            found = node_hash(one, found)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            found = node_hash(found, one)
        here, last = here >> 1, last >> 1
    return found if last == 0 else None


def is_consistent(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether a proof shows that a tree of `new` leaves begins with that of `old` leaves. RFC 9162, 2.1.4.2."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    path = list(proof) if old & (old - 1) else [old_root, *proof]
    if not path:
        return False
    here, last = old - 1, new - 1
    while here & 1:
        here, last = here >> 1, last >> 1
    from_old = from_new = path[0]
    for one in path[1:]:
        if last == 0:
            return False
        if here & 1 or here == last:
            from_old, from_new = node_hash(one, from_old), node_hash(one, from_new)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            from_new = node_hash(from_new, one)
        here, last = here >> 1, last >> 1
    return last == 0 and from_old == old_root and from_new == new_root


def _split(size: int) -> int:
    """The largest power of two that is smaller than a size."""
    return 1 << (size - 1).bit_length() - 1


def _root(begin: int, end: int, node: Node) -> bytes:
    """The root over the leaves from `begin` up to, not including, `end`, as they occur in proofs: there `begin` is a
    multiple of every perfect subtree that the rest begins with."""
    nodes = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        nodes.append(node(height, begin >> height))
        begin += 1 << height
    return joined(nodes)
