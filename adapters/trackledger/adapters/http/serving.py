"""How is the application offered on a socket?"""

import signal
import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from trackledger.domain.errors import UsageError

GRACE_SECONDS = 20
"""How long a server that is told to stop goes on answering what it has accepted."""

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any that is free. Raises `UsageError` for an address that cannot be had."""
    try:
        return socket.create_server((host, port), backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on ({error}); choose another with --host or --port"
        ) from None


def address(listening: socket.socket) -> str:
    """The base URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def serve(app: ASGIApp, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve from the main thread until SIGINT or SIGTERM, then answer what was accepted and return; `ready` is called
    once a signal ends it so."""
    server = _server(app)

    def end(*_: object) -> None:
        # Also heard before the server listens to signals itself, and when it raises them once more after it has ended.
        server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    ready()
    server.run(sockets=[listening])


def _server(app: ASGIApp, grace: int = GRACE_SECONDS) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            backlog=BACKLOG,
            timeout_keep_alive=20,
            timeout_graceful_shutdown=grace,
            server_header=False,
            ws="none",
        )
    )


@contextmanager
def serving(app: ASGIApp, port: int = 0, grace: int = GRACE_SECONDS) -> Generator[str]:
    """Serve on loopback from another thread until the end of the block, which begins once requests are answered; gives
    the URL. After the block, requests that are being answered have so many seconds of `grace`."""
    with listen("127.0.0.1", port) as listening:
        running = _server(app, grace)
        thread = Thread(target=running.run, kwargs={"sockets": [listening]}, name="server", daemon=True)
        thread.start()
        while not running.started and thread.is_alive():
            thread.join(0.01)
        try:
            yield address(listening)
        finally:
            running.should_exit = True
            thread.join()
