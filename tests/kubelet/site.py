"""The product in a cluster, as a site has it: the chart, a fabric, and objects.

node-1: host leg -- [forwarding namespace] -- eth1 ==== pe1 in pod "spine", 10.9.0.1
        pods: dualpath, dualpath-router, dualpath-operator (2)
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from deploy.images.build import CHECKOUT, TARGETS
from tests.kube import chart
from tests.kubelet.cluster import Cluster, cluster, is_true

VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
IMAGE = {target: f"localhost/{name}:{VERSION}" for target, (name, _) in TARGETS.items()}
NAMESPACE = chart.NAMESPACE
READY_S = 240.0
FAR = ("10.9.0.1", "2001:db8:9::1")
LEG = ("10.20.0.1", "2001:db8:20::1")  # the router's end
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
spine() { nsenter --net=/proc/$0/ns/net -- ip "$@"; }
ip link add eth1 type veth peer name pe1
ip address add 192.168.1.1/31 dev eth1
ip address add 2001:db8:1::1/127 dev eth1 nodad
ip link set eth1 up
ip link set pe1 netns $0
spine link delete eth0  # it is no host of the pod network
spine address add 192.168.1.0/31 dev pe1
spine address add 2001:db8:1::/127 dev pe1 nodad
spine address add 10.9.0.1/32 dev lo
spine address add 2001:db8:9::1/128 dev lo
spine link set pe1 up
"""
OBJECTS = f"""\
apiVersion: network.openperouter.io/v1alpha1
kind: Underlay
metadata: {{name: fabric, namespace: {NAMESPACE}}}
spec:
  asn: 65001
  interfaces:
  - {{type: NetworkDevice, networkDevice: {{interfaceName: eth1}}}}
  neighbors:
  - {{asn: 65000, address: 192.168.1.0}}
  - {{asn: 65000, address: "2001:db8:1::"}}
  tunnelEndpoint: {{cidrs: [100.64.0.0/24]}}
  gracefulRestart: {{}}
---
apiVersion: network.openperouter.io/v1alpha1
kind: L3Passthrough
metadata: {{name: host, namespace: {NAMESPACE}}}
spec:
  hostSession:
    asn: 65001
    hostASN: 65101
    localCIDR: {{ipv4: 10.20.0.0/24, ipv6: "2001:db8:20::/64"}}
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

    def pod(self, name: str) -> Pod:
        (found,) = self.pods(name)
        return found

    def exec(self, owner: str, *command: str, namespace: str = NAMESPACE) -> str:
        return self.cluster.kubectl("exec", f"--namespace={namespace}", owner, "--", *command)

    def dualpath(self, *words: str) -> Any:  # noqa: ANN401 - JSON
        return yaml.safe_load(self.exec("daemonset/dualpath", "dualpath", *words, "-o", "json"))

    def are_ready(self, *names: str, but: frozenset[str] = frozenset()) -> bool:
        """Tell whether every pod of these parts is ready, and none is one of `but` (uids)."""
        for name in names:
            found = self.pods(name)
            if not found or any(pod["metadata"]["uid"] in but for pod in found):
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

    def ping(self) -> None:
        """Ping the fabric once from the node."""
        for far in FAR:
            self.cluster.here.run("ping", "-c1", "-W2", far)

    @contextmanager
    def no_packet_lost(self) -> Iterator[None]:
        """Ping the fabric from the node for the length of a block."""
        here = self.cluster.here
        logs = [self._logs / f"ping{n}" for n in range(len(FAR))]
        ping = ("ping", "-q", "-i0.02", "-W1")
        pings = [here.start(log, *ping, far) for log, far in zip(logs, FAR, strict=True)]
        yield
        here.run("pkill", "-INT", "-x", "ping")  # of this machine, which sees no others
        for process in pings:
            process.wait(timeout=READY_S)
        for log in logs:
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
        found.here.run("sh", "-ec", CABLE, found.pid_of(here.run_frr("spine", SPINE)))
        found.kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
        found.apply(chart.objects(OBJECTS))
        here.wait_for("dualpath", "dualpath-router", "dualpath-operator")
        for far, leg in zip(FAR, LEG, strict=True):
            found.here.run("ip", "route", "replace", far, "via", leg)
        here.ping()
        yield here
