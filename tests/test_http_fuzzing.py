"""Does the web application keep its own description, whatever it is sent?"""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from support import many
from support.served import ENDPOINT, accounts, signed
from trackledger.adapters.http import create_app
from trackledger.adapters.runtime import open_runtime
from trackledger.adapters.settings import Settings

EXAMPLES = settings(max_examples=40, suppress_health_check=list(HealthCheck), deadline=None)
FEWER = settings(EXAMPLES, max_examples=15)
WEBHOOKS = "/webhooks/{provider}/{endpoint}"
AS_DESCRIBED = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
"""Others would guess what is refused, such as a moment that has not come, and take the token away."""

SHIPMENTS = 60
KNOWN = {"shipment_id": "default:host:TL-4", "message_id": many.broken(0).message_id}
"""What is there, as nobody guesses ids."""


@pytest.fixture(scope="module")
def description(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI description of the application, which answers behind it, on an empty ledger."""
    ledger = tmp_path_factory.mktemp("fuzzed") / "ledger.db"
    with open_runtime(Settings(f"sqlite:///{ledger}", accounts=accounts())) as runtime:
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(runtime))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The same on a ledger of shipments to which tokens admit."""
    ledger = tmp_path_factory.mktemp("filled") / "ledger.db"
    with open_runtime(many.settings(f"sqlite:///{ledger}")) as runtime:
        assert list(many.fill(runtime, SHIPMENTS)) == [SHIPMENTS]
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(runtime))


def test_every_answer_is_one_that_is_described(description: Any) -> None:
    operations = [found.ok() for found in description.get_all_operations()]
    assert {WEBHOOKS, "/readyz", "/metrics"} <= {operation.path for operation in operations}
    for operation in operations:
        if operation.path.startswith("/api/"):
            continue

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


def of_the_api(description: Any) -> list[Any]:
    """The operations below `/api`."""
    operations = [found.ok() for found in description.get_all_operations()]
    return [operation for operation in operations if operation.path.startswith("/api/")]


def hasty(case: Any) -> Any:
    """A case that does not wait for what is not going to be in the tables."""
    if isinstance(case.query, dict):
        case.query.pop("wait_for", None)
    return case


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_whoever_has_a_token_is_answered_as_described(filled: Any, mode: GenerationMode) -> None:
    operations = of_the_api(filled)
    assert len(operations) > 10
    answered = set()
    for operation in operations:

        @FEWER
        @given(case=operation.as_strategy(generation_mode=mode), is_known=st.booleans())
        def conforms(case: Any, is_known: bool) -> None:
            if is_known:
                known = {name: value for name, value in KNOWN.items() if name in case.path_parameters}
                case.path_parameters = {**case.path_parameters, **known}
            response = hasty(case).call_and_validate(
                headers={"authorization": f"Bearer {many.SECRET}"}, checks=AS_DESCRIBED
            )
            if response.status_code < 300:
                answered.add(case.operation.label)

        conforms()
    if mode is GenerationMode.POSITIVE:
        assert {operation.label for operation in operations if operation.method == "get"} <= answered


def test_nobody_without_a_token_is_told_anything(filled: Any) -> None:
    told = set()
    for operation in of_the_api(filled):

        @FEWER
        @given(case=operation.as_strategy(), secret=st.sampled_from([None, "wrong", many.SECRET[:-1]]))
        def refused(case: Any, secret: str | None) -> None:
            response = hasty(case).call(headers={"authorization": f"Bearer {secret}"} if secret else {})
            assert response.status_code == 401, (case.operation.label, response.status_code, response.text)
            told.add(response.text)

        refused()
    assert len(told) == 1
