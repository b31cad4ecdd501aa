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

AT_LEAST = {"frr": (10, 7), "grout": (0, 19)}

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
    "grout",
    "grout-headers",
    "librte-meta-bus",  # grout wants DPDK's drivers, and only recommends them
    "librte-meta-mempool",
    "librte-meta-net",
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
FRR_PACKAGES = ("systemd-standalone-sysusers", "frr", "frr-pythontools", "iproute2", "procps")
# The kernel has ext4, virtio and virtiofs built in, and VRF and VXLAN as modules.
MACHINE_PACKAGES = ("qemu-system-x86", "virtiofsd", "linux-image-cloud-amd64")
# A node with systemd, which runs the product before a kubelet: its images by podman, or its units.
DAY0_PACKAGES = (
    "frr",
    "frr-pythontools",
    "python3",
    "systemd",
    "systemd-sysv",
    "dbus",
    "podman",
    "crun",
    "netavark",
    "catatonit",
    "user-mode-linux",
    "iproute2",
    "iputils-ping",
    "kmod",
    "mount",
    "util-linux",
    "procps",
)

SYSTEM_DIRECTORIES = (
    "checkout",
    "dualpath",
    "artefacts",
    "lab",
    "opt/venv",
    "opt/frr-8.4",
    "opt/frr-10.3",
    "var/lib/frr",
    "usr/lib/modules",
)
DAY0_DIRECTORIES = ("images", "lab", "usr/lib/modules")
MACHINE_DIRECTORIES = ("mnt", "proc", "dev", "run")

# They check the code and generate some; scenarios do not need them.
NOT_IN_THE_LAB = re.compile(r"(ruff|mypy|grpcio-tools|types-)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tree:
    """One cached directory tree; `key` changes with whatever goes into it."""

    kind: str
    suite: str
    packages: tuple[str, ...]
    directories: tuple[str, ...] = ()  # made empty: mount points, as a tree is used read-only
    variant: str = "apt"  # mmdebstrap's; "extract" only unpacks, so that nothing is configured

    @property
    def name(self) -> str:
        recipe = (GENERATION, self.suite, self.variant, *self.packages, *self.directories)
        return f"{self.kind}-{_digest(*recipe)}"


SYSTEM = Tree("system", "sid", SYSTEM_PACKAGES, SYSTEM_DIRECTORIES)
FRR_8_4 = Tree("frr84", "bookworm", FRR_PACKAGES)
FRR_10_3 = Tree("frr103", "trixie", FRR_PACKAGES)
DAY0 = Tree("day0", "sid", DAY0_PACKAGES, DAY0_DIRECTORIES)
MACHINE = Tree("qemu", "sid", MACHINE_PACKAGES, MACHINE_DIRECTORIES, "extract")


@dataclass(frozen=True, slots=True)
class Project:
    """What the lab takes from the project's pyproject.toml."""

    dependencies: tuple[str, ...]
    scripts: tuple[tuple[str, str], ...]  # name, module:function
    name: str = "dualpath"
    version: str = "0"

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
        name=project.get("name", "dualpath"),
        version=project.get("version", "0"),
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
