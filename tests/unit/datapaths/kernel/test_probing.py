"""Only silent local hosts are probed."""

from __future__ import annotations

import socket

import pytest

from datapaths.kernel import probing
from datapaths.kernel.wire import neighbors
from dualpath.model.layer2 import Mac
from dualpath.netlink import numbers as n
from dualpath.netlink.message import attribute, request
from dualpath.netlink.neighborcolumns import NDMSG
from tests.unit.controller.intent.rulebook import rule
from tests.unit.datapaths.kernel.test_observe import (
    BRIDGE,
    HOST,
    MAC,
    PORT,
    VTEP,
    Kernel,
    gone,
    link,
    neighbour,
    station,
)

HOST6 = bytes.fromhex("20010db8000000000000000000000005")


def asked(kernel: Kernel) -> list[bytes]:
    return list(probing.requests(kernel.observer.links, kernel.observer.layer2))


@pytest.mark.parametrize("address", [HOST, HOST6])
@rule("Layout.neighbors", "Differs.silentHosts")
def test_stale_host_is_probed(address: bytes) -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(address, MAC, n.NUD_STALE))
    assert asked(kernel) == [neighbors.use_neighbor(BRIDGE, address)]


@pytest.mark.parametrize("state", [n.NUD_REACHABLE, n.NUD_DELAY, n.NUD_PROBE, n.NUD_PERMANENT])
def test_only_stale_hosts_are_probed(state: int) -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC, state))
    assert asked(kernel) == []


def test_host_with_an_aged_mac_is_probed() -> None:
    """The host may have been silent while no controller ran."""
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC, n.NUD_STALE), gone(station(MAC, PORT)))
    assert asked(kernel) == [neighbors.use_neighbor(BRIDGE, HOST)]


def test_host_that_moved_away_is_not_probed() -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC, n.NUD_STALE))
    kernel.hold(Mac(110, MAC, VTEP))
    assert asked(kernel) == []


def test_host_that_left_is_not_probed() -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC, n.NUD_STALE))
    kernel.notify(gone(neighbour(HOST, MAC, n.NUD_STALE)))
    assert asked(kernel) == []


def stale(bridge: int, number: int) -> bytes:
    """Return a silent neighbor, by its address as a number of 32 or 128 bits."""
    body = NDMSG.pack(socket.AF_INET6, 0, 0, bridge, n.NUD_STALE, 0, 1)
    body += attribute(n.NDA_DST, number.to_bytes(16)) + attribute(n.NDA_LLADDR, MAC)
    return request(n.RTM_NEWNEIGH, 0, body)


def test_many_silent_hosts_of_one_tenant_delay_no_probes_of_others() -> None:
    kernel = Kernel()
    other = 50
    kernel.notify(link(other, "br200", "bridge"), link(51, "vx200", "vxlan", other, 200))
    first = 0x2001 << 112
    kernel.notify(*(stale(BRIDGE, first + number) for number in range(3000)))
    kernel.notify(*(stale(other, first + number) for number in range(10)))
    questions = asked(kernel)
    assert len(questions) == 3010
    wanted = [neighbors.use_neighbor(other, (first + n).to_bytes(16)) for n in range(10)]
    assert [one for one in questions[:20] if one in wanted] == wanted
