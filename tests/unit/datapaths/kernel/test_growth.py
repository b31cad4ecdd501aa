"""A notification costs what it changes, whatever else there is: laws of growth, as counts."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from datapaths.base import LearnedMac, LearnedNeighbor, Lost
from datapaths.kernel.segmenttable import FIRST_VTEP, group_of
from datapaths.kernel.wire import nexthops
from datapaths.kernel.wire.routes import encode_route
from datapaths.linux.wire.links import IFINFOMSG
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Mac
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import Family
from dualpath.netlink import numbers as n
from dualpath.netlink.message import attribute, request, u32
from dualpath.netlink.neighborcolumns import NDMSG
from tests.fakes.visits import steps
from tests.unit.datapaths.kernel.test_observe import (
    BRIDGE,
    HOST,
    MAC,
    PORT,
    UPLINK,
    VTEP,
    VTEP2,
    VXLAN,
    Kernel,
    gone,
    link,
    neighbour,
    station,
)

FEW, MANY = 8, 200
SEGMENT = 50


def fdb(device: int, mac: bytes, *attributes: bytes, flags: int) -> bytes:
    body = NDMSG.pack(socket.AF_BRIDGE, 0, 0, device, n.NUD_REACHABLE, flags, 0)
    return request(n.RTM_NEWNEIGH, 0, body + attribute(n.NDA_LLADDR, mac) + b"".join(attributes))


def in_group(vxlan: int, mac: bytes, segment: int) -> bytes:
    """Return an entry of a VXLAN device for a MAC behind an Ethernet segment."""
    flags = n.NTF_SELF | n.NTF_EXT_LEARNED
    return fdb(vxlan, mac, u32(n.NDA_NH_ID, group_of(segment)), flags=flags)


def vrf(index: int, table: int) -> bytes:
    info = attribute(n.IFLA_INFO_KIND, b"vrf")
    info += attribute(n.IFLA_INFO_DATA, u32(n.IFLA_VRF_TABLE, table))
    body = IFINFOMSG.pack(0, 0, 1, index, n.IFF_UP, 0)
    body += attribute(n.IFLA_IFNAME, b"vrf%d\0" % table) + attribute(n.IFLA_LINKINFO, info)
    return request(n.RTM_NEWLINK, 0, body)


def put(nexthop: Nexthop, oif: int = 0) -> bytes:
    return nexthops.put(nexthop, oif)


def kernel_with(others: int) -> Kernel:
    """Return one with VNI 110, a local host in it, and much else in other VNIs and VRFs."""
    kernel = Kernel()
    notify = kernel.notify
    notify(link(5, "eth5", ""), station(MAC, PORT), neighbour(HOST, MAC))
    notify(nexthops.put_vtep(FIRST_VTEP, VTEP), nexthops.put_vtep(FIRST_VTEP + 1, VTEP2))
    notify(nexthops.put_vteps(group_of(SEGMENT), [FIRST_VTEP]))
    notify(in_group(VXLAN, bytes.fromhex("0200000000cc"), SEGMENT))
    notify(put(Nexthop(7, NexthopType.GATEWAY, VTEP, "eth1"), UPLINK))
    for i in range(others):
        bridge, vxlan, port, mac = (
            1000 + i,
            2000 + i,
            3000 + i,
            bytes([2, 1, 0, 0, *divmod(i, 256)]),
        )
        notify(
            link(bridge, f"br{bridge}", "bridge"),
            link(vxlan, f"vx{bridge}", "vxlan", bridge, bridge),
        )
        notify(link(port, f"h{bridge}", "veth", bridge), vrf(4000 + i, 5000 + i))
        notify(fdb(port, mac, u32(n.NDA_MASTER, bridge), flags=0))
        notify(nexthops.put_vteps(group_of(100 + i), [FIRST_VTEP + 1]))
        notify(in_group(vxlan, mac, 100 + i))
        notify(put(Nexthop(100 + i, NexthopType.GATEWAY, VTEP, "eth5"), 5))
    notify(vrf(11, 100))
    kernel.events.clear()
    return kernel


def vxlan_came_again(kernel: Kernel) -> None:
    kernel.notify(gone(link(VXLAN, "vx110", "vxlan", BRIDGE, 110)))
    kernel.notify(link(VXLAN, "vx110", "vxlan", BRIDGE, 110))
    assert LearnedMac(110, MAC) in kernel.events
    assert LearnedNeighbor(110, HOST, MAC) in kernel.events


def bridge_deleted(kernel: Kernel) -> None:
    kernel.notify(gone(link(BRIDGE, "br110", "bridge")))


def uplink_down(kernel: Kernel) -> None:
    kernel.notify(link(UPLINK, "eth1", "", up=False))
    assert kernel.observer.doubtful


def unused_link_down(kernel: Kernel) -> None:
    kernel.notify(link(PORT, "h0", "veth", BRIDGE, up=False))
    assert not kernel.observer.doubtful


def segment_deleted(kernel: Kernel) -> None:
    kernel.notify(gone(nexthops.put_vteps(group_of(SEGMENT), [FIRST_VTEP])))
    lost = Mac(110, bytes.fromhex("0200000000cc"), segment=SEGMENT)
    assert Lost(Kind.MAC, (lost,)) in kernel.events


def nexthop_came(kernel: Kernel) -> None:
    kernel.notify(put(Nexthop(8, NexthopType.GATEWAY, VTEP, "eth1"), UPLINK))


def route_deleted(kernel: Kernel) -> None:
    key = bytes([10, 0, 0, 0]), 8
    kernel.notify(gone(encode_route(Family.INET, 100, n.RTN_UNICAST, *key, 7)))
    (lost,) = kernel.events
    assert isinstance(lost, Lost)
    assert lost.routes
    assert lost.routes.vrf == "vrf100"


@pytest.mark.parametrize(
    "change",
    [
        vxlan_came_again,
        bridge_deleted,
        uplink_down,
        unused_link_down,
        segment_deleted,
        nexthop_came,
        route_deleted,
    ],
)
def test_notification_visits_what_it_changes_only(change: Callable[[Kernel], None]) -> None:
    few, many = kernel_with(FEW), kernel_with(MANY)
    change(kernel_with(0))  # whatever is done once in a process
    assert steps(lambda: change(few)) == steps(lambda: change(many))
