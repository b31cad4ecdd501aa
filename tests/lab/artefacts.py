"""What a failed scenario leaves: logs, FRR's configuration, the state of every namespace."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.lab.frr import Frr
from tests.lab.namespaces import NETNS_DIRECTORY, Namespace
from tests.lab.plan import STATE
from tests.lab.processes import CommandFailed

DEFAULT = "artefacts"
KERNEL_STATE = (
    "ip -d link",
    "ip address",
    "ip route show table all",
    "ip -6 route show table all",
    "ip neigh",
    "ip nexthop",
    "bridge -d link",
    "bridge -d fdb",
    "bridge vlan",
    "nstat -az IpInDiscards IpOutNoRoutes Icmp6OutErrors",
)
FRR_STATE = (
    "show running-config",
    "show bgp summary",
    "show bgp l2vpn evpn",
    "show bgp l2vpn evpn vni",
    "show bgp l2vpn evpn vrf-import-rt",
    "show bgp vrf all ipv4 unicast",
    "show bgp vrf all ipv6 unicast",
    "show bgp vrf all neighbors graceful-restart json",
    "show bgp vrf all nexthop detail",
    "show ip route vrf all",
    "show ipv6 route vrf all",
    "show evpn vni detail",
    "show evpn mac vni all",
    "show evpn rmac vni all",
    "show fpm status",
    "show fpm counters",
)


DUALPATH_STATE = ("status", "nexthops", "routes", "macs", "vteps", "audit")
GROUT_STATE = (
    "interface show",
    "address show",
    "route show",
    "nexthop show",
    "fdb show",
    "flood vtep show",
    "stats show software",
)


def directory_for(test: str) -> Path:
    """Return where the artefacts of a test go; `test` is its node id."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", test.removeprefix("tests/lab/")).strip("_")
    return Path(os.environ.get("DUALPATH_LAB_ARTEFACTS", DEFAULT)) / name


def write(target: Path, logs: Path, routers: Iterable[Frr]) -> None:
    """Write everything there is into `target`, which is emptied first."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    if logs.exists():
        shutil.copytree(logs, target / "logs")
    for frr in routers:
        (target / f"frr-{frr.name}.txt").write_text(_frr_state(frr))
    for socket in sorted(STATE.glob("*/grout.sock")):
        (target / f"grout-{socket.parent.name}.txt").write_text(_grout_state(socket))
    for socket in sorted(STATE.glob("*/inspect.sock")):
        (target / f"dualpath-{socket.parent.name}.txt").write_text(_dualpath_state(socket))
    for path in sorted(NETNS_DIRECTORY.glob("*")):
        (target / f"netns-{path.name}.txt").write_text(_kernel_state(Namespace(path.name)))


def _grout_state(socket: Path) -> str:
    return _outputs(["grcli", "-s", str(socket)], GROUT_STATE)


def _dualpath_state(socket: Path) -> str:
    return _outputs(["dualpath", "--connect", f"unix:{socket}"], DUALPATH_STATE)


def _outputs(program: list[str], commands: Iterable[str]) -> str:
    return "\n".join(
        f"### {command}\n{_output(['timeout', '20', *program, *command.split()])}"
        for command in commands
    )


def _kernel_state(namespace: Namespace) -> str:
    filters = "for d in /sys/class/net/*; do d=${d##*/}; tc -s filter show dev $d ingress; done"
    script = "\n".join(f"echo '### {command}'\n{command}" for command in KERNEL_STATE)
    script += f"\necho '### tc filters'\n{filters}\n"
    # `ip netns exec` and not nsenter: it brings the namespace's own /sys.
    return _output(["ip", "netns", "exec", namespace.name, "sh", "-c", script])


def _output(command: list[str]) -> str:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    return done.stdout


def _frr_state(frr: Frr) -> str:
    parts = []
    for command in FRR_STATE:
        try:
            answer = frr.vtysh(command)
        except (CommandFailed, subprocess.TimeoutExpired) as error:
            answer = f"{error}\n"
        parts.append(f"### {command}\n{answer}")
    return "\n".join(parts)
