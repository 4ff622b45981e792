"""The installed `trackledger run` in processes of its own, following a simulated world on one ledger."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from support.cli import installed
from trackledger.adapters.runtime import Runtime
from trackledger.adapters.simulator import handed_over
from trackledger.adapters.simulator.simulation import Running

START_SECONDS = 60.0

_SHORT = 0.001


def unused_port() -> int:
    """A port that stays free while nobody listens there: not one that an outgoing connection is given."""
    random = Random()
    while True:
        port = random.randrange(20_000, 32_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port


class Run:
    """One process; its log goes to a file."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: Path, log: Path) -> None:
        self.process = process
        self._said = said
        self._log = log

    @property
    def is_listening(self) -> bool:
        """Whether it says that it listens."""
        return self._said.read_text().startswith("listening on ")

    def await_start(self) -> None:
        """Return once it listens."""
        self.until(lambda: self.is_listening)

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._said.read_text().splitlines()[0].removeprefix("listening on ")

    def until(self, condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
        """Wait for something while it lives, looking very often, so that what follows is done right after."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"it has ended: {self.log()[-3000:]}"
            assert time.monotonic() < deadline, f"it never happened: {self.log()[-3000:]}"
            time.sleep(_SHORT)

    def kill(self) -> None:
        """End it as the kernel would."""
        self.process.kill()
        assert self.process.wait() == -signal.SIGKILL

    def kill_after(self, seconds: float) -> None:
        """End it so after so many seconds, whatever it does then."""
        time.sleep(seconds)
        self.kill()

    def kill_at(self, count: Callable[[], int], more: int, is_over: Callable[[], bool]) -> int:
        """End it so right after something has been done so many times more, or when there is no more to do; how often
        it was done."""
        before = count()
        self.until(lambda: count() >= before + more or (self.is_listening and is_over()))
        self.kill()
        return count() - before

    def end(self) -> int:
        """Tell it to end; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def log(self) -> str:
        """What it has written to its log."""
        return self._log.read_text("utf-8", errors="replace")


class Runs:
    """Processes that follow one simulation, started one after the other or side by side."""

    def __init__(self, running: Running, database: str, folder: Path) -> None:
        self._running = running
        self._database = database
        self._folder = folder
        self.all: list[Run] = []

    def start(self, port: int) -> Run:
        """Begin one that is to listen at this port."""
        name = self._folder / f"run-{len(self.all)}"
        config, said, log = (name.with_suffix(suffix) for suffix in (".toml", ".out", ".log"))
        config.write_text(handed_over.configuration(self._running, self._database, "127.0.0.1", port))
        environment = {**os.environ, **handed_over.environment(self._running)}
        with said.open("wb") as out, log.open("wb") as err:
            process = subprocess.Popen(
                [installed(), "--config", str(config), "run"], cwd=self._folder, env=environment, stdout=out, stderr=err
            )
        self.all.append(Run(process, said, log))
        return self.all[-1]


@contextmanager
def runs(running: Running, database: str, folder: Path) -> Iterator[Runs]:
    """Start such processes; none is left behind."""
    started = Runs(running, database, folder)
    try:
        yield started
    finally:
        for one in started.all:
            one.process.kill()
            one.process.wait()


def forget_the_dead(runtime: Runtime) -> None:
    """What dead processes were at work on is free at once, as if their claims and leases had run out; no other may be
    alive."""
    with runtime.database.transaction() as transaction:
        # Every row, whatever it says: what a dead one has just written is waited for. PostgreSQL may still be writing
        # it, row by row in an order of its own.
        if runtime.database.dialect == "postgresql":
            transaction.execute("LOCK TABLE {s}messages IN EXCLUSIVE MODE")
        transaction.execute("UPDATE {s}messages SET claimed_until = :past WHERE state = 'waiting'", past=_past())
        transaction.execute("UPDATE {s}poll_schedule SET leased_until = NULL")
        transaction.execute("UPDATE {s}poll_accounts SET sweep_leased_until = NULL")


def _past() -> datetime:
    return datetime(2020, 1, 1, tzinfo=UTC)
