"""containerd, runc and CNI plugins of Debian 12, unpacked once into the lab's cache.

Debian 12's, because it speaks both versions of CRI: Kubernetes 1.20 knows only the older one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.lab import debian
from tests.lab.host import Say
from tests.lab.rootfs import build_once, cache_directory

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
    build_once(final, "containerd and runc", "containers.lock", partial(_fetch, say), say)
    return Programs(final)


def _fetch(say: Say, part: Path, work: Path) -> None:
    say("fetching containerd and runc (40 MB)")
    debian.unpacked(debian.private_apt(work, SUITE), work, *PACKAGES).rename(part)
