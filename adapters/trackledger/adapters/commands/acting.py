"""Which commands act on a failed delivery, and have a shipment asked about at once?"""

import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from trackledger.adapters.commands import answers
from trackledger.adapters.commands.options import Asked, actor_option, shared
from trackledger.adapters.commands.reading import account_option, matching, only
from trackledger.domain.errors import InvalidStatement, NoSuchCase, UsageError
from trackledger.domain.ndr_actions import NdrAction
from trackledger.projections import ndr, ndr_actions

if TYPE_CHECKING:
    from trackledger.adapters.acting import Acted
    from trackledger.adapters.runtime import Runtime

AGAIN = "again"


@click.command()
@click.argument("ref")
@click.argument("action", type=click.Choice([*(one.value for one in NdrAction), AGAIN]), metavar="ACTION")
@click.option("--case", "case_no", type=click.IntRange(1), help="Which failed delivery.  [default: the newest]")
@click.option("--on", "day", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="The day wanted, where it goes to.")
@click.option("--address", default="", help="The address that is right.")
@click.option("--landmark", default="")
@click.option("--pincode", default="", help="Its postal code.")
@click.option("--phone", default="", help="The phone number that is right.")
@click.option("--remark", default="", help="Why, for those who come after you; nobody else is sent it.")
@click.option("--by-hand", is_flag=True, help="You have seen to it elsewhere; it is only recorded.")
@click.option("--action-id", default="", help="With `again`: which action.  [default: the newest without an answer]")
@actor_option
@account_option
@shared
def act(
    asked: Asked,
    ref: str,
    action: str,
    case_no: int | None,
    day: datetime | None,
    by_hand: bool,
    action_id: str,
    actor: str | None,
    account: str | None,
    **texts: str,
) -> None:
    """Have something done about a failed delivery of REF, and tell what its provider answers.

    ACTION is reattempt, reschedule (--on), change_details (--address, --phone) or rto; it is recorded before anybody is
    asked. `again` asks once more for one that nobody has answered. Exit code 1 when it is refused, or not answered.
    """
    from trackledger.adapters.acting import request_ndr_action, send_ndr_action

    who = asked.who(actor)
    if action == AGAIN and (case_no or day or by_hand or any(texts.values())):
        raise UsageError("again asks for what was asked for before; leave the other options out")
    if action != AGAIN and action_id:
        raise UsageError(f"--action-id names what was asked for before; give it to `again`, not to {action}")
    with asked.open(outside=True) as runtime:
        id_ = only(ref, matching(runtime, ref, account))["shipment_id"]
        if action == AGAIN:
            acted = send_ndr_action(runtime, id_, action_id or _unanswered(runtime, id_), who)
        else:
            instruction = _instruction(action, day, texts)
            number = case_no or _newest(runtime, id_)
            try:
                acted = request_ndr_action(runtime, id_, number, instruction, who, by_hand=by_hand)
            except InvalidStatement as error:
                raise UsageError(str(error)) from None
        runtime.projector.catch_up()
    _tell(asked, id_, acted)
    if acted.state.value in ("requested", "refused"):
        sys.exit(1)


def _instruction(action: str, day: datetime | None, texts: dict[str, Any]) -> Any:
    from trackledger.domain.ndr_actions import Instruction

    return Instruction(NdrAction(action), day.date() if day else None, **texts)


def _newest(runtime: "Runtime", id_: str) -> int:
    case = ndr.newest(runtime.database, id_)
    if case is None:
        raise NoSuchCase(f"{id_} has no failed delivery; see `trackledger ndr` for those that there are")
    return int(case["case_no"])


def _unanswered(runtime: "Runtime", id_: str) -> str:
    found = [one for one in ndr_actions.of(runtime.database, id_) if one["state"] == "requested"]
    if not found:
        raise NoSuchCase(f"{id_} has no action without an answer; ask for one")
    return str(found[-1]["action_id"])


def _tell(asked: Asked, id_: str, acted: "Acted") -> None:
    if asked.as_json:
        told = {"action_id": acted.action_id, "state": acted.state.value, "answer": acted.answer or None}
        answers.as_json({"shipment_id": id_, **told, "trouble": acted.trouble or None, "position": acted.position})
        return
    why = acted.answer or acted.trouble
    words = f": {answers.text(why)}" if why else ""
    what = "recorded, but not answered" if acted.state.value == "requested" else acted.state.value
    click.echo(f"{id_}: {what}{words}", err=acted.state.value in ("requested", "refused"))


@click.command()
@click.argument("ref")
@account_option
@shared
def refresh(asked: Asked, ref: str, account: str | None) -> None:
    """Have REF asked about as soon as is polite, also where that was stopped: at once, or a minute after the last time.

    `run` or `poll`, wherever that works, does the asking.
    """
    from trackledger.adapters.acting import refresh as soon

    with asked.open() as runtime:
        id_ = only(ref, matching(runtime, ref, account))["shipment_id"]
        rows = soon(runtime, id_)
    columns = ("tracker", "state", "due_at", "reason", "asked_at", "account_stopped")
    if asked.as_json:
        answers.as_json([{name: row[name] for name in columns} for row in rows])
    else:
        answers.table(rows, columns, empty="nobody asks about it: no account of its providers is asked, or not yet")
