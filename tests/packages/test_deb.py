"""The Debian packages as they were built, in roots of their releases: `make deb`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytestmark = pytest.mark.packages

CHECKOUT = Path(__file__).parents[2]
BUILT = CHECKOUT / "build" / "deb"
CACHE = Path(os.environ.get("DUALPATH_DEB_CACHE", "/var/cache/dualpath/deb"))
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
SUFFIXES = {"bookworm": "+deb12", "trixie": "+deb13", "sid": ""}
RELEASES = [release for release in SUFFIXES if (CACHE / release).is_dir()]
INSTALL = "apt-get update -qq && apt-get install -qq -y --no-install-recommends"

Run = Callable[[str], str]


def package(release: str) -> Path:
    version = PROJECT["version"] + SUFFIXES[release]
    (found,) = (path for path in BUILT.glob("*.deb") if path.name.split("_")[1] == version)
    return found


@contextmanager
def root_of(release: str, base: Path) -> Iterator[Path]:
    """Mount a fresh root of a release below `base`; what is changed in it is thrown away."""
    root, upper, work = (base / name for name in ("root", "upper", "work"))
    for path in (root, upper, work):
        path.mkdir()
    layers = f"lowerdir={CACHE / release},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, root], check=True)
    try:
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        yield root
    finally:
        subprocess.run(["umount", root], check=True)


@pytest.fixture(scope="module", params=RELEASES or ["none"])
def installed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Run]:
    """A fresh root of a release with the package."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for chroot")
    if not RELEASES:
        pytest.fail("nothing is built: make deb")

    def run(command: str) -> str:
        return subprocess.run(
            ["chroot", root, "sh", "-ec", command],
            env={"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", **os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    with root_of(request.param, tmp_path_factory.mktemp("root")) as root:
        shutil.copy(package(request.param), root / "tmp" / "dualpath.deb")
        run(f"{INSTALL} /tmp/dualpath.deb")
        yield run


def test_every_program_runs(installed: Run) -> None:
    programs = PROJECT["scripts"]
    assert len(programs) >= 7
    for program in programs:
        assert installed(f"{program} --version") == f"dualpath {PROJECT['version']}\n"


def test_examples_are_valid_manifests(installed: Run) -> None:
    table = installed("dualpath validate /usr/share/doc/dualpath/examples/one-tenant.yaml")
    assert re.search(r"^L3VNI/red +yes", table, re.MULTILINE)


def test_unit_names_programs_that_exist_and_is_not_enabled(installed: Run) -> None:
    unit = installed("cat /lib/systemd/system/dualpath.service")
    (program,) = re.findall(r"^ExecStart=(\S+)", unit, re.MULTILINE)
    drop_in = installed("cat /usr/share/dualpath/frr.service.d/dualpath.conf")
    (frr_exec,) = re.findall(r"^ExecStart=(\S+frr-exec)", drop_in, re.MULTILINE)
    assert installed(f"test -x {program} && test -x {frr_exec}") == ""
    assert "/opt/" not in unit + drop_in
    assert installed("find /etc/systemd -name '*dualpath*'") == ""


SOCKET = """
import os, socket
from pathlib import Path
from dualpath.rpc.listen import SOCKET_MODE, naming
from dualpath.rpc.socketname import SocketName

listener = socket.socket(socket.AF_UNIX)
with naming(SocketName(Path("/run/dualpath/inspect.sock"), SOCKET_MODE)) as path:
    listener.bind(str(path))
listener.listen()
if not os.fork():
    os.setgroups([int(os.environ["GROUP"])] if os.environ["GROUP"] else [])
    os.setgid(65534)
    os.setuid(65534)
    socket.socket(socket.AF_UNIX).connect("/run/dualpath/inspect.sock")
    os._exit(0)
print(os.wait()[1] >> 8)
"""


def test_members_of_the_group_may_ask_and_others_may_not(installed: Run) -> None:
    unit = installed("cat /lib/systemd/system/dualpath.service")
    (group,) = re.findall(r"^Group=(\S+)", unit, re.MULTILINE)
    number = installed(f"getent group {group} | cut -d: -f3").strip()
    asks = f"setpriv --regid {group} --clear-groups /usr/lib/dualpath/bin/python3 -c '{SOCKET}'"
    try:
        assert installed(f"GROUP={number} {asks} 2>&1").strip() == "0"
        assert "Permission denied" in installed(f"GROUP= {asks} 2>&1")
    finally:
        installed("rm -rf /run/dualpath")


def test_manual_and_completion_are_there(installed: Run) -> None:
    assert "dualpath-status.1.gz" in installed("ls /usr/share/man/man1")
    assert "__complete" in installed("cat /usr/share/bash-completion/completions/dualpath")


def test_reinstalling_changes_nothing_and_purging_leaves_nothing(installed: Run) -> None:
    listing = "find / -xdev -path /proc -prune -o -path /tmp -prune -o -name '*dualpath*' -print"
    before = installed(listing)
    installed("apt-get install -qq -y --reinstall --no-install-recommends /tmp/dualpath.deb")
    assert installed(listing) == before
    installed("mkdir -p /var/lib/dualpath && apt-get purge -qq -y dualpath")
    left = installed(listing).split()
    assert [path for path in left if not path.startswith(("/var/log/", "/var/cache/"))] == []
