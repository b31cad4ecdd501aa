"""FRR in a pod, by containerd and runc: found by CRI, given its devices while it runs, and killed.

The controller runs beside it, on a machine with a NIC. The fabric is a pod too: an FRR behind that
NIC. A host of the machine pings an address that only BGP tells about.

    machine: host leg -- [forwarding namespace] -- eth1 ==== pe1 in pod "spine", 10.9.0.1
                              controller -- CRI -- pod "router": FRR, frr-bridge, twins
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import recipe, rootfs
from tests.lab.machine import CHECKOUT
from tests.lab.rootfs import Trees
from tests.pods import fabric, router
from tests.pods.containerd import Machine, machine
from tests.pods.cri import Kubelet, Pod
from tests.pods.fabric import FAR
from tests.pods.flows import no_packet_lost
from tests.pods.programs import programs
from tests.pods.waiting import until

pytestmark = [pytest.mark.netns, pytest.mark.program]

READY_S = 120.0


class Node:
    """A machine with containerd, a controller, and the pods `spine` and `router`."""

    def __init__(self, here: Machine, kubelet: Kubelet, trees: Trees, logs: Path) -> None:
        self.here = here
        self.kubelet = kubelet
        self.logs = logs
        self.container = router.router(trees, Path("/run/dualpath"))
        self.spine = kubelet.start("spine", router.plain(trees, fabric.spine()))
        spine = Path(self.spine.namespace()).name
        here.run("sh", "-ec", fabric.cables(f"ip -n {spine}", spine))
        here.run("ip", "link", "set", "cable1", "name", "eth1")
        here.run("sh", "-ec", fabric.uplink(1))
        manifests = yaml.safe_dump_all([fabric.node_manifest(1), *fabric.objects(1)])
        (here.run_directory / "node.yaml").write_text(manifests)
        self._starts = 0
        self.start_controller(FRR_POD)
        self._router: Pod | None = None

    @property
    def pod(self) -> Pod:
        """The router's pod, once started."""
        assert self._router
        return self._router

    def start_controller(self, *options: str) -> None:
        self._starts += 1
        self.controller_log = self.logs / f"controller-{self._starts}.log"
        self._controller = self.here.start(self.controller_log, *CONTROLLER, *options)

    def stop_controller(self) -> None:
        self.here.run("pkill", "-TERM", "-f", "controller --datapath")
        self._controller.wait(timeout=READY_S)

    def start_router(self) -> None:
        self._router = self.kubelet.start("router", self.container)

    def dualpath(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        command = [sys.executable, "-m", "controller.cli", *words, "-o", "json"]
        return json.loads(self.here.run(*command, check=False) or "{}")

    def is_ready(self) -> bool:
        return bool(self.dualpath("status").get("ready"))

    def wait_until_ready(self) -> None:
        until(self.is_ready, self.said, READY_S)

    def said(self) -> str:
        logs = (path.read_text()[-3000:] for path in sorted(self.logs.glob("*.log")))
        return "\n".join([str(self.dualpath("status")), *logs])

    def devices_of(self, pod: Pod) -> set[str]:
        shown = json.loads(self.here.run("ip", "-n", Path(pod.namespace()).name, "-j", "link"))
        return {link["ifname"] for link in shown}

    @contextmanager
    def no_packet_lost(self) -> Iterator[None]:
        """Ping through the node for the length of a block."""
        with no_packet_lost([self.here], FAR, self.said):
            yield


CONTROLLER = (
    *(sys.executable, "-m", "controller", "--datapath=kernel", "--config=/run/node.yaml"),
    "--bridge=external",
)
FRR_POD = "--frr-pod=dualpath-system/app=router"


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
    until(lambda: "waiting for FRR's" in str(node.dualpath("status")), node.said, READY_S)
    node.start_router()
    node.wait_until_ready()
    for far, gateway in zip(FAR, fabric.legs(1), strict=True):
        node.here.run("ip", "route", "replace", far, "via", gateway)
        node.here.run("ping", "-c1", "-W2", far)
    return node


def test_pod_is_given_its_devices_and_deleted_without_a_lost_packet(served: Node) -> None:
    """The pod is killed, and its namespace goes with its devices; another pod gets new ones."""
    first = served.pod
    assert {"eth0", "eth1"} <= served.devices_of(first)
    with served.no_packet_lost():
        first.delete()
        until(lambda: "waiting for FRR's" in str(served.dualpath("status")), served.said, READY_S)
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
        until(lambda: not served.is_ready(), served.said, READY_S)
        served.pod.run(served.container)
        served.wait_until_ready()


@pytest.mark.long
def test_pod_keeps_its_devices_while_a_controller_expects_frr_outside(served: Node) -> None:
    """On the way back to `hostNetwork` the controller may be replaced before the router."""
    with served.no_packet_lost():
        served.stop_controller()
        served.start_controller()
        kept = "stays that of FRR's pod until the pod ends"
        until(lambda: kept in served.controller_log.read_text(), served.said, READY_S)
        served.wait_until_ready()
    assert {"eth0", "eth1"} <= served.devices_of(served.pod)
    served.pod.delete()
    ended = "FRR's pod has ended; namespace frr is a new one"
    until(lambda: ended in served.controller_log.read_text(), served.said, READY_S)
