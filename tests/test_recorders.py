"""Do both recorders pass the library's own tests?"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from uuid import uuid4

import pytest
from eventsourcing.persistence import AggregateRecorder, StoredEvent
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    NonInterleavingNotificationIDsBaseCase,
)

from trackledger.adapters.storage.database import Database
from trackledger.adapters.storage.recorder import Recorder


class AsAggregateRecorder(AggregateRecorder):
    """The recorder as the library tests one without notifications: it returns no ids."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> None:
        self._recorder.insert_events(stored_events, **kwargs)

    def select_events(self, originator_id: Any, **kwargs: Any) -> list[StoredEvent]:
        return list(self._recorder.select_events(originator_id, **kwargs))


class OnDatabase:
    """Runs a library test case on the database of the current parameter."""

    make: ClassVar[Callable[[Recorder], Any]]
    database: ClassVar[Database]

    def new_originator_id(self) -> str:
        return str(uuid4())

    def create_recorder(self) -> Any:
        return type(self).make(Recorder(type(self).database))


def _case(base: type[Any], make: Callable[[Recorder], Any]) -> type[Any]:
    return type("Case", (OnDatabase, base), {"make": staticmethod(make)})


CASES = [
    (_case(AggregateRecorderTestCase, AsAggregateRecorder), "test_insert_and_select"),
    (_case(AggregateRecorderTestCase, AsAggregateRecorder), "test_performance"),
    (_case(ApplicationRecorderTestCase, lambda recorder: recorder), "test_insert_select"),
    (_case(ApplicationRecorderTestCase, lambda recorder: recorder), "test_performance"),
    (_case(ApplicationRecorderTestCase, lambda recorder: recorder), "test_concurrent_no_conflicts"),
    (_case(ApplicationRecorderTestCase, lambda recorder: recorder), "test_concurrent_throughput"),
    (_case(ApplicationRecorderTestCase, lambda recorder: recorder), "optional_test_insert_subscribe"),
    (_case(NonInterleavingNotificationIDsBaseCase, lambda recorder: recorder), "test"),
]


@pytest.mark.parametrize(("case", "method"), CASES, ids=[f"{c.__mro__[2].__name__}-{m}" for c, m in CASES])
def test_library_recorder_case(case: type[Any], method: str, database: Database) -> None:
    case.database = database
    instance = case(method)
    getattr(instance, method)()
