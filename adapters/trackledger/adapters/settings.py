"""How is this process configured? The only reader of the environment."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, Struct, field
from msgspec.structs import asdict, replace

from trackledger.adapters.clock import Clock
from trackledger.domain.errors import UsageError

if TYPE_CHECKING:
    from trackledger.adapters.configuration import Admission, Connection
    from trackledger.adapters.misconfigured import Place
    from trackledger.adapters.providers.asking import Access
    from trackledger.adapters.providers.verifying import Endpoint
    from trackledger.projections.conclusions import Policies

DATABASE = "sqlite:///trackledger.db"
CONFIGURATION = "trackledger.toml"

TOKEN_LENGTH = 24
"""Characters that a token has at least, so that nobody guesses it."""

FOLLOW_UP = {"rye": "aftership"}
"""Rye itself names AfterShip as one to ask about the numbers that it announces."""


Privacy = Literal["open", "sealed"]
"""Whether the free text of shipments that are opened from now on is stored in the open or sealed under their keys."""


class ProviderAccount(Struct, frozen=True):
    """How one account of ours is connected to one provider.

    `access` is None where the provider is not asked. `endpoints` maps the name in `/webhooks/{provider}/{name}` to what
    is accepted there. `context` goes with every message of this connection. `per_second` lowers the number of calls
    that the provider allows, 0 leaves it; with an address of its own, such as a rehearsal's, it may raise it too.
    """

    account: str
    provider: str
    access: "Access | None" = None
    endpoints: Mapping[str, "Endpoint"] = {}
    context: Mapping[str, str] = {}
    per_second: float = 0.0


class ServerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Where the server listens and what it bears: bytes of a body, requests in work at once, and requests a minute at
    one endpoint and with one token; above that it answers 413, 503 and 429."""

    host: Annotated[str, Meta(min_length=1, max_length=253, description="an address or a host name in quotes")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Meta(ge=0, le=65_535, description="a whole number from 0 to 65535")] = 8787
    max_body: Annotated[
        int, Meta(ge=1024, le=8 * 1024 * 1024, description="a whole number of bytes from 1024 to 8388608")
    ] = 2 * 1024 * 1024
    max_concurrent: Annotated[int, Meta(ge=1, le=10_000, description="a whole number from 1 to 10000")] = 256
    per_minute: Annotated[int, Meta(ge=1, le=10_000_000, description="a whole number from 1 to 10000000")] = 60_000
    api_per_minute: Annotated[int, Meta(ge=1, le=10_000_000, description="a whole number from 1 to 10000000")] = 6_000


class Retention(Struct, frozen=True):
    """How long raw messages are kept after they last arrived, by what became of them; None for ever."""

    done: timedelta | None = timedelta(days=180)
    ignored: timedelta | None = timedelta(days=30)
    parked: timedelta | None = None
    discarded: timedelta | None = timedelta(days=30)


class Proof(Struct, frozen=True):
    """How the ledger is sealed, and whose heads are believed.

    `key` is the private key from the environment variable `key_env`, empty where it is not there; `origin` is the name
    of the ledger in its heads, where it is not that of the key. `verifier_keys` are those of earlier keys and of others
    who seal.
    """

    origin: str = ""
    key_env: str = ""
    key: str = ""
    verifier_keys: tuple[str, ...] = ()
    seal_every: timedelta = timedelta(hours=1)

    def __repr__(self) -> str:
        """Without the key."""
        return f"Proof(origin={self.origin!r}, key_env={self.key_env!r}, verifier_keys={self.verifier_keys!r})"


Rights = Literal["read", "operate"]
"""Whether a token only reads, or also registers, notes, asks and acts."""


class Token(Struct, frozen=True):
    """Who may use the query API and the console, and for whose shipments: those of one account, and no others.

    `secret` is what the bearer sends. `raw` lets them see messages as they arrived, in which people are named.
    """

    name: str
    account: str
    rights: Rights
    secret: str
    raw: bool = False

    def __repr__(self) -> str:
        """Without the secret."""
        return f"Token(name={self.name!r}, account={self.account!r}, rights={self.rights!r}, raw={self.raw!r})"


class Settings(Struct, frozen=True):
    """`database` is the URL of the ledger; `allow_volatile` opens a PostgreSQL that can lose acknowledged events.

    `follow_up` says who is followed for the parcels of a provider that announces a number and tells no journey.
    `withdraws` are the providers whose answers are whole histories, in which a row that is missing was taken back:
    Shiplemon replaces a history as a whole; of the others' it is not documented. `policies` is None for our own.
    `privacy` is about shipments that are opened from now on; those that are there stay as they were opened. `actor` is
    who corrects by hand where nobody is named. Without `tokens`, nobody can use the query API and the console.
    """

    database: str = DATABASE
    allow_volatile: bool = False
    follow_up: Mapping[str, str] = field(default_factory=lambda: dict(FOLLOW_UP))
    withdraws: tuple[str, ...] = ("shiplemon",)
    privacy: Privacy = "open"
    accounts: tuple[ProviderAccount, ...] = ()
    tokens: tuple[Token, ...] = ()
    server: ServerSettings = ServerSettings()
    retention: Retention = Retention()
    proof: Proof = Proof()
    clock: Clock = Clock()
    policies: "Policies | None" = None
    actor: str = ""

    def __repr__(self) -> str:
        """Without the password that a database URL may hold."""
        shown = (f"{name}={value!r}" for name, value in asdict(self).items() if name != "database")
        return f"Settings({', '.join((f'database={without_password(self.database)!r}', *shown))})"


def from_environment(
    database: str | None = None,
    allow_volatile: bool = False,
    config: str | None = None,
    *,
    outside: bool = False,
    sealing: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """What was asked for explicitly, else what the environment says, else the configuration file, else the defaults.

    The database is `TRACKLEDGER_DB`, else `database` in the file, else `trackledger.db` in the working directory.
    `TRACKLEDGER_FOLLOW_UP` replaces the follow-up providers, as `rye=aftership`; `none` means nobody.
    `TRACKLEDGER_ACTOR` is who corrects by hand. Accounts and their secrets are resolved only for those who go
    `outside`, so that a missing one stops nobody else; and only those who are `sealing` miss the key for that. Raises
    `UsageError` for what cannot be, and for a secret that is not there.
    """
    file = configuration_file(config, environ)
    settings = Settings()
    if file is not None:
        from trackledger.adapters.configuration import load
        from trackledger.adapters.misconfigured import Place

        said = load(file)
        stated = {name: getattr(said, name) for name in ("database", "follow_up", "withdraws", "privacy", "policies")}
        settings = replace(
            settings,
            server=said.server,
            retention=said.retention,
            proof=_with_key(said.proof, environ, Place(str(file), "proof.key_env"), needed=sealing),
            clock=said.clock,
            accounts=tuple(connect(one, environ) for one in said.connections) if outside else (),
            tokens=tuple(admit(said.tokens, environ)) if outside else (),
            **{name: value for name, value in stated.items() if value is not None},
        )
    if follow_up := environ.get("TRACKLEDGER_FOLLOW_UP"):
        settings = replace(settings, follow_up={} if follow_up == "none" else _pairs(follow_up))
    url = database if database is not None else environ.get("TRACKLEDGER_DB") or settings.database
    actor = environ.get("TRACKLEDGER_ACTOR", "")
    return replace(settings, database=url, allow_volatile=allow_volatile, actor=actor)


def configuration_file(config: str | None = None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """The configuration file: the one asked for, else `TRACKLEDGER_CONFIG`, else `trackledger.toml` in the working
    directory if it is there. Raises `UsageError` where one is named and is no file."""
    named, by = (
        (config, "--config") if config is not None else (environ.get("TRACKLEDGER_CONFIG"), "TRACKLEDGER_CONFIG")
    )
    if named or config is not None:
        file = Path(named or "")
        if not file.is_file():
            raise UsageError(f"there is no configuration file {named!r}; correct {by}")
        return file
    return Path(CONFIGURATION) if Path(CONFIGURATION).is_file() else None


def connect(connection: "Connection", environ: Mapping[str, str] = os.environ) -> ProviderAccount:
    """An account at a provider, with the secrets that the configuration names.

    Raises `UsageError` for a secret that is not in the environment, naming the variable and the key that wants it, and
    for webhooks of a provider that sends none.
    """
    from pydantic import SecretStr

    from trackledger.adapters.providers import provider
    from trackledger.adapters.providers.asking import Access
    from trackledger.adapters.providers.verifying import Endpoint

    said, place = connection.said, connection.place

    def secret(variable: str, wanted_by: "Place") -> SecretStr:
        value = environ.get(variable, "").strip()
        if not value:
            raise wanted_by.wrong(f"names the environment variable {variable}, which is not set; set it to the secret")
        return SecretStr(value)

    if said.webhooks and not provider(connection.provider).abilities.push:
        raise place.key("webhooks").wrong(f"cannot be, as {connection.provider} sends none; remove it and set key_env")
    access = None
    if connection.asked and said.key_env:
        access = Access(secret(said.key_env, place.key("key_env")), said.user, said.url, said.options)
    endpoints = {
        hook.endpoint: Endpoint(
            tuple(secret(one, place.key("webhooks").item(at).key("secrets_env")) for one in hook.secrets_env),
            hook.header.lower(),
            hook.sender,
        )
        for at, hook in enumerate(said.webhooks)
    }
    per_second = said.per_second or 0.0
    return ProviderAccount(connection.account, connection.provider, access, endpoints, said.context, per_second)


def admit(admissions: "Iterable[Admission]", environ: Mapping[str, str] = os.environ) -> Iterator[Token]:
    """The tokens with the secrets that the configuration names.

    Raises `UsageError` at the first secret that is missing, can be guessed or cannot be sent in a header, or is that of
    an earlier one too: whose shipments its bearer sees would then be left to chance.
    """
    taken: dict[str, str] = {}
    for admission in admissions:
        said = admission.said
        named = f"names the environment variable {said.token_env}"
        place = admission.place.key("token_env")
        secret = environ.get(said.token_env, "").strip()
        if not secret:
            raise place.wrong(f"{named}, which is not set; set it to the token")
        if len(secret) < TOKEN_LENGTH or re.search(r"[^!-~]", secret):
            raise place.wrong(
                f"{named}, whose token is not {TOKEN_LENGTH} or more visible characters of ASCII; make one with "
                '`python -c "import secrets; print(secrets.token_urlsafe(32))"`'
            )
        if secret in taken:
            raise place.wrong(f"{named}, whose token is also that of {taken[secret]}; give each its own")
        taken[secret] = said.name
        yield Token(said.name, said.account, said.rights, secret, said.raw)


def _with_key(proof: Proof, environ: Mapping[str, str], place: "Place", *, needed: bool) -> Proof:
    """With the private key, where there is one; raises `UsageError` where there has to be."""
    key = environ.get(proof.key_env, "").strip() if proof.key_env else ""
    if proof.key_env and needed and not key:
        raise place.wrong(f"names the environment variable {proof.key_env}, which is not set; set it to the key")
    return replace(proof, key=key)


def without_password(url: str) -> str:
    """A database URL that may be shown: its password is `***`."""
    return re.sub(r"(?<=[?&])password=[^&]*", "password=***", re.sub(r"(://[^/?@]*?):.*@", r"\1:***@", url))


def _pairs(said: str) -> dict[str, str]:
    pairs = dict(pair.strip().partition("=")[::2] for pair in said.split(","))
    if not all(first and then for first, then in pairs.items()):
        raise UsageError(f"TRACKLEDGER_FOLLOW_UP is {said!r}; write provider=provider, or none")
    return pairs
