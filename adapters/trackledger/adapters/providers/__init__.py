"""Which providers do we understand? One module each; adding one is adding its line here."""

from importlib import import_module
from typing import cast

from trackledger.adapters.providers.base import Provider
from trackledger.domain.errors import UsageError

PROVIDERS = ("clickpost",)


def provider(name: str) -> Provider:
    """The provider of this name, loaded on first use. Raises `UsageError` naming those there are."""
    if name not in PROVIDERS:
        raise UsageError(f"provider {name!r} is unknown; use one of: {', '.join(PROVIDERS)}")
    return cast(Provider, import_module(f"{__name__}.{name}").PROVIDER)
