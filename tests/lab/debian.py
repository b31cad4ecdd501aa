"""Packages of any Debian suite, fetched without touching this machine's own package lists."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.lab import host
from tests.lab.errors import LabError
from tests.lab.rootfs import cache_directory


def private_apt(work: Path, suite: str, *, sources: bool = False) -> list[str]:
    """Return an apt-get command that keeps its state in `work`; `sources`: also of sources."""
    for directory in ("lists/partial", "cache/archives/partial"):
        (work / directory).mkdir(parents=True)
    signed = f"check-valid-until=no signed-by={host.DEBIAN_KEYRING}"
    kinds = ("deb", "deb-src") if sources else ("deb",)
    lines = [f"{kind} [{signed}] {host.mirror()} {suite} main\n" for kind in kinds]
    (work / "sources.list").write_text("".join(lines))
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
            work = Path(name)
            (unpacked(private_apt(work, suite), work, package) / path).replace(final)
    return final


def unpacked(apt: Sequence[str], work: Path, *packages: str) -> Path:
    """Fetch packages into `work`, unpack them, and return where. Raises LabError."""
    run([*apt, "update"], work)
    run([*apt, "download", *packages], work)
    root = work / "root"
    root.mkdir()
    for package in sorted(work.glob("*.deb")):
        run(["dpkg-deb", "--extract", str(package), str(root)], work)
    return root


def run(
    command: Sequence[str], directory: Path, environment: Mapping[str, str] | None = None
) -> None:
    """Run a command. Raises LabError with the last that it printed."""
    done = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        said = done.stderr.strip()[-600:] or "it printed no reason"
        raise LabError(f"`{' '.join(command[:4])} ...` failed: {said}")
