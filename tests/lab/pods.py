"""Pods as Calico connects them: a veth without a bridge, and a route to each on the node."""

from collections.abc import Iterable

from tests.lab.hosts import Host
from tests.lab.namespaces import Namespace
from tests.lab.scenario import Scenario

GATEWAY = "169.254.1.1"  # which the node answers for on every pod's cable
GATEWAY6 = "fe80::ecee:eeff:feee:eeee"


def make_pod(scenario: Scenario, node: Namespace, v4: str, v6: str) -> Host:
    """Make a pod of `node`, with these addresses."""
    pod = scenario.namespace(f"{node.name}-pod")
    node.sysctl(ipv4__ip_forward=1, ipv6__conf__all__forwarding=1)
    scenario.link(node, "cali0", pod, "eth0")
    node.sysctl(ipv4__conf__cali0__proxy_arp=1)
    node.ip_batch(
        f"address add {GATEWAY6}/64 dev cali0 nodad",
        f"route add {v4}/32 dev cali0 scope link",
        f"route add {v6}/128 dev cali0",
    )
    pod.ip_batch(*_inside(v4, v6))
    return Host(pod, v4, v6)


def _inside(v4: str, v6: str) -> Iterable[str]:
    return (
        f"address add {v4}/32 dev eth0",
        f"address add {v6}/128 dev eth0 nodad",
        f"route add {GATEWAY} dev eth0 scope link",
        f"route add default via {GATEWAY} dev eth0",
        f"route add default via {GATEWAY6} dev eth0",
    )
