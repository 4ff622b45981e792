"""A provider played on loopback: it answers what a test scripts and remembers what it was asked."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Asked:
    """One request: `params` has one text for each parameter, `headers` names in lower case."""

    method: str
    path: str
    params: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The JSON of the request's body."""
        return json.loads(self.body)


@dataclass
class Reply:
    """One scripted answer; `status` 0 closes the connection without one."""

    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        """The bytes that go out; anything but bytes is sent as JSON."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Scripted:
    """Answers in the order of the script; a request after its end is answered by `otherwise`, or 599, which no test
    scripts."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Asked] = []
        self.otherwise: Callable[[Asked], Any] = lambda asked: Reply(b"the script is over", 599)
        self._script: list[Reply] = []

    def answers(self, *script: Any) -> None:
        """What the next requests are answered; anything but a `Reply` is a JSON body with status 200."""
        self._script += [reply if isinstance(reply, Reply) else Reply(reply) for reply in script]

    def next(self, asked: Asked) -> Reply:
        """The answer to a request."""
        self.asked.append(asked)
        reply = self._script.pop(0) if self._script else self.otherwise(asked)
        return reply if isinstance(reply, Reply) else Reply(reply)


@contextmanager
def scripted() -> Generator[Scripted, None, None]:
    """A scripted provider on a port of its own."""
    played: Scripted

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            split = urlsplit(self.path)
            params = {name: values[0] for name, values in parse_qs(split.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", "0")))
            reply = played.next(Asked(self.command, split.path, params, headers, body))
            if reply.status == 0:
                self.close_connection = True
                return
            raw = reply.raw
            self.send_response(reply.status)
            for name, value in {"content-type": "application/json", **reply.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_one  # noqa: N815 (the names that http.server looks for)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the test looks at `asked`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    played = Scripted(f"http://127.0.0.1:{server.server_address[1]}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield played
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
