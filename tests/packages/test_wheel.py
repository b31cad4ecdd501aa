"""pip installs the wheel without a compiler, and its programs run, on every supported Python."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from deploy.release import python_packages

pytestmark = pytest.mark.wheel

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
SUPPORTED = ["3.11", "3.12", "3.13", "3.14"]
EXTRAS = "kubernetes,operator,ui"
BINARIES = "--only-binary=:all:"  # a package that has no wheel is an error, not a build
PIP = ["-m", "pip", "--disable-pip-version-check"]
PATIENCE_S = 600.0


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def interpreter(version: str) -> Path | None:
    """Return a Python of this version that makes venvs: on the PATH, or one of pyenv's."""
    here = shutil.which(f"python{version}")
    candidates = [Path(here)] if here else []
    candidates += sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python{version}"))
    for path in candidates:
        check = [str(path), "-c", "import ensurepip, venv"]  # a shim of pyenv may start nothing
        if subprocess.run(check, capture_output=True, check=False).returncode == 0:
            return path
    return None


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("built")
    python_packages(out)
    (found,) = out.glob("*.whl")
    return found


@pytest.mark.parametrize("version", SUPPORTED)
def test_programs_of_the_wheel_run(version: str, wheel: Path, tmp_path: Path) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version} with venv")
    run(python, "-m", "venv", tmp_path)
    programs = tmp_path / "bin"
    run(programs / "python", *PIP, "install", "--quiet", BINARIES, f"{wheel}[{EXTRAS}]")
    for program in PROJECT["scripts"]:
        assert run(programs / program, "--version") == f"dualpath {PROJECT['version']}\n"
    assert "--datapath" in run(programs / "controller", "--help")
    example = CHECKOUT / "examples" / "one-tenant.yaml"
    assert "L3VNI/red" in run(programs / "dualpath", "validate", example)


@pytest.mark.parametrize("version", SUPPORTED)
def test_every_dependency_has_a_wheel(version: str, wheel: Path, tmp_path: Path) -> None:
    """pip resolves for a Python that this machine need not have; it installs nothing."""
    python = CHECKOUT / ".venv" / "bin" / "python"
    options = ["--dry-run", "--target", str(tmp_path), "--python-version", version, BINARIES]
    found = run(python, *PIP, "install", *options, f"{wheel}[{EXTRAS}]")
    assert f"dualpath-{PROJECT['version']}" in found
    assert "grpcio-1" in found
