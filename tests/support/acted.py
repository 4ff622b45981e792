"""A parcel whose delivery failed, and about which somebody has done something."""

from support.reports import report
from support.scans import scan
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.instructing import Wanted
from trackledger.domain.ndr_actions import Instruction, NdrAction

ACTED_ON = "default:clickpost:4:FAILED1"


def acted_on(runtime: Runtime) -> None:
    """It failed, and was sent back by hand."""
    tracker = Tracker("clickpost", "4:FAILED1", "Delhivery", "FAILED1")
    runtime.ledger.intake([report(scan("delivery_failed", "3 12:00"), at="3 13:00", tracker=tracker)])
    wanted = Wanted("a1", 1, Instruction(NdrAction.RTO, remark="told the depot"), "clerk")
    assert runtime.ledger.request_ndr_action(ACTED_ON, wanted).error == ""
    runtime.projector.catch_up()
