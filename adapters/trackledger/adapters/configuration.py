"""What may stand in the configuration file, and what does it say?

Reading it asks neither the environment nor the providers' modules: commands that need nothing of the outside load
nothing heavy, and miss no secret.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from msgspec import Meta, Struct
from msgspec.structs import astuple

from trackledger.adapters.clock import Clock
from trackledger.adapters.follow_up import FollowUp
from trackledger.adapters.misconfigured import Place, entries, looks_secret, read_toml, section, unknown
from trackledger.adapters.providers import PROVIDERS
from trackledger.adapters.settings import Privacy, Proof, Retention, Rights, ServerSettings
from trackledger.domain.checkpoints import tracker_key
from trackledger.domain.errors import InvalidStatement, UsageError

if TYPE_CHECKING:
    from trackledger.projections.conclusions import Policies

_URL = '"sqlite:///FILE" or "postgresql://…", in quotes'
_TEXT = "text of up to 1000 characters, in quotes"
Text = Annotated[str, Meta(max_length=1000, description=_TEXT)]
Variable = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Z_][A-Z0-9_]{0,127}\Z",
        description="the name of an environment variable in capitals, such as CLICKPOST_KEY; the secret itself does "
        "not belong into the file",
    ),
]
VerifierKey = Annotated[
    str,
    Meta(
        pattern=r"\A[^\s+]{1,200}\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}\Z",
        description="a verifier key, name+id+base64 in quotes, as `trackledger seal --new-key NAME` prints it",
    ),
]
EndpointName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9_-]{16,128}\Z",
        description="16 to 128 random characters of A-Z a-z 0-9 _ -, which nobody can guess; make one with "
        '`python -c "import secrets; print(secrets.token_urlsafe(24))"`',
    ),
]
_SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
_DAYS = 'a number of days above 0 and up to 36500, or "forever"'
Days = Annotated[Annotated[float, Meta(gt=0, le=36_500)] | Literal["forever"], Meta(description=_DAYS)]
Instant = Annotated[datetime, Meta(tz=True, description="a time with its zone, such as 2026-11-21T09:30:00Z")]
Table = Annotated[dict[str, Any], Meta(description="a table")]


class Webhooks(Struct, frozen=True, forbid_unknown_fields=True):
    """One endpoint at which a provider's messages are accepted."""

    endpoint: EndpointName
    secrets_env: Annotated[
        tuple[Variable, ...],
        Meta(
            min_length=1,
            max_length=10,
            description='a list of 1 to 10 names of environment variables, such as ["CLICKPOST_WEBHOOK_SECRET"]; the '
            "secrets themselves do not belong into the file",
        ),
    ]
    header: Annotated[
        str, Meta(pattern=r"\A[A-Za-z0-9-]{0,100}\Z", description="the name of an HTTP header, such as X-Secret")
    ] = ""
    sender: Text = ""


class AccountSection(Struct, frozen=True, forbid_unknown_fields=True):
    """One table `[accounts.NAME.PROVIDER]`."""

    key_env: Variable | None = None
    user: Text = ""
    url: Text = ""
    options: Table = {}
    context: Table = {}
    ask: Annotated[bool | None, Meta(description="true or false")] = None
    per_second: (
        Annotated[float, Meta(gt=0, le=1000, description="a number of calls per second above 0 and up to 1000")] | None
    ) = None
    webhooks: Annotated[
        tuple[Webhooks, ...],
        Meta(max_length=100, description="tables, each begun by [[accounts.NAME.PROVIDER.webhooks]]"),
    ] = ()


class Connection(Struct, frozen=True):
    """An account at a provider as the file says it at `place`, its secrets only named; `asked` says whether we call."""

    account: str
    provider: str
    said: AccountSection
    place: Place
    asked: bool


class TokenSection(Struct, frozen=True, forbid_unknown_fields=True):
    """One table `[[tokens]]`."""

    name: Annotated[
        str,
        Meta(
            pattern=r"\A[A-Za-z0-9._@-]{1,64}\Z", description="1 to 64 of the characters A-Z a-z 0-9 . _ @ -, in quotes"
        ),
    ]
    token_env: Variable
    account: Annotated[
        str, Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z", description="1 to 64 of the characters A-Z a-z 0-9 . _ -")
    ] = "default"
    rights: Annotated[Rights, Meta(description='"read" or "operate", in quotes')] = "read"
    raw: Annotated[bool, Meta(description="true or false")] = False


class Admission(Struct, frozen=True):
    """A token as the file says it at `place`, its secret only named."""

    said: TokenSection
    place: Place


class RetentionSection(Struct, frozen=True, forbid_unknown_fields=True):
    """Days by what became of a message."""

    done: Days = 180
    ignored: Days = 30
    parked: Days = "forever"
    discarded: Days = 30


class ProofSection(Struct, frozen=True, forbid_unknown_fields=True):
    """How the ledger is sealed and whose heads are believed."""

    origin: Annotated[
        str, Meta(pattern=r"\A[!-~]{0,200}\Z", description="a name of the ledger without blanks, in quotes")
    ] = ""
    key_env: Variable | None = None
    verifier_keys: Annotated[
        tuple[VerifierKey, ...],
        Meta(max_length=100, description="a list of verifier keys, as `trackledger seal --new-key NAME` prints them"),
    ] = ()
    seal_every: Annotated[
        str,
        Meta(pattern=r"\A[1-9][0-9]{0,4}(s|min|h|d)\Z", description='a span such as "15min", "1h" or "1d", in quotes'),
    ] = "1h"


class ClockSection(Struct, frozen=True, forbid_unknown_fields=True):
    """The clock of a rehearsal."""

    world: Instant
    real: Instant
    speed: Annotated[float, Meta(gt=0, le=1_000_000, description="a number above 0 and up to 1000000")] = 1.0
    ends: Instant | None = None


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    database: Annotated[
        str | None,
        Meta(description=_URL),
    ] = None
    withdraws: Annotated[tuple[str, ...] | None, Meta(description='a list of providers, such as ["shiplemon"]')] = None
    privacy: Annotated[Privacy | None, Meta(description='"open" or "sealed", in quotes')] = None
    follow_up: Annotated[dict[str, Any] | None, Meta(description='a table, such as { rye = "aftership" }')] = None
    server: Annotated[ServerSettings, Meta(description="a table")] = ServerSettings()
    retention: Annotated[RetentionSection, Meta(description="a table")] = RetentionSection()
    proof: Annotated[ProofSection, Meta(description="a table")] = ProofSection()
    clock: Annotated[ClockSection | None, Meta(description="a table")] = None
    tokens: Annotated[
        tuple[TokenSection, ...], Meta(max_length=1000, description="tables, each begun by [[tokens]]")
    ] = ()
    policies: Annotated[dict[str, Any] | None, Meta(description="a table")] = None
    accounts: Annotated[dict[str, Any], Meta(description="tables, each begun by [accounts.NAME.PROVIDER]")] = {}


class Configuration(Struct, frozen=True):
    """What the file says; None where it says nothing."""

    file: Path
    server: ServerSettings
    retention: Retention
    proof: Proof
    clock: Clock
    connections: tuple[Connection, ...]
    tokens: tuple[Admission, ...]
    database: str | None = None
    follow_up: Mapping[str, str] | None = None
    withdraws: tuple[str, ...] | None = None
    privacy: Privacy | None = None
    policies: "Policies | None" = None


def load(file: Path) -> Configuration:
    """What a configuration file says. Raises `UsageError`: one sentence with file, key and remedy, without a value."""
    place = Place(str(file))
    said = section(_File, read_toml(file, str(file)), place)
    policies = None
    if said.policies is not None:
        from trackledger.adapters.configured_policies import policies as read

        policies = read(said.policies, place.key("policies"))
    return Configuration(
        file,
        said.server,
        Retention(*map(_span, astuple(said.retention))),
        _proof(said.proof),
        Clock(said.clock.world, said.clock.real, said.clock.speed, said.clock.ends) if said.clock else Clock(),
        tuple(_connections(said.accounts, place.key("accounts"))),
        tuple(_admissions(said.tokens, place.key("tokens"))),
        None if said.database is None else _database(said.database, file, place.key("database")),
        None if said.follow_up is None else _follow_up(said.follow_up, place.key("follow_up")),
        None if said.withdraws is None else _providers(said.withdraws, place.key("withdraws")),
        said.privacy,
        policies,
    )


def _span(days: float | str) -> timedelta | None:
    return None if isinstance(days, str) else timedelta(days=days)


def _proof(said: ProofSection) -> Proof:
    unit = said.seal_every.lstrip("0123456789")
    every = timedelta(seconds=int(said.seal_every.removesuffix(unit)) * _SECONDS[unit])
    return Proof(said.origin, said.key_env or "", "", said.verifier_keys, every)


def _database(url: str, file: Path, place: Place) -> str:
    """The URL, a relative SQLite file taken from the folder of the configuration file: wherever a command is started,
    it is the same ledger."""
    kind, _, path = url.partition(":///")
    if kind == "sqlite" and path and not path.startswith(":"):
        return f"sqlite:///{file.absolute().parent / path}"
    if not url.startswith(("postgresql://", "postgres://")):
        raise place.wrong(f"has to be {_URL}")
    if has_password(url):
        raise place.wrong("holds a password; leave it out, and set the whole URL as TRACKLEDGER_DB, or PGPASSWORD")
    return url


def has_password(url: str) -> bool:
    """Whether a database URL contains a password."""
    address, _, query = url.partition("?")
    user, at, _ = address.partition("://")[2].rpartition("@")
    return bool(at and ":" in user) or any(part.startswith("password=") for part in query.split("&"))


def _providers(names: Iterable[str], place: Place) -> tuple[str, ...]:
    for name in names:
        if name not in PROVIDERS:
            raise unknown(name, PROVIDERS, place)
    return tuple(names)


def _follow_up(value: dict[str, Any], place: Place) -> dict[str, str]:
    pairs = entries(value, str, 'the name of a provider, or "none"', place)
    chosen = {first: then for first, then in pairs.items() if then != "none"}
    _providers(pairs, place)
    for first, then in chosen.items():
        try:
            FollowUp({first: then})
        except UsageError as error:
            raise place.key(first).wrong(f"cannot be: {error}") from None
    return chosen


def _admissions(tokens: Iterable[TokenSection], place: Place) -> Iterable[Admission]:
    names: set[str] = set()
    for at, said in enumerate(tokens):
        here = place.item(at)
        if said.name in names:
            raise here.key("name").wrong("is the name of another token too; it says who acted, so give each its own")
        names.add(said.name)
        yield Admission(said, here)


def _connections(accounts: dict[str, Any], place: Place) -> Iterable[Connection]:
    taken: dict[str, Place] = {}
    for account, providers in accounts.items():
        here = place.key(account)
        try:
            tracker_key(account, "any", "any")
        except InvalidStatement:
            raise here.wrong("is no name of an account; use 1 to 64 of the characters A-Z a-z 0-9 . _ -") from None
        for name, value in entries(providers, Any, "a table", here).items():
            if not isinstance(value, dict):
                raise here.key(name).wrong("is not within a provider; begin the table by [accounts.NAME.PROVIDER]")
            if name not in PROVIDERS:
                raise unknown(name, PROVIDERS, here)
            connection = _connection(account, name, value, here.key(name))
            for at, hook in enumerate(connection.said.webhooks):
                where = connection.place.key("webhooks").item(at).key("endpoint")
                if hook.endpoint in taken:
                    raise where.wrong(f"is the same as {taken[hook.endpoint].path}; give each endpoint its own name")
                taken[hook.endpoint] = where
            yield connection


def _connection(account: str, provider: str, value: Any, place: Place) -> Connection:
    said = section(AccountSection, value, place)
    for table in ("options", "context"):
        entries(getattr(said, table), Text, _TEXT, place.key(table))
    for name in said.options:
        if looks_secret(name):
            raise unknown(name, ["key_env"], place.key("options"))
    if said.url and not is_address(said.url):
        raise place.key("url").wrong(
            "has to be an address like https://host, without a user, a password or a query; http only on this machine"
        )
    if said.ask and said.key_env is None:
        raise place.key("ask").wrong("is true without a key; name the environment variable that holds it as key_env")
    asked = said.key_env is not None if said.ask is None else said.ask
    if not asked and not said.webhooks:
        raise place.wrong("would neither be asked nor listened to; give key_env or webhooks, or remove it")
    return Connection(account, provider, said, place, asked)


def is_address(url: str) -> bool:
    """Whether this is a base address to which a key may be sent: https, or http on the machine itself."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or parts.query or parts.fragment or not url.isascii() or not url.isprintable():
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in ("127.0.0.1", "::1", "localhost"))
