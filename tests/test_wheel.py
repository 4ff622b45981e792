"""Does the built wheel hold what the folders hold, and does it live beside a host's own package called `domain`?"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = ("domain", "projections", "adapters")

HOST = """
import domain, sys
import trackledger.adapters, trackledger.domain, trackledger.projections
from trackledger.adapters.cli import main
from trackledger.domain import Ledger
assert domain.OWNER == "the host"
for name in ("adapters", "projections"):
    try:
        __import__(name)
    except ModuleNotFoundError:
        continue
    raise SystemExit(f"{name} is importable")
for module in (trackledger.adapters, trackledger.domain, trackledger.projections, domain):
    assert module.__file__.startswith(sys.prefix), module.__file__
assert not hasattr(trackledger, "__file__") or trackledger.__file__ is None
"""


def uv(*args: str | Path, cwd: Path) -> None:
    """Run uv on what it has cached, or else with the registry."""
    program = os.environ.get("UV") or shutil.which("uv")
    if not program:
        pytest.skip("no uv on this machine")
    for offline in (["--offline"], []):
        done = subprocess.run([program, *offline, *args], cwd=cwd, capture_output=True, text=True)
        if done.returncode == 0:
            return
    pytest.fail(f"uv {args[0]} failed: {done.stderr}")


def test_the_wheel_holds_the_folders_and_lives_beside_a_hosts_own_domain(tmp_path: Path) -> None:
    uv("build", "--wheel", "--quiet", "--out-dir", tmp_path / "dist", ROOT, cwd=tmp_path)
    (wheel,) = (tmp_path / "dist").glob("*.whl")

    with ZipFile(wheel) as archive:
        packed = {name: archive.read(name) for name in archive.namelist() if ".dist-info/" not in name}
    on_disk = {
        path.relative_to(ROOT / layer).as_posix(): path.read_bytes()
        for layer in LAYERS
        for path in (ROOT / layer).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(packed) == sorted(on_disk)
    assert packed == on_disk
    assert {f"trackledger/{layer}/py.typed" for layer in LAYERS} <= packed.keys()
    assert "trackledger/__init__.py" not in packed

    uv("venv", "--quiet", "--python", sys.executable, tmp_path / "venv", cwd=tmp_path)
    scripts = tmp_path / "venv" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / Path(sys.executable).name
    uv("pip", "install", "--quiet", "--python", python, wheel, cwd=tmp_path)
    (site,) = (tmp_path / "venv").rglob("site-packages")
    assert not {"domain", "projections", "adapters"} & {path.name for path in site.iterdir()}
    (site / "domain").mkdir()
    (site / "domain" / "__init__.py").write_text('OWNER = "the host"\n')

    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    subprocess.run([python, "-c", HOST], cwd=tmp_path, env=clean, check=True)
    told = subprocess.run([scripts / "trackledger", "--help"], cwd=tmp_path, env=clean, check=True, capture_output=True)
    assert b"ingest" in told.stdout
    database = f"sqlite:///{tmp_path / 'ledger.db'}"
    message = ROOT / "tests/fixtures/clickpost/poll_failed_delivery.json"
    for args in (["ingest", "clickpost", message], ["status", "TL-20417"]):
        told = subprocess.run(
            [scripts / "trackledger", "--db", database, *args], cwd=tmp_path, env=clean, check=True, capture_output=True
        )
        assert b"7702913348051" in told.stdout
