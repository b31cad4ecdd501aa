"""What goes into the lab's root filesystems, and the keys that say when to make them again.

Pure: it reads pyproject.toml and decides; it makes nothing.
"""

import hashlib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

# Raise it when the way of building changes and the cached trees must not be used again.
GENERATION = "2"

FRR_AT_LEAST = (10, 7)

# What hosts run, and what stands at the far end of a fabric: none of it is the product's.
SPEAKER_PACKAGES = (
    "bird2",
    "gobgpd",
    "openvswitch-switch",
)

# frr wants a sysusers; without the standalone one it pulls in systemd, which fails in a chroot.
SYSTEM_PACKAGES = (
    "systemd-standalone-sysusers",
    "frr",
    "frr-pythontools",
    "user-mode-linux",
    "python3",
    "python3-venv",
    "iproute2",
    "iputils-ping",
    "iputils-arping",
    "tcpdump",
    "ethtool",
    "kmod",
    "mount",
    "util-linux",
    "procps",
    "less",
    "ca-certificates",
    *SPEAKER_PACKAGES,
)
OLD_FRR_PACKAGES = ("frr", "iproute2", "procps")

SYSTEM_DIRECTORIES = (
    "checkout",
    "dualpath",
    "artefacts",
    "lab",
    "opt/venv",
    "opt/frr84",
    "var/lib/frr",
)

# They check the code and generate some; scenarios do not need them.
NOT_IN_THE_LAB = re.compile(r"(ruff|mypy|grpcio-tools|types-)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tree:
    """One cached directory tree; `key` changes with whatever goes into it."""

    kind: str
    suite: str
    packages: tuple[str, ...]
    directories: tuple[str, ...] = ()  # made empty: mount points, as a tree is used read-only

    @property
    def name(self) -> str:
        return f"{self.kind}-{_digest(GENERATION, self.suite, *self.packages, *self.directories)}"


SYSTEM = Tree("system", "sid", SYSTEM_PACKAGES, SYSTEM_DIRECTORIES)
OLD_FRR = Tree("frr84", "bookworm", OLD_FRR_PACKAGES)


@dataclass(frozen=True, slots=True)
class Project:
    """What the lab takes from the project's pyproject.toml."""

    dependencies: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...]  # name, module:function

    @property
    def venv_name(self) -> str:
        return f"venv-{_digest(SYSTEM.name, *self.dependencies)}"


def read_project(pyproject: Path) -> Project:
    project = tomllib.loads(pyproject.read_text())["project"]
    development = project.get("optional-dependencies", {}).get("dev", [])
    wanted = {*project.get("dependencies", []), *development, "pytest"}
    return Project(
        dependencies=tuple(sorted(d for d in wanted if not NOT_IN_THE_LAB.match(d))),
        scripts=tuple(sorted(project.get("scripts", {}).items())),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
