"""How is a provider asked, and what can come back?

    AskError                  one call did not give an answer; a status is never made of it
    ├── BadCredentials        the key is wrong: stop asking for this account until somebody has looked
    ├── NotYetKnown           the provider does not know what was asked about, yet
    ├── TooMany               too many calls: wait `wait` seconds, or what you take for polite
    ├── Unavailable           nothing, an error of the provider, or no answer of its API: try again later
    └── Rejected              the request is wrong and stays wrong: do not repeat it
        └── Declined          an action that was asked for is not taken on

No key is ever part of an error, an answer or a log line: a key that belongs into the URL goes there below the layer
that logs, and what a provider repeats of it is taken out of every error and every answer.
"""

import logging
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from json import dumps
from time import monotonic
from typing import Any, Protocol, runtime_checkable
from urllib.parse import quote, quote_plus, urlencode

import httpx
from msgspec import Struct
from pydantic import SecretStr

from trackledger.adapters.providers.reading import MAX_BODY, load, shown
from trackledger.domain.checkpoints import Tracker
from trackledger.domain.errors import TrackledgerError, Unreadable, UsageError
from trackledger.domain.ndr_actions import Instruction

TIMEOUT = 10.0
"""Seconds for a call, unless the provider needs longer."""

MAX_WAIT = 86_400.0

MAX_PAGES = 10_000
"""Pages of one list; one that goes on after them would go on for ever."""

MIN_ECHO = 8
"""Characters of a key from which on it is taken out of an answer; a shorter one may well be a word of it."""

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def at_once() -> None:
    """A call that may be made without waiting."""


class Access(Struct, frozen=True):
    """How one account reaches a provider.

    `url` is the base address, empty for the provider's production. `user` and `options` are what some providers want
    besides a key; each module says which options it knows. `before_call` is called before every request and returns
    when it may be made.
    """

    key: SecretStr = SecretStr("")
    user: str = ""
    url: str = ""
    options: Mapping[str, str] = {}
    before_call: Callable[[], None] = at_once


class Answer(Struct, frozen=True):
    """One answer of a provider.

    `body` and `context` make a message for the inbox; an empty body says nothing about a parcel. `unknown` are
    references that were asked about and that the provider does not know, yet; `changed` are references that it says
    are worth asking about.
    """

    body: bytes = b""
    context: Mapping[str, str] = {}
    unknown: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


class Client(Protocol):
    """A connection to one provider for one account, usable from several threads. Every call may raise `AskError`."""

    def ask(self, trackers: Sequence[Tracker]) -> list[Answer]:
        """What the provider says now about these trackers, at most its `batch` of them.

        One call where the provider allows it; for a single tracker that it does not know, `NotYetKnown` is raised.
        """
        ...

    def follow(self, tracker: Tracker, shipment_id: str) -> Tracker:
        """Make the provider follow a parcel, once however often it is called, and return the tracker under the
        provider's own reference. A provider that needs no such call returns it unchanged."""
        ...

    def changes(self, since: datetime, until: datetime) -> Iterator[Answer]:
        """What changed between two instants, page by page, where the provider's `sweep` is not empty; a watermark may
        move to `until` only when the last page was had. Raises `UsageError` where there is none."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


@runtime_checkable
class Acts(Protocol):
    """A client whose provider can be asked to act on a failed delivery. The call may raise `AskError`."""

    def act(self, tracker: Tracker, instruction: Instruction) -> str:
        """Ask once for an action about a parcel; what the provider says to it, having agreed. Raises `Declined` with
        its words where it does not, and another `AskError` where that is not known."""
        ...


class AskError(TrackledgerError):
    """A call that gave no answer. `wait` is the number of seconds that the provider asks for, None when it does not."""

    def __init__(self, text: str, wait: float | None = None) -> None:
        super().__init__(text)
        self.wait = wait


class BadCredentials(AskError):
    """The provider refuses the key, the user name or the account."""


class NotYetKnown(AskError):
    """The provider does not know the tracker, as may be for hours after its registration."""


class TooMany(AskError):
    """The provider limits the number of calls."""


class Unavailable(AskError):
    """No answer that its API would give: broken connection, time-out, 5xx, a page for people, an empty body."""


class Rejected(AskError):
    """The provider understood the request and says that it is wrong."""


class Declined(Rejected):
    """The provider understood an action that it was asked for, and does not take it on; `words` say why."""

    def __init__(self, text: str, words: str) -> None:
        super().__init__(text)
        self.words = words


class Response(Struct, frozen=True):
    """What came back over HTTP: `headers` has its names in lower case; `url` is where, without its query."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300


_calling: ContextVar[bool] = ContextVar("calling", default=False)


def _tells_no_headers(record: logging.LogRecord) -> bool:
    """Keeps the headers of answers to our calls out of the debug log: the target of a redirect may repeat the key."""
    return not (_calling.get() and str(record.msg).startswith("receive_response_headers"))


class Line:
    """The HTTP line to one provider for one account.

    `secret_params` go into the query of every request, where neither a log line nor an exception shows them.
    """

    def __init__(
        self,
        provider: str,
        access: Access,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret_params: Mapping[str, str] | None = None,
        secrets: Iterable[str] = (),
    ) -> None:
        self.provider = provider
        base = httpx.URL(_address(provider, access.url or url))
        self._path = base.raw_path.decode().rstrip("/")
        self._secret_params = dict(secret_params or {})
        self._before_call = access.before_call
        plain = {access.key.get_secret_value(), *secrets} - {""}
        # Also the forms that a URL and JSON give it; longest first, so that no part of one is left.
        forms = (str, quote, quote_plus, lambda secret: dumps(secret)[1:-1])
        self._secrets = sorted({form(secret) for secret in plain for form in forms}, key=len, reverse=True)
        for name, value in (headers or {}).items():
            if not value.isascii() or not value.isprintable():
                raise UsageError(f"{provider}: the key for the header {name} holds what no header can; check it")
        self._client = httpx.Client(
            base_url=base,
            headers={"accept": "application/json", "accept-encoding": "gzip", **(headers or {})},
            timeout=TIMEOUT,
        )
        logging.getLogger("httpcore.http11").addFilter(_tells_no_headers)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        timeout: float = TIMEOUT,
    ) -> Response:
        """One request and whatever it is answered, redirects not followed. Raises `Unavailable` where no whole answer
        of up to 8 MiB comes back in time."""
        self._before_call()
        where = f"{method} {self._client.base_url.copy_with(path=self._path + path, query=None)}"
        calling = _calling.set(True)
        extensions: dict[str, Any] = {}
        if self._secret_params:
            query = urlencode({**(params or {}), **self._secret_params})
            extensions["target"] = f"{self._path}{path}?{query}".encode()
        try:
            request = self._client.build_request(
                method, path, params=params, json=json, timeout=timeout, extensions=extensions
            )
            # The time-outs of httpx bound each step; a body that drips in would never end.
            deadline = monotonic() + 2 * timeout
            response = self._client.send(request, stream=True)
            try:
                body = self._body(response, where, deadline)
            finally:
                response.close()
        except httpx.HTTPError as error:
            failure = self.failure(Unavailable, f"{where} gave no answer ({type(error).__name__}: {error})")
        except (httpx.InvalidURL, ValueError) as error:
            failure = self.failure(Rejected, f"{where} cannot be sent: {error}")
        else:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Response(method, where.partition(" ")[2], response.status_code, headers, self._without_keys(body))
        finally:
            _calling.reset(calling)
        # Raised here so that it carries no request of httpx, with the key in its headers, as its context.
        raise failure

    def _body(self, response: httpx.Response, where: str, deadline: float) -> bytes:
        # Not unpacked by httpx, which makes gigabytes of a few hundred bytes before anyone can say stop.
        packed = response.headers.get("content-encoding", "").strip().lower() not in ("", "identity")
        unpacker = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS) if packed else None
        body = bytearray()
        for chunk in response.iter_raw():
            try:
                body += unpacker.decompress(chunk, MAX_BODY + 1 - len(body)) if unpacker else chunk
            except zlib.error:
                raise self.failure(Unavailable, f"{where} in an encoding that is not gzip") from None
            if len(body) > MAX_BODY:
                raise self.failure(Unavailable, f"{where} answered more than {MAX_BODY:,} bytes, the limit")
            if monotonic() > deadline:
                raise self.failure(Unavailable, f"{where} did not finish its answer in time")
        return bytes(body)

    def _without_keys(self, body: bytes) -> bytes:
        """An answer as it is kept: what it repeats of a key, as one that lists what was asked may, is no part of it."""
        for secret in self._secrets:
            if len(secret) >= MIN_ECHO:
                body = body.replace(secret.encode(), b"***")
        return body

    def json(self, response: Response) -> Any:
        """The JSON of an answer. Raises `Unavailable` for an empty body, a page for people, and anything else."""
        where = f"{response.method} {response.url} answered {response.status}"
        if not response.body.strip():
            raise self.failure(Unavailable, f"{where} with an empty body")
        try:
            return load(self.provider, response.body)
        except Unreadable:
            kind = response.headers.get("content-type", "none")
            raise self.failure(
                Unavailable, f"{where} with a body that is not JSON ({shown(kind)})", wait(response)
            ) from None

    def require_success(self, response: Response) -> None:
        """Raises the `AskError` that the status means by HTTP alone, unless it is a 2xx."""
        if response.is_success:
            return
        where = f"{response.method} {response.url} answered {response.status}"
        status = response.status
        if status in (401, 403):
            raise self.failure(BadCredentials, f"{where}: the key is refused; check the credentials of this account")
        if status == 404:
            raise self.failure(NotYetKnown, f"{where}: it is not known there, yet")
        if status == 429:
            raise self.failure(TooMany, f"{where}: too many calls", wait(response))
        if status >= 500 or status in (408, 409, 425):
            raise self.failure(Unavailable, f"{where}: try again later", wait(response))
        raise self.failure(Rejected, f"{where}: the request is wrong; do not repeat it")

    def failure(self, kind: type[AskError], text: str, wait: float | None = None) -> AskError:
        """An error of this provider to raise, its text one line and free of keys."""
        return kind(f"{self.provider}: {self.plain(text)}", wait)

    def plain(self, text: str) -> str:
        """A text that quotes an answer, in one line and free of keys."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
            # What is quoted of an answer may have been cut in the middle of it.
            for end in range(len(secret) - 1, 3, -1):
                text = text.replace(f"{secret[:end]}...", "***...")
        return " ".join(text.split())

    def next_page(self, cursor: str | None, had: set[str], where: str) -> str:
        """The cursor of a further page that a list announces, added to those that were had. Raises `Unavailable` where
        it leads nowhere, so that nobody takes what was had for the whole list."""
        if not cursor or cursor in had or len(had) >= MAX_PAGES:
            what = f"a page after {len(had) + 1:,} is announced under the cursor {shown(cursor)}, which leads nowhere"
            raise self.failure(Unavailable, f"{where}: {what}")
        had.add(cursor)
        return cursor

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def wait(response: Response, now: datetime | None = None) -> float | None:
    """How many seconds the provider asks to wait, at most a day: `Retry-After` in seconds or as a date, else the reset
    of its rate limit, which is told in seconds or as a Unix time."""
    now = now or datetime.now(UTC)
    for name in ("retry-after", "ratelimit-reset", "x-ratelimit-reset"):
        said = response.headers.get(name, "").strip()
        if said:
            seconds = _seconds(said, now)
            if seconds is not None:
                return min(max(seconds, 0.0), MAX_WAIT)
    return None


def _seconds(said: str, now: datetime) -> float | None:
    if said.isascii() and said.replace(".", "", 1).isdigit() and len(said) < 20:
        number = float(said)
        return number - now.timestamp() if number > 1e9 else number
    try:
        at = parsedate_to_datetime(said)
    except (ValueError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now.timestamp()


def _address(provider: str, url: str) -> str:
    """The base address, refused where it would send the key in the clear."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError):
        raise UsageError(f"{provider}: the address {shown(url)} is no URL; give one like https://host") from None
    if not parsed.host or parsed.query or parsed.userinfo:
        raise UsageError(f"{provider}: the address has to be https://host, without a query, a user or a password")
    if parsed.scheme != "https" and not (parsed.scheme == "http" and parsed.host in _LOOPBACK):
        raise UsageError(f"{provider}: the address of {parsed.host} has to be https; the key could be read by others")
    return url
