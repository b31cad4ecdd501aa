"""Packages of any Debian suite, fetched without touching this machine's own package lists."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.lab import host
from tests.lab.errors import LabError
from tests.lab.rootfs import cache_directory


def private_apt(work: Path, suite: str) -> list[str]:
    """Return an apt-get command that keeps its state in `work`; make `work`/root to unpack into."""
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (work / directory).mkdir(parents=True)
    signed = f"check-valid-until=no signed-by={host.DEBIAN_KEYRING}"
    (work / "sources.list").write_text(f"deb [{signed}] {host.mirror()} {suite} main\n")
    state = {
        "Dir::State::lists": work / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/nonexistent",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return ["apt-get", "-q", *(f"-o{name}={value}" for name, value in state.items())]


def program(package: str, suite: str, path: str) -> Path:
    """Return a file of a package, fetching it if it is missing. Raises LabError."""
    final = cache_directory() / f"{Path(path).name}-{suite}"
    if not final.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=f"{package}-") as name:
            (_unpacked(Path(name), package, suite) / path).replace(final)
    return final


def _unpacked(work: Path, package: str, suite: str) -> Path:
    apt = private_apt(work, suite)
    _run([*apt, "update"], work)
    _run([*apt, "download", package], work)
    (found,) = work.glob(f"{package}_*.deb")
    _run(["dpkg-deb", "--extract", str(found), str(work / "root")], work)
    return work / "root"


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command[:1])} ...` failed: {done.stderr.strip()[-300:]}")
