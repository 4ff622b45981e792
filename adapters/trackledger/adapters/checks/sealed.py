"""Is the ledger sealed, as it is configured?"""

from datetime import datetime

from trackledger.adapters.checks import Check, refused, several
from trackledger.adapters.checks.line import span
from trackledger.adapters.proof.heads import trust
from trackledger.adapters.proof.sealer import newest_head
from trackledger.adapters.settings import Proof
from trackledger.adapters.storage.database import Database
from trackledger.domain.errors import Refused, UsageError

LATE = 3
"""Times the configured span after which a sealer is missed."""


def configured(proof: Proof) -> Check:
    """Whether the key is there and all keys are such."""
    try:
        keys = trust(proof).keys
    except UsageError as error:
        return refused("proof", error)
    if proof.key_env and not proof.key:
        says = f"proof.key_env names the environment variable {proof.key_env}, which is not set"
        return Check("proof", "failed", says, "set it to the key")
    if not keys:
        return Check("proof", "ok", "no key is configured, so that nothing is sealed")
    sealed = f"sealed every {span(proof.seal_every)}, the key is there" if proof.key else "not sealed from here"
    return Check("proof", "ok", f"{sealed}; heads of {several(len(keys), 'key')} are believed")


def newest(database: Database, proof: Proof, now: datetime) -> Check:
    """How much is sealed, and whether that is done as often as it should be. `now` is the machine's."""
    try:
        head = newest_head(database)
    except Refused as error:
        return refused("seal", error)
    sealed = head.size if head else 0
    found = database.tuples("SELECT COALESCE(MAX(notification_id), 0) FROM {s}stored_events")
    says = f"{several(sealed, 'event')} sealed, {int(found[0][0]) - sealed:,} not yet"
    if head and found[0][0] > sealed and proof.key and now - head.sealed_at > LATE * proof.seal_every:
        remedy = "see that `trackledger run` works, or run `trackledger seal`"
        return Check("seal", "warning", f"{says}, the last time {span(now - head.sealed_at)} ago", remedy)
    return Check("seal", "ok", says)
