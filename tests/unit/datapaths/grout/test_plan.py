"""Records become requests, and a dump of grout's nexthops becomes records again."""

from __future__ import annotations

import errno

import pytest

from datapaths.conformance.batches import upsert, withdraw
from datapaths.grout.picture import ids
from datapaths.grout.picture.bridges import BridgeTable
from datapaths.grout.picture.hops import NO_MAC, HopTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.program.plan import Planner
from datapaths.grout.wire import nexthops as wire
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.grout.wire.ifaces import BridgeInfo, Iface, PortInfo, VrfInfo, VxlanInfo
from datapaths.grout.wire.table import api, versions
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED, Member, Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch

API = api(versions()[0])
GATEWAY, OTHER = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 3])
VTEP = bytes([100, 64, 0, 2])
ROUTER, HOST_MAC = bytes.fromhex("020000000002"), bytes.fromhex("0200000000aa")
LOCAL = bytes([100, 64, 0, 1])


class Grout:
    """A picture, and a fake grout that accepts every nexthop request."""

    def __init__(self) -> None:
        self.ifaces = IfaceTable()
        vrf, port = n.GR_IFACE_TYPE_VRF, n.GR_IFACE_TYPE_PORT
        bridge, vxlan = n.GR_IFACE_TYPE_BRIDGE, n.GR_IFACE_TYPE_VXLAN
        for iface in (
            Iface(type=vrf, id=1, name="main", info=VrfInfo(), vrf=1),
            Iface(type=vrf, id=2, name="red", info=VrfInfo(), vrf=2),
            Iface(type=port, id=3, name="eth1", info=PortInfo(), vrf=1),
            Iface(type=port, id=4, name="eth2", info=PortInfo(), vrf=1),
            Iface(type=vxlan, id=5, name="vx100", info=VxlanInfo(vni=100, local=LOCAL), vrf=2),
            Iface(type=bridge, id=6, name="br110", info=BridgeInfo(), vrf=2, domain=6),
            Iface(
                type=vxlan,
                id=7,
                name="vx110",
                mode=n.GR_IFACE_MODE_BRIDGE,
                domain=6,
                info=VxlanInfo(vni=110, local=LOCAL),
            ),
        ):
            self.ifaces.put(iface)
        self.hops = HopTable(self.ifaces)
        self.bridges = BridgeTable(self.ifaces)
        self.planner = Planner(API, self.ifaces, self.hops, self.bridges)
        self.held: dict[int, wire.Nexthop] = {}
        self.sent: list[str] = []

    def apply(self, batch: RecordBatch) -> list[tuple[int, int]]:
        plan = self.planner.plan(batch)
        self.sent = [type_ for type_, _ in plan.requests]
        for type_, payload in plan.requests:
            if type_ == "GR_NH_ADD":
                at = API.structs["gr_nh_add_req"].fields["nh"][1]  # type: ignore[index]
                nexthop = wire.decode(API, payload[at:])
                self.held[nexthop.id] = nexthop
            elif type_ == "GR_NH_DEL":
                row = API.one("gr_nh_del_req", payload)
                self.held.pop(int(row["nh.nh_id"]), None)
        return [(failure.index, failure.errno) for failure in plan.failures]

    def make(self, *records: Record) -> None:
        assert self.apply(upsert(*records)) == []

    def restarted(self) -> HopTable:
        """Return the picture that another process gets from a dump."""
        other = HopTable(self.ifaces)
        other.load(list(self.held.values()))
        return other


def via(identity: int, gateway: bytes = GATEWAY, device: str = "eth1", vni: int = 0) -> Nexthop:
    return Nexthop(identity, NexthopType.GATEWAY, gateway, "" if vni else device, vni, bool(vni))


ALL = (
    via(1),
    via(2, OTHER),
    via(3, VTEP, vni=100),
    via(4, V4_MAPPED + VTEP, vni=100),
    Nexthop(5, NexthopType.DEVICE, device="eth2"),
    Nexthop(6, NexthopType.BLACKHOLE),
    Nexthop(7, NexthopType.GROUP, members=(Member(1, 3), Member(2, 256))),
    Nexthop(8, NexthopType.GROUP, members=(Member(4),)),
)


def test_loopback_nexthop_is_on_the_main_interface() -> None:
    grout = Grout()
    nexthop = Nexthop(1, NexthopType.DEVICE, device="lo")
    grout.make(nexthop)
    assert [held.iface for held in grout.held.values() if held.type == n.GR_NH_T_L3] == [1]
    assert list(grout.restarted().records.values()) == [nexthop]


def test_restarted_driver_reads_back_the_records() -> None:
    grout = Grout()
    grout.make(*ALL)
    assert grout.restarted().records == {nexthop.id: nexthop for nexthop in ALL}


def test_unchanged_record_sends_no_request() -> None:
    grout = Grout()
    vtep, host = RemoteVtep(100, VTEP, ROUTER), Neighbor(110, OTHER, HOST_MAC)
    for record in (*ALL, vtep, host, Flood(110, VTEP), Mac(110, HOST_MAC, VTEP)):
        grout.make(record)
        grout.make(record)
        assert grout.sent == []


def test_nexthop_ids_with_one_gateway_share_its_hop() -> None:
    grout = Grout()
    grout.make(via(1), via(2), via(3, VTEP, vni=100), via(4, V4_MAPPED + VTEP, vni=100))
    assert len([nexthop for nexthop in grout.held.values() if ids.is_hop(nexthop.id)]) == 2


def test_group_never_has_a_group_as_a_member() -> None:
    grout = Grout()
    grout.make(*ALL)
    info = grout.held[ids.group_of(7)].info
    assert isinstance(info, wire.Group)
    assert all(ids.is_hop(member) for member, _ in info.members)


def test_changed_member_rewrites_its_groups() -> None:
    grout = Grout()
    grout.make(*ALL)
    grout.make(via(1, bytes([10, 0, 0, 9])))
    info = grout.held[ids.group_of(7)].info
    assert isinstance(info, wire.Group)
    gateways = set()
    for member, _ in info.members:
        hop = grout.held[member].info
        assert isinstance(hop, wire.L3)
        gateways.add(hop.address)
    assert gateways == {bytes([10, 0, 0, 9]), OTHER}


def test_gateway_behind_two_interfaces_of_a_vrf_is_refused() -> None:
    grout = Grout()
    grout.make(via(1))
    assert grout.apply(upsert(via(2, device="eth2"))) == [(0, errno.EADDRINUSE)]


def test_link_local_gateway_may_be_behind_every_interface() -> None:
    grout = Grout()
    address = bytes.fromhex("fe80000000000000000000000000002a")
    grout.make(via(1, address), via(2, address, "eth2"))
    assert set(grout.restarted().records.values()) == {via(1, address), via(2, address, "eth2")}


def test_vtep_without_a_router_mac_is_not_a_record() -> None:
    grout = Grout()
    grout.make(via(3, VTEP, vni=100))
    [hop] = [nexthop for nexthop in grout.held.values() if ids.is_hop(nexthop.id)]
    assert isinstance(hop.info, wire.L3)
    assert hop.info.mac == NO_MAC
    assert list(grout.restarted().remote_vteps()) == []
    grout.make(RemoteVtep(100, VTEP, ROUTER))
    assert list(grout.restarted().remote_vteps()) == [RemoteVtep(100, VTEP, ROUTER)]


def test_withdrawn_router_mac_keeps_its_routes() -> None:
    grout = Grout()
    grout.make(RemoteVtep(100, VTEP, ROUTER))
    grout.make(via(3, VTEP, vni=100))
    assert grout.apply(withdraw(RemoteVtep(100, VTEP, ROUTER))) == []
    assert "GR_NH_DEL" not in grout.sent
    assert grout.restarted().records == {3: via(3, VTEP, vni=100)}
    assert list(grout.restarted().remote_vteps()) == []


def test_withdrawals_never_delete_a_nexthop_at_once() -> None:
    grout = Grout()
    some = (via(1), RemoteVtep(100, VTEP, ROUTER), Neighbor(110, OTHER, HOST_MAC))
    for record in some:
        grout.make(record)
    for record in some:
        assert grout.apply(withdraw(record)) == []
        assert set(grout.sent) == {"GR_NH_ADD"}
    left = grout.restarted()
    assert not left.records
    assert not list(left.remote_vteps())
    assert not list(left.neighbors())
    assert left.dying == {1}
    assert left.parked


def test_restored_nexthop_restores_no_earlier_routes() -> None:
    grout = Grout()
    grout.make(via(1))
    grout.apply(withdraw(via(1)))
    grout.make(via(1))
    assert grout.sent[0] == "GR_NH_ADD"  # the hop
    assert "GR_NH_DEL" in grout.sent
    assert grout.restarted().records == {1: via(1)}


@pytest.mark.parametrize("identity", [ids.FIRST_GROUP, 0xFFFF_FE00])
def test_nexthop_id_out_of_range_is_refused(identity: int) -> None:
    assert Grout().apply(upsert(via(identity))) == [(0, errno.EINVAL)]


def test_moved_remote_mac_counts_as_programmed_until_withdrawn() -> None:
    grout = Grout()
    mac = Mac(110, HOST_MAC, VTEP)
    grout.make(mac)
    entry = grout.bridges.get(6, HOST_MAC)
    assert entry
    at = [FdbEntry(**{**_fields(entry), "last_seen": seen}) for seen in (5, 5, 9)]  # type: ignore[arg-type]
    assert [grout.bridges.turned_up([one]) for one in at] == [[], [], [at[2]]]
    grout.bridges.move(entry)
    assert list(grout.bridges.macs()) == [mac]
    assert grout.apply(withdraw(mac)) == []
    assert grout.sent == []
    assert list(grout.bridges.macs()) == []


def _fields(entry: FdbEntry) -> dict[str, object]:
    names = ("bridge", "mac", "iface", "vtep", "flags", "last_seen")
    return {name: getattr(entry, name) for name in names}
