"""The product in a cluster, as a site has it: the chart, a fabric, and objects.

node-1: host leg -- [forwarding namespace] -- eth1 ==== pe1 |
                                                            | pod "spine", 10.9.0.1
node-2: host leg -- [forwarding namespace] -- eth1 ==== pe2 |
pods: dualpath and dualpath-router on each node, dualpath-operator twice
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.images.build import CHECKOUT, TARGETS
from tests.kube import chart
from tests.kubelet.cluster import NODES, Cluster, cluster, is_true

VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = {target: f"localhost/{name}:{VERSION}" for target, (name, _) in TARGETS.items()}
NAMESPACE = chart.NAMESPACE
READY_S = 480.0
FAR = ("10.9.0.1", "2001:db8:9::1")
LEGS = {  # the router's ends
    "node-1": ("10.21.0.1", "2001:db8:21::1"),
    "node-2": ("10.22.0.1", "2001:db8:22::1"),
}
SPINE = """\
router bgp 65000
 bgp router-id 10.9.0.1
 no bgp ebgp-requires-policy
 neighbor four peer-group
 neighbor four timers connect 1
 neighbor six peer-group
 neighbor six timers connect 1
 neighbor 192.168.1.1 remote-as 65001
 neighbor 192.168.1.1 peer-group four
 neighbor 192.168.2.1 remote-as 65001
 neighbor 192.168.2.1 peer-group four
 neighbor 2001:db8:1::1 remote-as 65001
 neighbor 2001:db8:1::1 peer-group six
 neighbor 2001:db8:2::1 remote-as 65001
 neighbor 2001:db8:2::1 peer-group six
 address-family ipv4 unicast
  network 10.9.0.1/32
  no neighbor six activate
 exit-address-family
 address-family ipv6 unicast
  network 2001:db8:9::1/128
  neighbor six activate
 exit-address-family
exit
"""
CABLES = """
spine() { nsenter --net=/proc/$0/ns/net -- ip "$@"; }
spine link delete eth0  # it is no host of the pod network
spine address add 10.9.0.1/32 dev lo
spine address add 2001:db8:9::1/128 dev lo
for n in 1 2; do
    ip link add cable$n type veth peer name pe$n
    ip link set pe$n netns $0
    spine address add 192.168.$n.0/31 dev pe$n
    spine address add 2001:db8:$n::/127 dev pe$n nodad
    spine link set pe$n up
done
"""
UPLINK = """
ip address add 192.168.$0.1/31 dev eth1
ip address add 2001:db8:$0::1/127 dev eth1 nodad
ip link set eth1 up
"""
OBJECTS = """\
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {name: fabric-NUMBER, namespace: dualpath-system}
spec:
  nodeSelector: {matchLabels: {kubernetes.io/hostname: node-NUMBER}}
  asn: 65001
  interfaces:
  - {type: NetworkDevice, networkDevice: {interfaceName: eth1}}
  neighbors:
  - {asn: 65000, address: 192.168.NUMBER.0}
  - {asn: 65000, address: "2001:db8:NUMBER::"}
  tunnelEndpoint: {cidrs: [100.64.0.0/24]}
  gracefulRestart: {}
---
apiVersion: network.openperouter.io/v1alpha1
kind: L3Passthrough
metadata: {name: host-NUMBER, namespace: dualpath-system}
spec:
  nodeSelector: {matchLabels: {kubernetes.io/hostname: node-NUMBER}}
  hostSession:
    asn: 65001
    hostASN: 65101
    localCIDR: {ipv4: 10.2NUMBER.0.0/24, ipv6: "2001:db8:2NUMBER::/64"}
"""
KINDS = ("underlays.network.openperouter.io", "l3passthroughs.network.openperouter.io")
# FRR that is none of ours, in the image of the router.
PLAIN_FRR = (
    'printf "%s" "$CONFIGURATION" >/etc/frr/frr.conf && . /usr/lib/frr/frrcommon.sh'
    " && exec /usr/lib/frr/watchfrr $(daemon_list)"
)

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
        for node, legs in LEGS.items():
            for far, leg in zip(FAR, legs, strict=True):
                self.cluster.machines[node].run("ip", "route", "replace", far, "via", leg)

    def ping(self) -> None:
        """Ping the fabric once from each node."""
        for machine in self.cluster.machines.values():
            for far in FAR:
                machine.run("ping", "-c1", "-W2", far)

    @contextmanager
    def no_packet_lost(self) -> Iterator[None]:
        """Ping the fabric from each node for the length of a block."""
        ping = ("ping", "-q", "-i0.02", "-W1")
        pings = {}
        for node, machine in self.cluster.machines.items():
            for far in FAR:
                log = self._logs / f"ping-{node}-{far}"
                pings[log] = machine.start(log, *ping, far)
        yield
        for machine in self.cluster.machines.values():
            machine.run("pkill", "-INT", "-x", "ping")  # which sees no other machine's
        for log, process in pings.items():
            process.wait(timeout=READY_S)
            text = log.read_text()
            sent, answered = re.findall(r"(\d+) packets transmitted, (\d+) received", text)[0]
            assert int(sent) > 100, text
            assert sent == answered, text


@contextmanager
def site(logs: Path) -> Iterator[Site]:
    """Have a site whose node reaches the fabric by the host leg."""
    with cluster(logs) as found:
        here = Site(found, logs)
        for target in ("controller", "router"):
            found.load(IMAGE[target])
        crds = sorted((CHECKOUT / "deploy/crds").rglob("*.yaml"))
        found.apply([each for path in crds for each in chart.objects(path.read_text())])
        found.apply(chart.objects((CHECKOUT / "deploy/operator/namespace.yaml").read_text()))
        here.install()
        _connect(found, here.run_frr("spine", SPINE))
        found.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        for number in range(1, len(NODES) + 1):
            found.apply(chart.objects(OBJECTS.replace("NUMBER", str(number))))
        here.wait_for("dualpath", "dualpath-router", "dualpath-operator")
        here.add_routes()
        here.ping()
        yield here


def _connect(found: Cluster, spine: Pod) -> None:
    """Connect a NIC of each node to the fabric."""
    found.here.run("sh", "-ec", CABLES, found.pid_of(spine))
    found.here.run("ip", "link", "set", "cable1", "name", "eth1")
    found.here.give("cable2", found.machines[NODES[1]], "eth1")
    for number, node in enumerate(NODES, 1):
        found.machines[node].run("sh", "-ec", UPLINK, str(number))
