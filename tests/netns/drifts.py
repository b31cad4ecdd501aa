"""Attributes that Dualpath sets, each with a command that changes it. docs/DRIFT.md lists them.

Settings come from the mappings that the product itself uses, so none can be left out.
{fwd}, {ctl} and {host} are the forwarding namespace, FRR's, and a host's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from datapaths.linux import sysctls


@dataclass(frozen=True, slots=True)
class Case:
    """One attribute of one device."""

    part: str  # where it is
    attribute: str  # as docs/DRIFT.md calls it
    harm: str  # the command that changes it
    shows: str  # a command whose output differs while it is wrong
    vanishes: bool = False  # may be repaired before the test can see it
    optional: bool = False  # some kernels have no such attribute


def sysctl_cases(part: str, space: str, device: str, settings: Mapping[str, int]) -> Iterator[Case]:
    for key, value in settings.items():
        path, harm = f"/proc/sys/{key}", 0 if value else 1
        enter = f"ip netns exec {{{space}}} "
        shown = key.removeprefix("net/").replace(f"/{device}/", "/NAME/")
        yield Case(
            part,
            f"{device}: {shown}",
            f"{enter}sh -c 'echo {harm} > {path}'",
            f"{enter}cat {path}",
            optional=True,
        )


def _link(part: str, space: str, device: str, attribute: str, harm: str) -> Case:
    shows = f"ip -n {{{space}}} -d -j link show {device} | sed 's/,\"[a-z_]*timer\":[ 0-9.]*//g'"
    return Case(
        part, f"{device}: {attribute}", f"ip -n {{{space}}} link set {device} {harm}", shows
    )


def _address(part: str, space: str, device: str, address: str) -> Case:
    shows = f"ip -n {{{space}}} -br addr show {device}"
    command = f"ip -n {{{space}}} addr del {address} dev {device}"
    return Case(part, f"{device}: address {address}", command, shows)


def _gone(part: str, space: str, device: str) -> Case:
    shows = f"ip -n {{{space}}} link show {device} >/dev/null 2>&1 && echo there || echo gone"
    return Case(part, f"{device}: it exists", f"ip -n {{{space}}} link del {device}", shows)


def _overlay(part: str, space: str, forwards: bool) -> Iterator[Case]:
    """Bridge and VXLAN device, in either namespace."""
    for attribute, harm in (
        ("up", "down"),
        ("mtu", "mtu 1400"),
        ("mac", "address 02:00:00:00:99:99"),
        ("mark (alias)", "alias mine"),
        ("ageing_time", "type bridge ageing_time 1000"),
        ("mcast_snooping", "type bridge mcast_snooping 1"),
        ("stp_state", "type bridge stp_state 1"),
    ):
        yield _link(part, space, "br110", attribute, harm)
    for attribute, harm in (
        ("up", "down"),
        ("mtu", "mtu 1400"),
        ("master", "nomaster"),
        ("mark (alias)", "alias mine"),
        ("learning of the device", "type vxlan learning"),
        ("learning of the port", "type bridge_slave learning on"),
        ("neigh_suppress", "type bridge_slave neigh_suppress off"),
    ):
        yield _link(part, space, "vx110", attribute, harm)
    yield from sysctl_cases(part, space, "br110", sysctls.no_addrgen("br110"))
    yield from sysctl_cases(part, space, "br110", sysctls.routing("br110", forwards=forwards))
    yield from sysctl_cases(part, space, "vx110", sysctls.no_ipv6("vx110"))
    for option in ("vlan_filtering", "vlan_default_pvid"):
        case = _link(part, space, "br110", option, f"type bridge {option} 1")
        yield replace(case, optional=True)
    yield _address(part, space, "br110", "10.110.0.1/24")
    yield _address(part, space, "br110", "fd00:110::1/64")
    yield _gone(part, space, "vx110")
    yield _gone(part, space, "br110")


def _cases() -> Iterator[Case]:
    yield from _overlay("forwarding", "fwd", True)
    rename = "ip -n {fwd} link set br110 down; ip -n {fwd} link set br110 name brfoo"
    legs = "ip -n {fwd} link show master br110 | grep -c pe1; true"
    yield Case("forwarding", "br110: name", rename, legs)
    low = "ip -n {fwd} link set vx110 mtu 1200; ip -n {fwd} link set vx110 mtu 1450"
    mode = "ip netns exec {fwd} cat /proc/sys/net/ipv6/conf/vx110/addr_gen_mode"
    yield Case("forwarding", "vx110: after an MTU below 1280", low, mode, vanishes=True)
    yield from sysctl_cases("forwarding settings", "fwd", "namespace", sysctls.FORWARDING)
    for name in ("pe0", "pe1"):
        for attribute, harm in (("up", "down"), ("mtu", "mtu 1400"), ("mark (alias)", "alias x")):
            yield _link("ports", "fwd", name, attribute, harm)
    yield _link("ports", "fwd", "pe1", "master", "nomaster")
    yield _link("ports", "fwd", "pe1", "learning", "type bridge_slave learning off")
    yield _link("ports", "fwd", "pe1", "neigh_suppress", "type bridge_slave neigh_suppress on")
    yield from sysctl_cases("ports", "fwd", "pe1", sysctls.no_ipv6("pe1"))
    yield from sysctl_cases("ports", "fwd", "pe0", sysctls.no_addrgen("pe0"))
    yield from sysctl_cases("ports", "fwd", "pe0", sysctls.routing("pe0", forwards=True))
    yield _address("ports", "fwd", "pe0", "192.168.9.1/24")
    yield _address("ports", "fwd", "lo", "100.64.0.1/32")
    yield _gone("ports", "fwd", "pe0")
    yield from _host_legs()
    yield from _overlay("shadows", "ctl", False)
    yield _address("shadows", "ctl", "lo", "100.64.0.1/32")
    yield _link("shadows", "ctl", "lo", "up", "down")
    yield _link("shadows", "ctl", "lo", "mark (alias)", "alias mine")
    for attribute, harm in (("up", "down"), ("master", "nomaster"), ("mark (alias)", "alias x")):
        yield _link("shadows", "ctl", "ac110", attribute, harm)
    yield _gone("shadows", "ctl", "ac110")
    yield from sysctl_cases("control settings", "ctl", "namespace", sysctls.CONTROL)
    yield from _twins()


def _host_legs() -> Iterator[Case]:
    for attribute, harm in (("up", "down"), ("mtu", "mtu 1400"), ("mark (alias)", "alias mine")):
        yield _link("host legs", "host", "eth0", attribute, harm)
    yield _address("host legs", "host", "eth0", "192.168.9.2/24")
    yield _link("host legs", "host", "eth1", "master", "nomaster")
    yield _link("host legs", "host", "eth1", "up", "down")
    yield from sysctl_cases("host legs", "host", "eth1", sysctls.no_addrgen("eth1"))
    yield _link("host legs", "host", "br-hs-110", "up", "down")
    yield _link("host legs", "host", "br-hs-110", "mcast_snooping", "type bridge mcast_snooping 1")
    yield _gone("host legs", "host", "eth0")


def _twins() -> Iterator[Case]:
    for attribute, harm in (
        ("up", "down"),
        ("mtu", "mtu 1400"),
        ("mac", "address 02:00:00:00:99:99"),
        ("mark (alias)", "alias mine"),
        ("noarp", "arp off"),
    ):
        yield _link("twins", "ctl", "up0", attribute, harm)
    for attribute, harm in (("up", "down"), ("mtu", "mtu 1400"), ("noarp", "arp on")):
        yield _link("twins", "fwd", "cp-up0", attribute, harm)
    yield _address("twins", "ctl", "up0", "10.0.0.1/24")
    yield from sysctl_cases("twins", "ctl", "up0", sysctls.silent_twin("up0"))
    yield from sysctl_cases("twins", "fwd", "cp-up0", sysctls.no_ipv6("cp-up0"))
    for device in ("up0", "cp-up0"):
        count = f"tc -n {{fwd}} filter show dev {device} ingress | grep -c mirred; true"
        for attribute, harm in (
            ("tc filters", f"tc -n {{fwd}} filter del dev {device} ingress"),
            ("clsact", f"tc -n {{fwd}} qdisc del dev {device} clsact"),
        ):
            yield Case("twins", f"{device}: {attribute}", harm, count)
    yield _gone("twins", "fwd", "cp-up0")


CASES = tuple(_cases())
