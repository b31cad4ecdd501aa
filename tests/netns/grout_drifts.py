"""Attributes of grout's forwarding, each with a command that changes it.

docs/DRIFT.md lists them. {home}, {ctl} and {host} are grout's namespace, FRR's, and a host's;
{grcli} is grout's own command.
"""

from __future__ import annotations

from collections.abc import Iterator

from datapaths.grout.ports.placement import NO_ADDRESSES
from tests.netns.drifts import Case, sysctl_cases

IN_GROUT, BESIDE, TWINS, SETTINGS = (
    "in grout",
    "beside grout",
    "twins of grout's ports",
    "settings of grout's namespace",
)


def _link(space: str, device: str, attribute: str, harm: str) -> Case:
    shows = f"ip -n {{{space}}} -d -j link show {device} | sed 's/,\"ifindex\":[0-9]*//'"
    return Case(
        BESIDE, f"{device}: {attribute}", f"ip -n {{{space}}} link set {device} {harm}", shows
    )


def _there(space: str, device: str) -> Case:
    shows = f"ip -n {{{space}}} link show {device} >/dev/null 2>&1 && echo there || echo gone"
    return Case(BESIDE, f"{device}: it exists", f"ip -n {{{space}}} link del {device}", shows)


def _filters(part: str, device: str) -> Iterator[Case]:
    count = f"tc -n {{home}} filter show dev {device} ingress | grep -c mirred; true"
    for attribute, harm in (
        ("tc filters", f"tc -n {{home}} filter del dev {device} ingress"),
        ("clsact", f"tc -n {{home}} qdisc del dev {device} clsact"),
    ):
        yield Case(part, f"{device}: {attribute}", harm, count)


def _iface(kind: str, name: str, attribute: str, harm: str) -> Case:
    shows = f"{{grcli}} interface show name {name} | grep -v -e speed -e ^id"
    return Case(IN_GROUT, f"{name}: {attribute}", f"{{grcli}} interface set {kind} {harm}", shows)


def _in_grout() -> Iterator[Case]:
    for name in ("eth1", "pe0"):
        yield _iface("port", name, "up", f"{name} down")
        yield _iface("port", name, "mtu", f"{name} mtu 1300")
        yield _iface("port", name, "mac", f"{name} mac 02:00:00:00:99:99")
        yield _iface("port", name, "mark (description)", f"{name} description mine")
    yield _iface("port", "pe1", "bridge", "pe1 vrf main")
    yield _iface("bridge", "br110", "up", "br110 down")
    yield _iface("bridge", "br110", "mtu", "br110 mtu 1300")
    yield _iface("bridge", "br110", "mac", "br110 mac 02:00:00:00:99:99")
    yield _iface("bridge", "br110", "ageing time", "br110 ageing_time 10")
    yield _iface("bridge", "br110", "flood", "br110 flood off")
    yield _iface("bridge", "br110", "learn", "br110 learn off")
    yield _iface("bridge", "br110", "neigh_suppress", "br110 neigh_suppress off")
    yield _iface("vxlan", "vx110", "up", "vx110 down")
    yield _iface("vxlan", "vx110", "mtu", "vx110 mtu 1300")
    yield _iface("vxlan", "vx110", "learn", "vx110 learn on")
    yield _iface("vxlan", "vx110", "port", "vx110 dst_port 4790")
    for name, address in (
        ("eth1", "10.0.0.1/24"),
        ("eth1", "203.0.113.1/24"),
        ("pe0", "192.168.9.1/24"),
        ("br110", "10.110.0.1/24"),
        ("br110", "fd00:110::1/64"),
        ("main", "100.64.0.1/32"),
    ):
        harm = f"{{grcli}} address del {address} iface {name}"
        shows = f"{{grcli}} address show iface {name} | grep -v fe80 | sort"
        yield Case(IN_GROUT, f"{name}: address {address}", harm, shows)
    for name in ("pe0", "vx110", "br110"):
        shows = f"{{grcli}} interface show | grep -c ^{name}; true"
        harm = f"{{grcli}} interface del {name}"
        yield Case(IN_GROUT, f"{name}: it exists", harm, shows)


def _beside() -> Iterator[Case]:
    for name in ("n-eth1", "n-pe0", "n-pe1"):
        for attribute, harm in (
            ("up", "down"),
            ("mtu", "mtu 1300"),
            ("promisc", "promisc off"),
            ("mark (alias)", "alias mine"),
        ):
            if (name, attribute) != ("n-eth1", "mtu"):  # a NIC keeps its own MTU
                yield _link("home", name, attribute, harm)
        yield from _filters(BESIDE, name)
    yield _there("home", "n-pe0")
    for name in ("w-eth1", "w-pe0"):
        for attribute, harm in (
            ("up", "down"),
            ("mtu", "mtu 1300"),
            ("mac", "address 02:00:00:00:99:99"),
            ("mark (alias)", "alias mine"),
        ):
            yield _link("home", name, attribute, harm)
        yield from _filters(BESIDE, name)
    for name in ("eth1", "pe0", "br110"):
        yield _link("home", name, "up, of its TAP", "down")
        yield _link("home", name, "mtu, of its TAP", "mtu 1300")
        yield _link("home", name, "mark (alias), of its TAP", "alias mine")
    yield _link("home", "eth1", "mac, of its TAP", "address 02:00:00:00:99:99")
    yield _there("home", "pe0")
    yield _link("host", "eth0", "up", "down")
    yield _link("host", "eth0", "mtu", "mtu 1300")
    address = "ip -n {host} addr del 192.168.9.2/24 dev eth0"
    yield Case(BESIDE, "eth0: address", address, "ip -n {host} -br addr show eth0")


def _cases() -> Iterator[Case]:
    yield from _in_grout()
    yield from _beside()
    yield from sysctl_cases(SETTINGS, "home", "namespace", NO_ADDRESSES)
    for device in ("eth1", "cp-eth1"):
        yield from _filters(TWINS, device)


CASES = tuple(_cases())
