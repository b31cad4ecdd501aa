"""Fresh namespaces for one test, and commands in them."""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from datapaths.linux import netns

RTMGRP_LINK, RTMGRP_TC, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x8, 0x10, 0x100
LINKWATCH_S = 1.1  # how long the kernel may delay a carrier change


def run(command: str, *, check: bool = True) -> str:
    """Run a shell command and return what it printed."""
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def link(netns_name: str, name: str) -> dict[str, Any]:
    """Return the output of `ip -d` for a device."""
    shown: list[dict[str, Any]] = json.loads(run(f"ip -n {netns_name} -d -j link show {name}"))
    return shown[0]


def names(netns_name: str) -> set[str]:
    """Return the names of a namespace's devices."""
    return {shown["ifname"] for shown in json.loads(run(f"ip -n {netns_name} -j link"))}


@contextmanager
def fresh(*names: str) -> Iterator[tuple[str, ...]]:
    """Create empty namespaces for this process, and always remove them."""
    full = tuple(f"dp-{os.getpid()}-{name}" for name in names)
    try:
        for name in full:
            netns.remove(name)
            netns.create(name)
        yield full
    finally:
        for name in full:
            netns.remove(name)


def kernel_has_vrf() -> bool:
    """Return whether this kernel has VRF devices."""
    with fresh("probe") as (probe,):
        command = f"ip -n {probe} link add red type vrf table 1"
        return subprocess.run(command.split(), capture_output=True, check=False).returncode == 0


@contextmanager
def watching(netns_name: str) -> Iterator[Callable[[], list[int]]]:
    """Collect the types of the link, address and tc messages that a namespace's kernel sends."""
    with netns.entered(netns_name):
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with sock:
        sock.bind((0, RTMGRP_LINK | RTMGRP_TC | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        while select.select([sock], [], [], LINKWATCH_S)[0]:
            sock.recv(1 << 16)

        def seen() -> list[int]:
            types: list[int] = []
            while select.select([sock], [], [], 0)[0]:
                types.append(struct.unpack_from("H", sock.recv(1 << 16), 4)[0])
            return types

        yield seen


def ping(netns_name: str, address: str, timeout_s: float = 2.0) -> bool:
    """Send echo requests until one is answered; return whether that was in time."""
    v6 = ":" in address
    family, protocol = (socket.AF_INET6, 58) if v6 else (socket.AF_INET, 1)
    with netns.entered(netns_name):
        sock = socket.socket(family, socket.SOCK_RAW, protocol)
        target = socket.getaddrinfo(address, 0, family, socket.SOCK_DGRAM)[0][4]
    with sock:
        sock.settimeout(0.2)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with suppress(OSError):
                sock.sendto(_echo_request(v6), target)
                while True:
                    data, _ = sock.recvfrom(2048)
                    if (data[0] == 129) if v6 else (data[20] == 0):
                        return True
    return False


def _echo_request(v6: bool) -> bytes:
    """Build an echo request; the kernel sums ICMPv6 itself (RFC 3542 section 3.1)."""
    header = struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0x1234, 1)
    if v6:
        return header
    total = sum(struct.unpack("!4H", header))
    return header[:2] + struct.pack("!H", ~((total >> 16) + total) & 0xFFFF) + header[4:]
