"""promtool of Debian's package prometheus: this machine's, or one kept in the lab's cache."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.lab.rootfs import cache_directory

PATIENCE_S = 120.0


def promtool() -> str:
    """Return its path; root fetches it once. Raises FileNotFoundError."""
    if found := shutil.which("promtool"):
        return found
    kept = cache_directory() / "promtool" / "promtool"
    if not kept.exists():
        if os.geteuid() != 0:
            raise FileNotFoundError("no promtool here; apt-get install prometheus")
        _fetch(kept)
    return str(kept)


def _fetch(kept: Path) -> None:
    """Unpack the package, which installs and starts nothing."""
    work = kept.parent.with_name(f"promtool.{os.getpid()}")
    work.mkdir(parents=True)
    try:
        _run(["apt-get", "-q", "-oAPT::Sandbox::User=root", "download", "prometheus"], work)
        package = next(work.glob("prometheus_*.deb"))
        _run(["dpkg-deb", "-x", str(package), "root"], work)
        kept.parent.mkdir(exist_ok=True)
        (work / "root/usr/bin/promtool").rename(kept)
    except (OSError, subprocess.SubprocessError, StopIteration) as error:
        raise FileNotFoundError(f"no promtool: {error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _run(command: list[str], where: Path) -> None:
    subprocess.run(command, cwd=where, check=True, capture_output=True, timeout=PATIENCE_S)
