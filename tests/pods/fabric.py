"""A fabric of one spine, and what nodes behind it need. No part of it needs VRF devices.

    node N: host leg 10.2N.0.1 -- [forwarding namespace] -- eth1 ==== peN | spine, 10.9.0.1

The spine is an FRR without Dualpath. A node reaches 10.9.0.1 by what BGP tells it alone.
"""

from __future__ import annotations

from typing import Any

FAR = ("10.9.0.1", "2001:db8:9::1")
"""Addresses of the host across the fabric."""

RESTART_S = 900
"""How long the spine keeps the routes of an FRR that is away."""

PLAIN_FRR = (
    'printf "%s" "$CONFIGURATION" >/etc/frr/frr.conf && . /usr/lib/frr/frrcommon.sh'
    " && exec /usr/lib/frr/watchfrr $(daemon_list)"
)
"""Runs FRR with a configuration, in an image of the router."""

SPINE = """\
router bgp 65000
 bgp router-id 10.9.0.1
 no bgp ebgp-requires-policy
 neighbor four peer-group
 neighbor four timers connect 1
 neighbor six peer-group
 neighbor six timers connect 1
{neighbors}
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
NEIGHBORS = """\
 neighbor 192.168.{n}.1 remote-as 65001
 neighbor 192.168.{n}.1 peer-group four
 neighbor 2001:db8:{n}::1 remote-as 65001
 neighbor 2001:db8:{n}::1 peer-group six
"""
FAR_END = """
{spine} link set lo up
{spine} address add 10.9.0.1/32 dev lo
{spine} address add 2001:db8:9::1/128 dev lo
"""
CABLE = """
ip link add cable{n} type veth peer name pe{n}
ip link set pe{n} netns {netns}
{spine} address add 192.168.{n}.0/31 dev pe{n}
{spine} address add 2001:db8:{n}::/127 dev pe{n} nodad
{spine} link set pe{n} up
"""
UPLINK = """
ip address add 192.168.{n}.1/31 dev eth1
ip address add 2001:db8:{n}::1/127 dev eth1 nodad
ip link set eth1 up
"""


def legs(node: int) -> tuple[str, str]:
    """Return the router's addresses on a node's host leg."""
    return f"10.2{node}.0.1", f"2001:db8:2{node}::1"


def spine(nodes: int = 1) -> str:
    """Return the spine's frr.conf."""
    neighbors = "".join(NEIGHBORS.format(n=n) for n in range(1, nodes + 1))
    return SPINE.format(neighbors=neighbors.rstrip("\n"))


def cables(inside: str, netns: str, nodes: int = 1) -> str:
    """Return a script that makes the NIC `cableN` of each node, connected to the spine.

    `inside` runs ip(8) in the spine's network namespace, and `ip link set netns` knows that as
    `netns`.
    """
    parts = [CABLE.format(n=n, spine=inside, netns=netns) for n in range(1, nodes + 1)]
    return "".join([FAR_END.format(spine=inside), *parts])


def uplink(node: int) -> str:
    """Return a script that configures a node's NIC `eth1`."""
    return UPLINK.format(n=node)


def objects(node: int) -> list[dict[str, Any]]:
    """Return a node's Underlay and L3Passthrough."""
    api = "network.openperouter.io/v1alpha1"
    neighbors = (f"192.168.{node}.0", f"2001:db8:{node}::")
    underlay = {
        "asn": 65001,
        "interfaces": [{"type": "NetworkDevice", "networkDevice": {"interfaceName": "eth1"}}],
        "neighbors": [{"asn": 65000, "address": address} for address in neighbors],
        "tunnelEndpoint": {"cidrs": ["100.64.0.0/24"]},
        # A busy machine needs minutes to replace a pod, and FRR waits for the controller's.
        "gracefulRestart": {"restartTimeSeconds": RESTART_S, "stalePathTimeSeconds": RESTART_S},
    }
    leg = {"ipv4": f"10.2{node}.0.0/24", "ipv6": f"2001:db8:2{node}::/64"}
    session = {"asn": 65001, "hostASN": 65101, "localCIDR": leg}
    specs = {"Underlay": underlay, "L3Passthrough": {"hostSession": session}}
    names = {"Underlay": f"fabric-{node}", "L3Passthrough": f"host-{node}"}
    return [
        {"apiVersion": api, "kind": kind, "metadata": {"name": names[kind]}, "spec": spec}
        for kind, spec in specs.items()
    ]


def node_manifest(node: int) -> dict[str, Any]:
    """Return the Node of a machine without a Kubernetes API."""
    spec = {"nodeIndex": node, "namespaces": {"control": "frr"}}
    return {"apiVersion": "dualpath.io/v1alpha1", "kind": "Node", "spec": spec}
