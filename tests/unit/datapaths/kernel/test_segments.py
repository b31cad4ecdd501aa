"""Each Ethernet segment is one nexthop group of VTEPs in the kernel, shared by its MACs."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from datapaths.base import Lost
from datapaths.kernel.segmenttable import FIRST_VTEP, group_of, segment_of
from datapaths.kernel.wire import neighbors, nexthops
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.netlink import numbers as n
from dualpath.netlink.message import Message, attribute, messages, request, u32
from tests.fakes.batches import upsert, withdraw
from tests.unit.datapaths.kernel.test_observe import MAC, OTHER, VTEP, VTEP2, Kernel, gone

VTEP3 = bytes([10, 0, 0, 4])
VTEP6 = bytes.fromhex("fd" + "00" * 14 + "02")
ID = 0x20000001
SEGMENT = EthernetSegment(ID, (VTEP, VTEP2))
OTHERS = EthernetSegment(ID + 1, (VTEP2, VTEP3))
BEHIND = Mac(110, MAC, segment=ID)


def made(*segments: EthernetSegment) -> Kernel:
    kernel = Kernel()
    kernel.hold(*segments)
    return kernel


def sent(requests: list[bytes]) -> list[Message]:
    return [next(messages(data)) for data in requests]


def held(kernel: Kernel) -> set[EthernetSegment]:
    return set(kernel.observer.segments)


def macs(kernel: Kernel) -> set[Mac]:
    vxlan = kernel.observer.links.vxlan(110)
    assert vxlan
    return set(kernel.observer.remote.macs(vxlan))


def objects(kernel: Kernel, *segments: EthernetSegment) -> Iterator[bytes]:
    yield from kernel.plan(upsert(*segments)).requests


def test_segment_reads_back_as_written() -> None:
    v6 = EthernetSegment(ID + 2, (VTEP6,))
    assert held(made(SEGMENT, OTHERS, v6)) == {SEGMENT, OTHERS, v6}


def test_segments_share_a_vteps_nexthop() -> None:
    kernel = Kernel()
    ids = {nexthops.decode(m).id for m in sent(kernel.plan(upsert(SEGMENT, OTHERS)).requests)}
    assert ids == {FIRST_VTEP + i for i in range(3)} | {group_of(ID), group_of(ID + 1)}


def test_a_row_that_is_already_so_is_not_written_again() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND)
    assert kernel.plan(upsert(SEGMENT)).requests == []
    assert kernel.plan(upsert(BEHIND)).requests == []
    assert kernel.events == []


def test_changed_vtep_is_one_update_of_the_group() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND, Mac(110, OTHER, segment=ID))
    less = kernel.plan(upsert(EthernetSegment(ID, (VTEP,)))).requests
    assert [(m.type, nexthops.decode(m).id) for m in sent(less)] == [
        (n.RTM_NEWNEXTHOP, group_of(ID)),
        (n.RTM_DELNEXTHOP, FIRST_VTEP + 1),
    ]
    kernel.hold(EthernetSegment(ID, (VTEP,)))
    more = kernel.plan(upsert(SEGMENT)).requests
    assert [nexthops.decode(m).id for m in sent(more)] == [FIRST_VTEP + 2, group_of(ID)]
    assert macs(kernel) == {BEHIND, Mac(110, OTHER, segment=ID)}


def test_vtep_in_use_by_another_segment_is_kept() -> None:
    kernel = made(SEGMENT, OTHERS)
    plan = kernel.plan(withdraw(SEGMENT))
    assert [nexthops.decode(m).id for m in sent(plan.requests)] == [group_of(ID), FIRST_VTEP]
    moving = EthernetSegment(ID + 1, (VTEP,))
    assert FIRST_VTEP not in [
        nexthops.decode(m).id
        for m in sent(kernel.plan(upsert(moving, EthernetSegment(ID, (VTEP3,)))).requests)
        if m.type == n.RTM_DELNEXTHOP
    ]


def test_multihomed_mac_refers_to_its_segments_group() -> None:
    kernel = made(SEGMENT)
    requests = sent(kernel.plan(upsert(BEHIND)).requests)
    entry = neighbors.decode(requests[0])
    assert (entry.nexthop, entry.destination) == (group_of(ID), b"")
    kernel.hold(BEHIND)
    assert macs(kernel) == {BEHIND}


@pytest.mark.parametrize(
    ("before", "after"), [(Mac(110, MAC, VTEP), BEHIND), (BEHIND, Mac(110, MAC, VTEP))]
)
def test_mac_is_replaced_when_it_becomes_multihomed_or_single_homed(
    before: Mac, after: Mac
) -> None:
    kernel = made(SEGMENT)
    kernel.hold(before)
    types = [m.type for m in sent(kernel.plan(upsert(after)).requests)]
    assert types == [n.RTM_DELNEIGH, n.RTM_NEWNEIGH]
    kernel.hold(after)
    assert macs(kernel) == {after}


def test_deleted_group_is_reported_with_its_macs() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND)
    kernel.events.clear()
    reported = kernel.notify(gone(nexthops.put_vteps(group_of(ID), [FIRST_VTEP])))
    assert reported == [Lost(Kind.ETHERNET_SEGMENT, (SEGMENT,)), Lost(Kind.MAC, (BEHIND,))]
    assert (held(kernel), macs(kernel)) == (set(), set())


def test_vtep_removed_from_a_group_is_reported() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND)
    kernel.events.clear()
    reported = kernel.notify(nexthops.put_vteps(group_of(ID), [FIRST_VTEP]))
    assert reported == [Lost(Kind.ETHERNET_SEGMENT, (SEGMENT,))]
    assert macs(kernel) == {BEHIND}


def test_dump_adopts_segments_and_reports_missing_ones() -> None:
    kernel = made(SEGMENT, OTHERS)
    found = Kernel()
    dumped = [nexthops.put_vtep(FIRST_VTEP + 5, VTEP), nexthops.put_vtep(FIRST_VTEP + 6, VTEP2)]
    dumped.append(nexthops.put_vteps(group_of(ID), [FIRST_VTEP + 5, FIRST_VTEP + 6]))
    for one in (kernel, found):
        one.events.clear()
        one.observer.load_nexthops(sent(dumped))
        assert held(one) == {SEGMENT}
        assert list(one.observer.nexthops) == []
        assert one.plan(upsert(SEGMENT)).requests == []
    assert kernel.events == [Lost(Kind.ETHERNET_SEGMENT, (OTHERS,))]
    more = sent(found.plan(upsert(OTHERS)).requests)
    assert [nexthops.decode(m).id for m in more] == [FIRST_VTEP + 7, group_of(ID + 1)]


def test_foreign_group_is_left_alone() -> None:
    kernel = Kernel()
    body = nexthops.NHMSG.pack(0, 0, 11, 0, 0) + u32(n.NHA_ID, group_of(ID))
    body += attribute(n.NHA_FDB, b"") + attribute(n.NHA_GROUP, nexthops.GRP.pack(5, 0, 0, 0))
    kernel.notify(request(n.RTM_NEWNEXTHOP, 0, body))
    plan = kernel.plan(upsert(SEGMENT))
    assert [failure.errno for failure in plan.failures] == [errno.EEXIST]
    assert kernel.plan(withdraw(SEGMENT)).requests == []


def test_segment_id_is_derived_from_the_id_of_its_group_only() -> None:
    assert segment_of(group_of(ID)) == ID
    assert [segment_of(identity) for identity in (ID, FIRST_VTEP, 1 << 24, 0)] == [0] * 4
