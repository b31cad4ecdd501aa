"""podman's generator of units, from Debian: this machine's podman may be too old to have it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.lab import host
from tests.lab.errors import LabError
from tests.lab.rootfs import cache_directory

SUITE = "trixie"
PROGRAM = "usr/libexec/podman/quadlet"


def program() -> Path:
    """Return the program, fetching it if it is missing. Raises LabError."""
    final = cache_directory() / f"quadlet-{SUITE}"
    if not final.exists():
        final.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=final.parent, prefix="quadlet-") as name:
            (_fetched(Path(name)) / PROGRAM).replace(final)
    return final


def _fetched(work: Path) -> Path:
    """Unpack Debian's podman; apt has a state of its own, and this machine's stays as it is."""
    for directory in ("lists/partial", "cache/archives/partial", "root"):
        (work / directory).mkdir(parents=True)
    signed = f"check-valid-until=no signed-by={host.DEBIAN_KEYRING}"
    (work / "sources.list").write_text(f"deb [{signed}] {host.mirror()} {SUITE} main\n")
    state = {
        "Dir::State::lists": work / "lists",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": work / "cache",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/nonexistent",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in state.items())]
    _run([*apt, "update"], work)
    _run([*apt, "download", "podman"], work)
    (package,) = work.glob("podman_*.deb")
    _run(["dpkg-deb", "--extract", str(package), str(work / "root")], work)
    return work / "root"


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command[:1])} ...` failed: {done.stderr.strip()[-300:]}")
