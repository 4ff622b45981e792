"""How does an event that was stored in an older form become one of today's?"""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

State = dict[str, Any]
"""What a stored event holds, as JSON gives it: texts, numbers, lists and objects."""


class Upcast(Struct, frozen=True):
    """The step from one form of an event to the next: its topic, and its state in that form.

    `change` is pure: the same state gives the same one, whenever it is asked, and the state that it is given stays as
    it is.
    """

    topic: str
    change: Callable[[State], State]


UPCASTS: Mapping[str, Upcast] = {}
"""The topics that are no longer written, each with the step to its successor.

A form of an event that needs more than a further optional field gets a topic of its own (`shipment.Opened.v2`). From
then on the type is registered in `TOPICS` under the new one, and the old topic stands here. There is none yet.
"""


def upcast(topic: str, state: State, upcasts: Mapping[str, Upcast]) -> tuple[str, State]:
    """The newest form that leads on from a stored one: step by step until there is no further."""
    for _ in upcasts:
        step = upcasts.get(topic)
        if step is None:
            break
        topic, state = step.topic, step.change(state)
    return topic, state
