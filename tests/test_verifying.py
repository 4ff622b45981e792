"""Is a webhook accepted from its provider and from nobody else?"""

import base64
import hashlib
import hmac

import pytest
from pydantic import SecretStr

from trackledger.adapters.providers.verifying import (
    Endpoint,
    Unverified,
    from_base64,
    from_hex,
    require_hmac,
    require_secret,
)

NOW, BEFORE = SecretStr("now-5e1f"), SecretStr("before-77aa")
BODY = b'{"tag": "InTransit"}'


def signature(secret: SecretStr, body: bytes = BODY) -> bytes:
    return hmac.new(secret.get_secret_value().encode(), body, hashlib.sha256).digest()


def test_a_secret_is_accepted_while_it_is_one_of_the_endpoints() -> None:
    for secret in (NOW, BEFORE):
        require_secret(Endpoint((NOW, BEFORE)), None, secret.get_secret_value())
    with pytest.raises(Unverified):
        require_secret(Endpoint((NOW,)), BEFORE.get_secret_value())


@pytest.mark.parametrize("offered", [(), (None,), ("",), ("now-5e1",), ("now-5e1f ",), ("NOW-5E1F",), ("ß\ud800",)])
def test_any_other_secret_is_refused(offered: tuple[str | None, ...]) -> None:
    with pytest.raises(Unverified):
        require_secret(Endpoint((NOW, BEFORE)), *offered)


@pytest.mark.parametrize("secrets", [(), (SecretStr(""),)])
def test_without_a_secret_nothing_is_accepted(secrets: tuple[SecretStr, ...]) -> None:
    for offered in ("", "now-5e1f"):
        with pytest.raises(Unverified):
            require_secret(Endpoint(secrets), offered)
    with pytest.raises(Unverified):
        require_hmac(Endpoint(secrets), BODY, hmac.new(b"", BODY, hashlib.sha256).digest())


def test_a_signature_is_accepted_under_any_secret_of_the_endpoint() -> None:
    for secret in (NOW, BEFORE):
        require_hmac(Endpoint((NOW, BEFORE)), BODY, signature(secret))


def test_a_changed_body_signature_or_secret_is_refused() -> None:
    endpoint, good = Endpoint((NOW,)), signature(NOW)
    flipped = bytes([good[0] ^ 1]) + good[1:]
    for body, offered in (
        (BODY + b" ", good),
        (BODY, flipped),
        (BODY, good[:-1]),
        (BODY, signature(BEFORE)),
        (BODY, None),
    ):
        with pytest.raises(Unverified):
            require_hmac(endpoint, body, offered)


def test_every_refusal_reads_the_same() -> None:
    refusals = set()
    for secrets, offered in (((), "x"), ((NOW,), "x"), ((NOW,), None)):
        with pytest.raises(Unverified) as refused:
            require_secret(Endpoint(secrets), offered)
        refusals.add(str(refused.value))
    assert refusals == {"the request is not authenticated"}


def test_an_endpoint_never_shows_its_secrets() -> None:
    assert "5e1f" not in repr(Endpoint((NOW,)))


def test_base64_is_read_in_its_canonical_spelling_only() -> None:
    good = base64.b64encode(signature(NOW)).decode()
    assert from_base64(good) == signature(NOW)
    other_bits = good[:-2] + chr(ord(good[-2]) + 1) + "="
    for text in (None, "", good + "\n", good.rstrip("="), " " + good, good + "=", "ä" + good[1:], other_bits):
        assert from_base64(text) is None, text


def test_hex_is_read_in_lower_case_without_blanks_only() -> None:
    good = signature(NOW).hex()
    assert from_hex(good) == signature(NOW)
    for text in (None, "", good.upper(), good[:-1], f"{good[:2]} {good[2:]}", "0x" + good[2:], "é" + good[1:]):
        assert from_hex(text) is None, text
