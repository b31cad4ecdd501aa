"""Ethernet segments in the kernel: one group of VTEPs for each, shared by its MACs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from datapaths.base import Lost
from datapaths.kernel.segmenttable import FIRST_VTEP, group_of, segment_of
from datapaths.kernel.wire import neighbours, nexthops
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


def test_a_segment_is_read_back_as_it_was_made() -> None:
    v6 = EthernetSegment(ID + 2, (VTEP6,))
    assert held(made(SEGMENT, OTHERS, v6)) == {SEGMENT, OTHERS, v6}


def test_two_segments_share_the_object_of_a_vtep() -> None:
    kernel = Kernel()
    ids = {nexthops.decode(m).id for m in sent(kernel.plan(upsert(SEGMENT, OTHERS)).requests)}
    assert ids == {FIRST_VTEP + i for i in range(3)} | {group_of(ID), group_of(ID + 1)}


def test_a_row_that_is_already_so_is_not_written_again() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND)
    assert kernel.plan(upsert(SEGMENT)).requests == []
    assert kernel.plan(upsert(BEHIND)).requests == []
    assert kernel.events == []


def test_a_vtep_that_comes_or_goes_is_one_update_of_the_group() -> None:
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


def test_a_vtep_that_another_segment_uses_stays() -> None:
    kernel = made(SEGMENT, OTHERS)
    plan = kernel.plan(withdraw(SEGMENT))
    assert [nexthops.decode(m).id for m in sent(plan.requests)] == [group_of(ID), FIRST_VTEP]
    moving = EthernetSegment(ID + 1, (VTEP,))
    assert FIRST_VTEP not in [
        nexthops.decode(m).id
        for m in sent(kernel.plan(upsert(moving, EthernetSegment(ID, (VTEP3,)))).requests)
        if m.type == n.RTM_DELNEXTHOP
    ]


def test_a_mac_names_the_group_of_its_segment() -> None:
    kernel = made(SEGMENT)
    requests = sent(kernel.plan(upsert(BEHIND)).requests)
    entry = neighbours.decode(requests[0])
    assert (entry.nexthop, entry.destination) == (group_of(ID), b"")
    kernel.hold(BEHIND)
    assert macs(kernel) == {BEHIND}


@pytest.mark.parametrize(
    ("before", "after"), [(Mac(110, MAC, VTEP), BEHIND), (BEHIND, Mac(110, MAC, VTEP))]
)
def test_a_mac_that_becomes_multihomed_or_single_homed_is_replaced(before: Mac, after: Mac) -> None:
    kernel = made(SEGMENT)
    kernel.hold(before)
    types = [m.type for m in sent(kernel.plan(upsert(after)).requests)]
    assert types == [n.RTM_DELNEIGH, n.RTM_NEWNEIGH]
    kernel.hold(after)
    assert macs(kernel) == {after}


def test_a_deleted_group_is_emitted_with_its_macs() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND)
    kernel.events.clear()
    told = kernel.tell(gone(nexthops.put_vteps(group_of(ID), [FIRST_VTEP])))
    assert told == [Lost(Kind.ETHERNET_SEGMENT, (SEGMENT,)), Lost(Kind.MAC, (BEHIND,))]
    assert (held(kernel), macs(kernel)) == (set(), set())


def test_a_removed_vtep_of_a_group_is_emitted() -> None:
    kernel = made(SEGMENT)
    kernel.hold(BEHIND)
    kernel.events.clear()
    told = kernel.tell(nexthops.put_vteps(group_of(ID), [FIRST_VTEP]))
    assert told == [Lost(Kind.ETHERNET_SEGMENT, (SEGMENT,))]
    assert macs(kernel) == {BEHIND}


def test_a_dump_finds_segments_and_emits_missing_ones() -> None:
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


def test_another_program_s_group_is_respected() -> None:
    kernel = Kernel()
    body = nexthops.NHMSG.pack(0, 0, 11, 0, 0) + u32(n.NHA_ID, group_of(ID))
    body += attribute(n.NHA_FDB, b"") + attribute(n.NHA_GROUP, nexthops.GRP.pack(5, 0, 0, 0))
    kernel.tell(request(n.RTM_NEWNEXTHOP, 0, body))
    plan = kernel.plan(upsert(SEGMENT))
    assert [failure.error for failure in plan.failures] == ["EEXIST"]
    assert kernel.plan(withdraw(SEGMENT)).requests == []


def test_ids_of_groups_and_segments_are_told_apart() -> None:
    assert segment_of(group_of(ID)) == ID
    assert [segment_of(identity) for identity in (ID, FIRST_VTEP, 1 << 24, 0)] == [0] * 4
