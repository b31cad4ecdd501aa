"""Checks of nexthops and layer 2."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import replace

from datapaths.base import Feature, RowFailure
from datapaths.conformance.batches import batch, upsert, withdraw
from datapaths.conformance.checks import Case, Chapter, Needs, needs
from datapaths.conformance.subject import L2VNI, L3VNI, Subject
from datapaths.conformance.verdict import Violation, expect, expect_none
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Flood, Mac, Neighbor, RemoteVtep
from dualpath.model.nexthops import V4_MAPPED, Member, Nexthop, NexthopType
from dualpath.model.records import Record, RecordBatch

# Outside the device's network: in these checks, overlay and underlay may share a VRF.
VTEP, OTHER_VTEP = bytes([10, 0, 1, 2]), bytes([10, 0, 1, 3])
MAC, OTHER_MAC = bytes.fromhex("0200000000aa"), bytes.fromhex("0200000000bb")
ROUTER = bytes.fromhex("020000000002")
HOST, HOST6 = bytes([192, 168, 0, 5]), bytes.fromhex("20010db8000000000000000000000005")
GATEWAY6 = bytes.fromhex("fd00" + "00" * 13 + "02")

SEGMENTS = (
    EthernetSegment(0x20000001, (VTEP, OTHER_VTEP)),
    EthernetSegment(0x20000002, (OTHER_VTEP,)),
    EthernetSegment(0x20000003, (bytes.fromhex("fd" + "00" * 14 + "02"),)),
)

EACH_KIND = [
    Case(kind.name.lower(), (kind,), needs(kind))
    for kind in (
        Kind.REMOTE_VTEP,
        Kind.FLOOD,
        Kind.ETHERNET_SEGMENT,
        Kind.MAC,
        Kind.NEIGHBOR,
        Kind.NEXTHOP,
    )
]

chapter = Chapter("records", needs(Kind.VNI))
check = chapter.check


def nexthops(subject: Subject) -> tuple[Nexthop, ...]:
    """Return a nexthop of each type that the datapath supports; ids 1, 2 and 8 are always there."""
    device = subject.device
    weight = 1 if subject.lacks(Feature.WEIGHTS) else 256
    found = [
        Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), device),
        Nexthop(2, NexthopType.GATEWAY, bytes([10, 9, 9, 9]), device, onlink=True),
        Nexthop(3, NexthopType.GATEWAY, GATEWAY6, device),
        Nexthop(4, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True),
        Nexthop(5, NexthopType.GATEWAY, V4_MAPPED + VTEP, vni=L3VNI, onlink=True),
        Nexthop(7, NexthopType.BLACKHOLE),
    ]
    if not subject.lacks(Feature.DEVICE_NEXTHOP):
        found.append(Nexthop(6, NexthopType.DEVICE, device=device))
    group = Nexthop(8, NexthopType.GROUP, members=(Member(1, 1), Member(2, weight)))
    return (*found, group)


def records(subject: Subject, kind: Kind) -> tuple[Record, ...]:
    """Return some records of a kind, without features that the datapath lacks."""
    sticky = not subject.lacks(Feature.STICKY)
    router = not subject.lacks(Feature.ROUTER_FLAG)
    other = bytes.fromhex("020000000003")
    some: dict[Kind, tuple[Record, ...]] = {
        Kind.REMOTE_VTEP: (RemoteVtep(L3VNI, VTEP, ROUTER), RemoteVtep(L3VNI, OTHER_VTEP, other)),
        Kind.FLOOD: (Flood(L2VNI, VTEP), Flood(L2VNI, OTHER_VTEP)),
        Kind.ETHERNET_SEGMENT: SEGMENTS,
        Kind.MAC: (Mac(L2VNI, MAC, VTEP), Mac(L2VNI, OTHER_MAC, OTHER_VTEP, sticky)),
        Kind.NEIGHBOR: (Neighbor(L2VNI, HOST, MAC), Neighbor(L2VNI, HOST6, MAC, router)),
        Kind.NEXTHOP: nexthops(subject),
    }
    return some[kind]


async def make(subject: Subject, *some: Record) -> None:
    expect_none(await subject.datapath.apply(upsert(*some)), "upserts that must succeed")


async def remove(subject: Subject, *some: Record) -> None:
    expect_none(await subject.datapath.apply(withdraw(*some)), "withdrawals that must succeed")


async def expect_dump(subject: Subject, kind: Kind, wanted: set[Record]) -> None:
    expect(await subject.records(kind), wanted, f"dump({kind.name})")


def errors(failures: Sequence[RowFailure]) -> list[tuple[int, int]]:
    return [(row.index, row.errno) for row in failures]


@check()
async def vnis_are_dumped_as_applied(subject: Subject) -> None:
    found = {record.key: record for record in await subject.records(Kind.VNI)}
    for vni in subject.segments():
        expect(found.get(vni.key), vni, f"dump(VNI) of {vni.vni}")
    await make(subject, *subject.segments())


@check(cases=EACH_KIND)
async def dump_returns_everything_applied(subject: Subject, kind: Kind) -> None:
    some = records(subject, kind)
    await make(subject, *some)
    await expect_dump(subject, kind, set(some))


@check(cases=EACH_KIND)
async def applying_twice_changes_nothing(subject: Subject, kind: Kind) -> None:
    some = records(subject, kind)
    for _ in range(2):
        await make(subject, *some)
    await expect_dump(subject, kind, set(some))


@check(cases=EACH_KIND)
async def a_withdrawal_removes_only_its_record(subject: Subject, kind: Kind) -> None:
    gone, *rest = reversed(records(subject, kind))
    await make(subject, *records(subject, kind))
    for _ in range(2):
        await remove(subject, gone)
        await expect_dump(subject, kind, set(rest))


@check(cases=EACH_KIND)
async def withdrawing_an_absent_record_succeeds(subject: Subject, kind: Kind) -> None:
    await remove(subject, *records(subject, kind))


@check(cases=EACH_KIND)
async def a_new_process_finds_everything_installed(subject: Subject, kind: Kind) -> None:
    some = records(subject, kind)
    await make(subject, *some)
    await subject.reopen()
    await expect_dump(subject, kind, set(some))


@check(needs(Kind.MAC))
async def a_missing_vni_fails_its_rows(subject: Subject) -> None:
    lost: tuple[Record, ...] = (Mac(7, MAC, VTEP), Mac(L2VNI, MAC, VTEP), Mac(7, OTHER_MAC, VTEP))
    failures = await subject.datapath.apply(RecordBatch(Kind.MAC, lost))
    expect(errors(failures), [(0, errno.ENODEV), (2, errno.ENODEV)], "rows that failed")
    if "7" not in failures[0].reason:
        raise Violation(f"the reason does not name the VNI: {failures[0].reason!r}")
    await expect_dump(subject, Kind.MAC, {lost[1]})
    await remove(subject, *lost)


@check(needs(Kind.NEXTHOP))
async def a_missing_device_fails_only_its_nexthop(subject: Subject) -> None:
    good, bad = nexthops(subject)[0], Nexthop(9, NexthopType.GATEWAY, VTEP, "nope0")
    failures = await subject.datapath.apply(upsert(bad, good))
    expect(errors(failures), [(0, errno.ENODEV)], "rows that failed")
    if "nope0" not in failures[0].reason:
        raise Violation(f"the reason does not name the device: {failures[0].reason!r}")
    await expect_dump(subject, Kind.NEXTHOP, {good})


@check(needs(Kind.NEXTHOP))
async def the_index_of_a_failure_counts_upserts_then_withdrawals(subject: Subject) -> None:
    first, second, *_ = nexthops(subject)
    group = Nexthop(20, NexthopType.GROUP, members=(Member(19),))
    both = RecordBatch(Kind.NEXTHOP, (first, group), (second,))
    expect(errors(await subject.datapath.apply(both)), [(1, errno.EINVAL)], "rows that failed")


@check(needs(Kind.NEXTHOP, Kind.ROUTE))
async def a_group_replaced_in_place_keeps_its_routes(subject: Subject) -> None:
    await _replace_group(subject)


@check(needs(Kind.NEXTHOP, Kind.ROUTE, environment=True))
async def a_group_replaced_in_place_writes_no_route(subject: Subject) -> None:
    expect(await _replace_group(subject), 0, "routes that were written")


async def _replace_group(subject: Subject) -> int:
    """Change a group that routes use; return the number of written routes, if it is known."""
    await make(subject, *nexthops(subject))
    prefixes = [f"+ 20.{i}.0.0/16 8" for i in range(1, 20)]
    failures = await subject.datapath.apply(batch(*prefixes, vrf=subject.vrf))
    expect_none(failures, "routes that must succeed")
    written = subject.environment.count_route_writes() if subject.environment else lambda: 0
    weight = 1 if subject.lacks(Feature.WEIGHTS) else 3
    moved = replace(nexthops(subject)[-1], members=(Member(2, weight),))
    await make(subject, moved)
    count = written()
    if moved not in await subject.records(Kind.NEXTHOP):
        raise Violation(f"dump(NEXTHOP) does not show the changed group: {moved}")
    expect(set((await subject.routes()).values()), {8}, "nexthops of the routes")
    return count


@check(needs(Kind.NEXTHOP, Kind.ROUTE))
async def a_gateway_replaced_in_place_keeps_its_routes(subject: Subject) -> None:
    first, *_ = nexthops(subject)
    await make(subject, first)
    row = batch("+ 20.1.0.0/16 1", vrf=subject.vrf)
    expect_none(await subject.datapath.apply(row), "a route that must succeed")
    moved = replace(first, gateway=bytes([10, 0, 0, 7]))
    await make(subject, moved)
    await expect_dump(subject, Kind.NEXTHOP, {moved})
    expect(await subject.routes(), {"20.1.0.0/16": 1}, "dump(ROUTE)")


@check(needs(Kind.NEXTHOP))
async def nexthops_may_share_a_gateway(subject: Subject) -> None:
    first, *_ = nexthops(subject)
    twin = replace(first, id=11)
    await make(subject, first, twin)
    await expect_dump(subject, Kind.NEXTHOP, {first, twin})
    await remove(subject, first)
    await expect_dump(subject, Kind.NEXTHOP, {twin})


@check(needs(Kind.MAC))
async def a_mac_moves_to_another_vtep(subject: Subject) -> None:
    moved = Mac(L2VNI, MAC, OTHER_VTEP)
    await make(subject, Mac(L2VNI, MAC, VTEP))
    await make(subject, moved)
    await expect_dump(subject, Kind.MAC, {moved})


@check(needs(Kind.ETHERNET_SEGMENT))
async def a_multihomed_mac_has_all_vteps_of_its_segment(subject: Subject) -> None:
    first, second, _ = SEGMENTS
    behind = [Mac(L2VNI, mac, segment=first.id) for mac in (MAC, OTHER_MAC)]
    await make(subject, first, second)
    await make(subject, *behind)
    for vteps in ((VTEP,), (OTHER_VTEP,), (VTEP, OTHER_VTEP)):
        await make(subject, replace(first, vteps=vteps))
        await expect_dump(subject, Kind.ETHERNET_SEGMENT, {replace(first, vteps=vteps), second})
        await expect_dump(subject, Kind.MAC, set(behind))
    await remove(subject, *behind)
    await remove(subject, first)
    await expect_dump(subject, Kind.ETHERNET_SEGMENT, {second})


@check(needs(Kind.ETHERNET_SEGMENT))
async def a_mac_becomes_multihomed_and_single_homed_again(subject: Subject) -> None:
    first, second, _ = SEGMENTS
    await make(subject, first, second)
    for mac in (
        Mac(L2VNI, MAC, VTEP),
        Mac(L2VNI, MAC, segment=first.id),
        Mac(L2VNI, MAC, segment=second.id),
        Mac(L2VNI, MAC, OTHER_VTEP),
    ):
        await make(subject, mac)
        await expect_dump(subject, Kind.MAC, {mac})


@check(needs(Kind.MAC, Feature.STICKY), [Case("sticky", (True,)), Case("free", (False,))])
async def a_mac_becomes_sticky_and_mobile_again(subject: Subject, sticky: bool) -> None:
    await make(subject, Mac(L2VNI, MAC, VTEP, sticky=not sticky))
    await make(subject, Mac(L2VNI, MAC, VTEP, sticky=sticky))
    await expect_dump(subject, Kind.MAC, {Mac(L2VNI, MAC, VTEP, sticky=sticky)})


@check(needs(Kind.NEIGHBOR))
async def a_neighbor_changes_its_mac(subject: Subject) -> None:
    after = Neighbor(L2VNI, HOST, OTHER_MAC)
    await make(subject, Neighbor(L2VNI, HOST, MAC))
    await make(subject, after)
    await expect_dump(subject, Kind.NEIGHBOR, {after})


@check(needs(Kind.REMOTE_VTEP, Kind.MAC, Kind.NEIGHBOR))
async def vteps_may_share_a_router_mac(subject: Subject) -> None:
    first, second = RemoteVtep(L3VNI, VTEP, ROUTER), RemoteVtep(L3VNI, OTHER_VTEP, ROUTER)
    await make(subject, first, second)
    await expect_dump(subject, Kind.REMOTE_VTEP, {first, second})
    await expect_dump(subject, Kind.MAC, set())
    await remove(subject, second)
    await expect_dump(subject, Kind.REMOTE_VTEP, {first})
    await remove(subject, first)
    for kind in (Kind.REMOTE_VTEP, Kind.NEIGHBOR, Kind.MAC):
        await expect_dump(subject, kind, set())


@check(needs(Kind.REMOTE_VTEP, Kind.MAC))
async def a_vtep_changes_its_router_mac(subject: Subject) -> None:
    after = RemoteVtep(L3VNI, VTEP, OTHER_MAC)
    await make(subject, RemoteVtep(L3VNI, VTEP, ROUTER))
    await make(subject, after)
    await expect_dump(subject, Kind.REMOTE_VTEP, {after})
    await expect_dump(subject, Kind.MAC, set())


@check(Needs())
async def no_datapath_programs_lsps(subject: Subject) -> None:
    expect(Kind.LSP in subject.capabilities.kinds, False, "LSP among the kinds")
