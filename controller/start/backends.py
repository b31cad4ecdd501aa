"""The datapaths by their names in --datapath. A new datapath is a new row of BACKENDS."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from controller.node.frrdevices import PortTwins
from controller.node.namespaces import NamespacePair
from controller.node.supervisor import Child, as_options
from controller.settings import Settings
from datapaths.base import Datapath, DatapathError, Unavailable, Unsupported
from datapaths.grout.ports.names import device_of
from datapaths.grout.ports.steering import SteeredTwins
from datapaths.grout.ports.twins import GroutTwins
from datapaths.grout.process import Grout, GroutProcess, Life, locate, peer_of
from datapaths.kernel.driver import KernelDatapath
from datapaths.kernel.layout import Layout
from datapaths.linux import neightables, netns, nicrecords
from datapaths.linux.twins import Twins
from datapaths.remote.driver import RemoteDatapath
from dualpath.model.view import NeighborTable
from dualpath.rpc.connect import ClientTls


class Beside(Protocol):
    """A program that the controller keeps running."""

    async def run(self) -> None:
        """Keep it running until cancelled. Raises Unsupported or Useless if it can never work."""

    async def end(self) -> None:
        """End the program, after `run` was cancelled."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A datapath, its twins, and the programs that it needs, in the order of their start."""

    datapath: Datapath
    twins: PortTwins
    beside: tuple[Beside, ...] = ()
    neighbor_tables: Callable[[], Sequence[NeighborTable]] = lambda: ()
    """Returns the sizes of the machine's neighbor tables, which hold the datapath's hosts."""
    nic_may_be: Callable[[str], Sequence[tuple[str, str]]] | None = None
    """Returns the namespaces and names under which the datapath may have a NIC, if it renames."""
    notes: tuple[Callable[[], bool], ...] = ()
    """Write records again that somebody removed: see `controller.node.statedir`."""
    second: Callable[[], Backend] | None = None
    """Builds a second datapath, for `dualpath switch`; None: there can be none."""
    steering: SteeredTwins | None = None
    """Moves ports between the two."""


Make = Callable[[Settings, NamespacePair, str], Backend]
"""Called within the event loop; the text is the host namespace, "" for our own."""


def kernel(settings: Settings, namespaces: NamespacePair, host: str) -> Backend:
    twins: PortTwins = Twins(namespaces.forwarding, namespaces.control)
    second, steering = None, None
    if settings.grout.second:
        runs = Life(settings.grout.sock).runs if not settings.grout.agent else lambda: True
        twins = steering = SteeredTwins(namespaces.forwarding, namespaces.control, runs)
        second = partial(_beside_kernel, settings, namespaces, host)
    layout = Layout(namespaces.forwarding, host, settings.neighbor_limit)
    return Backend(
        KernelDatapath(namespaces.forwarding, host, layout),
        twins,
        neighbor_tables=neightables.usage,
        notes=(nicrecords.write_again,),
        second=second,
        steering=steering,
    )


def _beside_kernel(settings: Settings, namespaces: NamespacePair, host: str) -> Backend:
    """Return grout in a namespace of its own. Raises Unsupported without one."""
    name = settings.grout.netns
    if not netns.exists(name):
        text = f"--grout-netns: no network namespace {name}; make it with `ip netns add {name}`"
        raise Unsupported(text)
    if netns.same(name, namespaces.forwarding):
        raise Unsupported("--grout-netns is the forwarding namespace; name another, to switch")
    return dpdk(settings, namespaces, host)


def dpdk(settings: Settings, namespaces: NamespacePair, host: str) -> Backend:
    """Return grout behind grout-agent; the controller runs both unless they already run.

    Raises ConnectError for an agent address that is not allowed, and Unavailable without a grout.
    """
    options = settings.grout
    if not options.agent and not options.start:
        _check_grout(options.sock)
    address = options.agent or f"unix:{settings.state_dir}/grout-agent.sock"
    tls = ClientTls(*options.agent_tls) if options.agent_tls else None
    home = Life(options.sock).home
    twins = GroutTwins(home, namespaces.forwarding, namespaces.control)
    beside: list[Beside] = []
    grout = GroutProcess(_grout(settings, namespaces)) if options.start else None
    if grout:
        beside.append(grout)
    if not options.agent:
        command = _agent(settings, namespaces, host, address)
        beside.append(Child("grout-agent", command, grout.up if grout else None))
    return Backend(
        RemoteDatapath(address, tls, "grout"),
        twins,
        tuple(beside),
        nic_may_be=partial(_renamed, options.sock, namespaces.forwarding),
    )


def _renamed(sock: Path, forwarding: str, nic: str) -> Sequence[tuple[str, str]]:
    """Return where grout may have a NIC: usually in the forwarding namespace."""
    found = [(forwarding, device_of(nic))]
    with suppress(DatapathError):  # grout does not run now
        found.append((locate(sock), device_of(nic)))
    return found


def _check_grout(sock: Path) -> None:
    try:
        peer_of(sock)
    except Unavailable as error:
        raise Unavailable(f"{error}; start grout there, or pass --start-grout") from None


def _grout(settings: Settings, namespaces: NamespacePair) -> Grout:
    options = settings.grout
    return Grout(
        options.sock,
        options.netns or namespaces.forwarding,
        settings.state_dir,
        options.hugepages,
        options.cpus,
        options.max_mtu,
    )


def _agent(
    settings: Settings, namespaces: NamespacePair, host: str, listen: str
) -> tuple[str, ...]:
    return (
        sys.executable,
        "-P",
        "-m",
        "datapaths.grout.agent",
        *as_options(
            {
                "grout-sock": settings.grout.sock,
                "netns": namespaces.forwarding,
                "host-netns": host,
                "listen": listen,
                "log-level": settings.log_level,
                "log-format": settings.log_format,
            }
        ),
        "--until-eof",
    )


BACKENDS: dict[str, Make] = {"kernel": kernel, "dpdk": dpdk}
