"""Are the hashes of the stored tree above the leaves those of what lies below them?"""

from collections.abc import Iterator

from trackledger.adapters.proof.findings import Finding
from trackledger.adapters.proof.recomputed import Pair
from trackledger.adapters.proof.tiles import HEIGHT, WIDTH, Tiles, split
from trackledger.domain.merkle import HASH_BYTES, perfect_root


class UpperLevels:
    """Compares the tiles above level 0 with the roots of full tiles of level 0, which are added from the left.

    A hash is right if it follows from the events, or from the hashes that are stored below it: where those differ, that
    is told of the leaves. `hashed` is the number of leaves that the tree should hold.
    """

    def __init__(self, tree: Tiles, hashed: int) -> None:
        self._tree = tree
        self._hashed = hashed
        self._open: list[list[Pair]] = []
        self._numbers: list[int] = []

    def add(self, pair: Pair, level: int = 1) -> Iterator[Finding]:
        """Take in the next hash of a level, by the events and by what is stored; tells of tiles that are then full."""
        if len(self._open) < level:
            self._open.append([])
            self._numbers.append(0)
        pairs = self._open[level - 1]
        pairs.append(pair)
        if len(pairs) == WIDTH:
            yield from self._compare(level)
            above = tuple(perfect_root([one[n] for one in pairs]) for n in (0, 1))
            self._open[level - 1] = []
            self._numbers[level - 1] += 1
            yield from self.add((above[0], above[1]), level + 1)

    def finish(self) -> Iterator[Finding]:
        """Tells of tiles that are not full."""
        for level in range(1, len(self._open) + 1):
            yield from self._compare(level)

    def _compare(self, level: int) -> Iterator[Finding]:
        number, pairs = self._numbers[level - 1], self._open[level - 1]
        first = number * WIDTH
        # Of the last leaves not all may have been hashed yet.
        pairs = pairs[: max(0, (self._hashed >> (HEIGHT * level)) - first)]
        hashes = split(self._tree.tile(level, number)) if pairs else []
        hashes += [bytes(HASH_BYTES)] * (len(pairs) - len(hashes))
        for place, (pair, stored) in enumerate(zip(pairs, hashes, strict=False), start=first):
            if stored not in pair:
                span = WIDTH**level
                says = f"their hash in level {level} of the stored tree is not that of the hashes below it"
                yield Finding("hash", says, place * span + 1, (place + 1) * span)
