"""Does every provider keep what all of them promise?

What is true of one alone is tested in its own module; here are the fixtures of all, read, reordered, repeated, damaged
and forged.
"""

import logging
import random
import re
import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.invariants import WRONG, assert_one_sentence, read_or_refused, with_one_wrong_value, without_one_field
from support.messages import ALL, EXPECTED, FIXTURES, RECEIVED, body_of, kept, of_provider
from support.rows import ARRIVAL, fresh, rows
from support.scripted import Reply, Scripted, scripted
from support.signing import OVER_THE_BODY, SIGNED
from trackledger.adapters import providers
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS, normalize, provider
from trackledger.adapters.providers.asking import Access, AskError, BadCredentials, Client, TooMany, Unavailable
from trackledger.adapters.providers.base import Message
from trackledger.adapters.providers.reading import MAX_BODY, Wire
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.checkpoints import EstimateSource, Tracker
from trackledger.domain.errors import Ignored, MessageError, Unreadable, UsageError
from trackledger.domain.milestones import Milestone
from trackledger.domain.policies import status
from trackledger.projections.tables import TABLES

every_provider = pytest.mark.parametrize("name", PROVIDERS)
every_fixture = pytest.mark.parametrize(("name", "fixture"), ALL)
every_signature = pytest.mark.parametrize("way", SIGNED)

KEY, OLD_KEY = "k3y-that-nobody-guesses", "k3y-of-last-month"


# How it describes itself


@every_provider
def test_a_provider_describes_itself(name: str) -> None:
    one = provider(name)
    assert one.name == name
    assert one.title.casefold() == name
    assert re.fullmatch(one.reference_form, one.reference_like)
    can = one.abilities
    assert set(can.estimates) <= set(EstimateSource)
    assert can.batch >= 1 and can.per_second > 0
    assert can.push == "" or name in SIGNED
    assert (can.push == "hmac") == (name in OVER_THE_BODY)
    assert re.compile(can.follow_up)


@every_provider
def test_every_state_of_a_shipment_has_a_time_to_ask_again(name: str) -> None:
    cadence = provider(name).cadence
    services = {"", *(service for service, _ in cadence.by_service)}
    for milestone in Milestone:
        for service in services:
            assert timedelta(minutes=1) <= cadence.interval(milestone, service) <= timedelta(days=2)
    assert all(0 <= minute < 60 for minute in cadence.minutes)


def test_an_unknown_provider_is_refused_with_those_there_are() -> None:
    with pytest.raises(UsageError, match="provider 'pigeon' is unknown; use one of: clickpost, ship24, "):
        provider("pigeon")


# What its messages say


@every_provider
def test_every_fixture_has_its_expectation(name: str) -> None:
    assert {path.stem for path in (FIXTURES / name).glob("*.json")} == {*EXPECTED[name], "expected"}
    said = [set(expected) & {"reports", "ignored", "unreadable"} for expected in EXPECTED[name].values()]
    assert all(len(kinds) == 1 for kinds in said)
    assert {"reports"} in said


@every_fixture
def test_a_fixture_is_read_as_expected(name: str, fixture: str) -> None:
    expected = EXPECTED[name][fixture]
    if "reports" in expected:
        found = read_or_refused(kept(name, fixture))
        assert {
            report.tracker.reference: [status.conclude(report.checkpoints).milestone, len(report.checkpoints)]
            for report in found
        } == expected["reports"]
        return
    kind = Ignored if "ignored" in expected else Unreadable
    with pytest.raises(MessageError) as refused:
        normalize(kept(name, fixture))
    assert type(refused.value) is kind
    assert_one_sentence(name, str(refused.value))
    assert expected.get("ignored", expected.get("unreadable")) in str(refused.value)


@every_provider
def test_a_scan_of_the_day_after_tomorrow_is_refused(name: str) -> None:
    """It would hide everything that is said after it."""
    read = [(of, reports) for of in of_provider(name) if (reports := read_or_refused(of))]
    assert read
    for of, reports in read:
        scans = [checkpoint.occurred.at for report in reports for checkpoint in report.checkpoints]
        if not scans:
            continue  # a headline without a scan
        said = [report.stated_at for report in reports if report.stated_at]
        assert normalize(replace(of, received_at=max(scans + said) - timedelta(hours=23)))
        with pytest.raises(Unreadable, match="lies more than a day after the message arrived"):
            normalize(replace(of, received_at=max(scans) - timedelta(hours=25)))


def test_a_providers_clock_that_runs_days_ahead_is_refused() -> None:
    """What it says now would win over everything that it says later."""
    body = body_of("aftership", "poll_delivered").replace(b'"updated_at": "2026', b'"updated_at": "2036')
    with pytest.raises(Unreadable, match=r"aftership: time '2036-\S+' of '\w+' lies more than a day after"):
        normalize(kept("aftership", "poll_delivered", body))


def test_all_in_any_order_twice_give_the_same_tables(runtime: Runtime) -> None:
    in_order = [of for name in PROVIDERS for of in of_provider(name)]

    def take(account: str, messages: list[Message]) -> Any:
        mine = [
            message(
                of.provider,
                of.body,
                channel=of.channel,
                account=account,
                received_at=of.received_at,
                context=of.context,
            )
            for of in messages
        ]
        for start in range(0, len(mine), 7):
            for outcome in runtime.intake.take(mine[start : start + 7]):
                assert "report this" not in outcome.reason
            runtime.projector.step()
        runtime.projector.catch_up()
        return rows(runtime.store, account, ARRIVAL)

    once = take("once", in_order)
    assert once["shipments"] and once["timeline"] and once["ndr_cases"] and once["delivery_dates"]
    for seed in range(3):
        shuffled = in_order * 2
        random.Random(seed).shuffle(shuffled)
        assert take(f"shuffled{seed}", shuffled) == once
    assert rows(runtime.store) == fresh(runtime)
    assert len(once) == len(TABLES)


# What it refuses


@every_fixture
def test_a_message_without_one_of_its_fields_is_read_or_refused(name: str, fixture: str) -> None:
    for body in without_one_field(body_of(name, fixture)):
        read_or_refused(kept(name, fixture, body))


@every_fixture
def test_a_message_with_one_wrong_value_is_read_or_refused(name: str, fixture: str) -> None:
    for wrong in WRONG:
        for body in with_one_wrong_value(body_of(name, fixture), wrong):
            read_or_refused(kept(name, fixture, body))


@every_fixture
def test_a_truncated_message_is_refused(name: str, fixture: str) -> None:
    body = body_of(name, fixture).rstrip()
    for end in range(0, len(body), max(1, len(body) // 100)):
        with pytest.raises(MessageError):
            normalize(kept(name, fixture, body[:end]))


@every_provider
def test_the_messages_of_others_are_refused(name: str) -> None:
    for other, fixture in ALL:
        if other != name:
            theirs = kept(other, fixture)
            with pytest.raises(MessageError) as refused:
                normalize(replace(theirs, provider=name, context={}))
            assert_one_sentence(name, str(refused.value))


@every_provider
def test_a_message_over_the_limit_is_refused_unread(name: str) -> None:
    for of in of_provider(name):
        with pytest.raises(Unreadable, match=r"the message has 8,388,609 bytes, over the limit of 8,388,608$"):
            normalize(replace(of, body=of.body.ljust(MAX_BODY + 1)))


@every_provider
def test_of_many_wrong_elements_the_first_is_told(name: str) -> None:
    """To tell of a million took seconds and a gigabyte."""
    wire = vars(import_module(f"{providers.__name__}.{name}_wire"))
    models = [model for model in wire.values() if isinstance(model, type) and issubclass(model, Wire)]
    lists = [part for model in models for part in _parts(model.__pydantic_core_schema__) if part.get("type") == "list"]
    assert lists
    assert all(part.get("fail_fast") for part in lists)


def _parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """All that a schema consists of."""
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list | tuple) else ()
    if isinstance(schema, dict):
        yield schema
    for part in inside:
        yield from _parts(part)


NO_MESSAGES = {
    "nothing": b"",
    "blanks": b"   ",
    "words": b"not json",
    "utf-16": '{"a": 1}'.encode("utf-16"),
    "null": b"null",
    "number": b"17",
    "text": b'"text"',
    "array": b"[]",
    "object": b"{}",
    "array of arrays": b"[[[]]]",
    "not a number": b'{"data":NaN}',
    "infinite": b'{"data":1e400}',
    "digits": b'{"data":' + b"2" * 5000 + b"}",
    "surrogate": b'{"data":"\\ud800"}',
    "NUL": b'{"\\u0000":"\\u0000"}',
    "nested": b'{"data":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "nested open": b"[" * 100_000,
    "nested objects": b'{"data":' * 100_000,
    "huge": b" " * (MAX_BODY + 1),
}


@pytest.mark.parametrize("what", NO_MESSAGES)
@every_provider
def test_what_is_no_message_is_refused(name: str, what: str) -> None:
    for context in ({}, {"unknown": "key"}):
        of = message(name, NO_MESSAGES[what], channel="webhook", received_at=RECEIVED, context=context)
        with pytest.raises(MessageError) as refused:
            normalize(of)
        assert_one_sentence(name, str(refused.value))


@every_provider
def test_a_message_that_is_refused_can_still_be_asked_what_it_pokes(name: str) -> None:
    bodies = [*NO_MESSAGES.values(), *(body_of(*one) for one in ALL)]
    for body in bodies:
        of = message(name, body, channel="webhook", received_at=RECEIVED)
        for reference in provider(name).pokes(of):
            assert re.fullmatch(provider(name).reference_form, reference)


# Who sent it


def sent(way: str, secret: str, body: bytes) -> Request:
    return Request(body, SIGNED[way](secret, body))


def accepted(way: str, request: Request, *secrets: str) -> bool:
    """Whether the request is verified; anything but `Unverified` goes through."""
    try:
        provider(way.split()[0]).verify(request, Endpoint(tuple(map(SecretStr, secrets))))
    except Unverified:
        return False
    return True


@every_signature
def test_a_webhook_is_accepted_under_each_secret_while_both_are_valid(way: str) -> None:
    body = b'{"event": 1}'
    assert accepted(way, sent(way, KEY, body), KEY)
    assert accepted(way, sent(way, KEY, body), OLD_KEY, KEY)
    assert accepted(way, sent(way, OLD_KEY, body), OLD_KEY, KEY)
    assert not accepted(way, sent(way, OLD_KEY, body), KEY)


@every_signature
def test_without_a_secret_nothing_is_accepted(way: str) -> None:
    for secret in (KEY, ""):
        assert not accepted(way, sent(way, secret, b"{}"))
        assert not accepted(way, sent(way, secret, b"{}"), "")


@every_signature
def test_a_header_with_one_other_character_is_refused(way: str) -> None:
    good = sent(way, KEY, b'{"event": 1}')
    for name, value in good.headers.items():
        for at, character in enumerate(value):
            other = "1" if character == "0" else "0"
            forged = value[:at] + other + value[at + 1 :]
            assert not accepted(way, replace(good, headers={**good.headers, name: forged}), KEY), at
        for forged in ("", " ", value[:-1], value + "A", f'{value}"', "é" * len(value), "\ud800", "\x00"):
            assert not accepted(way, replace(good, headers={**good.headers, name: forged}), KEY), forged
        assert not accepted(way, replace(good, headers={}), KEY)


@pytest.mark.parametrize("way", sorted(OVER_THE_BODY))
def test_a_body_with_one_other_byte_is_refused(way: str) -> None:
    good = sent(way, KEY, b'{"event": 1, "of": "a parcel"}')
    for at, byte in enumerate(good.body):
        assert not accepted(way, replace(good, body=good.body[:at] + bytes([byte ^ 1]) + good.body[at + 1 :]), KEY), at
    for body in (b"", good.body + b"\n", good.body.replace(b" ", b"")):
        assert not accepted(way, replace(good, body=body), KEY)


@every_provider
def test_a_provider_without_webhooks_accepts_none(name: str) -> None:
    if provider(name).abilities.push:
        return
    for headers in ({}, {"authorization": KEY}, {"authorization": f"Bearer {KEY}"}):
        assert not accepted(name, Request(b"{}", headers), KEY)


@every_provider
def test_no_request_upsets_a_handshake(name: str) -> None:
    for body in [*NO_MESSAGES.values(), *(body_of(*one) for one in ALL)]:
        for method in ("POST", "GET", "HEAD"):
            answer = provider(name).handshake(Request(body, {}, method))
            assert answer is None or isinstance(answer, bytes)


# How it is asked


@pytest.fixture
def played() -> Iterator[Scripted]:
    with scripted() as one:
        yield one


def connected(name: str, played: Scripted) -> tuple[Client, Tracker]:
    """A client of this provider that asks the scripted one, and a tracker to ask about."""
    one = provider(name)
    client = one.client(Access(SecretStr(KEY), "shop", played.url))
    parts = re.fullmatch(one.reference_form, one.reference_like)
    assert parts is not None
    number = parts.groupdict().get("tracking_number") or "7702913348051"
    return client, Tracker(name, one.reference_like, "", number)


@pytest.mark.parametrize(
    ("reply", "kind", "wait"),
    [
        (Reply({"message": "no"}, 401), BadCredentials, None),
        (Reply(b"slow down", 429, {"retry-after": "11"}), TooMany, 11.0),
        (Reply(b"<html>Bad gateway</html>", 502, {"content-type": "text/html"}), Unavailable, None),
        (Reply(b"", 503, {"retry-after": "7"}), Unavailable, 7.0),
        (Reply(b"<html>Sign in</html>", 200, {"content-type": "text/html"}), Unavailable, None),
        (Reply(b""), Unavailable, None),
        (Reply(b"", 0), Unavailable, None),
        (Reply(KEY.encode(), 500), Unavailable, None),
    ],
)
@every_provider
def test_a_call_without_an_answer_says_what_to_do_and_tells_no_key(
    name: str,
    played: Scripted,
    reply: Reply,
    kind: type[AskError],
    wait: float | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    client, tracker = connected(name, played)
    played.answers(reply)

    with pytest.raises(AskError) as raised:
        client.ask([tracker])
    client.close()

    assert type(raised.value) is kind
    assert raised.value.wait == wait
    assert_one_sentence(name, str(raised.value))
    assert len(played.asked) == 1
    told = "".join(traceback.format_exception(raised.value)) + caplog.text + repr(client) + repr(vars(client))
    assert KEY not in told


@every_provider
def test_the_key_goes_nowhere_but_to_the_address_of_the_account(name: str) -> None:
    with pytest.raises(UsageError, match="has to be https"):
        provider(name).client(Access(SecretStr(KEY), "shop", "http://tracking.example"))
    with pytest.raises(UsageError, match=f"^{name}: .* needed"):
        provider(name).client(Access(user="shop"))
