"""Does a ledger live inside other programs: mounted in FastAPI and Django, as a library, and beside another ledger?"""

import os
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.asked import SECRETS, TOKENS, refused
from support.hosted import MOUNT, by_path, fastapi_host
from support.messages import body_of, kept
from support.parcels import parcel_id, reports
from support.routes import pages
from support.served import SECRET
from support.signing import SIGNED
from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.providers.verifying import Endpoint
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import ProviderAccount, ServerSettings, Settings, Token
from trackledger.domain.policies.attempts import AttemptPolicy
from trackledger.projections.conclusions import Policies

TESTS = Path(__file__).parent
HOOK = ProviderAccount("default", "clickpost", endpoints={"hook": Endpoint((SecretStr(SECRET),))})

SCRIPT = """
from datetime import UTC, datetime
from pathlib import Path
import sys

from trackledger.adapters import Settings, open_runtime
from trackledger.adapters.inbox import message
from trackledger.domain import Registration, Tracker
from trackledger.projections import shipments, timeline

tracker = Tracker("clickpost", "4:7702913348051", "Delhivery", "7702913348051")
with open_runtime(Settings("sqlite:///shop.db")) as runtime:
    runtime.ledger.register([Registration("ORDER-17", trackers=(tracker,))])
    runtime.inbox.append([message("clickpost", sys.stdin.buffer.read(), received_at=datetime.now(UTC))])
    runtime.intake.catch_up()
    runtime.projector.catch_up()
    (row,) = shipments.find(runtime.store, "ORDER-17")
    assert (row["milestone"], row["attempts"]) == ("out_for_delivery", 1), row
    assert len(timeline.of(runtime.store, row["shipment_id"])) == row["checkpoints"] == 9
assert [path.name for path in Path.cwd().iterdir()] == ["shop.db"]
"""


@pytest.fixture
def runtime(database_url: str) -> Iterator[Runtime]:
    """A ledger of three parcels."""
    with open_runtime(Settings(database_url, tokens=TOKENS, accounts=(HOOK,))) as runtime:
        runtime.ledger.intake(reports(3))
        runtime.projector.catch_up()
        yield runtime


def bearer(secret: str = SECRETS["reader"]) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@contextmanager
def client(app: Any) -> Generator[httpx.Client]:
    """A client of an application that is served on a socket."""
    with serving(app, grace=1) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def works_below_the_mount(client: httpx.Client, secret: str = SECRETS["reader"]) -> list[str]:
    """What a mounted ledger does for anybody; the ids of its shipments."""
    assert client.get(f"{MOUNT}/healthz").json() == {"ok": True}
    assert client.get(f"{MOUNT}/readyz").json()["ok"]
    description = client.get(f"{MOUNT}/openapi.json").json()
    assert description["info"]["title"] == "trackledger"
    assert description["servers"] == [{"url": MOUNT}]
    assert "/api/shipments" in description["paths"]

    ids = []
    link: str | None = "?limit=2"
    while link:
        answer = client.get(httpx.URL(f"{client.base_url}{MOUNT}/api/shipments").join(link), headers=bearer(secret))
        assert answer.status_code == 200, answer.text
        ids += [row["shipment_id"] for row in answer.json()["items"]]
        link = answer.links.get("next", {}).get("url")
    refused(client.get(f"{MOUNT}/api/shipments"), 401)
    refused(client.get(f"{MOUNT}/api/nothing", headers=bearer(secret)), 404)
    refused(client.get(f"{MOUNT}/api/shipments", params={"limit": 0}, headers=bearer(secret)), 422, "limit")
    return ids


def console_works_below_the_mount(client: httpx.Client, secret: str = SECRETS["reader"]) -> None:
    """Whoever signs in finds every page, and is led nowhere else."""
    root = f"{MOUNT}/console"
    outside = client.get(root, follow_redirects=True)
    assert (outside.status_code, outside.url.path) == (200, f"{root}/login")
    found = list(pages(client, secret, 1, root))
    assert {page.address: page.status for page in found if page.status != 200} == {}
    (cookie,) = [cookie for cookie in client.cookies.jar if cookie.path.startswith(MOUNT)]
    assert cookie.path == root
    assert {f"{root}/", f"{root}/shipments", f"{root}/ndr"} <= {page.shape[0] for page in found}
    links = {link for page in found for link in page.links}
    assert {link for link in links if not link.startswith(f"{root}/")} == set()
    needed = [link for link in links if "/static/" in link]
    assert needed and all(client.get(link).status_code == 200 for link in needed)
    assert client.get(f"{root}/nothing").status_code == 404


def test_below_another_fastapi(runtime: Runtime) -> None:
    lived: list[str] = []
    with client(fastapi_host(create_app(runtime), lived)) as host:
        assert lived == ["started"]
        assert works_below_the_mount(host) == [parcel_id(number) for number in range(3)]
        console_works_below_the_mount(host)
        delivery = host.post(
            f"{MOUNT}/webhooks/clickpost/hook", content=b'{"waybill": "W1"}', headers=SIGNED["clickpost"](SECRET, b"")
        )
        assert delivery.is_success and runtime.inbox.waiting() == 1

        # What is the host's stays the host's.
        assert host.get("/api/shipments").json() == ["the shop's own"]
        assert (host.get("/lost").status_code, host.get("/lost").text) == (418, "the shop's own words")
        assert host.get("/nothing").json() == {"detail": "Not Found"}
        assert host.get("/openapi.json").json()["paths"].keys() == {"/api/shipments", "/lost"}
        assert host.post("/webhooks/clickpost/hook").status_code == 404
    assert lived == ["started", "ended"]


def test_below_a_path_that_a_proxy_or_a_dispatcher_tells(runtime: Runtime) -> None:
    async def nothing_else(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError(scope["path"])

    with client(by_path(create_app(runtime), nothing_else)) as host:
        assert works_below_the_mount(host) == [parcel_id(number) for number in range(3)]
        console_works_below_the_mount(host)


def test_below_a_django_project(database_url: str) -> None:
    with open_runtime(Settings(database_url)) as runtime:
        runtime.ledger.intake(reports(3))
        runtime.projector.catch_up()
    token = "django-" + "d" * 24
    command = [sys.executable, "-W", "error", str(TESTS / "support" / "django_host.py"), database_url, token]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
        text=True,
    ) as project:
        assert project.stdin and project.stdout and project.stderr
        address = project.stdout.readline().strip()
        assert address, project.stderr.read()
        with httpx.Client(base_url=address, timeout=30) as host:
            assert works_below_the_mount(host, token) == [parcel_id(number) for number in range(3)]
            console_works_below_the_mount(host, token)
            for path in ("/", "/api/shipments"):
                assert host.get(path).json() == {"shop": path}
            assert host.get("/nothing").status_code == 404
            assert host.get(f"{MOUNT}s").status_code == 404
        project.stdin.close()
        # Of its own paths the project itself says so, and nothing else is said.
        said = ["Not Found: /nothing", f"Not Found: {MOUNT}s"]
        assert (project.wait(), project.stderr.read().splitlines()) == (0, said)


def test_as_a_library_in_a_plain_script(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", SCRIPT],
        input=body_of("clickpost", "poll_failed_delivery"),
        cwd=tmp_path,
        env={},
        capture_output=True,
    )
    assert (done.returncode, done.stderr.decode(), done.stdout) == (0, "", b"")


def settings_of(url: str, name: str, act_within: timedelta) -> Settings:
    """Settings of one of two ledgers, alike in every name, so that whatever was shared would be mixed up."""
    return Settings(
        url,
        tokens=(Token("reader", "default", "read", f"{name}-" + "t" * 24),),
        accounts=(replace(HOOK, endpoints={"hook": Endpoint((SecretStr(f"secret of {name}"),))}),),
        server=ServerSettings(api_per_minute=9),
        policies=Policies(attempts=AttemptPolicy(act_within=act_within)),
    )


@pytest.mark.parametrize("kinds", [("sqlite", "postgresql"), ("postgresql", "postgresql"), ("sqlite", "sqlite")])
def test_two_ledgers_in_one_process(kinds: tuple[str, str], places: Callable[[str], str]) -> None:
    names = ("north", "south")
    waits = (timedelta(hours=1), timedelta(hours=99))
    with (
        open_runtime(settings_of(places(kinds[0]), names[0], waits[0])) as north,
        open_runtime(settings_of(places(kinds[1]), names[1], waits[1])) as south,
        client(create_app(north)) as of_north,
        client(create_app(south)) as of_south,
    ):
        ledgers = list(zip(names, (north, south), (of_north, of_south), waits, strict=True))
        heard = datetime.now(UTC)
        north.intake.take([kept("clickpost", "poll_failed_delivery")])
        south.intake.take([kept("clickpost", "webhook_ndr")])
        for name, runtime, asked, wait in ledgers:
            runtime.projector.catch_up()
            told = asked.get("/api/shipments", headers=bearer(f"{name}-" + "t" * 24)).json()["items"]
            assert [row["shipment_id"] for row in told] == [row["shipment_id"] for row in rows(runtime, "shipments")]
            for case in rows(runtime, "ndr_cases"):
                assert case["act_by"] is None or case["act_by"] - case["last_attempt_at"] == wait
        assert rows(north, "shipments") != rows(south, "shipments")
        assert rows(south, "ndr_cases")[0]["act_by"] is not None

        # A token, a secret and a cursor's moment are good for one ledger only.
        for (_, _, asked, _), (other, *_) in zip(ledgers, reversed(ledgers), strict=True):
            refused(asked.get("/api/shipments", headers=bearer(f"{other}-" + "t" * 24)), 401)
            hook = SIGNED["clickpost"](f"secret of {other}", b"{}")
            assert asked.post("/webhooks/clickpost/hook", content=b"{}", headers=hook).status_code == 401

        # Whoever has signed in to the one has to sign in to the other.
        signed_in = of_north.post("/console/login", data={"token": "north-" + "t" * 24})
        cookie = {"cookie": signed_in.headers["set-cookie"].partition(";")[0]}
        assert of_north.get("/console/", headers=cookie).status_code == 200
        assert of_south.get("/console/", headers=cookie).headers["location"] == "/console/login?next=%2Fconsole%2F"

        # Each keeps what was known when in tables of its own.
        moment = datetime.now(UTC)
        assert moment > heard
        for name, runtime, asked, _ in ledgers:
            answer = asked.get(
                "/api/shipments", params={"known_at": moment.isoformat()}, headers=bearer(f"{name}-" + "t" * 24)
            )
            assert [row["shipment_id"] for row in answer.json()["items"]] == [
                row["shipment_id"] for row in rows(runtime, "shipments")
            ]

        # Who asks the one too often may still ask the other, and each counts its own.
        asked_once = bearer("north-" + "t" * 24)
        codes = [of_north.get("/api/shipments", headers=asked_once).status_code for _ in range(12)]
        assert codes[0] == 200 and codes[-1] == 429
        assert of_south.get("/api/shipments", headers=bearer("south-" + "t" * 24)).status_code == 200
        of_north.post("/webhooks/clickpost/hook", content=b"{}", headers=SIGNED["clickpost"]("secret of north", b"{}"))
        accepted = 'trackledger_webhooks_total{outcome="accepted",provider="clickpost"}'
        assert f"{accepted} 1.0" in of_north.get("/metrics").text
        assert accepted not in of_south.get("/metrics").text


def rows(runtime: Runtime, table: str) -> list[dict[str, Any]]:
    return runtime.store.read(f"SELECT * FROM {{s}}{table} ORDER BY shipment_id")


def test_without_the_console(runtime: Runtime) -> None:
    with client(create_app(runtime, with_console=False)) as asked:
        for path in ("/console", "/console/", "/console/login"):
            refused(asked.get(path), 404)
        assert asked.get("/api/shipments", headers=bearer()).status_code == 200


def test_what_an_application_keeps_is_closed_with_its_ledger(database_url: str) -> None:
    with open_runtime(Settings(database_url, tokens=TOKENS)) as runtime:
        runtime.ledger.intake(reports(1))
        with client(create_app(runtime)) as asked:
            known_at = datetime.now(UTC).isoformat()
            answer = asked.get("/api/shipments", params={"known_at": known_at}, headers=bearer())
            assert len(answer.json()["items"]) == 1
    # A kept moment is a database of its own; were it still open here, the warning would be an error.
    runtime.close()
