"""Which version of a provider's mapping is this?"""

import re
from functools import cache
from hashlib import blake2b
from importlib.metadata import version as installed
from importlib.resources import files

from trackledger.adapters.providers import PROVIDERS

SHARED = ("reading", "reasons")
"""Modules that every provider reads messages with."""


@cache
def mapping(provider: str) -> str:
    """The version of this software and behind it what identifies the text of the modules that read the provider's
    messages, such as `1.4.0+5f0c9a31`. Whoever changes a table or a rule in them makes another version, unasked; those
    that only ask the provider, `…_client`, do not count."""
    own = re.compile(rf"{re.escape(provider)}(_(?!client\b)\w+)?\.py")
    digest = blake2b(digest_size=4)
    for module in sorted(files("trackledger.adapters.providers").iterdir(), key=lambda one: one.name):
        if own.fullmatch(module.name) or module.name.removesuffix(".py") in SHARED:
            digest.update(module.name.encode() + b"\0" + module.read_bytes() + b"\0")
    return f"{installed('trackledger')}+{digest.hexdigest()}"


def mappings() -> dict[str, str]:
    """The version of each provider's mapping."""
    return {provider: mapping(provider) for provider in PROVIDERS}
