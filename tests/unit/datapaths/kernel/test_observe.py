"""Notifications become learned hosts, losses, or nothing; a plan follows from the picture."""

from __future__ import annotations

import errno
import socket

import pytest

from datapaths.base import Learned, LearnedMac, LearnedNeighbor, Lost, PortChanged
from datapaths.kernel.observe import Observer
from datapaths.kernel.plan import Plan, Planner
from datapaths.kernel.wire import nexthops
from datapaths.kernel.wire.routes import encode_route
from datapaths.linux.wire.links import FIB_RULE_HDR, IFINFOMSG
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch
from dualpath.netlink import numbers as n
from dualpath.netlink.message import NLMSGHDR, attribute, messages, request, u32
from dualpath.netlink.neighborcolumns import NDMSG
from tests.fakes.batches import rows_of, upsert, withdraw
from tests.fakes.logs import Written

BRIDGE, VXLAN, PORT, UPLINK = 6, 7, 8, 9
MAC, OTHER = bytes.fromhex("0200000000aa"), bytes.fromhex("0200000000bb")
VTEP, VTEP2 = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 3])
HOST = bytes([192, 168, 0, 5])


def link(index: int, name: str, kind: str, master: int = 0, vni: int = 0, up: bool = True) -> bytes:
    info = attribute(n.IFLA_INFO_KIND, kind.encode())
    info += attribute(n.IFLA_INFO_DATA, u32(n.IFLA_VXLAN_ID, vni) if vni else b"")
    flags = n.IFF_UP | (n.IFF_LOWER_UP if up else 0)
    body = IFINFOMSG.pack(0, 0, 1, index, flags, 0)
    body += attribute(n.IFLA_IFNAME, name.encode() + b"\0") + attribute(n.IFLA_LINKINFO, info)
    body += attribute(n.IFLA_IFALIAS, b'dualpath:{"what":"vni"}') if vni else b""
    return request(n.RTM_NEWLINK, 0, body + (u32(n.IFLA_MASTER, master) if master else b""))


def gone(message: bytes) -> bytes:
    """Turn RTM_NEW* into RTM_DEL*."""
    length, type_, *rest = NLMSGHDR.unpack_from(message)
    return NLMSGHDR.pack(length, type_ + 1, *rest) + message[NLMSGHDR.size :]


def station(mac: bytes, port: int, state: int = n.NUD_REACHABLE, flags: int = 0) -> bytes:
    """Return a bridge FDB entry as the kernel notifies it."""
    body = NDMSG.pack(socket.AF_BRIDGE, 0, 0, port, state, flags, 0)
    return request(
        n.RTM_NEWNEIGH, 0, body + attribute(n.NDA_LLADDR, mac) + u32(n.NDA_MASTER, BRIDGE)
    )


def neighbour(address: bytes, mac: bytes, state: int = n.NUD_REACHABLE) -> bytes:
    family = socket.AF_INET if len(address) == 4 else socket.AF_INET6
    body = NDMSG.pack(family, 0, 0, BRIDGE, state, 0, 1)
    return request(
        n.RTM_NEWNEIGH, 0, body + attribute(n.NDA_DST, address) + attribute(n.NDA_LLADDR, mac)
    )


class Kernel:
    """An observer of a fake kernel with VNI 110 and an uplink."""

    def __init__(self) -> None:
        self.events: list[Learned] = []
        self.observer = Observer(self.events.append)
        self.planner = Planner(
            self.observer.links,
            self.observer.layer2,
            self.observer.nexthops,
            self.observer.segments,
        )
        self.notify(
            link(BRIDGE, "br110", "bridge"),
            link(VXLAN, "vx110", "vxlan", BRIDGE, 110),
            link(PORT, "h0", "veth", BRIDGE),
            link(UPLINK, "eth1", ""),
        )
        self.events.clear()

    def notify(self, *data: bytes) -> list[Learned]:
        """Return the events that these notifications cause."""
        before = len(self.events)
        for one in data:
            self.observer.feed(one)
        return self.events[before:]

    def hold(self, *records: Record) -> None:
        """Program records, as if the kernel echoed the planned requests."""
        for record in records:
            plan = self.planner.plan(upsert(record))
            for data in plan.requests:
                entry = next(messages(data))
                if entry.type == n.RTM_NEWNEIGH and data[NLMSGHDR.size + 10] & n.NTF_MASTER:
                    data += u32(n.NDA_MASTER, BRIDGE)
                    data = NLMSGHDR.pack(len(data), n.RTM_NEWNEIGH, 0, 0, 0) + data[16:]
                self.observer.feed(data, plan.touched)

    def plan(self, batch: RecordBatch) -> Plan:
        return self.planner.plan(batch)


def types(plan: Plan) -> list[int]:
    return [next(messages(data)).type for data in plan.requests]


def test_local_mac_is_learned_once_and_ages() -> None:
    kernel = Kernel()
    entry = station(MAC, PORT)
    assert kernel.notify(entry, entry) == [LearnedMac(110, MAC)]
    assert kernel.notify(gone(entry)) == [LearnedMac(110, MAC, gone=True)]


@pytest.mark.parametrize(
    "entry",
    [
        station(MAC, PORT, n.NUD_PERMANENT),
        station(MAC, PORT, flags=n.NTF_EXT_LEARNED),
        station(MAC, VXLAN, flags=n.NTF_EXT_LEARNED),
        station(MAC, VXLAN),
    ],
)
def test_other_fdb_entries_are_not_learned(entry: bytes) -> None:
    assert Kernel().notify(entry) == []


def test_mac_that_moves_to_the_overlay_withdraws_its_neighbors() -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC))
    assert kernel.notify(station(MAC, VXLAN, flags=n.NTF_EXT_LEARNED)) == [
        LearnedMac(110, MAC, gone=True),
        LearnedNeighbor(110, HOST, MAC, gone=True),
    ]


def test_neighbor_may_be_seen_before_its_mac() -> None:
    kernel = Kernel()
    assert kernel.notify(neighbour(HOST, MAC)) == []
    reported = kernel.notify(station(MAC, PORT))
    assert reported == [LearnedMac(110, MAC), LearnedNeighbor(110, HOST, MAC)]


@pytest.mark.parametrize("state", [n.NUD_STALE, n.NUD_DELAY, n.NUD_PROBE])
def test_neighbor_being_probed_is_kept(state: int) -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC))
    assert kernel.notify(neighbour(HOST, MAC, state)) == []


@pytest.mark.parametrize("state", [0x20, n.NUD_INCOMPLETE, n.NUD_PERMANENT, n.NUD_NOARP])
def test_neighbor_that_does_not_answer_is_withdrawn(state: int) -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT), neighbour(HOST, MAC))
    assert kernel.notify(neighbour(HOST, MAC, state)) == [
        LearnedNeighbor(110, HOST, MAC, gone=True)
    ]


def test_bridge_that_gets_a_vni_reports_its_macs() -> None:
    kernel = Kernel()
    vxlan = link(VXLAN, "vx110", "vxlan", BRIDGE, 110)
    kernel.notify(gone(vxlan), station(MAC, PORT))
    assert LearnedMac(110, MAC) not in kernel.events
    assert kernel.notify(vxlan) == [LearnedMac(110, MAC)]
    assert LearnedMac(110, MAC, gone=True) in kernel.notify(gone(vxlan))


def test_carrier_change_is_reported_once() -> None:
    kernel = Kernel()
    down = link(UPLINK, "eth1", "", up=False)
    assert kernel.notify(down, down) == [PortChanged("eth1", False)]
    assert kernel.notify(link(UPLINK, "eth1", "")) == [PortChanged("eth1", True)]
    assert kernel.notify(gone(link(UPLINK, "eth1", ""))) == [PortChanged("eth1", False)]


def test_twins_forwarding_end_is_not_a_port() -> None:
    kernel = Kernel()
    ours, other = link(20, "cp-eth1", "veth"), link(21, "pe-e-100", "veth")
    assert kernel.notify(ours, gone(ours)) == []
    assert kernel.notify(other) == [PortChanged("pe-e-100", True)]


def test_duplicate_fdb_rows_with_a_vlan_are_ignored() -> None:
    kernel = Kernel()
    double = station(MAC, VXLAN, flags=n.NTF_EXT_LEARNED) + attribute(n.NDA_VLAN, b"\1\0")
    double = NLMSGHDR.pack(len(double), n.RTM_NEWNEIGH, 0, 0, 0) + double[NLMSGHDR.size :]
    kernel.notify(station(MAC, PORT))
    assert kernel.notify(double, gone(double)) == []


async def test_dump_in_large_pieces_gives_what_single_messages_give() -> None:
    rows = [station(bytes([2, 0, 0, 0, 0, i]), PORT) for i in range(30)]
    rows += [neighbour(bytes([192, 168, 0, i]), bytes([2, 0, 0, 0, 0, i])) for i in range(30)]
    large, single = Kernel(), Kernel()
    await large.observer.load_layer2([b"".join(rows)])
    await single.observer.load_layer2(rows)
    assert large.events == single.events
    assert len(large.events) == len(rows)
    assert large.observer.layer2.stations == single.observer.layer2.stations
    assert large.observer.layer2.hosts == single.observer.layer2.hosts


async def test_second_dump_reports_differences_only() -> None:
    kernel = Kernel()
    kernel.notify(station(MAC, PORT))
    await kernel.observer.load_layer2([station(MAC, PORT)])
    assert kernel.events == [LearnedMac(110, MAC)]
    await kernel.observer.load_layer2([station(OTHER, PORT)])
    assert set(kernel.events[1:]) == {LearnedMac(110, MAC, gone=True), LearnedMac(110, OTHER)}


RECORDS: list[Record] = [
    Mac(110, MAC, VTEP),
    Mac(110, MAC, VTEP, sticky=True),
    Flood(110, VTEP),
    Neighbor(110, HOST, MAC, router=True),
    RemoteVtep(110, VTEP, MAC),
    Nexthop(1, NexthopType.GATEWAY, VTEP, "eth1"),
    Nexthop(2, NexthopType.GATEWAY, VTEP, vni=110, onlink=True),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_row_that_is_already_so_is_not_written_again(record: Record) -> None:
    kernel = Kernel()
    kernel.hold(record)
    assert kernel.events == []
    assert kernel.plan(upsert(record)).requests == []


@pytest.mark.parametrize("sticky", [True, False])
def test_changed_sticky_flag_replaces_the_mac(sticky: bool) -> None:
    kernel = Kernel()
    kernel.hold(Mac(110, MAC, VTEP, sticky=not sticky))
    plan = kernel.plan(upsert(Mac(110, MAC, VTEP, sticky=sticky)))
    assert types(plan) == [n.RTM_DELNEIGH, n.RTM_NEWNEIGH]


@pytest.mark.parametrize(("built", "reported"), [(("br110", "vx110"), 0), (("br111", "vx111"), 1)])
def test_device_lost_during_the_build_of_others_is_reported(
    built: tuple[str, ...], reported: int
) -> None:
    kernel = Kernel()
    lost = gone(link(VXLAN, "vx110", "vxlan", BRIDGE, 110))
    kernel.observer.feed(lost, built=built)
    assert kernel.events.count(Lost(Kind.VNI)) == reported


@pytest.mark.parametrize(
    ("type_", "device", "priority", "built", "reported"),
    [
        (n.RTM_DELRULE, "", 0, (), True),
        (n.RTM_DELRULE, "", 0, ("br110",), False),
        (n.RTM_DELRULE, "", 1000, ("br110",), True),
        (n.RTM_NEWRULE, "", 1000, ("br110",), False),
        (n.RTM_NEWRULE, "", 1000, (), True),
        (n.RTM_DELRULE, "br110", 900, (), True),
        (n.RTM_DELRULE, "br110", 900, ("br110",), False),
        (n.RTM_DELRULE, "br110", 900, ("br111",), True),
    ],
)
def test_changed_routing_rule_is_reported(
    type_: int, device: str, priority: int, built: tuple[str, ...], reported: bool
) -> None:
    kernel = Kernel()
    name = attribute(n.FRA_IIFNAME, device.encode() + b"\0") if device else b""
    body = FIB_RULE_HDR.pack(*[0] * 9) + name + u32(n.FRA_PRIORITY, priority)
    rule = request(type_, 0, body)
    kernel.observer.feed(rule, built=built)
    assert kernel.events == ([Lost(Kind.VRF), Lost(Kind.VNI)] if reported else [])


@pytest.mark.parametrize("record", RECORDS)
def test_each_removed_row_is_reported_as_its_record(record: Record) -> None:
    kernel = Kernel()
    kernel.hold(record)
    plan = kernel.plan(withdraw(record))
    kernel.observer.feed(echo(plan.requests[-1]), plan.touched)
    assert kernel.events == []
    kernel.hold(record)
    kernel.notify(echo(plan.requests[-1]))
    assert kernel.events == [Lost(record.kind, (record,))]


def echo(data: bytes) -> bytes:
    """Return a deletion as the kernel notifies it, with the bridge or the VTEP in it."""
    entry = next(messages(data))
    if entry.type == n.RTM_DELNEIGH:
        flags = entry.body[10]
        data += u32(n.NDA_MASTER, BRIDGE) if flags & n.NTF_MASTER else b""
        data += attribute(n.NDA_DST, VTEP) if flags & n.NTF_SELF else b""
    return NLMSGHDR.pack(len(data), entry.type, 0, 0, 0) + data[NLMSGHDR.size :]


def test_host_that_becomes_local_is_not_a_loss() -> None:
    kernel = Kernel()
    kernel.hold(Mac(110, MAC, VTEP))
    assert kernel.notify(station(MAC, PORT)) == [LearnedMac(110, MAC)]


def test_removed_route_is_reported() -> None:
    row = bytes([20, 0, 0, 0]), 8, 5
    data = gone(encode_route(2, 254, n.RTN_UNICAST, *row))  # type: ignore[arg-type]
    (lost,) = Kernel().notify(data)
    assert isinstance(lost, Lost)
    assert lost.routes
    assert rows_of(lost.routes) == {"20.0.0.0/8": 5}


def test_lost_route_outside_vrf_tables_is_not_reported() -> None:
    row = bytes([20, 0, 0, 0]), 8, 5
    assert Kernel().notify(encode_route(2, 4000, n.RTN_UNICAST, *row)) == []  # type: ignore[arg-type]


def test_lost_carrier_rechecks_only_its_nexthops() -> None:
    kernel = Kernel()
    hop = Nexthop(1, NexthopType.GATEWAY, VTEP, "eth1")
    kernel.notify(link(PORT, "h0", "veth", BRIDGE, up=False))
    kernel.hold(hop)
    assert not kernel.observer.doubtful
    kernel.notify(link(UPLINK, "eth1", "", up=False))
    assert kernel.observer.doubtful
    kernel.observer.load_nexthops([])
    assert not kernel.observer.doubtful
    assert kernel.events[-1] == Lost(Kind.NEXTHOP, (hop,))


def test_foreign_nexthop_is_left_alone_and_an_overwritten_one_restored() -> None:
    kernel = Kernel()
    hop = Nexthop(1, NexthopType.GATEWAY, VTEP, "eth1")
    foreign = nexthops.put(Nexthop(1, NexthopType.BLACKHOLE), 0).replace(b"\x44", b"\x04", 1)
    kernel.notify(foreign)
    assert [row.errno for row in kernel.plan(upsert(hop)).failures] == [errno.EEXIST]
    kernel.notify(gone(foreign))
    kernel.hold(hop)
    assert kernel.notify(foreign) == [Lost(Kind.NEXTHOP, (hop,))]
    assert types(kernel.plan(upsert(hop))) == [n.RTM_NEWNEXTHOP]


def test_group_is_added_after_its_members_and_removed_before_them() -> None:
    kernel = Kernel()
    group = Nexthop(3, NexthopType.GROUP, members=(Member(1),))
    hop = Nexthop(1, NexthopType.GATEWAY, VTEP, "eth1")
    assert kernel.plan(upsert(group, hop)).rows == [1, 0]
    assert kernel.plan(withdraw(hop, group)).rows == [1, 0]


def test_shared_router_mac_is_removed_with_its_last_vtep() -> None:
    kernel = Kernel()
    first, second = RemoteVtep(110, VTEP, MAC), RemoteVtep(110, VTEP2, MAC)
    kernel.hold(first, second)
    alone = kernel.plan(withdraw(first))
    assert types(alone).count(n.RTM_NEWNEIGH) == 1  # the FDB entry now points to the second
    both = kernel.plan(withdraw(first, second))
    assert n.RTM_NEWNEIGH not in types(both)


def test_router_mac_is_not_removed_with_a_host_mac() -> None:
    kernel = Kernel()
    kernel.hold(RemoteVtep(110, VTEP, MAC))
    assert kernel.plan(withdraw(Mac(110, MAC, VTEP))).requests == []
    assert kernel.plan(withdraw(Neighbor(110, VTEP, MAC))).requests == []


def test_missing_bridge_is_named() -> None:
    kernel = Kernel()
    kernel.notify(link(VXLAN, "vx110", "vxlan", 0, 110))
    (failure,) = kernel.plan(upsert(Flood(110, VTEP))).failures
    assert failure.errno == errno.ENODEV
    assert "vx110" in failure.reason
    assert kernel.plan(withdraw(Flood(110, VTEP))).failures == []


def test_malformed_notification_causes_a_full_dump() -> None:
    kernel = Kernel()
    with Written() as written:
        reported = kernel.notify(*[request(n.RTM_NEWNEIGH, 0, b"\1")] * 1000)
        assert (written.rows, len(written.lines) <= 20) == (1000, True)
    assert {event.kind for event in reported if isinstance(event, Lost)} == set(Kind) - {Kind.LSP}
