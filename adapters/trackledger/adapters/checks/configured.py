"""Is the configuration right, and is every secret there? None is shown, and nobody outside is asked."""

from collections.abc import Iterator, Mapping, Sequence

from trackledger.adapters.checks import Check, refused, several
from trackledger.adapters.configuration import Admission, Configuration, Connection
from trackledger.adapters.providers import provider
from trackledger.adapters.settings import admit, connect
from trackledger.domain.errors import UsageError


def configuration(said: Configuration | None) -> Check:
    """Which file is in force, and how much of the outside it connects."""
    if said is None:
        remedy = "write one as `trackledger doctor --example` shows, to ask providers and to receive webhooks"
        return Check("configuration", "warning", "there is no file, so that nothing outside is connected", remedy)
    asked = sum(one.asked for one in said.connections)
    listened = sum(bool(one.said.webhooks) for one in said.connections)
    return Check(
        "configuration",
        "ok",
        f"{said.file}: {several(len(said.connections), 'account')} at providers, {asked} asked, {listened} listened to",
    )


def account(connection: Connection) -> Check:
    """Whether one account could be used: its secrets are there, and the provider's module takes them."""
    name = f"account {connection.account}.{connection.provider}"
    try:
        connected = connect(connection)
        if connected.access is not None:
            provider(connection.provider).client(connected.access).close()
    except UsageError as error:
        return refused(name, error)
    secrets = sum(len(endpoint.secrets) for endpoint in connected.endpoints.values())
    at = several(len(connected.endpoints), "endpoint")
    how = [
        *(["asked, its key is there"] if connected.access else []),
        *([f"listened to at {at}, {several(secrets, 'secret')} there"] if connected.endpoints else []),
    ]
    return Check(name, "ok", "; ".join(how))


def tokens(admissions: Sequence[Admission], connections: Sequence[Connection]) -> Check:
    """Whether anybody may use the query API and the console, and whether every token is there."""
    if not admissions:
        remedy = "admit somebody with a table [[tokens]] as `trackledger doctor --example` shows"
        served = any(one.said.webhooks for one in connections)
        says = "there is none, so that nobody may use the query API and the console"
        return Check("tokens", "warning", says, remedy) if served else Check("tokens", "ok", says)
    try:
        admitted = list(admit(admissions))
    except UsageError as error:
        return refused("tokens", error)
    whose = several(len({one.account for one in admitted}), "account")
    acting = sum(one.rights == "operate" for one in admitted)
    seeing = sum(one.raw for one in admitted)
    return Check(
        "tokens",
        "ok",
        f"{several(len(admitted), 'token')} of {whose}, {acting} to operate, {seeing} to see raw messages",
    )


def follow_up(then: Mapping[str, str], connections: Sequence[Connection]) -> Iterator[Check]:
    """Whether those who are followed instead of a provider are connected for the same account."""
    connected = {(one.account, one.provider) for one in connections}
    for one in connections:
        name = then.get(one.provider)
        if name and (one.account, name) not in connected:
            yield Check(
                "follow-up",
                "warning",
                f"the parcels of {one.account}.{one.provider} are to be followed at {name}, which is not connected",
                f"add [accounts.{one.account}.{name}], or set {one.provider} to another or none in [follow_up]",
            )
