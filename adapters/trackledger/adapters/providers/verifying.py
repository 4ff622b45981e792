"""Did the provider send this request?"""

import base64
import hashlib
import hmac
from collections.abc import Mapping

from msgspec import Struct
from pydantic import SecretStr

from trackledger.domain.errors import TrackledgerError


class Request(Struct, frozen=True):
    """One HTTP request to a webhook endpoint, before anything of it is parsed.

    `headers` has its names in lower case and its values as they came; `body` is the raw bytes.
    """

    body: bytes
    headers: Mapping[str, str] = {}
    method: str = "POST"


class Endpoint(Struct, frozen=True):
    """What one of our webhook endpoints accepts.

    `secrets` are all that are valid now, two while one replaces the other; none means that nothing is accepted.
    `header` is the header in which a provider that signs nothing sends the secret, where you chose another than its
    module's default. `sender` is the provider's id of your account, for those whose messages name it.
    """

    secrets: tuple[SecretStr, ...] = ()
    header: str = ""
    sender: str = ""


class Unverified(TrackledgerError):
    """The request is not proven to be the provider's. The text is the same whatever was wrong."""

    def __init__(self) -> None:
        super().__init__("the request is not authenticated")


def require_secret(endpoint: Endpoint, *offered: str | None) -> None:
    """Raises `Unverified` unless one of the offered texts is one of the endpoint's secrets.

    Every offer is compared with every secret, in a time that depends on neither.
    """
    digests = [hashlib.sha256(_bytes(text)).digest() for text in offered if text is not None]
    valid = [hashlib.sha256(_bytes(secret.get_secret_value())).digest() for secret in _usable(endpoint)]
    matches = [hmac.compare_digest(one, other) for one in digests for other in valid]
    if not any(matches):
        raise Unverified


def require_hmac(endpoint: Endpoint, body: bytes, signature: bytes | None) -> None:
    """Raises `Unverified` unless `signature` is the HMAC-SHA256 of the raw body under one of the endpoint's secrets,
    each taken as UTF-8 text and never decoded."""
    secrets = _usable(endpoint)
    expected = [hmac.new(_bytes(secret.get_secret_value()), body, hashlib.sha256).digest() for secret in secrets]
    matches = [hmac.compare_digest(signature or b"", one) for one in expected]
    if not any(matches):
        raise Unverified


def from_base64(text: str | None) -> bytes | None:
    """The bytes of a padded, standard base64 text in its only canonical spelling; None for any other."""
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True) if text else b""
    except ValueError:
        return None
    return decoded if decoded and base64.b64encode(decoded).decode() == text else None


def from_hex(text: str | None) -> bytes | None:
    """The bytes of a text of lower-case hexadecimal digits; None for any other."""
    try:
        decoded = bytes.fromhex(text or "")
    except ValueError:
        return None
    return decoded if decoded and decoded.hex() == text else None


def _usable(endpoint: Endpoint) -> list[SecretStr]:
    # An empty secret, as from an unset variable, would let everybody in.
    return [secret for secret in endpoint.secrets if secret.get_secret_value()]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
