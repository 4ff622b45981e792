"""Which statuses does nothing map, which messages could nobody read, and which trackers are asked about when?"""

from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import Field

from trackledger.adapters import parked, polls
from trackledger.adapters.http.api.answering import Listing, Question, describe, describe_list, listed
from trackledger.adapters.http.api.asking import Listed, Word
from trackledger.adapters.http.api.services import Given, Reading, caught_up
from trackledger.adapters.http.problems import Problem
from trackledger.projections import timeline

ROUTER = APIRouter(tags=["operations"], dependencies=[Depends(caught_up)])


class UnmappedAsked(Listed):
    """Statuses of which provider."""

    provider: Word | None = None

    def question(self, account: str) -> Question:
        """What is asked, of one account."""
        return (
            Listing("unmapped", timeline.UNMAPPED_COLUMNS, timeline.BY_COUNT),
            lambda store, now, limit, after: timeline.unmapped_of(store, account, self.provider, limit, after),
        )


@ROUTER.get("/unmapped", responses=describe_list(timeline.UNMAPPED_COLUMNS))
def list_unmapped(
    request: Request, given: Given, principal: Reading, asked: Annotated[UnmappedAsked, Query()]
) -> Response:
    """Statuses that no mapping knows, the most frequent first."""
    return listed(request, given, asked, *asked.question(principal.account))


class ListedNow(Listed):
    """What may be said of a list of which there is no past: messages and schedules are kept as they are now."""

    known_at: ClassVar[None] = None  # type: ignore[misc]


class ParkedAsked(ListedNow):
    """Which parked messages."""

    provider: Word | None = None
    channel: Literal["poll", "webhook"] | None = None

    def question(self, account: str) -> Question:
        """What is asked, of one account."""
        sought = parked.Sought(account=account, provider=self.provider, channel=self.channel)
        return (
            Listing("parked", parked.COLUMNS, parked.BY_ARRIVAL),
            lambda store, now, limit, after: parked.listed(store, sought, limit, after),
        )


@ROUTER.get("/parked", responses=describe_list(parked.COLUMNS))
def list_parked(request: Request, given: Given, principal: Reading, asked: Annotated[ParkedAsked, Query()]) -> Response:
    """Messages that could not be read, with the reason, the oldest first."""
    return listed(request, given, asked, *asked.question(principal.account))


_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}


@ROUTER.get(
    "/parked/{message_id}/body",
    response_class=Response,
    responses=describe({}, refusals=(403, 404)) | {200: {"description": "Byte for byte", "content": _BYTES}},
)
def read_parked_body(
    given: Given, principal: Reading, message_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
) -> Response:
    """A parked message as it arrived. People are named in it, so that the token has to allow that."""
    if not principal.may_see_raw:
        raise Problem(403, f"the token {principal.name!r} does not show messages as they arrived; use one with `raw`")
    found = parked.body(given.runtime.database, principal.account, message_id)
    if found is None:
        raise Problem(404, f"there is no parked message {message_id!r}; see GET /api/parked")
    headers = {
        "cache-control": "no-store",
        "content-disposition": f'attachment; filename="{message_id}"',
        "x-content-type-options": "nosniff",
    }
    return Response(found, headers=headers, media_type="application/octet-stream")


class PollsAsked(ListedNow):
    """Which trackers."""

    provider: Word | None = None
    state: Literal["asking", "over", "stopped"] | None = None
    due: bool | None = Field(None, description="Whether they should have been asked about, as of now")
    failing: bool | None = Field(None, description="Whether the last call about them had no answer")

    def question(self, account: str) -> Question:
        """What is asked, of one account."""
        sought = polls.Sought(
            account=account, provider=self.provider, state=self.state, due=self.due, failing=self.failing
        )
        return (
            Listing("polls", polls.COLUMNS, polls.in_turn(sought)),
            lambda store, now, limit, after: polls.listed(store, sought, now, limit, after),
        )


@ROUTER.get("/polls", responses=describe_list(polls.COLUMNS))
def list_polls(request: Request, given: Given, principal: Reading, asked: Annotated[PollsAsked, Query()]) -> Response:
    """Trackers in the order in which they are asked about, then those that are not asked about any more."""
    return listed(request, given, asked, *asked.question(principal.account))
