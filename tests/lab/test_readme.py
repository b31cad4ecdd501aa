"""README's way onto a node, command by command, on a file system as the packages left it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.frr import Settings
from tests.lab.processes import run
from tests.lab.scenario import Scenario
from tests.lab.waiting import wait_until

pytestmark = pytest.mark.lab

CHECKOUT = Path(__file__).parents[2]
INSTALLED = re.compile(
    r"python3 -m venv|pip install|^ln -sf|^/usr/lib/frr/frrinit.sh stop", re.MULTILINE
)
SPINE = """\
hostname lab
router bgp 65000
 bgp router-id 10.254.0.1
 no bgp ebgp-requires-policy
 neighbor 192.168.1.1 remote-as 65001
 neighbor 192.168.1.1 timers 3 9
 address-family l2vpn evpn
  neighbor 192.168.1.1 activate
 exit-address-family
exit
"""


@pytest.fixture
def etc(tmp_path: Path) -> Iterator[Path]:
    """/etc as Debian's packages made it, writable, with /etc/frr of the package."""
    below = tmp_path / "below"
    below.mkdir()
    run(["mount", "--bind", "/", str(below)])  # without what is mounted on it
    shutil.copytree(below / "etc", tmp_path / "etc", symlinks=True)
    shutil.chown(tmp_path / "etc/frr", "frr", "frr")  # copytree keeps modes, and no owners
    run(["umount", str(below)])
    run(["mount", "--bind", str(tmp_path / "etc"), "/etc"])
    for directory in ("/run/frr", "/var/log/frr", "/var/lib/frr"):  # the package's tmpfiles.d
        run(["install", "-d", "-o", "frr", "-g", "frr", directory])
    yield Path("/etc")
    run(["umount", "--lazy", "/etc"])


def blocks(heading: str) -> list[str]:
    """Return the commands of each fenced block below a heading of the README."""
    text = (CHECKOUT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def shell(commands: str) -> str:
    return run(["bash", "-euc", commands], timeout_s=120.0)


def test_readmes_commands_make_a_node(lab: Scenario, etc: Path) -> None:
    install, manifest, controller, frr, look = blocks("Run it on a node")
    spine = lab.namespace("spine")
    run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "e1", "netns", "spine"])
    run(["ip", "address", "add", "192.168.1.1/31", "dev", "eth1"])
    run(["ip", "link", "set", "eth1", "up"])
    spine.ip_batch("address add 192.168.1.0/31 dev e1", "link set e1 up")
    lab.frr("spine", spine, Settings(configuration=SPINE)).start()

    packages, *rest = install.splitlines()
    for package in packages.removeprefix("apt-get install -y ").split():
        run(["dpkg", "--status", package])  # the lab's tree was made with them
    assert all(INSTALLED.search(line) for line in rest), "the lab installs these its own way"
    shell(manifest)
    daemon = lab.daemon("readme-controller", controller.split())
    daemon.start()
    wait_until(lambda: Path("/run/netns/frr").exists(), "FRR's namespace", 60)
    wait_until(lambda: (etc / "frr/frr.conf").exists(), "frr.conf", 60)
    edit, start = frr.rsplit("\n", 2)[0], frr.strip().splitlines()[-1]
    shell(edit)
    once = (etc / "frr/daemons").read_text()
    shell(edit)
    assert (etc / "frr/daemons").read_text() == once
    assert "dplane_fpm_nl -K20" in once
    shell(f"{start} >/tmp/frrinit.log 2>&1")  # FRR's daemons keep it open
    try:
        wait_until(lambda: Path("/run/frr/bgpd.vty").exists(), "bgpd; see /tmp/frrinit.log", 30)
        wait_until(lambda: "ready       yes" in shell("dualpath status"), "ready", 120, every_s=1.0)
        shown = [shell(line.removeprefix("$ ")) for line in look.splitlines() if line[:1] == "$"]
        assert "192.168.1.0" in shown[-1]
    finally:
        shell(start.replace(" start", " stop"))
