"""A ledger behind the query API, asked over a real socket with one of several tokens."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from msgspec import Struct
from msgspec.structs import replace

from trackledger.adapters.http import create_app
from trackledger.adapters.http.serving import serving
from trackledger.adapters.runtime import Runtime, open_runtime
from trackledger.adapters.settings import Settings, Token

TOKENS = (
    Token("reader", "default", "read", "reader-" + "r" * 24),
    Token("operator", "default", "operate", "operator-" + "o" * 24, raw=True),
    Token("stranger", "elsewhere", "operate", "stranger-" + "s" * 24, raw=True),
)
SECRETS = {token.name: token.secret for token in TOKENS}


class Api(Struct):
    """The running server, its ledger, and a client that talks to it."""

    runtime: Runtime
    client: httpx.Client
    url: str

    def get(self, path: str, who: str = "reader", accept: str = "application/json", **params: Any) -> httpx.Response:
        """Ask as the holder of a token."""
        return self.client.get(
            path, params=params, headers={"authorization": f"Bearer {SECRETS[who]}", "accept": accept}
        )

    def answer(self, path: str, who: str = "reader", **params: Any) -> Any:
        """The good answer."""
        response = self.get(path, who, **params)
        assert response.status_code == 200, response.text
        return response.json()

    def items(self, path: str, who: str = "reader", **params: Any) -> list[dict[str, Any]]:
        """The rows on the first page."""
        found: list[dict[str, Any]] = self.answer(path, who, **params)["items"]
        return found

    def pages(self, path: str, who: str = "reader", **params: Any) -> list[list[dict[str, Any]]]:
        """The rows of every page."""
        pages = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.answer(path, who, **params, **cursor)
            pages.append(answer["items"])
            if answer["next"] is None:
                return pages
            cursor = {"cursor": answer["next"]}

    def post(
        self, path: str, body: Any, who: str = "operator", headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Tell something to do as the holder of a token."""
        return self.client.post(path, json=body, headers={"authorization": f"Bearer {SECRETS[who]}", **(headers or {})})


@contextmanager
def asked(url: str, settings: Settings | None = None) -> Generator[Api]:
    """Serve the ledger at a database URL until the end of the block."""
    with (
        open_runtime(replace(settings or Settings(), database=url, tokens=TOKENS)) as runtime,
        serving(create_app(runtime), grace=1) as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield Api(runtime, client, address)


def refused(response: httpx.Response, status: int, parameter: str | None = None) -> str:
    """The sentence of a refusal, which is told as problem details and names the parameter."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == "about:blank" and problem["status"] == status and problem["title"]
    assert problem.get("parameter") == parameter, problem
    detail: str = problem["detail"]
    return detail
