"""What becomes of wishes to follow shipments of one account?"""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from trackledger.adapters.registrations import registration
from trackledger.adapters.runtime import Runtime
from trackledger.domain.batch import Receipt
from trackledger.domain.errors import TrackledgerError


class Registered(Struct, frozen=True):
    """What became of one wish: its shipment, whether this made something new, or why it is refused."""

    shipment_id: str
    new: bool = False
    refusal: TrackledgerError | None = None


def register(runtime: Runtime, account: str, wishes: Sequence[Mapping[str, Any]]) -> tuple[list[Registered], int]:
    """Follow shipments of an account, each given by the fields of `registrations`; what became of each, in their order,
    and the position of the newest event that this made, 0 for none.

    All that are not refused are stored together. Raises `UsageError`, which says which one and names the field, for one
    that makes no sense; then none is stored.
    """
    places = [f"shipment {number}: " if len(wishes) > 1 else "" for number in range(1, len(wishes) + 1)]
    wanted = [registration({**one, "account": account}, at) for one, at in zip(wishes, places, strict=True)]
    receipts = runtime.ledger.register(wanted)
    return list(map(_registered, receipts)), max(receipt.position for receipt in receipts)


def _registered(receipt: Receipt) -> Registered:
    if not receipt.error:
        return Registered(receipt.shipment_id, new=receipt.events > 0)
    return Registered("", refusal=receipt.refusal or TrackledgerError(receipt.error))
