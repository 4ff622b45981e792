"""Does the web application keep its own description, whatever it is sent?"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.served import ENDPOINT, accounts, signed
from trackledger.adapters.http import create_app
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings

EXAMPLES = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
WEBHOOKS = "/webhooks/{provider}/{endpoint}"


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI description of the application, which answers behind it, on an empty ledger."""
    ledger = tmp_path_factory.mktemp("fuzzed") / "ledger.db"
    with open_runtime(Settings(f"sqlite:///{ledger}", accounts=accounts())) as runtime:
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(runtime))


def test_every_answer_is_one_that_is_described(description: Any) -> None:
    operations = [found.ok() for found in description.get_all_operations()]
    assert {WEBHOOKS, "/readyz", "/metrics"} <= {operation.path for operation in operations}
    for operation in operations:

        @EXAMPLES
        @given(case=operation.as_strategy())
        def conforms(case: Any) -> None:
            case.call_and_validate()

        conforms()


@EXAMPLES
@given(data=st.data())
def test_whatever_a_provider_sends_is_kept(description: Any, data: st.DataObject) -> None:
    operation = description[WEBHOOKS]["POST"]
    case = data.draw(operation.as_strategy())
    case.path_parameters = {"provider": "ship24", "endpoint": ENDPOINT}
    case.headers = signed("ship24", b"")
    assert case.call_and_validate().status_code == 202
