"""Can a provider be added as the README says: one module, one folder of fixtures, one line?"""

import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace
from pydantic import SecretStr

from support.invariants import WRONG, read_or_refused, with_one_wrong_value, without_one_field
from trackledger.adapters import providers
from trackledger.adapters.inbox import message
from trackledger.adapters.providers import PROVIDERS, base, normalize, provider
from trackledger.adapters.providers.base import Message
from trackledger.adapters.providers.verifying import Endpoint, Request, Unverified
from trackledger.adapters.runtime import Runtime
from trackledger.domain.errors import Ignored
from trackledger.projections import shipments, timeline

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


@pytest.fixture
def seventh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The README's module in the folder of modules, and its line in the list."""
    (block,) = re.findall(r"^```python\n# adapters/\S*/parcelwire\.py\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    (tmp_path / "parcelwire.py").write_text(block, "utf-8")
    monkeypatch.delitem(sys.modules, f"{providers.__name__}.parcelwire", raising=False)
    monkeypatch.setattr(providers, "__path__", [*providers.__path__, str(tmp_path)])
    monkeypatch.setattr(providers, "PROVIDERS", (*PROVIDERS, "parcelwire"))


def shown() -> Message:
    """The message that the README shows."""
    (body,) = re.findall(r'^`(\{"parcel".*\})`:$', README, re.MULTILINE)
    return message("parcelwire", body.encode(), channel="webhook", received_at=datetime(2026, 3, 6, tzinfo=UTC))


@pytest.mark.usefixtures("seventh")
def test_its_messages_go_through_the_whole_line(runtime: Runtime) -> None:
    taken = [runtime.intake.take([shown()])[0] for _ in range(2)]
    runtime.projector.catch_up()

    assert [(outcome.recorded, outcome.repeated) for outcome in taken] == [(1, 0), (0, 1)]
    (row,) = shipments.find(runtime.store, "PW1")
    assert (row["milestone"], row["location"]) == ("out_for_delivery", "Lyon")
    (line,) = timeline.of(runtime.store, row["shipment_id"])
    assert (line["status_said"], line["occurred_at"]) == ("In the van", datetime(2026, 3, 5, 9, 20, tzinfo=UTC))


@pytest.mark.usefixtures("seventh")
def test_it_keeps_what_every_provider_promises() -> None:
    assert len(read_or_refused(shown())) == 1
    damaged = list(without_one_field(shown().body))
    for wrong in WRONG:
        damaged += with_one_wrong_value(shown().body, wrong)
    for body in damaged:
        read_or_refused(replace(shown(), body=body))
    twice = json.loads(shown().body)
    twice["steps"] *= 2
    assert len(read_or_refused(replace(shown(), body=json.dumps(twice).encode()))[0].checkpoints) == 1
    with pytest.raises(Ignored, match="nothing has happened yet"):
        normalize(replace(shown(), body=b'{"parcel": "PW1", "steps": []}'))


@pytest.mark.usefixtures("seventh")
def test_it_has_everything_that_a_provider_offers() -> None:
    one = provider("parcelwire")
    wanted = {name for name in (*base.Provider.__annotations__, *vars(base.Provider)) if not name.startswith("_")}
    assert {name for name in wanted if not hasattr(one, name)} == set()
    one.verify(Request(b"{}", {"x-parcelwire-secret": "s"}), Endpoint((SecretStr("s"),)))
    with pytest.raises(Unverified):
        one.verify(Request(b"{}", {}), Endpoint((SecretStr("s"),)))
