"""Does a line to a provider tell an answer from everything else, and keep its key to itself?"""

import gzip
import logging
import socket
import traceback
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from threading import Event, Thread
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from support.scripted import Reply, Scripted, scripted
from trackledger.adapters.providers.asking import (
    MAX_PAGES,
    Access,
    AskError,
    BadCredentials,
    Line,
    NotYetKnown,
    Rejected,
    Response,
    TooMany,
    Unavailable,
    wait,
)
from trackledger.adapters.providers.reading import MAX_BODY, shown
from trackledger.domain.errors import UsageError

KEY = "k3y/with+signs"
NOW = datetime(2026, 3, 6, 12, 0, tzinfo=UTC)


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as provider:
        yield provider


@pytest.fixture
def line(played: Scripted) -> Iterator[Line]:
    line = Line(
        "clickpost",
        Access(SecretStr(KEY), url=f"{played.url}/base"),
        "https://api.example.com",
        headers={"x-api-key": KEY},
        secret_params={"key": KEY, "username": "shop"},
    )
    yield line
    line.close()


def refused(line: Line, played: Scripted, reply: Reply) -> AskError:
    """The error that an answer is taken for, its text one line that names the call and not the key."""
    played.answers(reply)
    with pytest.raises(AskError) as raised:
        response = line.call("GET", "/track", params={"waybill": "1,2"})
        line.require_success(response)
        line.json(response)
    text = str(raised.value)
    assert text.startswith(f"clickpost: GET {played.url}/base/track ")
    assert text.isprintable()
    assert KEY not in text
    return raised.value


def test_a_call_sends_what_was_asked_and_the_secrets_in_the_query(line: Line, played: Scripted) -> None:
    played.answers({"ok": True})

    response = line.call("GET", "/track", params={"waybill": "1,2"})

    (asked,) = played.asked
    assert (asked.method, asked.path) == ("GET", "/base/track")
    assert asked.params == {"waybill": "1,2", "key": KEY, "username": "shop"}
    assert asked.headers["x-api-key"] == KEY
    assert line.json(response) == {"ok": True}
    assert response.url == f"{played.url}/base/track"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, BadCredentials),
        (403, BadCredentials),
        (404, NotYetKnown),
        (405, Rejected),
        (408, Unavailable),
        (409, Unavailable),
        (429, TooMany),
        (500, Unavailable),
        (503, Unavailable),
        (302, Rejected),
    ],
)
def test_a_status_is_told_apart_by_what_to_do_about_it(
    line: Line, played: Scripted, status: int, kind: type[AskError]
) -> None:
    assert type(refused(line, played, Reply({}, status, {"location": "https://elsewhere.example.com"}))) is kind
    assert len(played.asked) == 1


@pytest.mark.parametrize("body", [b"", b"  \n", b"<html>Busy</html>", b'{"cut": ', b"\xff\xfe"])
def test_a_success_without_json_is_no_answer(line: Line, played: Scripted, body: bytes) -> None:
    assert type(refused(line, played, Reply(body, 200, {"content-type": "text/html"}))) is Unavailable


def test_a_connection_that_breaks_is_no_answer(line: Line, played: Scripted) -> None:
    assert type(refused(line, played, Reply(status=0))) is Unavailable


def test_nobody_there_is_no_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        line = Line("rye", Access(SecretStr(KEY), url=f"http://127.0.0.1:{taken.getsockname()[1]}"), "")
        with pytest.raises(Unavailable, match=r"^rye: GET http://127\.0\.0\.1:\d+/x gave no answer \(ConnectError"):
            line.call("GET", "/x")
        line.close()


def test_an_answer_that_takes_too_long_is_given_up(line: Line) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slow = Line("rye", Access(url=f"http://127.0.0.1:{silent.getsockname()[1]}"), "")
        with pytest.raises(Unavailable, match="ReadTimeout"):
            slow.call("GET", "/x", timeout=0.05)
        slow.close()


def test_an_answer_that_drips_in_is_given_up() -> None:
    given_up = Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
                with suppress(OSError):
                    while not given_up.wait(0.02):
                        connection.sendall(b" ")

        dripping = Thread(target=drip)
        dripping.start()
        line = Line("rye", Access(url=f"http://127.0.0.1:{server.getsockname()[1]}"), "")
        with pytest.raises(Unavailable, match="did not finish its answer in time"):
            line.call("GET", "/x", timeout=0.1)
        given_up.set()
        dripping.join()
        line.close()


def test_an_answer_over_the_limit_is_not_read_to_its_end(line: Line, played: Scripted) -> None:
    error = refused(line, played, Reply(b" " * (MAX_BODY + 1)))
    assert "more than 8,388,608 bytes" in str(error)


def test_a_list_has_an_end(line: Line) -> None:
    had: set[str] = set()
    for n in range(MAX_PAGES):
        assert line.next_page(f"c{n}", had, "trackings") == f"c{n}"
    for cursor in ("one more", "c7", "", None):
        with pytest.raises(Unavailable, match=r"^clickpost: trackings: a page after 10,001 is announced"):
            line.next_page(cursor, had, "trackings")
    assert len(had) == MAX_PAGES


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP "])
def test_a_packed_answer_is_unpacked(line: Line, played: Scripted, encoding: str) -> None:
    played.answers(Reply(gzip.compress(b'{"ok": true}'), 200, {"content-encoding": encoding}))
    assert line.json(line.call("GET", "/track")) == {"ok": True}
    assert played.asked[0].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("encoding", "body", "words"),
    [
        ("gzip", gzip.compress(bytes(50_000_000)), "more than 8,388,608 bytes"),
        ("gzip, gzip", gzip.compress(gzip.compress(bytes(200_000_000))), "a body that is not JSON"),
        ("br", b"{}", "in an encoding that is not gzip"),
        ("gzip", b"{}", "in an encoding that is not gzip"),
    ],
)
def test_an_answer_that_unpacks_to_more_than_the_limit_takes_no_memory(
    line: Line, played: Scripted, encoding: str, body: bytes, words: str
) -> None:
    tracemalloc.start()
    try:
        error = refused(line, played, Reply(body, 200, {"content-encoding": encoding}))
        assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY
    finally:
        tracemalloc.stop()
    assert type(error) is Unavailable
    assert words in str(error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "Fri, 06 Mar 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Fri, 06 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon", "ratelimit-reset": "3"}, 3.0),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 12)}, 12.0),
        ({"retry-after": "99999999"}, 86_400.0),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "9" * 400}, None),
        ({"retry-after": "Fri, 99 Mar 2026"}, None),
        ({"retry-after": "Fri, 06 Mar 99999999999999 12:00:30 GMT"}, None),
        ({"retry-after": "Fri, 06 Mar 2026 12:00:30 +9999999999999999999"}, None),
    ],
)
def test_the_wait_that_a_provider_asks_for(headers: dict[str, str], seconds: float | None) -> None:
    assert wait(Response("GET", "https://api.example.com", 429, headers, b""), NOW) == seconds


def test_too_many_calls_tell_how_long_to_wait(line: Line, played: Scripted) -> None:
    assert refused(line, played, Reply(b"slow down", 429, {"Retry-After": "9"})).wait == 9.0
    assert refused(line, played, Reply(b"slow down", 429)).wait is None


@pytest.mark.parametrize(
    "reply",
    [
        Reply({}),
        Reply({}, 401),
        Reply(b"<html>", 503),
        Reply(status=0),
        Reply(b"", 302, {"location": "https://elsewhere.example.com/track?key=k3y%2Fwith%2Bsigns"}),
        Reply(b"<html>", 200, {"content-type": f"text/{KEY}"}),
    ],
)
def test_no_log_line_error_or_traceback_holds_the_key(
    line: Line, played: Scripted, caplog: pytest.LogCaptureFixture, reply: Reply
) -> None:
    played.answers(reply)
    trace = ""
    with caplog.at_level(logging.DEBUG):
        try:
            line.json(line.call("GET", "/track", params={"waybill": "1"}))
        except AskError as error:
            trace = "".join(traceback.format_exception(error))
            assert not isinstance(error.__context__, httpx.HTTPError)
    assert "/base/track" in caplog.text + trace
    for secret in (KEY, "k3y%2Fwith%2Bsigns", "k3y/with%2Bsigns"):
        assert secret not in caplog.text + trace


def test_an_error_text_that_quotes_the_key_is_cleaned(line: Line) -> None:
    said = f"no such key {KEY} or k3y%2Fwith%2Bsigns"
    assert str(line.failure(Rejected, said)) == "clickpost: no such key *** or ***"


@pytest.mark.parametrize("before", range(60, 80))
def test_a_key_that_is_cut_off_in_a_quotation_is_none_the_less_taken_out(line: Line, before: int) -> None:
    said = str(line.failure(Rejected, f"it says {shown('x' * before + KEY + '.' * 80)}"))
    assert "..." in said
    assert not any(KEY[:length] in said for length in range(4, len(KEY) + 1))


def test_a_key_in_json_is_taken_out_in_its_escaped_form() -> None:
    key = 'k3y"with\\signs'
    line = Line("rye", Access(SecretStr(key)), "https://api.example.com")
    assert str(line.failure(Rejected, f"no such key {shown(key)}")) == 'rye: no such key "***"'
    line.close()


def test_an_answer_that_repeats_the_key_is_kept_without_it(line: Line, played: Scripted) -> None:
    played.answers({"asked": f"/track?key={KEY}", "form": "k3y%2Fwith%2Bsigns", "k": "key"})
    assert line.json(line.call("GET", "/track")) == {"asked": "/track?key=***", "form": "***", "k": "key"}


def test_a_key_that_is_a_word_changes_no_answer(played: Scripted) -> None:
    line = Line("rye", Access(SecretStr("status"), url=played.url), "")
    played.answers({"status": "status"})
    assert line.json(line.call("GET", "/x")) == {"status": "status"}
    line.close()


def test_the_log_of_other_calls_stays_as_it_was(played: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    Line("rye", Access(url=played.url), "").close()
    played.answers({})
    with caplog.at_level(logging.DEBUG), httpx.Client() as client:
        client.get(played.url)
    assert "receive_response_headers.complete" in caplog.text


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("http://api.example.com", "has to be https"),
        ("ftp://api.example.com", "has to be https"),
        ("api.example.com", "has to be https://host"),
        ("https://", "has to be https://host"),
        ("https://user:pass@api.example.com", "without a query, a user or a password"),
        ("https://api.example.com?key=1", "without a query"),
        ("https://api.example.com:port", "is no URL"),
    ],
)
def test_an_address_that_would_tell_the_key_is_refused(url: str, part: str) -> None:
    with pytest.raises(UsageError, match=r"^clickpost: ") as refusal:
        Line("clickpost", Access(url=url), "")
    assert part in str(refusal.value)
    assert "pass@" not in str(refusal.value)


def test_a_key_that_no_header_can_hold_is_refused_without_showing_it() -> None:
    for key in ("line\nbreak", "schlüssel"):
        with pytest.raises(UsageError) as refusal:
            Line(
                "ship24", Access(SecretStr(key)), "https://api.example.com", headers={"authorization": f"Bearer {key}"}
            )
        assert key not in str(refusal.value)


def test_access_never_shows_its_key() -> None:
    shown: Any = repr(Access(SecretStr(KEY), "shop"))
    assert KEY not in shown
