"""Which files do the pages load, each kept by browsers for as long as it stays as it is?"""

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Response

from trackledger.adapters.http.problems import Problem

FOLDER = Path(__file__).parent / "static"
KEEP = "public, max-age=31536000, immutable"

TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}

ROUTER = APIRouter()


@lru_cache(maxsize=64)
def _digest(name: str) -> str:
    return sha256((FOLDER / name).read_bytes()).hexdigest()[:16]


def path(name: str) -> str:
    """The path of a file below the console, with the digest of what is in it."""
    return f"/static/{_digest(name)}/{name}"


@ROUTER.get("/static/{digest}/{name}")
def static_file(digest: str, name: str) -> Response:
    """One file. Whoever asks for another state of it is told that there is none."""
    if name not in {one.name for one in FOLDER.iterdir()} or digest != _digest(name):
        raise Problem(404, "there is no such file")
    file = FOLDER / name
    return Response(file.read_bytes(), headers={"cache-control": KEEP}, media_type=TYPES[file.suffix])
