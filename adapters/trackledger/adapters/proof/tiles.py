"""How is the tree kept, so that it grows at little cost and any hash in it is found? https://c2sp.org/tlog-tiles

A tile holds up to 256 hashes side by side. Those of level 0 are the leaves; each hash of the level above is the root of
a full tile. Only the last tile of a level is not full.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

from msgspec import Struct

from trackledger.adapters.proof.leaves import bytes_of
from trackledger.adapters.storage.database import Database, Transaction
from trackledger.adapters.storage.schema import TREE_TILES, TileRow
from trackledger.domain.errors import Refused
from trackledger.domain.merkle import HASH_BYTES, perfect_root

HEIGHT = 8
WIDTH = 1 << HEIGHT
KEPT_AT_HAND = 256

POSITION = "tree"
"""The name under which the sealer keeps its place: how many leaves the tiles hold."""


class Tiles:
    """The stored tree. What it says is to be checked against a signed head, as anybody may have changed the tiles.

    Tiles that it has read are kept at hand; make a new one to see those that were written since.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hashes = bytes_of(database.dialect, "hashes")
        self.tile = lru_cache(KEPT_AT_HAND)(self._tile)

    def _tile(self, level: int, number: int) -> bytes:
        """The hashes of a tile, one behind the other; nothing where there is none."""
        found = self._database.tuples(
            f"SELECT {self._hashes} FROM {{s}}tree_tiles WHERE level = :level AND number = :number",
            level=level,
            number=number,
        )
        return bytes(found[0][0]) if found else b""

    def hash_at(self, level: int, number: int) -> bytes:
        """One hash of a level, counted from the left; nothing where there is none."""
        tile, place = divmod(number, WIDTH)
        return self.tile(level, tile)[place * HASH_BYTES : (place + 1) * HASH_BYTES]

    def range(self, level: int, first: int, last: int) -> dict[int, bytes]:
        """The tiles of a level from one number up to and including another."""
        found = self._database.tuples(
            f"""SELECT number, {self._hashes} FROM {{s}}tree_tiles
                WHERE level = :level AND number >= :first AND number <= :last""",
            level=level,
            first=first,
            last=last,
        )
        return {number: bytes(hashes) for number, hashes in found}

    def node(self, height: int, number: int) -> bytes:
        """The hash of a perfect subtree; see `merkle.Node`. Raises `Refused` where the tiles do not hold it."""
        level, above = divmod(height, HEIGHT)
        first = number << above
        tile, place = divmod(first, WIDTH)
        hashes = split(self.tile(level, tile)[place * HASH_BYTES : (place + (1 << above)) * HASH_BYTES])
        if len(hashes) != 1 << above:
            raise Refused(
                f"the stored tree has no hash {first:,} in level {level}; see what is wrong with `trackledger verify`"
            )
        return perfect_root(hashes)


def split(hashes: bytes) -> list[bytes]:
    """The hashes of a tile; what is no whole hash at its end is left out."""
    return [hashes[n : n + HASH_BYTES] for n in range(0, len(hashes) - HASH_BYTES + 1, HASH_BYTES)]


class Growth(Struct, frozen=True):
    """New contents of the tiles that change as leaves are added, by level and number."""

    tiles: dict[tuple[int, int], bytes]

    def write(self, transaction: Transaction) -> None:
        """Store them."""
        transaction.upsert(TREE_TILES, [TileRow(*place, hashes) for place, hashes in self.tiles.items()])


def grown(tiles: Tiles, size: int, leaves: Sequence[bytes]) -> Growth:
    """The tiles of the tree with so many leaves that are written anew as more are added.

    Raises `Refused` where the last tiles are not as long as they have to be.
    """
    changed: dict[tuple[int, int], bytes] = {}
    level, added = 0, leaves
    while added:
        held = size >> (HEIGHT * level)
        number, used = divmod(held, WIDTH)
        before = tiles.tile(level, number)[: used * HASH_BYTES] if used else b""
        if len(before) != used * HASH_BYTES:
            raise Refused(
                f"tile {number:,} of level {level} of the stored tree is not there as a whole; see what is wrong with "
                f"`trackledger verify`"
            )
        full = []
        for at, hashes in enumerate(_tiled(split(before), added), start=number):
            changed[level, at] = b"".join(hashes)
            if len(hashes) == WIDTH:
                full.append(perfect_root(hashes))
        level, added = level + 1, full
    return Growth(changed)


def _tiled(before: Sequence[bytes], added: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    everything = [*before, *added]
    for start in range(0, len(everything), WIDTH):
        yield everything[start : start + WIDTH]
