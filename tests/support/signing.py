"""How does each provider prove that a webhook is its own? The headers that it sends with a body."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping

Headers = dict[str, str]


def _digest(secret: str, body: bytes) -> bytes:
    return hmac.new(secret.encode(), body, hashlib.sha256).digest()


SIGNED: Mapping[str, Callable[[str, bytes], Headers]] = {
    "clickpost": lambda secret, body: {"webhook_key": secret},
    "ship24": lambda secret, body: {"authorization": f"Bearer {secret}"},
    "shippit": lambda secret, body: {"x-shippit-webhook-token": secret},
    "rye": lambda secret, body: {"rye-hmac-signature-v1": base64.b64encode(_digest(secret, body)).decode()},
    "rye v2": lambda secret, body: {"x-rye-signature": f"v0={_digest(secret, body).hex()}"},
    "aftership": lambda secret, body: {"aftership-hmac-sha256": base64.b64encode(_digest(secret, body)).decode()},
}
"""Provider, or a second way of one, to the headers that prove a body under a secret; names in lower case."""

OVER_THE_BODY = frozenset({"rye", "rye v2", "aftership"})
"""The ways that prove the body too, not only who sends it."""
