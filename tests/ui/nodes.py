"""Daemons to look at, in five states: their tables are in memory, all else of the page is real."""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable
from dataclasses import replace

from controller.ui.board import Board
from datapaths.base import PortState
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.links import Address, HostEnd, Port, Vni, Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.view import BgpSession, Change, FrrVni, PlaneStatus, Role, RowState
from tests.fakes.view import STATUS, FakeRoute, MemoryView

LOCAL = bytes([100, 64, 0, 1])
OTHERS = tuple(bytes([100, 64, 0, last]) for last in (2, 3, 4, 5))
PEERS = ("192.168.1.0", "192.168.2.0", "2001:db8:1::1")
LEGS = (("web-1", "red", 0), ("web-2", "red", 0), ("db-1", "", 110), ("db-2", "", 110))
SAMPLES = 149
LEGS_OF_BLUE = (("app-1", "blue", 0), ("app-2", "", 220))


def fine() -> MemoryView:
    """Return a node with two uplinks, two VRFs, five VNIs and six hosts; all is programmed."""
    view = MemoryView()
    now = time.time()
    view.state = replace(STATUS, started_at=now - 273_000, version="0.1.0")
    _add_ports(view)
    _add_overlay(view)
    _add_routes(view)
    sessions = [
        BgpSession("default", peer, 64612, "Established", now - 262_000, 214, 31, bfd="Up")
        for peer in PEERS
    ]
    hosts = [
        BgpSession("red", "10.100.0.2", 65010, "Established", now - 7_400, 4, 61),
        BgpSession("blue", "2001:db8:20::2", 65020, "Established", now - 91_000, 2, 40),
    ]
    vnis = tuple(FrrVni(it[0], it[1], it[2], True) for it in VNIS)
    view.state = replace(view.state, sessions=(*sessions, *hosts), vnis=vnis)
    return view


VNIS = ((100, 3, "red"), (110, 2, "red"), (120, 2, "red"), (200, 3, "blue"), (220, 2, "blue"))


def _add_ports(view: MemoryView) -> None:
    view.add(
        Port("eth1", addresses=(Address.parse("192.168.1.1/31"),), mtu=9000, twin=True),
        Port("eth2", addresses=(Address.parse("192.168.2.1/31"),), mtu=9000, twin=True),
        Port("lo", loopback=True, addresses=(Address.parse("100.64.0.1/32"),)),
    )
    for at, (name, vrf, vni) in enumerate((*LEGS, *LEGS_OF_BLUE)):
        address = "2001:db8:20::2/64" if vrf == "blue" else f"10.100.{at}.2/24"
        end = HostEnd(netns=name, name="eth0", addresses=(Address.parse(address),))
        view.add(Port(name, vrf=vrf, vni=vni, host=end))
    view.ports = [
        PortState(name, True, b"\x02\0\0\0\0\1", 9000)
        for name in ("eth1", "eth2", *(it[0] for it in (*LEGS, *LEGS_OF_BLUE)))
    ]


def _add_overlay(view: MemoryView) -> None:
    view.add(Vrf("red", 1001), Vrf("blue", 1002))
    for vni, layer, vrf in VNIS:
        gateways = (Address.parse(f"10.{vni % 250}.0.1/24"),) if layer == 2 else ()
        view.add(Vni(vni, layer, vrf, LOCAL, mac=b"\x02\0\0\0\0\x64", gateways=gateways))
    for at, vtep in enumerate(OTHERS):
        for vni, layer, vrf in VNIS:
            if vrf == "blue" and at > 1:
                continue
            view.add(
                RemoteVtep(vni, vtep, bytes([2, 0, 0, 0, 1, at]))
                if layer == 3
                else Flood(vni, vtep)
            )
        for host in range(6):
            mac = bytes([0xAA, 0xBB, 0xCC, 0, at, host])
            view.add(Mac(110, mac, vtep), Neighbor(110, bytes([10, 110, at, 10 + host]), mac))
    view.add(
        Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 0]), "eth1"),
        Nexthop(2, NexthopType.GATEWAY, bytes([192, 168, 2, 0]), "eth2"),
        Nexthop(3, NexthopType.GROUP, members=(Member(1, 1), Member(2, 1))),
    )
    for at, vtep in enumerate(OTHERS):
        view.add(Nexthop(10 + at, NexthopType.GATEWAY, vtep, vni=100, onlink=True))
        view.add(Nexthop(20 + at, NexthopType.GATEWAY, vtep, vni=200, onlink=True))


def _add_routes(view: MemoryView) -> None:
    for at in range(4):
        view.add_routes(FakeRoute(f"100.64.0.{2 + at}/32", 3, 3))
    for number in range(60):
        view.add_routes(
            FakeRoute(f"10.2.{number}.0/24", 10 + number % 4, 10 + number % 4, vrf="red"),
            FakeRoute(f"2001:db8:2:{number:x}::/64", 10, 10, vrf="red"),
            FakeRoute(f"10.3.{number}.0/24", 20 + number % 2, 20 + number % 2, vrf="blue"),
        )
    view.add_routes(FakeRoute("10.100.0.0/24", 1, state=RowState.UNMANAGED, vrf="red", protocol=2))
    for number in range(40):
        view.happen(change(time.time() - 40 + number, f"10.2.{number % 60}.0/24"))


def change(at: float, text: str, state: RowState = RowState.PROGRAMMED) -> Change:
    return Change(
        sequence=0,
        at=at,
        kind=Kind.ROUTE,
        text=text,
        vrf="red",
        state=state,
        withdrawn=False,
        detail="via 100.64.0.2 vni 100" if state is RowState.PROGRAMMED else "ENOSPC",
    )


def peer_down() -> MemoryView:
    """Return a node that lost an uplink: its session, its BFD session and its link."""
    view = fine()
    lose_uplink(view)
    return view


def lose_uplink(view: MemoryView) -> None:
    first, second, *rest = view.state.sessions
    down = replace(
        second,
        state="Active",
        since=0.0,
        received=0,
        sent=0,
        bfd="Down",
        reason="BFD down received",
    )
    view.state = replace(view.state, sessions=(first, down, *rest))
    view.ports[1] = replace(view.ports[1], up=False)


def failed_rows() -> MemoryView:
    """Return a node whose datapath refused a VNI and some routes."""
    view = fine()
    refuse(view)
    return view


def refuse(view: MemoryView) -> None:
    for number in range(12):
        view.add_routes(
            FakeRoute(f"10.9.{number}.0/24", 10, 0, RowState.FAILED, vrf="red", error=errno.ENOSPC)
        )
    view.rows = [
        replace(row, state=RowState.FAILED, error="ENOSPC: no room for another VNI")
        if isinstance(row.record, Vni) and row.record.vni == 220
        else row
        for row in view.rows
    ]
    view.state = replace(view.state, degraded="VNI 220 is not in the datapath (ENOSPC)")
    for number in range(12):
        view.happen(change(time.time(), f"10.9.{number}.0/24", RowState.FAILED))


def switching() -> MemoryView:
    """Return a node that moves from the kernel to grout: programmed in part, no port moved yet."""
    view = fine()
    ports = ("eth1", "eth2", *(it[0] for it in (*LEGS, *LEGS_OF_BLUE)))
    kernel = PlaneStatus("kernel", Role.ACTIVE, 298, 298, 0, ports=ports)
    dpdk = PlaneStatus("dpdk", Role.PREPARING, 298, 211)
    view.state = replace(view.state, planes=(kernel, dpdk))
    return view


def thousand() -> MemoryView:
    """Return a node with a thousand VNIs in fifty VRFs, twelve of them not programmed."""
    view = fine()
    vrfs = [f"tenant-{number:02}" for number in range(50)]
    view.add(*(Vrf(name, 2000 + at) for at, name in enumerate(vrfs)))
    for number in range(1000 - len(VNIS)):
        vni, vrf = 10_000 + number, vrfs[number % 50]
        layer = 3 if number < 50 else 2
        odd = {300: RowState.FAILED, 301: RowState.FAILED, 500: RowState.STALE}
        state = odd.get(number, RowState.PENDING if 600 <= number < 609 else RowState.PROGRAMMED)
        error = "ENOSPC: no room for another VNI" if state is RowState.FAILED else ""
        view.add(Vni(vni, layer, vrf, LOCAL), state=state, error=error)
        for vtep in OTHERS:
            view.add(RemoteVtep(vni, vtep, b"\x02\0\0\0\1\1") if layer == 3 else Flood(vni, vtep))
    for at, name in enumerate(vrfs):
        port = f"vm-{at:02}"
        view.add(Port(port, vrf=name, host=HostEnd(netns=port, name="eth0")))
        view.ports.append(PortState(port, True, b"\x02\0\0\0\0\2", 1450))
    return view


STATES: dict[str, Callable[[], MemoryView]] = {
    "fine": fine,
    "peer-down": peer_down,
    "failed-rows": failed_rows,
    "switching": switching,
    "thousand-vnis": thousand,
}


def packets(port: int, number: int) -> tuple[int, int]:
    """Return the packets in and out of a port in look `number`."""
    rx = 900 + 260 * ((number * (port + 3)) % 7) + 40 * ((number * 5 + port) % 11)
    tx = 600 + 190 * ((number * (port + 2)) % 5) + 30 * ((number * 3 + port) % 13)
    return rx // (1 + port % 3), tx // (1 + port % 4)


def count_packets(view: MemoryView, number: int) -> None:
    """Let time go on: every port has counted more packets."""
    view.ports[:] = [_counted(port, *packets(at, number)) for at, port in enumerate(view.ports)]


def _counted(port: PortState, rx: int, tx: int) -> PortState:
    if not port.up:
        return port
    return replace(
        port,
        rx_packets=port.rx_packets + rx,
        rx_bytes=port.rx_bytes + 700 * rx,
        tx_packets=port.tx_packets + tx,
        tx_bytes=port.tx_bytes + 500 * tx,
    )


def past(view: MemoryView, board: Board, now: float) -> None:
    """Put five minutes of traffic and changes on a board, as if a page had been open."""
    for number in range(SAMPLES):
        rates = {
            port.name: [700 * 8 * rx, rx, 500 * 8 * tx, tx, 0]
            for at, port in enumerate(view.ports)
            for rx, tx in (packets(at, number),)
            if port.up
        }
        changes = 1 + (number * 7) % 19 if number % 13 in (3, 4, 8) else 0
        sample = {"at": now - 2 * (SAMPLES - number), "changes": changes, "rates": rates}
        board.add("sample", json.dumps(sample))
