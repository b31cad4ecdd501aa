"""What this machine can do for the lab, and the packages it still needs.

It must never change the machine beyond installing Debian packages and loading kernel modules.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.lab.errors import LabError

OS_RELEASE = Path("/etc/os-release")
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")

# Where an Ubuntu machine finds Debian; on Debian the mirror is the one that apt already uses.
DEBIAN_MIRROR = "http://deb.debian.org/debian"

TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "ip": "iproute2",
    "mount": "mount",
    "unshare": "util-linux",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "modprobe": "kmod",
}
VRF_MODULES = ("vrf", "vxlan", "veth", "bridge", "cls_flower", "cls_matchall", "act_mirred")

Say = Callable[[str], None]


def prepare(say: Say) -> None:
    """Install what the lab needs on this machine.

    Raises LabError when not root, or when this is neither Debian nor Ubuntu.
    """
    if os.geteuid() != 0:
        raise LabError("The lab makes namespaces and root filesystems: run it as root.")
    if shutil.which("apt-get") is None or not _is_debian_like(os_release()):
        name = os_release().get("PRETTY_NAME", "something else")
        raise LabError(
            f"The lab is made of Debian packages: run it on Debian or Ubuntu, not {name}."
        )
    missing = {package for tool, package in TOOLS.items() if shutil.which(tool) is None}
    if not DEBIAN_KEYRING.exists():
        missing.add("debian-archive-keyring")
    if missing:
        _install(sorted(missing), say)


def os_release() -> Mapping[str, str]:
    lines = OS_RELEASE.read_text().splitlines() if OS_RELEASE.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key: value.strip("\"'") for key, value in pairs}


def mirror() -> str:
    """Return the Debian mirror: DUALPATH_LAB_MIRROR, or the first that apt uses here."""
    chosen = os.environ.get("DUALPATH_LAB_MIRROR")
    if chosen:
        return chosen
    if os_release().get("ID") != "debian":
        return DEBIAN_MIRROR
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for line in listing.splitlines():
        uri, release, component = line.rsplit(" ", 2)
        suites = {os_release().get("VERSION_CODENAME"), "stable", "testing", "unstable", "sid"}
        if component == "main" and release in suites:
            return uri.rstrip("/")
    return DEBIAN_MIRROR


def has_vrf() -> bool:
    """Tell whether this kernel makes VRF and VXLAN devices, by making them out of sight."""
    for module in VRF_MODULES:
        subprocess.run(["modprobe", "-q", module], capture_output=True, check=False)
    script = "ip link add v type vrf table 1 && ip link add x type vxlan id 1 dstport 4789"
    probe = subprocess.run(
        ["unshare", "--net", "sh", "-c", script], capture_output=True, check=False
    )
    return probe.returncode == 0


def require_vm() -> None:
    if platform.machine() != "x86_64":
        raise LabError(
            f"This kernel has no VRF devices, and the VMs that would help are for x86_64 only, "
            f"not {platform.machine()}: load the vrf module or use another kernel."
        )


def _is_debian_like(release: Mapping[str, str]) -> bool:
    family = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    return bool(family & {"debian", "ubuntu"})


def _install(packages: list[str], say: Say) -> None:
    say(f"installing {' '.join(packages)}")
    install = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    if _apt(install).returncode == 0:
        return
    _apt(["apt-get", "update"])  # a fresh machine has no package lists
    again = _apt(install)
    if again.returncode != 0:
        message = (again.stderr.strip().splitlines() or ["no message"])[-1]
        raise LabError(f"apt-get could not install {' '.join(packages)}: {message}")


def _apt(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
