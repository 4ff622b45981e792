"""What can an operator have done about a shipment, from wherever it is asked for?"""

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from threading import Event as Flag
from typing import Any
from uuid import uuid4

from msgspec import Struct

from trackledger.adapters.budget import NotNow
from trackledger.adapters.caller import Caller
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.once import once
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.asking import Acts, AskError, Declined
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.schedule import Schedule
from trackledger.adapters.settings import ProviderAccount
from trackledger.domain import instructing
from trackledger.domain.batch import Receipt
from trackledger.domain.checkpoints import Tracker, tracker_key
from trackledger.domain.errors import (
    CaseMovedOn,
    InvalidStatement,
    ShipmentForgotten,
    ShipmentNotFound,
    TrackledgerError,
    UsageError,
)
from trackledger.domain.instructing import Wanted
from trackledger.domain.ndr_actions import MAX_ANSWER, ActionState, Instruction, ToldAction, require_sense
from trackledger.domain.statements import Statements, fold

LATEST_DAY = timedelta(days=60)
"""A later day than this from now is a slip of the pen: a carrier gives a parcel back long before."""

TRACKERS_SHOWN = 100

PATIENCE = 30.0
"""Seconds for which somebody waits until an account may be called; far less than `once.LEASE`, so that nobody else
takes the action over meanwhile."""


class Acted(Struct, frozen=True):
    """What has become of an action.

    `answer` is what was said to it. While it is only `requested`, `trouble` says why nobody has answered, if that is
    known. `position` is that of the newest event about it, 0 where this call made none.
    """

    action_id: str
    state: ActionState
    answer: str = ""
    trouble: str = ""
    position: int = 0


def request_ndr_action(
    runtime: Runtime,
    shipment_id: str,
    case_no: int,
    instruction: Instruction,
    actor: str,
    *,
    account: str | None = None,
    action_id: str = "",
    by_hand: bool = False,
) -> Acted:
    """Record that an action about a failed delivery is wanted, and then ask the provider for it and record its answer.

    It is recorded before anybody is asked: where nobody answers it stays `requested`, and `send_ndr_action` asks again.
    An action that was done `by_hand` is recorded as agreed to, and nobody is asked. The same `action_id` never makes a
    second action. A shipment of another `account` than the one that is named, if one is, is missing.

    Raises `ShipmentNotFound`, `ShipmentForgotten`, `NoSuchCase`, `CaseMovedOn`, `InvalidStatement` and, where no
    provider can be asked, `UsageError`; then nothing was recorded.
    """
    said = _said(runtime, shipment_id, account)
    require_sense(instruction)
    _require_day(instruction, runtime.settings.clock.now())
    tracker = None if by_hand else _asked_about(runtime, said, case_no)
    wanted = Wanted(action_id or uuid4().hex, case_no, instruction, actor, tracker)
    receipt = stored(runtime.ledger.request_ndr_action(shipment_id, wanted))
    if by_hand:
        return Acted(wanted.action_id, ActionState.ACKNOWLEDGED, position=receipt.position)
    acted = send_ndr_action(runtime, shipment_id, wanted.action_id, actor, account=account)
    return Acted(acted.action_id, acted.state, acted.answer, acted.trouble, acted.position or receipt.position)


def send_ndr_action(
    runtime: Runtime, shipment_id: str, action_id: str, actor: str, *, account: str | None = None
) -> Acted:
    """Ask the provider for an action that was recorded, unless it has answered already. Where nobody can be asked, or
    has to be any more, its `trouble` says so.

    One call is made, and never repeated by itself: one without an answer may have been heard. Raises
    `ShipmentNotFound`, `ShipmentForgotten`, `NoSuchCase`, and `InWork` while another process or thread is asking for
    the same.
    """
    said = _said(runtime, shipment_id, account)
    instructing.action_of(said, action_id)
    with once(runtime.database, said.account, f"ndr:{action_id}", shipment_id):
        # Read only now, as another may have had the turn before.
        said = _said(runtime, shipment_id, account)
        one = instructing.action_of(said, action_id)
        if one.by_hand or one.answered_at is not None:
            return Acted(action_id, one.state, one.answer)
        return _send(runtime, said, one, actor)


def _send(runtime: Runtime, said: Statements, one: ToldAction, actor: str) -> Acted:
    sent_at = runtime.settings.clock.now()
    try:
        instructing.require_case(said, one)
        require_sense(one.instruction)
        answer, refused = _asked(runtime, said, one), False
    except Declined as error:
        answer, refused = error.words, True
    except (AskError, NotNow, UsageError, CaseMovedOn, InvalidStatement) as error:
        return Acted(one.action_id, one.state, trouble=str(error))
    answer = _storable(answer)
    receipt = stored(
        runtime.ledger.answer_ndr_action(said.shipment_id, one.action_id, actor, sent_at, answer, refused=refused)
    )
    state = ActionState.REFUSED if refused else ActionState.ACKNOWLEDGED
    return Acted(one.action_id, state, answer, position=receipt.position)


def _asked(runtime: Runtime, said: Statements, one: ToldAction) -> str:
    """What the provider says to an action, having agreed. Raises `Declined`, and what tells that nobody answered."""
    tracker = next((t for t in said.trackers if (t.provider, t.reference) == (one.provider, one.tracker)), None)
    if tracker is None:
        raise UsageError(f"{said.shipment_id} is not followed at {one.provider} as {one.tracker!r} any more")
    with closing(_caller(runtime, said.account, one.provider)) as caller, caller.heeded():
        client = caller.client
        assert isinstance(client, Acts)
        return client.act(tracker, one.instruction)


def ndr_action(runtime: Runtime, shipment_id: str, action_id: str, *, account: str | None = None) -> Acted:
    """How far an action has come. Raises `ShipmentNotFound`, `ShipmentForgotten` and `NoSuchCase`."""
    one = instructing.action_of(_said(runtime, shipment_id, account), action_id)
    return Acted(action_id, one.state, one.answer)


def require_own(runtime: Runtime, shipment_id: str, account: str) -> None:
    """Raises `ShipmentNotFound` for a shipment that is not there or of another account, and `ShipmentForgotten`."""
    _said(runtime, shipment_id, account)


def stored(receipt: Receipt) -> Receipt:
    """The same receipt. Raises what was wrong, if anything was."""
    if receipt.refusal is not None:
        raise receipt.refusal
    if receipt.error:
        raise TrackledgerError(receipt.error)
    return receipt


def _said(runtime: Runtime, shipment_id: str, account: str | None) -> Statements:
    """All that was said of a shipment. Raises `ShipmentNotFound`, also for one of another account."""
    missing = ShipmentNotFound(f"no shipment {shipment_id!r} in this ledger; look it up by number first")
    if not shipment_id.isprintable():  # PostgreSQL would not even look for some
        raise missing
    # By its id, so that nothing of another account's is read: also that it cannot be says that it is there.
    if account is not None and not shipment_id.startswith(f"{account}:"):
        raise missing
    said = fold(shipment_id, runtime.ledger.history(shipment_id))
    if said.forgotten:
        raise ShipmentForgotten(f"{shipment_id} was forgotten; nothing can be added to it")
    return said


def _require_day(instruction: Instruction, now: datetime) -> None:
    day = instruction.preferred_date
    # A day of wherever the parcel is, which may be one ahead of or behind that of UTC.
    if day is not None and not (now - timedelta(days=1)).date() <= day <= (now + LATEST_DAY).date():
        raise InvalidStatement(f"preferred_date {day} is not within {LATEST_DAY.days} days from now; correct it")


def _asked_about(runtime: Runtime, said: Statements, case_no: int) -> Tracker:
    """The tracker by way of which a provider is asked: the one that told of the newest failure that can be acted on, as
    a shipment may have parcels of several numbers, else any. Raises `UsageError` where there is none."""
    told_by = [said.teller(failure) for failure in instructing.case_of(said, case_no).because]
    found = [one for one in said.trackers if _takes_actions(one) and _connected(runtime, said.account, one.provider)]
    if not found:
        names = ", ".join(sorted({one.provider for one in said.trackers})) or "nobody"
        raise UsageError(
            f"{said.shipment_id} is followed at {names}, where no action can be asked for from here; see to it there, "
            "and record it as done by hand"
        )
    keys = {tracker_key(said.account, one.provider, one.reference): one for one in found}
    return next((keys[key] for key in reversed(told_by) if key in keys), found[0])


def _takes_actions(tracker: Tracker) -> bool:
    abilities = provider(tracker.provider).abilities
    return bool(abilities.ndr_actions) and re.fullmatch(abilities.ndr_references, tracker.reference) is not None


def _connected(runtime: Runtime, account: str, name: str) -> ProviderAccount | None:
    found = (one for one in runtime.settings.accounts if (one.account, one.provider) == (account, name) and one.access)
    return next(found, None)


def _caller(runtime: Runtime, account: str, name: str) -> Caller:
    one = _connected(runtime, account, name)
    if one is None or one.access is None:
        raise UsageError(f"{name} cannot be asked for the account {account} from here; configure it with a key_env")
    return Caller(one, one.access, runtime, Metrics(), Flag(), patience=PATIENCE)


def _storable(words: str) -> str:
    """An answer as it is kept, and told from the first time on."""
    return words[:MAX_ANSWER].encode("utf-8", "replace").decode().replace("\x00", " ")


def refresh(runtime: Runtime, shipment_id: str, *, account: str | None = None) -> list[dict[str, Any]]:
    """Have a shipment asked about as soon as is polite, by whoever asks: at once, or a minute after the last time.

    Nobody is waited for. Each of its trackers that is asked about at all, with when it is due (`due_at`), the `reason`
    if it is not asked (`state`), and why none of its account are (`account_stopped`). Raises `ShipmentNotFound` and
    `ShipmentForgotten`.
    """
    _said(runtime, shipment_id, account)
    schedule = Schedule(runtime.database)
    schedule.soon([shipment_id], runtime.settings.clock.now())
    runtime.database.wake()
    return schedule.listed(shipments=[shipment_id], limit=TRACKERS_SHOWN)


def retry_parked(runtime: Runtime, account: str, message_ids: Sequence[str] | None = None) -> list[str]:
    """Have messages of an account read again by whoever reads them: all that are parked, or these, which may also be
    ignored or discarded ones; their ids. Raises as `Kept.retry` does."""
    if message_ids is None:
        return runtime.kept.retry_parked(account=account)
    return runtime.kept.retry(message_ids, account)
