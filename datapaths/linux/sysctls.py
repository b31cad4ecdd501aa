"""Kernel settings (sysctls) of a namespace and of its devices. Writes only those that differ.

Keys are paths below /proc/sys, not dotted names: a device's name may contain dots.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from datapaths.linux.netns import entered

PROC_SYS = Path("/proc/sys")

# The forwarding namespace. arp_accept and accept_untracked_na: learn a host when it announces
# itself. keep_addr_on_down: a device that joins a VRF goes down and up, and must keep its IPv6.
FORWARDING = {
    "net/ipv4/conf/all/forwarding": 1,
    "net/ipv4/conf/default/forwarding": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/default/forwarding": 1,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/arp_accept": 1,
    "net/ipv4/conf/default/arp_accept": 1,
    "net/ipv6/conf/all/accept_untracked_na": 1,  # Linux 5.18 and later
    "net/ipv6/conf/default/accept_untracked_na": 1,
    "net/ipv6/conf/all/keep_addr_on_down": 1,
    "net/ipv6/conf/default/keep_addr_on_down": 1,
    "net/ipv4/fib_multipath_hash_policy": 1,  # hash ports too: VXLAN's entropy is the source port
    "net/ipv6/fib_multipath_hash_policy": 1,
    # A tenant's packet must not reach a socket of the underlay, such as that of VXLAN.
    "net/ipv4/tcp_l3mdev_accept": 0,
    "net/ipv4/udp_l3mdev_accept": 0,
    "net/ipv4/raw_l3mdev_accept": 0,
    "net/ipv4/nexthop_compat_mode": 0,  # a group's change does not repeat all its routes
}

# FRR's namespace. It must not forward, nor answer ARP and ND for the forwarding namespace.
CONTROL = {
    "net/ipv4/conf/all/forwarding": 0,
    "net/ipv4/conf/default/forwarding": 0,
    "net/ipv6/conf/all/forwarding": 0,
    "net/ipv6/conf/default/forwarding": 0,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/accept_redirects": 0,
    "net/ipv4/conf/default/accept_redirects": 0,
    "net/ipv6/conf/default/accept_redirects": 0,
    "net/ipv6/conf/default/accept_ra": 0,
    "net/ipv6/conf/all/keep_addr_on_down": 1,
    "net/ipv6/conf/default/keep_addr_on_down": 1,
    "net/ipv6/icmp/echo_ignore_multicast": 1,
    "net/ipv4/nexthop_compat_mode": 0,
}


def ensure(netns: str, settings: Mapping[str, int]) -> list[str]:
    """Write the settings that differ; return the keys that this kernel does not have."""
    missing: list[str] = []
    with entered(netns):
        for key in _differing(settings, missing):
            (PROC_SYS / key).write_text(f"{settings[key]}\n")
    return missing


def differing(netns: str, settings: Mapping[str, int]) -> list[str]:
    """Return the keys with another value; skip keys that this kernel does not have."""
    with entered(netns):
        return list(_differing(settings, []))


def _differing(settings: Mapping[str, int], missing: list[str]) -> Iterator[str]:
    for key, value in settings.items():
        try:
            if _read(key) != value:
                yield key
        except FileNotFoundError:
            missing.append(key)


def _read(key: str) -> int | None:
    """Return a setting; None if it is no number. Raises FileNotFoundError."""
    # Path.read_text takes three times as long, and a look at 1,000 VNIs reads 10,000 settings.
    descriptor = os.open(f"{PROC_SYS}/{key}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        text = os.read(descriptor, 64)
    finally:
        os.close(descriptor)
    try:
        return int(text)
    except ValueError:
        return None


def routing(device: str, *, forwards: bool) -> dict[str, int]:
    """Return settings that allow or forbid routing of packets that a device receives."""
    v4, v6 = f"net/ipv4/conf/{device}", f"net/ipv6/conf/{device}"
    on = int(forwards)
    return {f"{v4}/forwarding": on, f"{v4}/rp_filter": 0, f"{v6}/forwarding": on}


def no_ipv6(device: str) -> dict[str, int]:
    """Return settings for a device that must send nothing of its own: no address, no RS, no MLD."""
    return {**no_addrgen(device), f"net/ipv6/conf/{device}/disable_ipv6": 1}


def no_addrgen(device: str) -> dict[str, int]:
    return {f"net/ipv6/conf/{device}/addr_gen_mode": 1}  # IN6_ADDR_GEN_MODE_NONE


def no_answers(device: str) -> dict[str, int]:
    """Return settings for a device on which the kernel must not answer for local addresses."""
    v4 = f"net/ipv4/conf/{device}"
    # No route uses the device, so the reverse path filter drops everything it receives.
    return {**no_ipv6(device), f"{v4}/arp_ignore": 8, f"{v4}/rp_filter": 1, f"{v4}/forwarding": 0}


def answers(device: str) -> dict[str, int]:
    """Undo `no_answers`."""
    v4, v6 = f"net/ipv4/conf/{device}", f"net/ipv6/conf/{device}"
    return {f"{v4}/arp_ignore": 0, f"{v4}/rp_filter": 0, f"{v6}/disable_ipv6": 0}


def silent_twin(device: str) -> dict[str, int]:
    """Return settings for a twin: it shares its addresses with its port, and the port answers."""
    v4, v6 = f"net/ipv4/conf/{device}", f"net/ipv6/conf/{device}"
    return {
        **no_addrgen(device),
        f"{v4}/arp_ignore": 8,
        f"{v4}/rp_filter": 0,
        f"{v4}/forwarding": 0,
        f"{v6}/accept_dad": 0,
        f"{v6}/dad_transmits": 0,
        f"{v6}/accept_ra": 0,
        f"{v6}/forwarding": 0,
        f"{v6}/disable_ipv6": 0,
    }
