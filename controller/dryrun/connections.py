"""Reads the TCP connections of a namespace, and the SSH session of this process."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datapaths.linux.netns import entered

VARIABLE = "SSH_CONNECTION"  # ssh(1): client's address and port, server's address and port
PROC = Path("/proc")
ESTABLISHED, LISTEN = 1, 10  # net/tcp_states.h
TABLES = ("tcp", "tcp6")
MOST_PARENTS = 64


@dataclass(frozen=True, slots=True)
class Tcp:
    """A TCP socket. Addresses are packed; an IPv4 address in an IPv6 socket is IPv4."""

    state: int
    local: bytes
    port: int
    remote: bytes


@dataclass(frozen=True, slots=True)
class Ssh:
    """An SSH session: packed addresses of both ends, and the zone of a link-local one."""

    client: bytes
    server: bytes
    zone: str = ""

    def __str__(self) -> str:
        return f"from {ipaddress.ip_address(self.client)} to {ipaddress.ip_address(self.server)}"


def ssh_session(pid: int, proc: Path = PROC) -> Ssh | None:
    """Return the SSH session in which a process, or one of its parents, was started.

    The parents matter because sudo removes the variable from the environment.
    """
    for _ in range(MOST_PARENTS):
        with suppress(OSError):
            for entry in (proc / str(pid) / "environ").read_bytes().split(b"\0"):
                name, _, value = entry.decode(errors="replace").partition("=")
                if name == VARIABLE and (found := parse(value)):
                    return found
        pid = _parent(proc / str(pid) / "status")
        if pid <= 0:
            break
    return None


def parse(text: str) -> Ssh | None:
    """Parse SSH_CONNECTION; None when it is malformed."""
    words = text.split()
    if len(words) != 4:
        return None
    try:
        client, server = (_packed(words[i].partition("%")[0]) for i in (0, 2))
    except ValueError:
        return None
    return Ssh(client, server, words[2].partition("%")[2] or words[0].partition("%")[2])


def tcp_sockets(netns: str) -> list[Tcp]:
    """Return the TCP sockets of a namespace."""
    with entered(netns):
        return [it for table in TABLES for it in _read(PROC / "thread-self/net" / table)]


def decode(line: str) -> Tcp:
    """Parse a row of /proc/net/tcp or tcp6; addresses are 32-bit words in host byte order."""
    _, local, remote, state = line.split()[:4]
    ip, _, port = local.partition(":")
    return Tcp(int(state, 16), _words(ip), int(port, 16), _words(remote.partition(":")[0]))


def _read(table: Path) -> Iterator[Tcp]:
    with suppress(OSError):  # without IPv6 there is no tcp6
        yield from map(decode, table.read_text().splitlines()[1:])


def _words(text: str) -> bytes:
    words = (int(text[at : at + 8], 16) for at in range(0, len(text), 8))
    return _packed(b"".join(word.to_bytes(4, sys.byteorder) for word in words))


def _packed(address: str | bytes) -> bytes:
    found = ipaddress.ip_address(address)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).packed


def _parent(status: Path) -> int:
    with suppress(OSError, ValueError):
        for line in status.read_text().splitlines():
            if line.startswith("PPid:"):
                return int(line.split()[1])
    return 0


def ours() -> Ssh | None:
    return ssh_session(os.getpid())
