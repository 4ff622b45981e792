"""How does a file come into being as a whole or not at all?"""

import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from typing import BinaryIO

from trackledger.domain.errors import Refused, UsageError

PRIVATE = 0o600
COMMON = 0o666


@contextmanager
def whole_file(path: Path, *, force: bool = False, mode: int = COMMON) -> Generator[BinaryIO]:
    """A file that gets its name at the end of the block, once it is on the disk; by an exception it is gone.

    `mode` are its permissions, less those that the process does not give. Raises `UsageError` where something is in
    the way, unless it is a file and `force` is true, and `Refused` for a place that cannot be written to.
    """
    path = path.resolve()  # what a symbolic link leads to is replaced, not the link
    _require_free(path, force)
    part = _beside(path)
    with _told(path):
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _require_free(path, force)
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


@contextmanager
def whole_folder(path: Path, *, mode: int = COMMON) -> Generator[Callable[[str], BinaryIO]]:
    """A folder that gets its name at the end of the block, with the files that were opened in it by name.

    Raises as `whole_file` does; an empty folder is not in the way.
    """
    path = path.resolve()
    _require_empty(path)
    part = _beside(path)
    opened: list[BinaryIO] = []

    def new_file(name: str) -> BinaryIO:
        opened.append(os.fdopen(os.open(part / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb"))
        return opened[-1]

    with _told(path):
        part.mkdir()
        try:
            yield new_file
            for file in opened:
                file.flush()
                os.fsync(file.fileno())
                file.close()
            _require_empty(path)
            part.replace(path)
        except BaseException:
            for file in opened:
                file.close()
            rmtree(part, ignore_errors=True)
            raise


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name[:200]}.{token_hex(4)}.part")


def _require_free(path: Path, force: bool) -> None:
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is no file; name one with --out")
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; name another file with --out, or replace it with --force")


def _require_empty(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        what = "holds files already" if path.is_dir() else "is no folder"
        raise UsageError(f"{path} {what}; name a new folder with --out")


@contextmanager
def _told(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror or error}; name another place with --out") from error
