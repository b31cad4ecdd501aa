"""Kernel settings of a namespace and of its devices. Reads before it writes.

Keys are paths below /proc/sys: a device's name may have dots in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from datapaths.linux.netns import entered

PROC_SYS = Path("/proc/sys")

# The namespace that forwards. Neighbours that announce themselves are learnt at once, and kept
# addresses let a device be cycled (as joining a VRF does) without losing IPv6.
FORWARDING = {
    "net/ipv4/conf/all/forwarding": 1,
    "net/ipv4/conf/default/forwarding": 1,
    "net/ipv6/conf/all/forwarding": 1,
    "net/ipv6/conf/default/forwarding": 1,
    "net/ipv4/conf/all/rp_filter": 0,
    "net/ipv4/conf/default/rp_filter": 0,
    "net/ipv4/conf/all/arp_accept": 1,
    "net/ipv4/conf/default/arp_accept": 1,
    "net/ipv6/conf/all/accept_untracked_na": 1,  # from Linux 5.18 on
    "net/ipv6/conf/default/accept_untracked_na": 1,
    "net/ipv6/conf/all/keep_addr_on_down": 1,
    "net/ipv6/conf/default/keep_addr_on_down": 1,
    "net/ipv4/fib_multipath_hash_policy": 1,  # by ports too: VXLAN's entropy is in the source port
    "net/ipv6/fib_multipath_hash_policy": 1,
    # A tenant's packet must not reach a socket of the underlay, such as that of VXLAN.
    "net/ipv4/tcp_l3mdev_accept": 0,
    "net/ipv4/udp_l3mdev_accept": 0,
    "net/ipv4/raw_l3mdev_accept": 0,
    "net/ipv4/nexthop_compat_mode": 0,  # no copies of a route in dumps when its group changes
}

# FRR's namespace: it must not forward, nor answer for addresses that the other one answers for.
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
    """Make each setting so; return the keys that this kernel does not have."""
    missing: list[str] = []
    with entered(netns):
        for key in _differing(settings, missing):
            (PROC_SYS / key).write_text(f"{settings[key]}\n")
    return missing


def differing(netns: str, settings: Mapping[str, int]) -> list[str]:
    """Return the keys that have another value; a key that this kernel does not have is none."""
    with entered(netns):
        return list(_differing(settings, []))


def _differing(settings: Mapping[str, int], missing: list[str]) -> Iterator[str]:
    for key, value in settings.items():
        try:
            if (PROC_SYS / key).read_text().strip() != str(value):
                yield key
        except FileNotFoundError:
            missing.append(key)


def routing(device: str, *, forwards: bool) -> dict[str, int]:
    """A device that the stack routes from, or must not; it began with its namespace's default."""
    v4, v6 = f"net/ipv4/conf/{device}", f"net/ipv6/conf/{device}"
    on = int(forwards)
    return {f"{v4}/forwarding": on, f"{v4}/rp_filter": 0, f"{v6}/forwarding": on}


def no_ipv6(device: str) -> dict[str, int]:
    """Return settings of a device that sends nothing itself: no address, no RS, no MLD."""
    return {**no_addrgen(device), f"net/ipv6/conf/{device}/disable_ipv6": 1}


def no_addrgen(device: str) -> dict[str, int]:
    return {f"net/ipv6/conf/{device}/addr_gen_mode": 1}  # IN6_ADDR_GEN_MODE_NONE


def no_answers(device: str) -> dict[str, int]:
    """Return settings of a device on which the stack never answers for local addresses."""
    v4 = f"net/ipv4/conf/{device}"
    # No route leads back out of it, so the reverse path filter drops whatever comes in.
    return {**no_ipv6(device), f"{v4}/arp_ignore": 8, f"{v4}/rp_filter": 1, f"{v4}/forwarding": 0}


def answers(device: str) -> dict[str, int]:
    """Undo `no_answers`."""
    v4, v6 = f"net/ipv4/conf/{device}", f"net/ipv6/conf/{device}"
    return {f"{v4}/arp_ignore": 0, f"{v4}/rp_filter": 0, f"{v6}/disable_ipv6": 0}


def silent_twin(device: str) -> dict[str, int]:
    """Return settings of a device that shares its addresses with another, which answers."""
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
