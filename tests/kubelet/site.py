"""The product in a cluster, as a site has it: the chart, a fabric, and objects.

node-1: host leg -- [forwarding namespace] -- eth1 ==== pe1 |
                                                            | pod "spine", 10.9.0.1
node-2: host leg -- [forwarding namespace] -- eth1 ==== pe2 |
pods: dualpath and dualpath-router on each node, dualpath-operator twice
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.images.build import CHECKOUT
from tests.images.parts import IMAGE
from tests.kube import chart
from tests.kubelet.cluster import NODES, Cluster, cluster, is_true
from tests.pods import fabric
from tests.pods.fabric import FAR, PLAIN_FRR
from tests.pods.flows import no_packet_lost

LOADED = ("controller", "router")  # of the images
NAMESPACE = chart.NAMESPACE
NODE_PARTS = ("dualpath", "dualpath-router")
PARTS = (*NODE_PARTS, "dualpath-operator")
READY_S = 480.0
KINDS = ("underlays.network.openperouter.io", "l3passthroughs.network.openperouter.io")
Pod = dict[str, Any]


class Site:
    """A cluster with Dualpath."""

    def __init__(self, of: Cluster, logs: Path) -> None:
        self.cluster = of
        self._logs = logs

    def install(self, *values: str) -> None:
        """Apply the chart's objects with values as `--set` takes them."""
        self.cluster.apply(chart.objects(chart.template(*values)))

    def pods(self, name: str) -> list[Pod]:
        """Return the pods of a part of Dualpath that nobody has deleted."""
        selector = f"--selector=app.kubernetes.io/name={name}"
        items = self.cluster.get("pods", f"--namespace={NAMESPACE}", selector)["items"]
        return [pod for pod in items if "deletionTimestamp" not in pod["metadata"]]

    def pod(self, name: str, node: str = NODES[0]) -> Pod:
        (found,) = (pod for pod in self.pods(name) if pod["spec"].get("nodeName") == node)
        return found

    def uids(self, *names: str) -> frozenset[str]:
        return frozenset(pod["metadata"]["uid"] for name in names for pod in self.pods(name))

    def delete(self, pod: Pod) -> None:
        self.cluster.kubectl("delete", "pod", pod["metadata"]["name"], f"--namespace={NAMESPACE}")

    def logs(self, pod: Pod) -> str:
        """Return what a pod's container logged."""
        name = pod["metadata"]["name"]
        return self.cluster.kubectl("logs", f"--namespace={NAMESPACE}", name)

    def is_node_ready(self, node: str = NODES[0]) -> bool:
        """Tell what `dualpath status` says on a node."""
        pod = self.pod("dualpath", node)["metadata"]["name"]
        command = ("dualpath", "status", "-o", "json")
        shown = self.cluster.kubectl("exec", f"--namespace={NAMESPACE}", pod, "--", *command)
        return bool(json.loads(shown)["ready"])

    def are_ready(self, *names: str, but: frozenset[str] = frozenset()) -> bool:
        """Tell whether every pod of these parts is ready, and none is one of `but` (uids)."""
        for name in names:
            found = self.pods(name)
            if len(found) < len(NODES) or any(pod["metadata"]["uid"] in but for pod in found):
                return False
            if not all(is_true("Ready", pod) for pod in found):
                return False
        return True

    def wait_for(self, *names: str, but: frozenset[str] = frozenset()) -> None:
        self.cluster.until(
            lambda: self.are_ready(*names, but=but), f"{names} are not ready", READY_S
        )

    def release(self, tag: str) -> None:
        """Give the nodes the images under the tag of another version."""
        for target in LOADED:
            name = IMAGE[target].rpartition(":")[0]
            for machine in self.cluster.machines.values():
                machine.ctr("images", "tag", IMAGE[target], f"{name}:{tag}")

    def run_frr(self, name: str, configuration: str, **spec: object) -> Pod:
        """Run a pod with an FRR that belongs to somebody else; return it once it is ready."""
        container = {
            "name": "frr",
            "image": IMAGE["router"],
            "command": ["bash", "-c", PLAIN_FRR],
            "env": [{"name": "CONFIGURATION", "value": configuration}],
            "securityContext": {"capabilities": {"add": ["NET_ADMIN", "SYS_ADMIN", "NET_RAW"]}},
            "readinessProbe": {
                "exec": {"command": ["vtysh", "-d", "bgpd", "-c", "show version"]},
                "periodSeconds": 1,
                "timeoutSeconds": 10,
            },
        }
        return self.run_pod(name, container, **spec)

    def run_pod(self, name: str, container: Mapping[str, object], **spec: object) -> Pod:
        """Run a pod of one container, and return it once it is ready."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "automountServiceAccountToken": False,
                "terminationGracePeriodSeconds": 1,
                "nodeName": NODES[0],
                "containers": [container],
                **spec,
            },
        }
        self.cluster.until(self._has_account, "nobody makes service accounts")
        self.cluster.apply([manifest])
        self.cluster.until(lambda: is_true("Ready", self._get(name)), f"{name} is not ready")
        return self._get(name)

    def _get(self, name: str) -> Pod:
        found: Pod = self.cluster.get("pod", name)
        return found

    def _has_account(self) -> bool:
        return bool(self.cluster.get("serviceaccounts")["items"])

    def add_routes(self) -> None:
        """Let each node reach the fabric by its host leg."""
        for number, machine in enumerate(self.cluster.machines.values(), 1):
            for far, leg in zip(FAR, fabric.legs(number), strict=True):
                machine.run("ip", "route", "replace", far, "via", leg)

    def ping(self) -> None:
        """Ping the fabric once from each node."""
        for machine in self.cluster.machines.values():
            for far in FAR:
                machine.run("ping", "-c1", "-W2", far)

    @contextmanager
    def no_packet_lost(self) -> Iterator[None]:
        """Ping the fabric from each node for the length of a block."""
        machines = self.cluster.machines.values()
        with no_packet_lost(machines, FAR, self.cluster.said):
            yield


@contextmanager
def site(logs: Path) -> Iterator[Site]:
    """Have a site whose node reaches the fabric by the host leg."""
    with cluster(logs) as found:
        here = Site(found, logs)
        for target in LOADED:
            found.load(IMAGE[target])
        crds = sorted((CHECKOUT / "deploy/crds").rglob("*.yaml"))
        found.apply([each for path in crds for each in chart.objects(path.read_text())])
        found.apply(chart.objects((CHECKOUT / "deploy/operator/namespace.yaml").read_text()))
        here.install()
        _connect(found, here.run_frr("spine", fabric.spine(len(NODES))))
        found.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        for number, node in enumerate(NODES, 1):
            found.apply(_objects(number, node))
        here.wait_for("dualpath", "dualpath-router", "dualpath-operator")
        here.add_routes()
        here.ping()
        yield here


def _objects(number: int, node: str) -> list[dict[str, Any]]:
    """Return the objects of one node."""
    found = fabric.objects(number)
    for each in found:
        each["metadata"]["namespace"] = NAMESPACE
        each["spec"]["nodeSelector"] = {"matchLabels": {"kubernetes.io/hostname": node}}
    return found


def _connect(found: Cluster, spine: Pod) -> None:
    """Connect a NIC of each node to the fabric."""
    pid = found.pid_of(spine)
    inside = f"nsenter --net=/proc/{pid}/ns/net -- ip"
    cables = fabric.cables(inside, pid, len(NODES))
    # The spine is no host of the pod network.
    found.here.run("sh", "-ec", f"{inside} link delete eth0\n{cables}")
    for number, (node, machine) in enumerate(found.machines.items(), 1):
        if node == NODES[0]:
            machine.run("ip", "link", "set", f"cable{number}", "name", "eth1")
        else:
            found.here.give(f"cable{number}", machine, "eth1")
        machine.run("sh", "-ec", fabric.uplink(number))
