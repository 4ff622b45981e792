"""In which words is ClickPost asked to act on a failed delivery, and in which does it refuse?

Source: ClickPost's OpenAPI description and docs.clickpost.ai, "NDR action update API v2". It offers two actions, a
reattempt, which takes a day, an address and a phone number along, and the return to the origin; for carriers in India.
It documents no field for a remark, so that ours stays with us, and nothing of an answer but its `meta`.
"""

from typing import Any

from trackledger.adapters.providers.reading import shown
from trackledger.domain.ndr_actions import Instruction, NdrAction

PATH = "/api/v2/ndr-update-api"

REFUSALS = frozenset({302, 306, 316, 320, 321, 326, 328, 330, 351, 352, 353, 400, 404, 420, 422})
"""`meta.status` by which the action was understood and is not taken on; after any other failure it may be later."""


def body(cp_id: str, waybill: str, account_code: str, instruction: Instruction) -> dict[str, Any]:
    """What is posted. What was not given is left out, so that what ClickPost knows of it stays."""
    day = instruction.preferred_date
    said = {
        "account_code": account_code,
        "preferred_date": day.isoformat() if day else "",
        "address": instruction.address,
        "landmark": instruction.landmark,
        "drop_pincode": instruction.pincode,
        "phone_number": instruction.phone,
    }
    action = "INITIATE_RTO" if instruction.action is NdrAction.RTO else "REATTEMPT"
    given = {name: text for name, text in said.items() if text}
    return {"action": action, "waybill": waybill, "cp_id": int(cp_id), **given}


def words(meta: dict[str, Any]) -> str:
    """What ClickPost says to it; where that is an object, as it is written."""
    message = meta.get("message")
    return message if isinstance(message, str) else shown(message)
