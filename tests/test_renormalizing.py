"""After a mapping changed: what would the kept messages say now, and what happens when that is recorded?"""

import re
import shutil
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from support.cli import ATTEMPTED, NEVER_PICKED_UP, Cli, fixture
from support.messages import of_provider
from support.rows import ARRIVAL, fresh, rows
from trackledger.adapters import renormalization
from trackledger.adapters.providers import PROVIDERS, clickpost, clickpost_codes, mapping
from trackledger.adapters.providers.base import Message
from trackledger.adapters.renormalization import Renormalization, Which
from trackledger.adapters.runtime import Runtime
from trackledger.domain.milestones import NdrReason

ME = ("--actor", "ops@shop")
OLDER = {
    "clickpost": ("MILESTONES", "BY_TEXT", "LEGS", "NDR_REASONS", "CARRIERS"),
    "ship24": ("CODES", "CATEGORIES", "MILESTONES"),
    "shippit": ("MILESTONES", "LEGS", "NDR_REASONS", "ALIASES"),
    "shiplemon": ("MILESTONES", "EXACT", "TEXTS"),
    "rye": ("ORDER_EVENTS", "SHIPMENT_STATUSES"),
    "aftership": ("TAGS", "SUBTAGS", "EVENTS", "REASONS", "EVENT_REASONS"),
}
"""By provider, its literal tables: an older mapping had none of their lines."""


@pytest.fixture
def patch() -> Any:
    """Changes to a mapping that are undone before the test ends."""
    with pytest.MonkeyPatch.context() as patch:
        yield patch


def forget_tables(patch: pytest.MonkeyPatch, provider: str) -> None:
    codes = import_module(f"trackledger.adapters.providers.{provider}_codes")
    for name in OLDER[provider]:
        table = getattr(codes, name)
        for key in list(table):
            patch.delitem(table, key)
    forget_readings(codes)


def forget_readings(codes: Any) -> None:
    """Some mappings remember what they read."""
    for one in vars(codes).values():
        if hasattr(one, "cache_clear"):
            one.cache_clear()


def taken(runtime: Runtime, provider: str, account: str) -> list[Message]:
    """Every sample of a provider, taken in for an account by the mapping of the moment."""
    from trackledger.adapters.inbox import message

    sent = [
        message(
            one.provider,
            one.body,
            channel=one.channel,
            account=account,
            received_at=one.received_at,
            context=one.context,
        )
        for one in of_provider(provider)
    ]
    for one in sent:
        runtime.intake.take([one])
    return sent


def news(runtime: Runtime, sent: list[Message]) -> list[int]:
    """How many checkpoints of each message are news when they all arrive again. Of most none is; a sample that was said
    otherwise since is said again by that."""
    return [outcome.recorded + outcome.amended for outcome in runtime.intake.take(sent)]


def run(runtime: Runtime, *, store: bool, **which: Any) -> tuple[Any, list[Any]]:
    """One run: what was found in the messages, and what changes."""
    again = Renormalization(runtime, Which(**which), "ops@shop")
    try:
        survey = again.survey(lambda done, total: None)
        differences = list(again.differences(store=store))
        if store:
            again.take_in()
    finally:
        again.close()
    runtime.projector.catch_up()
    return survey, differences


@pytest.mark.parametrize("provider", PROVIDERS)
def test_statuses_that_are_mapped_now_are_read_as_if_they_always_had_been(
    runtime: Runtime, patch: pytest.MonkeyPatch, provider: str
) -> None:
    forget_tables(patch, provider)
    sent = taken(runtime, provider, "older")
    patch.undo()
    forget_readings(import_module(f"trackledger.adapters.providers.{provider}_codes"))
    always = taken(runtime, provider, "today")
    runtime.projector.catch_up()
    without = {**ARRIVAL, "timeline": ARRIVAL["timeline"] | {"corrected"}}
    assert rows(runtime.store, "older", without) != rows(runtime.store, "today", without)

    _, would = run(runtime, store=False, account="older")
    assert any(
        pair[0] == "unknown" != pair[1]
        for one in would
        for statement in one.statements
        for name, pair in statement.changes.items()
        if name == "milestone"
    )
    _, did = run(runtime, store=True, account="older")

    assert did == would
    assert rows(runtime.store, "older", without) == rows(runtime.store, "today", without)
    assert run(runtime, store=True)[1] == []
    assert news(runtime, sent) == news(runtime, always)
    runtime.projector.catch_up()
    assert rows(runtime.store) == fresh(runtime)


@pytest.fixture
def older(cli: Cli, patch: pytest.MonkeyPatch) -> Cli:
    """The command on a ledger that was fed by an older mapping: no failed deliveries, no reason, and the wrong zone."""
    patch.delitem(clickpost_codes.MILESTONES, clickpost_codes.FAILED_DELIVERY)
    patch.setitem(clickpost_codes.NDR_REASONS, 1, NdrReason.OTHER)
    patch.setattr(clickpost, "INDIA", 0)
    cli.ingest("poll_failed_delivery", "poll_not_picked_up")
    patch.undo()
    return cli


def head(cli: Cli) -> int:
    answer: int = cli.json("project")["position"]
    return answer


def test_what_would_change_is_told_and_nothing_stored(older: Cli) -> None:
    before = head(older)

    answer = older.json("renormalize")

    assert head(older) == before
    assert (answer["applied"], answer["survey"]["messages"]) == (False, {"done": 2, "ignored": 0, "parked": 0})
    first, second = answer["shipments"]
    assert (first["shipment_id"], second["shipment_id"]) == (ATTEMPTED, NEVER_PICKED_UP)
    failed = next(one for one in first["statements"] if one["about"] == "clickpost:41228027380")
    assert failed["changes"]["milestone"] == ["unknown", "delivery_failed"]
    assert failed["changes"]["occurred_at"] == ["2026-03-05T16:27:55Z", "2026-03-05T10:57:55Z"]
    assert {one["what"] for one in first["statements"]} == {"checkpoint", "claim", "estimate"}
    row = next(one for one in first["conclusions"] if one["table"] == "shipments")
    assert row["changes"]["attempts"] == [0, 1]
    case = next(one for one in first["conclusions"] if one["table"] == "ndr_cases")
    assert (case["appears"], case["changes"]["reason"]) == (True, [None, "customer_unavailable"])
    totals = answer["totals"]
    assert (totals["shipments"], totals["checkpoint"], totals["claim"], totals["errors"]) == (2, 17, 1, 0)
    assert {"field": "milestone", "before": "unknown", "after": "delivery_failed", "count": 1} in totals["fields"]
    assert totals["conclusions"]["shipments"] == 2
    assert re.fullmatch(r"[0-9.]+\+[0-9a-f]{8}", answer["mappings"]["clickpost"])


def test_a_better_reading_is_recorded_once_and_names_its_cause(older: Cli, runtime: Runtime) -> None:
    version = older.json("renormalize")["mappings"]["clickpost"]

    assert older.json("renormalize", "--apply", *ME)["totals"]["shipments"] == 2

    after = head(older)
    assert older.json("status", "TL-20417")["ndr"]["reason"] == "customer_unavailable"
    assert "nothing changes" in older.text("renormalize", "--apply", *ME)
    assert head(older) == after
    told = [placed.event for placed in runtime.ledger.history(ATTEMPTED)][-1]
    assert (told.mapping, told.actor, told.provider) == (version, "ops@shop", "clickpost")  # type: ignore[attr-defined]
    row = next(one for one in older.json("timeline", "TL-20417") if one["milestone"] == "delivery_failed")
    assert (row["corrected"], row["received_at"], row["amended"]) == (1, "2026-03-06T10:00:00Z", 0)


def test_people_are_told_in_words(older: Cli) -> None:
    text = older.text("renormalize")

    assert f"{ATTEMPTED}\n" in text
    assert "  clickpost:41228027380: milestone unknown → delivery_failed, occurred_at 2026-03-05 16:27:55Z → " in text
    assert "  claim ndr: value other → customer_unavailable\n" in text
    assert "  → ndr_cases: appears\n" in text
    assert "2 shipments would change: 17 checkpoints, 1 claims, 1 estimates, 0 new, 0 gone\n" in text
    assert "  1 × milestone unknown → delivery_failed\n" in text
    assert text.endswith("nothing is recorded yet: run it again with --apply\n")
    assert "2 shipments changed" in older.text("renormalize", "--apply", *ME)


def test_pages_and_batches_of_one_give_the_same(older: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = older.json("renormalize")
    for name in ("PAGE", "PAGE_BYTES", "TOGETHER", "AGAIN"):
        monkeypatch.setattr(renormalization, name, 1)

    assert older.json("renormalize") == whole
    assert older.json("renormalize", "--apply", *ME)["totals"] == whole["totals"]
    assert older.json("renormalize")["shipments"] == []


@pytest.mark.parametrize(
    ("options", "shipments"),
    [
        (("TL-20417",), [ATTEMPTED]),
        (("143399020817",), [NEVER_PICKED_UP]),
        (("--provider", "clickpost"), [ATTEMPTED, NEVER_PICKED_UP]),
        (("--provider", "rye"), []),
        (("--account", "other"), []),
        (("--since", "2026-03-06T10:00:00Z"), [ATTEMPTED, NEVER_PICKED_UP]),
        (("--since", "2026-03-06T10:00:01Z"), []),
        (("--until", "2026-03-06T10:00:00Z"), []),
        (("--until", "2026-03-06T15:30:01+05:30"), [ATTEMPTED, NEVER_PICKED_UP]),
        (("--limit", "1"), [ATTEMPTED]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_only_those_meant_are_read_again(older: Cli, options: tuple[str, ...], shipments: list[str]) -> None:
    assert [one["shipment_id"] for one in older.json("renormalize", *options)["shipments"]] == shipments


def test_a_message_that_was_erased_is_counted(older: Cli) -> None:
    older.text("purge", "--older-than", "0", "--state", "done", "--now", "2026-03-07T00:00:00Z")

    answer = older.json("renormalize")

    assert (answer["shipments"], answer["survey"]["erased"]) == ([], 17)
    assert "17 checkpoints cannot be read again: their messages are no longer kept" in older.text("renormalize")
    assert older.json("renormalize", "TL-20417")["survey"]["erased"] == 9


def unread(patch: pytest.MonkeyPatch, how: str) -> None:
    if how == "parked":
        patch.setattr(clickpost, "MAX_WAYBILL", 5)
    else:
        patch.setattr(clickpost, "_says_anything", lambda report: False)


@pytest.mark.parametrize("how", ["parked", "ignored"])
def test_what_was_not_read_and_can_be_now_is_told_apart_and_taken_in(
    cli: Cli, patch: pytest.MonkeyPatch, how: str
) -> None:
    unread(patch, how)
    path = fixture("poll_failed_delivery")
    cli("ingest", "clickpost", path, fixture("poll_bad_key"), "--received-at", "2026-03-06T10:00:00Z")
    patch.undo()

    would = cli.json("renormalize")
    assert (would["survey"]["readable"], would["survey"]["parked"]) == (1, 1)
    assert (would["totals"]["new"], would["shipments"][0]["shipment_id"]) == (9, ATTEMPTED)
    assert cli.json("shipments") == []
    text = cli.text("renormalize", "--apply", *ME)

    assert "1 that were parked or ignored are taken in now\n1 still cannot be read" in text
    assert cli.json("status", "TL-20417")["checkpoints"] == 9
    assert [one["reason"][:26] for one in cli.json("parked")] == ["clickpost: meta.status is "]
    again = cli.json("renormalize")
    assert (again["shipments"], again["survey"]["messages"]) == ([], {"done": 1, "ignored": 0, "parked": 1})


@pytest.mark.parametrize("how", ["parked", "ignored"])
def test_what_was_read_and_cannot_be_now_stays_as_it_was_told(
    filled: Cli, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    unread(monkeypatch, how)

    answer = filled.json("renormalize", "--apply", *ME)

    assert answer["survey"]["unreadable" if how == "parked" else "silent"] == 2
    assert answer["shipments"] == []
    assert "what they told stays" in filled.text("renormalize")


def test_one_message_that_breaks_the_mapping_holds_back_no_other(
    older: Cli, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    polled: Callable[..., Any] = clickpost._polled

    def breaking(message: Message, key: str, said: Any) -> Any:
        if key == "143399020817":
            raise ZeroDivisionError("unforeseen")
        return polled(message, key, said)

    monkeypatch.setattr(clickpost, "_polled", breaking)

    answer = older.json("renormalize", "--apply", *ME)

    assert [one["shipment_id"] for one in answer["shipments"]] == [ATTEMPTED]
    assert answer["survey"]["unreadable"] == 1
    assert "cannot be normalized" in caplog.text


def test_what_a_person_amended_is_kept_and_counted(older: Cli) -> None:
    failed = "clickpost:41228027380"
    older.text("amend", "TL-20417", failed, "--milestone", "delivered", "--reason", "a photo", *ME)

    answer = older.json("renormalize", "--apply", *ME)

    assert answer["survey"]["by_hand"] == 1
    row = next(one for one in older.json("timeline", "TL-20417") if one["checkpoint_id"] == failed)
    assert (row["milestone"], row["corrected"]) == ("delivered", 2)
    assert older.json("renormalize")["shipments"] == []


def test_a_forgotten_shipment_is_left_alone(older: Cli, runtime: Runtime) -> None:
    runtime.ledger.forget(ATTEMPTED, "privacy@shop", "asked for")

    assert [one["shipment_id"] for one in older.json("renormalize")["shipments"]] == [NEVER_PICKED_UP]


@pytest.mark.parametrize(
    ("args", "code", "sentence"),
    [
        (("--provider", "fedex"), 2, "provider 'fedex' is unknown; use one of: "),
        (("--apply",), 2, "nobody is named who does this; give --actor, or set TRACKLEDGER_ACTOR"),
        (("--apply", "--actor", "a\nb"), 2, "actor 'a\\nb' must be 1 to 128 printable characters; say who you are"),
        (("nobody",), 1, "no shipment has the id, reference, order id or tracking number 'nobody'; check it"),
        (("",), 2, "REF is empty; "),
        (
            ("--since", "2026-03-06T10:00:00Z", "--until", "2026-03-06T10:00:00Z"),
            2,
            "--since 2026-03-06T10:00:00+00:00 is",
        ),
    ],
)
def test_bad_requests_are_refused_in_one_sentence(filled: Cli, args: tuple[str, ...], code: int, sentence: str) -> None:
    before = head(filled)

    assert filled.refusal("renormalize", *args, code=code).startswith(sentence)

    assert head(filled) == before


def test_a_time_without_a_zone_is_refused(filled: Cli) -> None:
    assert "has no zone" in filled.usage("renormalize", "--since", "2026-03-06T10:00:00")


def test_a_ref_of_several_shipments_is_refused(cli: Cli) -> None:
    cli.ingest("poll_failed_delivery")
    cli.ingest("poll_failed_delivery", account="other")

    assert cli.refusal("renormalize", "TL-20417", code=2).startswith("'TL-20417' names 2 shipments; use one of")
    assert cli.json("renormalize", "TL-20417", "--account", "other")["shipments"] == []


def test_there_is_nothing_to_read_again_where_there_is_no_ledger(cli: Cli) -> None:
    assert "no ledger" in cli.refusal("renormalize")


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of the providers' modules, which the version of a mapping is made of."""
    folder = tmp_path / "providers"
    shutil.copytree(Path(mapping.__file__).parent, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(mapping, "files", lambda package: folder)
    yield folder
    mapping.mapping.cache_clear()


def versions() -> dict[str, str]:
    mapping.mapping.cache_clear()
    return mapping.mappings()


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("clickpost_codes", {"clickpost"}),
        ("ship24", {"ship24"}),
        ("shippit_times", {"shippit"}),
        ("reading", set(PROVIDERS)),
        ("clickpost_client", set()),
        ("verifying", set()),
    ],
)
def test_whoever_changes_a_mapping_makes_another_version(modules: Path, module: str, others: set[str]) -> None:
    before = versions()
    assert len(set(before.values())) == len(PROVIDERS)

    with (modules / f"{module}.py").open("a") as file:
        file.write("\nCHANGED = True\n")

    assert {name for name, version in versions().items() if version != before[name]} == others
