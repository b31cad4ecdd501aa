"""The commands of README and docs, block by block, on a freshly installed file system."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.documented import CHECKOUT, RUN, Key, block
from tests.lab.frr import Settings
from tests.lab.processes import run
from tests.lab.scenario import Scenario
from tests.lab.waiting import SLOWNESS, wait_until

pytestmark = pytest.mark.lab

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


class Reader:
    """A user who types the commands of the pages, block by block."""

    def __init__(self) -> None:
        self.ran: list[Key] = []

    def commands(self, page: str, first: str) -> str:
        """Return a block's commands, which another process runs."""
        [key] = [key for key in RUN if key[0] == page and key[1].startswith(first)]
        self.ran.append(key)
        return block(key).commands

    def types(self, page: str, first: str, *, code: int = 0) -> str:
        """Run a block that ends with this exit code; return its output."""
        commands = self.commands(page, first)
        done = subprocess.run(
            ["bash", "-euc", commands],
            capture_output=True,
            text=True,
            check=False,
            timeout=120 * SLOWNESS,
        )
        assert done.returncode == code, f"{commands}: {done.stdout}{done.stderr}"
        return done.stdout


def shell(commands: str) -> str:
    return run(["bash", "-euc", commands], timeout_s=120.0)


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(CHECKOUT)


def fabric_neighbor(lab: Scenario) -> None:
    """Create the example's neighbor at the other end of eth1."""
    spine = lab.namespace("spine")
    run(["ip", "link", "add", "eth1", "type", "veth", "peer", "name", "e1", "netns", "spine"])
    run(["ip", "address", "add", "192.168.1.1/31", "dev", "eth1"])
    run(["ip", "link", "set", "eth1", "up"])
    spine.ip_batch("address add 192.168.1.0/31 dev e1", "link set e1 up")
    lab.frr("spine", spine, Settings(configuration=SPINE)).start()


def test_documented_commands_set_up_a_node_and_remove_it(
    lab: Scenario, etc: Path, checkout: None
) -> None:
    reader = Reader()
    fabric_neighbor(lab)
    packages, *rest = reader.commands("README.md", "apt-get install").splitlines()
    for package in packages.removeprefix("apt-get install -y ").split():
        run(["dpkg", "--status", package])  # the lab's tree was made with them
    assert all(INSTALLED.search(line) for line in rest), "the lab installs these its own way"
    reader.types("README.md", "mkdir -p /etc/dualpath")

    before = links()
    told = reader.types(
        "README.md", "controller --datapath=kernel --config /etc/dualpath --dry", code=3
    )
    assert links() == before
    assert not Path("/run/netns/frr").exists()
    assert "move      nic       eth1" in told
    command = reader.commands(
        "README.md", "controller --datapath=kernel --config /etc/dualpath --conf"
    )
    daemon = lab.daemon("readme-controller", command.split())
    daemon.start()
    wait_until(lambda: Path("/run/dualpath/unconfirmed.json").exists(), "a trial", 60)
    wait_until(lambda: Path("/run/netns/frr").exists(), "FRR's namespace", 60)
    assert reader.types("README.md", "dualpath confirm") == "confirmed: the change stays\n"
    wait_until(lambda: (etc / "frr/frr.conf").exists(), "frr.conf", 60)
    start_frr(reader, etc)
    try:
        wait_until(lambda: "ready       yes" in shell("dualpath status"), "ready", 120, every_s=1.0)
        assert "192.168.1.0" in reader.types("README.md", "dualpath status")
        reader.types("README.md", "ip route replace")
        look(reader)
    finally:
        shell("frr-exec --netns frr -- /usr/lib/frr/frrinit.sh stop")
        daemon.stop()
    reader.types("docs/OPERATIONS.md", "dualpath down")
    assert links() == before
    assert not Path("/run/netns/frr").exists()
    assert sorted(reader.ran) == sorted(RUN)


def start_frr(reader: Reader, etc: Path) -> None:
    *edit, start = reader.commands("README.md", "sed -i").strip().splitlines()
    shell("\n".join(edit))
    once = (etc / "frr/daemons").read_text()
    shell("\n".join(edit))
    assert (etc / "frr/daemons").read_text() == once
    assert "dplane_fpm_nl -K20" in once
    shell(f"{start} >/tmp/frrinit.log 2>&1")  # FRR's daemons keep it open
    wait_until(lambda: Path("/run/frr/bgpd.vty").exists(), "bgpd; see /tmp/frrinit.log", 30)


def look(reader: Reader) -> None:
    """Run the commands that the pages show for a running node."""
    reader.types("docs/CLI.md", "dualpath routes --vrf red")
    shutil.copytree("/etc/dualpath", "/etc/dualpath.new")
    node = Path("/etc/dualpath.new/node.yaml")
    node.write_text(node.read_text().replace("vni: 100\n", "vni: 100\n  vxlanPort: 4790\n"))
    shown = reader.types("docs/CLI.md", "dualpath diff", code=1)
    assert "-  port 4789\n+  port 4790\n" in shown
    dry = "controller --datapath=kernel --config /etc/dualpath --dry-run"
    assert "would change nothing" in reader.types("docs/OPERATIONS.md", dry)
    assert not reader.types("docs/OPERATIONS.md", "dualpath confirm", code=1)  # twice is too much


def links() -> set[str]:
    return {line.split("@")[0].split(":")[1].strip() for line in shell("ip -o link").splitlines()}
