"""containerd, runc and CNI plugins of Debian 12, unpacked once into the lab's cache.

Debian 12's, because it speaks both versions of CRI: Kubernetes 1.20 knows only the older one.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.lab import host
from tests.lab.debian import private_apt
from tests.lab.errors import LabError
from tests.lab.host import Say
from tests.lab.rootfs import cache_directory

SUITE = "bookworm"
PACKAGES = ("containerd", "runc", "containernetworking-plugins", "catatonit")
GENERATION = "1"


@dataclass(frozen=True, slots=True)
class Programs:
    """A tree of programs, which is never changed."""

    root: Path

    @property
    def path(self) -> str:
        """The directories of programs, as in PATH."""
        return f"{self.root}/usr/sbin:{self.root}/usr/bin"

    @property
    def containerd(self) -> str:
        return str(self.root / "usr/bin/containerd")

    @property
    def ctr(self) -> str:
        return str(self.root / "usr/bin/ctr")

    @property
    def runc(self) -> str:
        return str(self.root / "usr/sbin/runc")

    @property
    def plugins(self) -> Path:
        return self.root / "usr/lib/cni"

    @property
    def pause(self) -> Path:
        """A static program that waits; the first process of a pod."""
        return self.root / "usr/bin/catatonit"


def programs(say: Say) -> Programs:
    """Return the programs, fetching them if they are missing. Raises LabError."""
    key = hashlib.sha256("\0".join((GENERATION, SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    final = cache_directory() / f"containers-{key}"
    if not final.is_dir():
        host.prepare(say)
        say("fetching containerd and runc (40 MB)")
        work = final.with_suffix(".work")
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        _unpack(work)
        (work / "root").rename(final)
        shutil.rmtree(work)
    return Programs(final)


def _unpack(work: Path) -> None:
    """Unpack the packages into work/root."""
    apt = private_apt(work, SUITE)
    _run([*apt, "update"], work)
    _run([*apt, "download", *PACKAGES], work)
    for package in sorted(work.glob("*.deb")):
        _run(["dpkg-deb", "--extract", str(package), str(work / "root")], work)


def _run(command: list[str], directory: Path) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"`{' '.join(command[:2])} ...` failed: {done.stderr.strip()[-300:]}")
