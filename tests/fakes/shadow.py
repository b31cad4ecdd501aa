"""The control namespace as its kernel describes it: one L3VNI, one L2VNI, VRF `red`."""

from __future__ import annotations

from dualpath.netlink.numbers import (
    AF_BRIDGE,
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    NTF_EXT_LEARNED,
    NTF_MASTER,
    NTF_SELF,
    NUD_NOARP,
    NUD_REACHABLE,
)
from frr_bridge.wire.link import LinkMessage
from frr_bridge.wire.neighbor import NeighborMessage

L3VNI, L2VNI = 100, 110
RED, BR100, VX100, BR110, VX110, AC110, ETH1 = range(1, 8)

VTEP = bytes([100, 64, 0, 2])
OTHER_VTEP = bytes([100, 64, 0, 3])
ROUTER_MAC = bytes.fromhex("aabbcc000002")
HOST_MAC = bytes.fromhex("02000000000a")
HOST = bytes([10, 110, 0, 10])


def link(
    index: int, name: str, kind: str = "", master: int = 0, vni: int = 0, table: int = 0
) -> LinkMessage:
    return LinkMessage(
        False, AF_UNSPEC, index, name, master=master, kind=kind, vxlan_id=vni, vrf_table=table
    )


LINKS = (
    link(RED, "red", "vrf", table=1100),
    link(BR100, "br100", "bridge", RED),
    link(VX100, "vx100", "vxlan", BR100, L3VNI),
    link(BR110, "br110", "bridge", RED),
    link(VX110, "vx110", "vxlan", BR110, L2VNI),
    link(AC110, "ac110", "dummy", BR110),
    link(ETH1, "eth1"),
)


def on_bridge(
    port: int, bridge: int, mac: bytes, *, deleted: bool = False, flags: int = 0, state: int = 2
) -> NeighborMessage:
    """Return a bridge row: behind which port a MAC is."""
    flags |= NTF_MASTER | NTF_EXT_LEARNED
    return NeighborMessage(deleted, AF_BRIDGE, port, state, flags, mac, master=bridge)


def behind(vxlan: int, mac: bytes, vtep: bytes, *, deleted: bool = False) -> NeighborMessage:
    """Return a VXLAN row: to which VTEP a device sends frames for a MAC."""
    flags = NTF_SELF | NTF_EXT_LEARNED
    return NeighborMessage(deleted, AF_BRIDGE, vxlan, NUD_REACHABLE, flags, mac, vtep)


def flood(vxlan: int, vtep: bytes, *, deleted: bool = False) -> NeighborMessage:
    return NeighborMessage(deleted, AF_BRIDGE, vxlan, 0x80, NTF_SELF, bytes(6), vtep)


def neighbor(
    bridge: int, address: bytes, mac: bytes, *, deleted: bool = False, flags: int = NTF_EXT_LEARNED
) -> NeighborMessage:
    family = AF_INET if len(address) == 4 else AF_INET6
    return NeighborMessage(deleted, family, bridge, NUD_NOARP, flags, mac, address)


HOST_ROWS = (
    on_bridge(VX110, BR110, HOST_MAC),
    behind(VX110, HOST_MAC, VTEP),
    neighbor(BR110, HOST, HOST_MAC),
)
ROUTER_ROWS = (
    on_bridge(VX100, BR100, ROUTER_MAC),
    behind(VX100, ROUTER_MAC, VTEP),
    neighbor(BR100, VTEP, ROUTER_MAC),
    neighbor(BR100, bytes(10) + b"\xff\xff" + VTEP, ROUTER_MAC),
)
FLOOD_ROWS = (flood(VX110, VTEP), flood(VX110, OTHER_VTEP))
ROWS = (*HOST_ROWS, *ROUTER_ROWS, *FLOOD_ROWS)
