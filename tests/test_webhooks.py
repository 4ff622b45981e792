"""Is a webhook kept before it is acknowledged, and refused when it is not the provider's?"""

import asyncio
import json
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Event
from urllib.parse import urlsplit

import httpx
import pytest
from eventsourcing.persistence import OperationalError
from fastapi import FastAPI

from support.messages import RECEIVED, body_of
from support.served import ACCOUNT, ENDPOINT, SECRET, Served, accounts, path, served, signed
from support.signing import SIGNED
from support.threads import until
from trackledger.adapters.http import create_app, webhooks
from trackledger.adapters.http.limits import MAX_HEADERS, MAX_PATH
from trackledger.adapters.http.receiver import Receiver
from trackledger.adapters.http.serving import serving
from trackledger.adapters.inbox import Inbox, message
from trackledger.adapters.metrics import Metrics
from trackledger.adapters.providers import provider
from trackledger.adapters.providers.base import Message
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import ServerSettings, Settings

OFD = body_of("clickpost", "webhook_ofd")
REFUSED = {"detail": "the request is not authenticated"}


@pytest.fixture
def at(database_url: str) -> Iterator[Served]:
    """The server, on each database."""
    with served(database_url) as one:
        yield one


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Served]:
    """The server on SQLite, for what does not depend on the database."""
    with served(f"sqlite:///{tmp_path}/ledger.db") as one:
        yield one


# What is kept


def test_a_webhook_is_kept_as_it_came_before_it_is_acknowledged(at: Served) -> None:
    answer = at.send("clickpost", OFD)

    assert (answer.status_code, answer.json()) == (200, {"ok": True})
    (kept,) = at.messages()
    assert kept["body"] == OFD
    assert (kept["provider"], kept["account"], kept["channel"]) == ("clickpost", ACCOUNT, "webhook")
    assert (kept["state"], kept["times"]) == ("waiting", 1)
    assert at.counted("clickpost", "accepted") == 1


def test_a_kept_webhook_reaches_the_tables(at: Served) -> None:
    at.send("clickpost", OFD)
    while at.runtime.intake.step():
        pass
    at.runtime.projector.catch_up()

    (row,) = at.runtime.store.read("SELECT * FROM {s}shipments")
    assert (row["shipment_id"], row["milestone"]) == (f"{ACCOUNT}:clickpost:4:7702913348051", "out_for_delivery")


def test_the_same_bytes_are_kept_once_and_counted(at: Served) -> None:
    for _ in range(3):
        assert at.send("clickpost", OFD).status_code == 200

    (kept,) = at.messages()
    assert kept["times"] == 3


@pytest.mark.parametrize("way", SIGNED)
def test_every_provider_is_heard_as_it_signs(here: Served, way: str) -> None:
    body = b'{"nobody": "can read this"}'
    name = way.split()[0]

    answer = here.send(way, body)

    assert answer.status_code == provider(name).abilities.accepted
    assert [kept["provider"] for kept in here.messages()] == [name]
    assert here.send(way, body, **{next(iter(SIGNED[way](SECRET, body))): "forged"}).json() == REFUSED


def test_what_nobody_can_read_is_kept_and_parked_with_its_reason(at: Served) -> None:
    for body in (b"not json", b'{"waybill": 17}', b"\xff\x00\x01", b""):
        assert at.send("ship24", body).status_code == 202
    while at.runtime.intake.step():
        pass

    kept = at.messages()
    assert [m["state"] for m in kept] == ["parked"] * 4
    assert all(str(m["reason"]).startswith("ship24: ") for m in kept)


def test_of_the_headers_only_those_that_explain_are_kept(here: Served) -> None:
    here.send("clickpost", OFD, **{"user-agent": "x" * 1000, "x-request-id": "7", "cookie": "a=b", "x-other": "1"})

    (kept,) = here.messages()
    assert json.loads(str(kept["headers"])) == {"user-agent": "x" * 256, "x-request-id": "7"}


def test_no_secret_reaches_the_database(here: Served, tmp_path: Path) -> None:
    for way in SIGNED:
        here.send(way, OFD)
        here.send(way, OFD, **{"x-also": SECRET})

    stored = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert OFD[:50] in stored
    assert SECRET.encode() not in stored


# What is refused


def test_a_refusal_is_the_same_whatever_was_wrong(here: Served) -> None:
    wrong: list[dict[str, str]] = [{}, {"webhook_key": ""}, {"webhook_key": SECRET[:-1]}, {"webhook_key": SECRET + "x"}]
    for headers in wrong:
        answer = here.client.post(path("clickpost"), content=OFD, headers=headers)
        assert (answer.status_code, answer.json()) == (401, REFUSED)
        assert SECRET not in answer.text

    assert here.messages() == []
    assert here.counted("clickpost", "refused") == len(wrong)


def test_a_signature_over_other_bytes_is_refused(here: Served) -> None:
    headers = signed("aftership", b'{"event": "one"}')

    assert here.client.post(path("aftership"), content=b'{"event": "two"}', headers=headers).status_code == 401
    assert here.messages() == []


@pytest.mark.parametrize(
    "where",
    [
        "/webhooks/clickpost/another",
        "/webhooks/pigeon/" + ENDPOINT,
        "/webhooks/shiplemon/" + ENDPOINT,
        "/webhooks/ship24/",
    ],
)
def test_an_endpoint_that_is_not_configured_is_not_there(here: Served, where: str) -> None:
    for method in ("POST", "HEAD"):
        assert here.client.request(method, where, headers=signed("clickpost", b"")).status_code == 404
    assert here.messages() == []


def test_a_probe_is_answered(here: Served) -> None:
    assert here.client.head(path("ship24")).status_code == 200
    assert here.client.get(path("ship24")).status_code == 405


def test_a_body_over_the_limit_is_refused_whether_or_not_it_says_so(tmp_path: Path) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 100

    with served(f"sqlite:///{tmp_path}/ledger.db", ServerSettings(max_body=1000)) as here:
        at_the_limit = b" " * (1000 - 2) + b"{}"
        assert here.send("clickpost", at_the_limit).status_code == 200
        for body in (b"x" * 1001, chunks()):
            answer = here.client.post(path("clickpost"), content=body, headers=signed("clickpost", b""))
            assert answer.status_code == 413
            assert answer.json() == {"detail": "the body has more than 1,000 bytes, the limit"}
        assert len(here.messages()) == 1


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate, gzip"])
def test_a_compressed_body_is_refused_by_name(here: Served, encoding: str) -> None:
    answer = here.send("aftership", OFD, **{"content-encoding": encoding})

    assert answer.status_code == 415
    assert "compressed" in answer.json()["detail"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""]
)
def test_the_content_type_changes_nothing(here: Served, kind: str) -> None:
    assert here.send("clickpost", OFD, **{"content-type": kind}).status_code == 200
    assert here.messages()[0]["body"] == OFD


def test_headers_and_paths_have_limits(here: Served) -> None:
    assert here.send("clickpost", OFD, **{"x-much": "y" * MAX_HEADERS}).status_code == 431
    assert here.client.post("/webhooks/clickpost/" + "e" * MAX_PATH).status_code == 414


def test_too_many_at_one_endpoint_are_told_when_to_come_back(tmp_path: Path) -> None:
    with served(f"sqlite:///{tmp_path}/ledger.db", ServerSettings(per_minute=3)) as here:
        answers = [here.send("clickpost", OFD) for _ in range(4)]

        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert answers[-1].headers["retry-after"] == "60"
        assert here.send("ship24", OFD).status_code == 202


# Who is slow, many, or goes away


def connect(here: Served) -> socket.socket:
    parts = urlsplit(str(here.client.base_url))
    assert parts.hostname and parts.port
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


def head(length: int) -> bytes:
    lines = [f"POST {path('clickpost')} HTTP/1.1", "host: x", f"webhook_key: {SECRET}", f"content-length: {length}"]
    return "\r\n".join((*lines, "\r\n")).encode()


def test_a_body_that_never_ends_is_given_up(here: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BODY_SECONDS", 0.2)
    with connect(here) as slow:
        slow.sendall(head(100) + b"{")
        assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")

    assert here.messages() == []
    assert here.counted("clickpost", "too_slow") == 1


def test_a_sender_that_goes_away_leaves_nothing(here: Served) -> None:
    for _ in range(5):
        with connect(here) as gone:
            gone.sendall(head(100) + b"{")
    until(lambda: here.counted("clickpost", "aborted") == 5)

    assert here.messages() == []
    assert here.send("clickpost", OFD).status_code == 200


def test_more_than_can_be_in_work_are_told_to_come_back(tmp_path: Path) -> None:
    with served(f"sqlite:///{tmp_path}/ledger.db", ServerSettings(max_concurrent=2)) as here:
        with connect(here) as one, connect(here) as two:
            for slow in (one, two):
                slow.sendall(head(len(OFD)))
            until(lambda: here.client.head(path("clickpost")).status_code == 503)
            assert here.client.get("/healthz").status_code == 200
            answer = here.send("clickpost", OFD)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            for slow in (one, two):
                slow.sendall(OFD)
                assert slow.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert here.send("clickpost", OFD).status_code == 200


class Gate(Inbox):
    """An inbox whose commits wait until they may, and fail if they shall."""

    def __init__(self, here: Served) -> None:
        super().__init__(here.runtime.database)
        self.batches: list[int] = []
        self.may = Event()
        self.fails = False

    def append(self, messages: Sequence[Message]) -> None:
        self.batches.append(len(messages))
        assert self.may.wait(30)
        if self.fails:
            raise OperationalError("the disk is full")
        super().append(messages)


def arriving(number: int) -> Message:
    return message("clickpost", b"%d" % number, channel="webhook", received_at=RECEIVED)


def test_what_arrives_during_a_commit_is_committed_together(here: Served) -> None:
    gate = Gate(here)
    receiver = Receiver(gate, Metrics())

    async def send() -> None:
        first = asyncio.create_task(receiver.keep(arriving(0)))
        while not gate.batches:
            await asyncio.sleep(0.01)
        rest = [asyncio.create_task(receiver.keep(arriving(n))) for n in range(1, 40)]
        await asyncio.sleep(0)
        assert not first.done()
        gate.may.set()
        await asyncio.gather(first, *rest)

    asyncio.run(send())

    assert gate.batches == [1, 39]
    assert len(here.messages()) == 40


def test_a_failed_commit_acknowledges_nobody(here: Served) -> None:
    gate = Gate(here)
    gate.fails = True
    gate.may.set()
    receiver = Receiver(gate, Metrics())

    async def send() -> None:
        with pytest.raises(OperationalError):
            await receiver.keep(arriving(1))
        gate.fails = False
        await receiver.keep(arriving(2))

    asyncio.run(send())
    assert [kept["body"] for kept in here.messages()] == [b"2"]


def test_a_host_can_mount_it(tmp_path: Path) -> None:
    host = FastAPI()
    settings = Settings(f"sqlite:///{tmp_path}/ledger.db", accounts=accounts())
    with open_runtime(settings) as runtime:
        host.mount("/tracking", create_app(runtime))
        with serving(host) as url, httpx.Client(base_url=f"{url}/tracking") as client:
            answer = client.post(path("clickpost"), content=OFD, headers=signed("clickpost", OFD))
            assert answer.status_code == 200
            assert client.get("/readyz").json() == {"ok": True, "lag": 0}
        assert runtime.inbox.waiting() == 1
