"""Who asks, and what may they see and do?"""

from hashlib import sha256
from hmac import compare_digest

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from msgspec import Struct

from trackledger.adapters.http.problems import Problem
from trackledger.adapters.settings import Settings


class Principal(Struct, frozen=True):
    """Whoever holds a token: `name` is who acted in what they do, `account` whose shipments there are for them. Nothing
    of other accounts exists in their answers."""

    name: str
    account: str
    may_operate: bool
    may_see_raw: bool


class Principals:
    """Those who are admitted by the configuration, and how often they may ask."""

    def __init__(self, settings: Settings) -> None:
        self._admitted = [
            (
                _digest(token.secret),
                Principal(token.name, token.account, token.rights == "operate", token.raw),
            )
            for token in settings.tokens
        ]
        self._rate = RateLimitItemPerMinute(settings.server.api_per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def holder(self, secret: str) -> Principal | None:
        """Who holds this token; None where it is nobody's. It takes as long for a wrong one as for a right one."""
        digest = _digest(secret)
        found = [principal for admitted, principal in self._admitted if compare_digest(admitted, digest)]
        return found[0] if found else None

    def count(self, principal: Principal) -> None:
        """Count one request. Raises `Problem` (429) above what one token may ask in a minute."""
        if not self._limiter.hit(self._rate, principal.name):
            raise Problem(
                429,
                f"more than {self._rate.amount:,} requests came with this token within a minute; come back in a minute",
                headers={"retry-after": "60"},
            )


def _digest(secret: str) -> bytes:
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()
