"""A host with one NIC, a manifest that takes it, and controllers that run there."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from controller.node.supervisor import bridge_of
from datapaths.linux import netns
from tests.netns.namespaces import fresh, run

MANIFEST = """\
apiVersion: dualpath.io/v1alpha1
kind: Node
metadata: {{name: pe1}}
spec:
  nodeIndex: 1
  namespaces: {{control: {control}, forwarding: {forwarding}}}
---
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {{name: fabric}}
spec:
  asn: 65001
  interfaces:
  - type: NetworkDevice
    networkDevice: {{interfaceName: {nic}}}
  neighbors:
  - {{asn: 65000, address: 192.0.2.1}}
  tunnelEndpoint:
    cidrs: [100.64.0.0/24]
---
apiVersion: network.openperouter.io/v1alpha1
kind: L2VNI
metadata: {{name: segment}}
spec: {{vni: 110}}
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """Namespaces by name: the host's, its client's, and those that a controller makes."""

    host: str
    client: str
    forwarding: str
    control: str
    directory: Path

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"

    @property
    def manifest(self) -> Path:
        return self.directory / "node.yaml"

    def write(self, nic: str = "eth7") -> None:
        self.manifest.write_text(
            MANIFEST.format(control=self.control, forwarding=self.forwarding, nic=nic)
        )

    def command(self, *options: str, config: bool = True) -> list[str]:
        """Return the command line of a controller that runs on the host."""
        words = ["nsenter", f"--net=/run/netns/{self.host}", sys.executable, "-m", "controller"]
        words += ["--datapath=kernel", f"--state-dir={self.state_dir}", "--neighbor-limit=0"]
        words += [f"--listen=unix:{self.state_dir}/inspect.sock"]
        words += [f"--config={self.manifest}"] if config else []
        return [*words, *options]

    def run(
        self, *options: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a controller to its end."""
        return subprocess.run(
            self.command(*options),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            env=environment,
        )

    def namespaces(self) -> tuple[str, ...]:
        return self.host, self.client, self.forwarding, self.control

    def seen(self) -> dict[str, object]:
        """Return every state that a start could change."""
        found: dict[str, object] = {
            "namespaces": run(f"ls -i /run/netns /run/dualpath/userns | grep -- {self.host[:-4]}")
        }
        for name in filter(netns.exists, self.namespaces()):
            for what in ("-d link", "addr", "route show table all", "-6 route show table all"):
                shown = json.loads(run(f"ip -n {name} -j {what}") or "[]")
                found[f"{name} {what}"] = json.dumps(_lasting(shown), sort_keys=True)
            sysctls = "sysctl -a 2>/dev/null | grep -E 'forwarding|rp_filter|gc_thresh|accept'"
            found[f"{name} sysctls"] = run(f'nsenter --net=/run/netns/{name} sh -c "{sysctls}"')
            found[f"{name} sockets"] = run(f"nsenter --net=/run/netns/{name} ss -Hltn")
        found["files"] = run(f"find {self.directory} /etc/frr -ls 2>/dev/null", check=False)
        return found


def _lasting(shown: object) -> object:
    """Drop values that count down."""
    if isinstance(shown, list):
        return [_lasting(it) for it in shown]
    if isinstance(shown, dict):
        gone = ("valid_life_time", "preferred_life_time", "expires")
        kept = (key for key in shown if key not in gone and not key.endswith("_timer"))
        return {key: _lasting(shown[key]) for key in kept}
    return shown


@contextmanager
def machine(directory: Path) -> Iterator[Machine]:
    """Make a host whose NIC eth7 leads to a client; addresses, a lease and default routes."""
    with fresh("host", "client", "fwd", "frr") as (host, client, forwarding, control):
        for name in (forwarding, control):
            netns.remove(name)
        run(f"ip -n {host} link add eth7 type veth peer name wire netns {client}")
        run(f"ip -n {client} addr add 192.0.2.1/24 dev wire")
        run(f"ip -n {client} addr add 2001:db8::1/64 dev wire nodad")
        run(f"ip -n {client} link set wire up")
        run(f"ip -n {host} addr add 192.0.2.2/24 dev eth7")
        run(f"ip -n {host} addr add 192.0.2.9/24 dev eth7 valid_lft 3600 preferred_lft 1800")
        run(f"ip -n {host} addr add 2001:db8::2/64 dev eth7 nodad")
        run(f"ip -n {host} link set eth7 up")
        run(f"ip -n {host} route add default via 192.0.2.1")
        run(f"ip -n {host} -6 route add default via 2001:db8::1")
        one = Machine(host, client, forwarding, control, directory)
        one.write()
        settled(host, client)
        try:
            yield one
        finally:
            if bridge := bridge_of(one.state_dir):  # of a controller that was killed
                bridge.send_signal(signal.SIGTERM)


def settled(*namespaces: str) -> None:
    """Wait until both ends have a carrier, and IPv6 has no duplicate detection under way."""
    deadline = time.monotonic() + 15
    while any(re.search("tentative|eth7.* state DOWN", run(f"ip -n {s} addr")) for s in namespaces):
        assert time.monotonic() < deadline
        time.sleep(0.05)
