"""What does an outsider need to see how a shipment's events were recorded? One file, and the verifier key."""

from base64 import b64encode
from importlib.resources import files
from typing import Any

from msgspec import Struct

from trackledger.adapters.proof.check_evidence import FORMAT
from trackledger.adapters.proof.heads import Head, Trust
from trackledger.adapters.proof.leaves import event_hash
from trackledger.adapters.proof.sealer import newest_head
from trackledger.adapters.proof.tiles import Tiles
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import Refused, ShipmentNotFound, UsageError
from trackledger.domain.merkle import consistency_proof, inclusion_proof, is_consistent, root_by_inclusion

SCRIPT = "check_evidence.py"


class Recorded(Struct, frozen=True):
    """One event as it is stored, and the hashes that lead from it to the root, in Base64."""

    position: int
    version: int
    topic: str
    state: str
    proof: list[str]


class Earlier(Struct, frozen=True):
    """A head that was kept outside, and the hashes that lead from its root to that of the newest, in Base64."""

    head: str
    proof: list[str]


class Evidence(Struct, frozen=True):
    """The file; its members are described in the script that checks it, `check_evidence.py`."""

    format: str
    how_to_check: str
    shipment_id: str
    not_sealed: int
    head: str
    earlier_head: Earlier | None
    events: list[Recorded]


def script() -> str:
    """The program that checks a file of evidence, which needs nothing but Python."""
    return files("trackledger.adapters.proof").joinpath(SCRIPT).read_text("utf-8")


def evidence(database: Database, shipment_id: str, trust: Trust, earlier: Head | None = None) -> Evidence:
    """What proves the events of a shipment that are sealed; the others are counted in `not_sealed`.

    With an `earlier` head it also proves that the ledger begins with what that one sealed. Everything is checked before
    it is given out: raises `Refused` where it would not prove what it should, or nothing of the shipment is sealed.
    """
    head = newest_head(database)
    if head is None:
        raise Refused("nothing is sealed yet, so that nothing can be proven; run `trackledger seal` first")
    if trust.keys and (why := trust.doubt(head)):
        raise Refused(f"the newest head, over {head.size:,} events, {why}; see `trackledger verify`")
    found: list[Any] = database.tuples(
        """SELECT notification_id, originator_version, topic, state FROM {s}stored_events
           WHERE originator_id = :id ORDER BY originator_version""",
        id=shipment_id,
    )
    if not found:
        raise ShipmentNotFound(f"no shipment {shipment_id!r} has an event; check its id")
    sealed = [row for row in found if row[0] <= head.size]
    if not sealed:
        raise Refused(f"nothing of {shipment_id} is sealed yet; run `trackledger seal` first")
    versions = [row[1] for row in sealed]
    if versions != list(range(1, len(sealed) + 1)):
        raise Refused(f"an event of {shipment_id} is not there any more, or has no place; see `trackledger verify`")
    tree = Tiles(database)
    return Evidence(
        FORMAT,
        f"`trackledger evidence --script` writes {SCRIPT}, which says what all this means and checks it: "
        f"python {SCRIPT} FILE --key KEY, with the verifier key from whoever sealed the ledger",
        shipment_id,
        len(found) - len(sealed),
        head.note,
        None if earlier is None else _earlier(tree, head, earlier),
        [_recorded(tree, head, shipment_id, *row) for row in sealed],
    )


def _recorded(
    tree: Tiles, head: Head, shipment_id: str, position: int, version: int, topic: str, state: Any
) -> Recorded:
    changed = Refused(
        f"version {version} of {shipment_id}, at position {position:,}, is not what was sealed; see "
        "`trackledger verify`"
    )
    try:
        text = bytes(state).decode()
    except (TypeError, UnicodeDecodeError):
        raise changed from None
    proof = inclusion_proof(position - 1, head.size, tree.node)
    leaf = event_hash(position, shipment_id.encode(), version, topic.encode(), text.encode())
    if root_by_inclusion(position - 1, head.size, leaf, proof) != head.root:
        raise changed
    return Recorded(position, version, topic, text, _encoded(proof))


def _earlier(tree: Tiles, head: Head, earlier: Head) -> Earlier:
    if not 0 < earlier.size <= head.size:
        raise UsageError(
            f"the head that you kept is over {earlier.size:,} events, the newest in the ledger over {head.size:,}; "
            f"give an earlier one"
        )
    proof = consistency_proof(earlier.size, head.size, tree.node)
    if not is_consistent(earlier.size, earlier.root, head.size, head.root, proof):
        raise Refused("the ledger does not begin with what the kept head sealed; see `trackledger verify --head FILE`")
    return Earlier(earlier.note, _encoded(proof))


def _encoded(hashes: list[bytes]) -> list[str]:
    return [b64encode(one).decode() for one in hashes]
