"""What somebody changes by hand, as shell commands, and how long packets may wait for the repair.

{F} is the forwarding namespace, {C} FRR's, {N} the node's; {grcli} asks grout.
"""

from dataclasses import dataclass

NOTICED_S = 2.0  # a row: under a second until noticed, and the guest is slow
RESET_S = 10.0  # a packet of BGP's reaches the forwarding namespace, whose kernel sends a RST
DEVICE_S = 10.0  # a device is made again with its neighbors, and IPv6 waits for DAD
RELEARNED_S = 30.0  # hosts or peers have to speak first


@dataclass(frozen=True, slots=True)
class Hand:
    script: str
    gap_s: float = 0.0


def _keeping_host_routes(script: str) -> str:
    """Let the host have its default routes again: they are its own, and go with its device."""
    return (
        "v4=$(ip -n {N} route show default); v6=$(ip -n {N} -6 route show default); "
        f"{script}; "
        "for i in $(seq 200); do "
        "ip -n {N} route replace $v4 && ip -n {N} -6 route replace $v6 && break; sleep 0.1; done"
    )


KERNEL = {
    "routes": Hand("ip -n {F} route flush table 1100 proto 68", NOTICED_S),
    "underlay-routes": Hand("ip -n {F} route flush table main proto 68", NOTICED_S),
    "route-stolen": Hand(
        "ip -n {F} route replace unreachable 10.2.0.0/24 table 1100 proto static", NOTICED_S
    ),
    "nexthops": Hand("ip -n {F} nexthop flush", NOTICED_S),
    "fdb": Hand("for v in vx100 vx110; do bridge -n {F} fdb flush dev $v; done", NOTICED_S),
    "fdb-changed": Hand(
        "bridge -n {F} fdb show dev vx100 | awk '/dst/ {{print $1}}' | while read -r m; do "
        "bridge -n {F} fdb replace $m dev vx100 dst 100.64.0.99 self; done",
        NOTICED_S,
    ),
    "flood": Hand("bridge -n {F} fdb del 00:00:00:00:00:00 dev vx110 dst 100.64.0.2", NOTICED_S),
    "neighbors": Hand("ip -n {F} neigh flush all nud all", NOTICED_S),
    "neighbor-changed": Hand(
        "ip -n {F} neigh replace 100.64.0.2 lladdr 02:de:ad:00:00:01 dev br100 nud permanent",
        NOTICED_S,
    ),
    "br100-deleted": Hand("ip -n {F} link del br100", DEVICE_S),
    "vx100-deleted": Hand("ip -n {F} link del vx100", DEVICE_S),
    "br110-deleted": Hand("ip -n {F} link del br110", DEVICE_S),
    "vx110-deleted": Hand("ip -n {F} link del vx110", DEVICE_S),
    "vrf-deleted": Hand("ip -n {F} link del red", DEVICE_S),
    "leg-deleted": Hand(_keeping_host_routes("ip -n {F} link del pe-e-100"), RELEARNED_S),
    "tc-deleted": Hand(
        "for d in eth1 cp-eth1; do tc -n {F} qdisc del dev $d clsact; done", RESET_S
    ),
    "tc-flushed": Hand("tc -n {F} filter del dev eth1 ingress", RESET_S),
    "gateway-flushed": Hand("ip -n {F} address flush dev br110", DEVICE_S),
    "addresses-flushed": Hand(
        "ip -n {F} address flush dev lo; ip -n {F} address flush dev pe-e-100", DEVICE_S
    ),
    "out-of-vrf": Hand(
        "ip -n {F} link set pe-e-100 nomaster; ip -n {F} link set vx100 nomaster", DEVICE_S
    ),
    "out-of-bridge": Hand(
        "ip -n {F} link set vx110 nomaster; ip -n {F} link set br100 nomaster", DEVICE_S
    ),
    "down": Hand(
        "for d in br100 vx110 red pe-e-100; do ip -n {F} link set $d down; done", DEVICE_S
    ),
    "macs": Hand(
        "ip -n {F} link set br100 address 02:66:66:66:66:66; "
        "ip -n {F} link set br110 address 02:66:66:66:66:67",
        DEVICE_S,
    ),
    "mtu": Hand("for d in br110 vx100 pe-e-100; do ip -n {F} link set $d mtu 1280; done"),
    "renamed": Hand(
        "ip -n {F} link set br110 down; ip -n {F} link set br110 name brfoo; "
        "ip -n {F} link set brfoo up",
        DEVICE_S,
    ),
    "alias": Hand("ip -n {F} link set br100 alias mine"),
    "learning": Hand(
        "ip -n {F} link set vx110 type vxlan learning; "
        "bridge -n {F} link set dev vx110 neigh_suppress off learning on"
    ),
    "forwarding": Hand(
        "ip netns exec {F} sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0",
        DEVICE_S,
    ),
    "no-ipv6": Hand(
        "ip netns exec {F} sysctl -qw net.ipv6.conf.br110.disable_ipv6=1 "
        "net.ipv6.conf.pe-e-100.disable_ipv6=1",
        DEVICE_S,
    ),
    "rules": Hand("ip -n {F} rule del pref 1000; ip -n {F} -6 rule del pref 1000", DEVICE_S),
}

CONTROL = {
    "shadow-bridge": Hand("ip -n {C} link del br100", DEVICE_S),
    "shadow-vxlan": Hand("ip -n {C} link del vx110", DEVICE_S),
    "shadow-vrf": Hand("ip -n {C} link del red", RELEARNED_S),
    "twin-deleted": Hand("ip -n {C} link del eth1", RELEARNED_S),
    "shadows-down": Hand(
        "ip -n {C} link set eth1 down; ip -n {C} link set br100 down", RELEARNED_S
    ),
    "twin-addresses": Hand(
        "ip -n {C} address flush dev eth1; ip -n {C} address flush dev lo", RELEARNED_S
    ),
    "twin-macs": Hand(
        "ip -n {C} link set br100 address 02:77:77:77:77:77; "
        "ip -n {C} link set eth1 address 02:77:77:77:77:78",
        RELEARNED_S,
    ),
    "frr-nexthops": Hand("ip -n {C} nexthop flush", RELEARNED_S),
    "shadow-fdb": Hand(
        "for v in vx100 vx110; do bridge -n {C} fdb flush dev $v; done", RELEARNED_S
    ),
}

GROUT = {
    "grout-route": Hand("{grcli} route del vrf red 10.2.0.0/24", DEVICE_S),
    "grout-nexthops": Hand(
        "for i in $({grcli} -j nexthop show origin zebra | grep -o '\"id\": *[0-9]*' "
        "| grep -o '[0-9]*'); do {grcli} nexthop del $i; done",
        DEVICE_S,
    ),
    "grout-interfaces": Hand(
        "{grcli} interface del vx100; {grcli} interface del br110", RELEARNED_S
    ),
    "grout-fdb": Hand("{grcli} fdb flush; {grcli} flood vtep del 100.64.0.2 vni 110", DEVICE_S),
    "grout-twin": Hand("ip -n {F} link del cp-eth1", RELEARNED_S),
    "grout-tc": Hand("for d in eth1 n-eth1; do tc -n {F} qdisc del dev $d clsact; done", DEVICE_S),
    "grout-wire-down": Hand("ip -n {F} link set w-eth1 down", DEVICE_S),
}

_L3VNI = ("br100", "vx100", "e-100", "1100", " red", "rule", "dev br110")  # and gateways in its VRF


def of_l3vni() -> set[str]:
    """Return the hands that change something of the L3VNI."""
    every = {**KERNEL, **CONTROL, **GROUT}
    return {name for name, it in every.items() if any(word in it.script for word in _L3VNI)}
