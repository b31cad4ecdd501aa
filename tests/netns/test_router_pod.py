"""FRR in a pod, by containerd and runc: found by CRI, given its devices while it runs, and killed.

The controller runs beside it, on a machine with a NIC. The fabric is a pod too: an FRR behind that
NIC. A host of the machine pings an address that only BGP tells about.

    machine: host leg -- [forwarding namespace] -- eth1 ==== pe1 in pod "spine", 10.9.0.1
                              controller -- CRI -- pod "router": FRR, frr-bridge, twins
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import recipe, rootfs
from tests.lab.machine import CHECKOUT
from tests.lab.rootfs import Trees
from tests.pods import router
from tests.pods.containerd import Machine, machine
from tests.pods.cri import Kubelet, Pod
from tests.pods.programs import programs

pytestmark = [pytest.mark.netns, pytest.mark.program]

READY_S = 120.0
AFTERWARDS_S = 2.5  # a flow goes on, so that it sees what the last change did
FAR = ("10.9.0.1", "2001:db8:9::1")
LEG = ("10.20.0.1", "2001:db8:20::1")  # the router's end
MANIFESTS = """\
apiVersion: dualpath.io/v1alpha1
kind: Node
spec: {nodeIndex: 1, namespaces: {control: frr}}
---
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {name: fabric}
spec:
  asn: 65001
  interfaces:
  - {type: NetworkDevice, networkDevice: {interfaceName: eth1}}
  neighbors:
  - {asn: 65000, address: 192.168.1.0}
  - {asn: 65000, address: "2001:db8:1::"}
  tunnelEndpoint: {cidrs: [100.64.0.0/24]}
  gracefulRestart: {}
---
apiVersion: network.openperouter.io/v1alpha1
kind: L3Passthrough
metadata: {name: host}
spec:
  hostSession:
    asn: 65001
    hostASN: 65101
    localCIDR: {ipv4: 10.20.0.0/24, ipv6: "2001:db8:20::/64"}
"""
SPINE = """\
router bgp 65000
 bgp router-id 10.9.0.1
 no bgp ebgp-requires-policy
 neighbor 192.168.1.1 remote-as 65001
 neighbor 192.168.1.1 timers connect 1
 neighbor 2001:db8:1::1 remote-as 65001
 neighbor 2001:db8:1::1 timers connect 1
 address-family ipv4 unicast
  network 10.9.0.1/32
  no neighbor 2001:db8:1::1 activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:9::1/128
  neighbor 2001:db8:1::1 activate
 exit-address-family
exit
"""
CABLE = """
ip link add eth1 type veth peer name pe1
ip addr add 192.168.1.1/31 dev eth1
ip addr add 2001:db8:1::1/127 dev eth1 nodad
ip link set eth1 up
ip link set pe1 netns $1
ip -n $1 addr add 192.168.1.0/31 dev pe1
ip -n $1 addr add 2001:db8:1::/127 dev pe1 nodad
ip -n $1 addr add 10.9.0.1/32 dev lo
ip -n $1 addr add 2001:db8:9::1/128 dev lo
ip -n $1 link set pe1 up
"""


class Node:
    """A machine with containerd, a controller, and the pods `spine` and `router`."""

    def __init__(self, here: Machine, kubelet: Kubelet, trees: Trees, logs: Path) -> None:
        self.here = here
        self.kubelet = kubelet
        self.logs = logs
        self.container = router.router(trees, Path("/run/dualpath"))
        self.spine = kubelet.start("spine", router.plain(trees, SPINE))
        here.run("sh", "-ec", CABLE, "sh", Path(self.spine.namespace()).name)
        (here.run_directory / "node.yaml").write_text(MANIFESTS)
        self.controller = here.start(logs / "controller.log", *CONTROLLER)
        self._router: Pod | None = None

    @property
    def pod(self) -> Pod:
        """The router's pod, once started."""
        assert self._router
        return self._router

    def start_router(self) -> None:
        self._router = self.kubelet.start("router", self.container)

    def dualpath(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        command = [sys.executable, "-m", "controller.cli", *words, "-o", "json"]
        return json.loads(self.here.run(*command, check=False) or "{}")

    def is_ready(self) -> bool:
        return bool(self.dualpath("status").get("ready"))

    def wait_until_ready(self) -> None:
        until(self.is_ready, self.said)

    def said(self) -> str:
        logs = (path.read_text()[-3000:] for path in sorted(self.logs.glob("*.log")))
        return "\n".join([str(self.dualpath("status")), *logs])

    def devices_of(self, pod: Pod) -> set[str]:
        shown = json.loads(self.here.run("ip", "-n", Path(pod.namespace()).name, "-j", "link"))
        return {link["ifname"] for link in shown}

    @contextmanager
    def no_packet_lost(self) -> Iterator[None]:
        """Ping through the node for the length of a block."""
        ping = ("ping", "-q", "-i0.02", "-W1")
        logs = [self.logs / f"ping{n}" for n in range(len(FAR))]
        pings = [self.here.start(log, *ping, far) for log, far in zip(logs, FAR, strict=True)]
        yield
        time.sleep(AFTERWARDS_S)
        self.here.run("pkill", "-INT", "-x", "ping")  # of this machine, which sees no others
        for process in pings:
            process.wait(timeout=READY_S)
        for log in logs:
            text = log.read_text()
            sent, answered = re.findall(r"(\d+) packets transmitted, (\d+) received", text)[0]
            assert int(sent) > 100, text
            assert sent == answered, text


CONTROLLER = (
    *(sys.executable, "-m", "controller", "--datapath=kernel", "--config=/run/node.yaml"),
    *("--bridge=external", "--frr-pod=dualpath-system/app=router"),
)


def until(condition: Callable[[], bool], what: Callable[[], str], limit_s: float = READY_S) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, what()
        time.sleep(0.2)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    logs = tmp_path_factory.mktemp("logs")
    project = recipe.read_project(CHECKOUT / "pyproject.toml")
    trees = rootfs.prepare(project, print)
    with rootfs.in_use(), machine(programs(print), logs) as here:
        here.load(router.image(trees, project), logs)
        kubelet = Kubelet(here.socket, logs)
        try:
            yield Node(here, kubelet, trees, logs)
        finally:
            kubelet.close()


@pytest.fixture(scope="module")
def served(node: Node) -> Node:
    """A node whose router was found, and whose host reaches the fabric."""
    until(lambda: "waiting for FRR's" in str(node.dualpath("status")), node.said)
    node.start_router()
    node.wait_until_ready()
    for far, gateway in zip(FAR, LEG, strict=True):
        node.here.run("ip", "route", "replace", far, "via", gateway)
        node.here.run("ping", "-c1", "-W2", far)
    return node


def test_pod_is_given_its_devices_and_deleted_without_a_lost_packet(served: Node) -> None:
    """The pod is killed, and its namespace goes with its devices; another pod gets new ones."""
    first = served.pod
    assert {"eth0", "eth1"} <= served.devices_of(first)
    with served.no_packet_lost():
        first.delete()
        until(lambda: "waiting for FRR's" in str(served.dualpath("status")), served.said)
        served.start_router()
        served.wait_until_ready()
    assert {"eth0", "eth1"} <= served.devices_of(served.pod)


@pytest.mark.long
def test_container_is_killed_and_started_again_in_its_pod_without_a_lost_packet(
    served: Node,
) -> None:
    """As the kernel kills it when it takes too much memory; the pod's namespace stays."""
    with served.no_packet_lost():
        served.pod.kill()
        until(lambda: not served.is_ready(), served.said)
        served.pod.run(served.container)
        served.wait_until_ready()
