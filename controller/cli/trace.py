"""`dualpath trace`: live packets to and from an address, on every device along their path.

`explain` shows the path that a packet should take; this shows the path that packets do take. It
looks at the devices of that explanation: the tenant's host legs, the VNI's bridge and VXLAN device,
and the ports towards the VTEP, where the packet is inside UDP. tcpdump sees the kernel's packets.
Packets that grout forwards cross no kernel device between ports, so grout's own trace shows those.
"""

from __future__ import annotations

import ipaddress
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from shutil import which
from threading import Thread
from typing import IO, Annotated

from controller.cli.client import CALL_S, connected
from controller.cli.command import Argument, Option
from controller.cli.options import Target, VrfOption
from controller.cli.terminal import echo, fail, warn
from dualpath.pb import inspect_pb2 as pb

VXLAN_PORT = 4789
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD  # linux/if_ether.h
_STARTS = re.compile(r"\d\d:\d\d:\d\d\.")  # the first line of a packet


@dataclass(frozen=True, slots=True)
class Tap:
    """A device to look at, and a filter for its packets, pcap-filter(7)."""

    device: str
    expression: str


def trace(
    target: Target,
    address: Annotated[str, Argument("ADDRESS", help="The address.")],
    vrf: VrfOption = "default",
    seconds: Annotated[int, Option("--seconds", low=1, high=3600, help="Duration.")] = 10,
) -> None:
    """Show live packets to and from an address.

    Runs tcpdump on each device of the forwarding namespace, or grcli trace; needs root. Ctrl-C ends
    it. The last lines have the number of packets per device.

    dualpath trace 10.2.3.4 --vrf red
    ping 10.2.3.4                            # meanwhile, from a host
    """
    with connected(target) as stub:
        status = stub.Status(pb.StatusRequest(), timeout=CALL_S)
        answer = stub.Explain(pb.ExplainRequest(vrf=vrf, address=address), timeout=CALL_S)
        vnis = [row for m in stub.ListVnis(pb.ListRequest(vrf=vrf)) for row in m.vnis]
        ports = [row for m in stub.ListPorts(pb.ListRequest()) for row in m.ports]
    if os.geteuid() != 0:
        fail("only root may look at packets; run it with sudo")
    found = list(dict.fromkeys(taps(answer, vnis, ports)))
    if not _paths(answer):
        warn(f"no route to {answer.address} in VRF {answer.vrf}; see `dualpath explain`")
    if not found:
        fail(f"VRF {answer.vrf} has no device on which to look for {answer.address}")
    if status.datapath == "kernel":
        seen = watch(status.netns, found, seconds)
    else:
        seen = _of_grout(status, answer.address, found, seconds)
    echo("seen: " + ", ".join(f"{name} {number}" for name, number in seen.items()))


def taps(
    answer: pb.ExplainResponse, vnis: Iterable[pb.Vni], ports: Iterable[pb.Port]
) -> Iterator[Tap]:
    """Yield the devices on the path, from the tenant's hosts to the fabric."""
    inner = f"host {answer.address}"
    devices = {vni.vni: (vni.bridge, vni.device, vni.port or VXLAN_PORT) for vni in vnis}
    for port in ports:
        ours = port.vni in devices if port.vni else port.vrf == answer.vrf
        if port.type == pb.Port.TYPE_HOST and ours:
            yield Tap(port.name, inner)
    for path in _paths(answer):
        bridge, device, port_number = devices.get(path.vni, ("", "", VXLAN_PORT))
        for name in filter(None, (bridge, device)):
            yield Tap(name, inner)
        outer = tunnelled(answer.address, path.vtep, path.vni, port_number) if path.vtep else inner
        for name in path.ports:
            yield Tap(name, outer)


def _paths(answer: pb.ExplainResponse) -> Sequence[pb.Path]:
    return answer.desired.paths or answer.programmed.paths


def tunnelled(address: str, vtep: str, vni: int, port: int) -> str:
    """Return a filter for an address inside VXLAN (RFC 7348), over IPv4 or IPv6.

    libpcap knows no VXLAN before 1.11, so it gets offsets: UDP 8 bytes, VXLAN 8 with the VNI in the
    upper 24 bits of the second word, Ethernet 14, then the inner header. It does not know `udp[]`
    over IPv6 either: there it is `ip6[]`, 40 bytes further.
    """
    base, shift = ("ip6", 40) if ipaddress.ip_address(vtep).version == 6 else ("udp", 0)
    packed = ipaddress.ip_address(address).packed
    words = [int.from_bytes(packed[at : at + 4]) for at in range(0, len(packed), 4)]

    def at(offset: int) -> str:
        """Match the address at an offset from the UDP header."""
        return " and ".join(
            f"{base}[{shift + offset + 4 * number}:4] = {word:#x}"
            for number, word in enumerate(words)
        )

    def kind(ethertype: int, *offsets: int) -> str:
        either = " or ".join(f"({at(offset)})" for offset in offsets)
        return f"({base}[{shift + 28}:2] = {ethertype:#x} and ({either}))"

    # The inner packet begins at 30: RFC 791 (source 12, destination 16), RFC 826 (sender 14, target
    # 24), RFC 8200 (source 8, destination 24).
    inner = f"({kind(IPV4, 42, 46)} or {kind(ARP, 44, 54)})" if len(words) == 1 else ""
    inner = inner or kind(IPV6, 38, 54)
    in_vni = f"{base}[{shift + 12}:4] & 0xffffff00 = {vni << 8:#x}"
    return f"host {vtep} and udp port {port} and {in_vni} and {inner}"


def watch(netns: str, found: Sequence[Tap], seconds: float) -> Counter[str]:
    """Run a tcpdump on each device, and write its lines with the device's name in front.

    Returns the number of packets seen on each. Ends the command if tcpdump cannot capture.
    """
    if not which("tcpdump"):
        fail("tcpdump is not installed; on Debian: apt install tcpdump")
    path = netns if netns.startswith("/") else f"/run/netns/{netns}"
    seen = Counter({tap.device: 0 for tap in found})
    running: dict[str, subprocess.Popen[str]] = {}
    readers: list[Thread] = []
    until = time.monotonic() + seconds
    try:
        for tap in found:
            command = ["nsenter", f"--net={path}", "--", "tcpdump", "-l", "-n", "-e"]
            command += ["--immediate-mode", "-i", tap.device, tap.expression]
            started = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            running[tap.device] = started
            assert started.stdout
            reader = Thread(target=_copy, args=(tap.device, started.stdout, seen), daemon=True)
            readers.append(reader)
            reader.start()
        for device, started in running.items():
            with suppress(subprocess.TimeoutExpired):
                started.wait(max(0.0, until - time.monotonic()))
                warn(f"{device}: {_last_line(started)}")
    except KeyboardInterrupt:
        pass
    finally:
        for started in running.values():
            started.terminate()
        for reader in readers:
            reader.join()
        for started in running.values():
            started.communicate()
    return seen


def _last_line(ended: subprocess.Popen[str]) -> str:
    assert ended.stderr
    return (ended.stderr.read().strip().splitlines() or ["tcpdump ended"])[-1]


def _copy(device: str, lines: IO[str], seen: Counter[str]) -> None:
    for line in lines:
        if line.strip():
            seen[device] += bool(_STARTS.match(line))
            echo(f"{device:<15} {line.rstrip()}")
            sys.stdout.flush()


def _of_grout(
    status: pb.StatusResponse, address: str, found: Sequence[Tap], seconds: float
) -> Counter[str]:
    from controller.cli import grouttrace

    sockets = [fact.value for fact in status.datapath_status.facts if fact.name == "socket"]
    if not sockets:
        why = status.datapath_status.unavailable
        fail("the datapath does not report grout's socket" + (f": {why}" if why else ""))
    if not which("grcli"):
        fail("grcli is not installed; on Debian: apt install grout")
    return grouttrace.watch(sockets[0], address, [tap.device for tap in found], seconds)
