"""podman's generator of units, from Debian: this machine's podman may be too old to have it."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.lab.debian import private_apt
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
    """Unpack Debian's podman."""
    apt = private_apt(work, SUITE)
    _run([*apt, "update"], work)
    _run([*apt, "download", "podman"], work)
    (package,) = work.glob("podman_*.deb")
    _run(["dpkg-deb", "--extract", str(package), str(work / "root")], work)
    return work / "root"


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command[:1])} ...` failed: {done.stderr.strip()[-300:]}")
