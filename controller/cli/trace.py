"""`dualpath trace`: live packets to and from an address, on every device on their way.

`explain` says which way a packet should take; this shows which way packets do take. The devices are
those of the explanation: the tenant's host legs, the VNI's bridge and VXLAN device, and the ports
towards the VTEP, where the packet is inside of UDP.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO, Annotated

from controller.cli.client import CALL_S, connected
from controller.cli.command import Argument, Option
from controller.cli.options import Target, VrfOption
from controller.cli.terminal import echo, fail
from dualpath.pb import inspect_pb2 as pb


@dataclass(frozen=True, slots=True)
class Tap:
    """Where to look, and for which packets: a filter of pcap-filter(7)."""

    device: str
    expression: str


def trace(
    target: Target,
    address: Annotated[str, Argument("ADDRESS", help="Whose packets, to it and from it.")],
    vrf: VrfOption = "default",
    seconds: Annotated[int, Option("--seconds", low=1, high=3600, help="How long to look.")] = 10,
) -> None:
    """Show live packets to and from an address, on their way.

    Runs tcpdump in the forwarding namespace, and so needs root; Ctrl-C ends it. With grout, packets
    meet no kernel device between ports: use `grcli trace`.

    dualpath trace 10.2.3.4 --vrf red
    ping 10.2.3.4                            # meanwhile, from a host
    """
    with connected(target) as stub:
        status = stub.Status(pb.StatusRequest(), timeout=CALL_S)
        answer = stub.Explain(pb.ExplainRequest(vrf=vrf, address=address), timeout=CALL_S)
        vnis = [row for m in stub.ListVnis(pb.ListRequest(vrf=vrf)) for row in m.vnis]
        ports = [row for m in stub.ListPorts(pb.ListRequest()) for row in m.ports]
    if status.datapath != "kernel":
        fail("packets do not pass the kernel with grout; use `grcli trace` instead")
    if os.geteuid() != 0:
        fail("only root may look at packets; run it with sudo")
    found = list(dict.fromkeys(taps(answer, vnis, ports)))
    for tap in found:
        echo(f"{tap.device:<15} {tap.expression}")
    sys.stdout.flush()
    watch(status.netns, found, seconds)


def taps(
    answer: pb.ExplainResponse, vnis: Iterable[pb.Vni], ports: Iterable[pb.Port]
) -> Iterator[Tap]:
    """Yield the devices on the way, from the tenant's hosts to the fabric."""
    inner = f"host {answer.address}"
    paths = answer.desired.paths or answer.programmed.paths
    for port in ports:
        if port.type == pb.Port.TYPE_HOST and port.vrf == answer.vrf:
            yield Tap(port.name, inner)
    devices = {vni.vni: (vni.bridge, vni.device, vni.port or 4789) for vni in vnis}
    for path in paths:
        bridge, device, port_number = devices.get(path.vni, ("", "", 4789))
        for name in filter(None, (bridge, device)):
            yield Tap(name, inner)
        for name in path.ports:
            outer = f"host {path.vtep} and udp port {port_number}" if path.vtep else inner
            yield Tap(name, outer)


def watch(netns: str, found: Sequence[Tap], seconds: int) -> None:
    """Run a tcpdump on each device, and write its lines with the device in front."""
    path = netns if netns.startswith("/") else f"/run/netns/{netns}"
    running: list[subprocess.Popen[str]] = []
    readers: list[Thread] = []
    try:
        for tap in found:
            command = ["nsenter", f"--net={path}", "--", "tcpdump", "-l", "-n", "-e", "-i"]
            command += [tap.device, tap.expression]
            started = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            running.append(started)
            assert started.stdout
            readers.append(Thread(target=_copy, args=(tap.device, started.stdout), daemon=True))
            readers[-1].start()
        for started in running:
            with suppress(subprocess.TimeoutExpired):
                started.wait(seconds)
                seconds = 0
    finally:
        for started in running:
            started.terminate()
        for reader in readers:
            reader.join()


def _copy(device: str, lines: IO[str]) -> None:
    for line in lines:
        echo(f"{device:<15} {line.rstrip()}")
        sys.stdout.flush()
