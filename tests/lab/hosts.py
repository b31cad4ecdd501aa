"""Hosts: the ends of the tenant's networks, each in a namespace of its own."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from tests.lab.namespaces import Namespace
from tests.lab.ping import RATE_PER_S, PingFlow, ping, wait_for_ping
from tests.lab.waiting import wait_until


@dataclass(frozen=True, slots=True)
class Host:
    """A host: where it is, and the addresses by which others reach it."""

    namespace: Namespace
    v4: str
    v6: str

    def ping(self, target: str, timeout_s: float = 1.0) -> bool:
        return ping(self.namespace, target, timeout_s)

    def wait_for_ping(self, target: str, timeout_s: float = 30.0) -> None:
        wait_for_ping(self.namespace, target, timeout_s)

    def flow(self, target: str, rate_per_s: float = RATE_PER_S) -> PingFlow:
        return PingFlow(self.namespace, target, rate_per_s)

    def mac(self, interface: str = "eth0") -> str:
        return str(self.namespace.ip_json("link", "show", "dev", interface)[0]["address"])


def attach(
    host: Namespace, bridge: str, at: Namespace, *, port: str, interface: str = "eth0"
) -> None:
    """Connect `interface` of a host, made if absent, to a bridge in another namespace.

    The bridge's port is called `port`. Connecting a host a second time, elsewhere, is a move: it
    keeps its interface, MAC and addresses.
    """
    wait_until(lambda: at.has_link(bridge), f"{bridge} in {at.name}", timeout_s=90.0)
    at.ip("link", "add", port, "type", "veth", "peer", "name", interface, "netns", host.name)
    at.sysctl(**{f"ipv6__conf__{port}__disable_ipv6": 1})  # a bridge's port says nothing itself
    at.ip_batch(f"link set {port} master {bridge}", f"link set {port} up")


def move(host: Host, port: str, source: Namespace, target: Namespace, bridge: str) -> None:
    """Take a host's port from a bridge in one namespace to the bridge in another."""
    source.ip("link", "set", port, "netns", target.name)
    target.sysctl(**{f"ipv6__conf__{port}__disable_ipv6": 1})
    target.ip_batch(f"link set {port} master {bridge}", f"link set {port} up")


def configure(
    host: Namespace, interface: str, addresses: Sequence[str], gateways: Sequence[str]
) -> None:
    """Give a host addresses (with length) and one default route per gateway."""
    host.ip_batch(
        *(f"address replace {address} dev {interface}{_nodad(address)}" for address in addresses),
        f"link set {interface} up",
        *(f"route replace default via {gateway}" for gateway in gateways),
    )


def _nodad(address: str) -> str:
    return "" if ipaddress.ip_interface(address).version == 4 else " nodad"
