"""What every datapath does with nexthops and layer 2."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from controller.model.kinds import Kind
from controller.model.layer2 import Flood, Mac, Neighbor, RemoteVtep
from controller.model.nexthops import V4_MAPPED, Member, Nexthop, NexthopType
from controller.model.records import Record, RecordBatch
from datapaths.base import LearnedMac
from tests.contract.conftest import L2VNI, L3VNI
from tests.contract.worlds import DEVICE, World
from tests.fakes.batches import batch, rows_of, upsert, withdraw

VTEP, OTHER_VTEP = bytes([10, 0, 0, 2]), bytes([10, 0, 0, 3])
MAC, OTHER_MAC = bytes.fromhex("0200000000aa"), bytes.fromhex("0200000000bb")
ROUTER = bytes.fromhex("020000000002")
HOST, HOST6 = bytes([192, 168, 0, 5]), bytes.fromhex("20010db8000000000000000000000005")

NEXTHOPS = (
    Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), DEVICE),
    Nexthop(2, NexthopType.GATEWAY, bytes([10, 9, 9, 9]), DEVICE, onlink=True),
    Nexthop(3, NexthopType.GATEWAY, bytes.fromhex("fd00" + "00" * 13 + "02"), DEVICE),
    Nexthop(4, NexthopType.GATEWAY, VTEP, vni=L3VNI, onlink=True),
    Nexthop(5, NexthopType.GATEWAY, V4_MAPPED + VTEP, vni=L3VNI, onlink=True),
    Nexthop(6, NexthopType.DEVICE, device=DEVICE),
    Nexthop(7, NexthopType.BLACKHOLE),
    Nexthop(8, NexthopType.GROUP, members=(Member(1, 1), Member(2, 256))),
)
RECORDS: dict[Kind, tuple[Record, ...]] = {
    Kind.REMOTE_VTEP: (
        RemoteVtep(L3VNI, VTEP, ROUTER),
        RemoteVtep(L3VNI, OTHER_VTEP, bytes.fromhex("020000000003")),
    ),
    Kind.FLOOD: (Flood(L2VNI, VTEP), Flood(L2VNI, OTHER_VTEP)),
    Kind.MAC: (Mac(L2VNI, MAC, VTEP), Mac(L2VNI, OTHER_MAC, OTHER_VTEP, sticky=True)),
    Kind.NEIGHBOR: (Neighbor(L2VNI, HOST, MAC), Neighbor(L2VNI, HOST6, MAC, router=True)),
    Kind.NEXTHOP: NEXTHOPS,
}
each_kind = pytest.mark.parametrize("kind", list(RECORDS), ids=lambda kind: kind.name.lower())


async def held(world: World, kind: Kind) -> set[Record]:
    found: list[Record] = []
    async for some in world.datapath.dump(kind):
        assert isinstance(some, RecordBatch)
        assert not some.withdrawals
        found += some.upserts
    assert len(found) == len(set(found))
    return set(found)


@each_kind
async def test_dump_returns_what_apply_made(world: World, kind: Kind) -> None:
    records = RECORDS[kind]
    assert not await world.datapath.apply(RecordBatch(kind, records))
    assert await held(world, kind) == set(records)


@each_kind
async def test_applying_twice_is_applying_once(world: World, kind: Kind) -> None:
    for _ in range(2):
        assert not await world.datapath.apply(RecordBatch(kind, RECORDS[kind]))
    assert await held(world, kind) == set(RECORDS[kind])


@each_kind
async def test_a_withdrawal_takes_its_record_and_no_other(world: World, kind: Kind) -> None:
    gone, *rest = reversed(RECORDS[kind])
    await world.datapath.apply(RecordBatch(kind, RECORDS[kind]))
    for _ in range(2):
        assert not await world.datapath.apply(withdraw(gone))
        assert await held(world, kind) == set(rest)


@each_kind
async def test_withdrawing_what_is_absent_succeeds(world: World, kind: Kind) -> None:
    assert not await world.datapath.apply(RecordBatch(kind, withdrawals=RECORDS[kind]))


@each_kind
async def test_another_process_finds_what_the_last_one_made(world: World, kind: Kind) -> None:
    await world.datapath.apply(RecordBatch(kind, RECORDS[kind]))
    await world.restart()
    assert await held(world, kind) == set(RECORDS[kind])


async def test_a_vni_that_is_not_there_fails_its_rows(world: World) -> None:
    lost: tuple[Record, ...] = (Mac(7, MAC, VTEP), Mac(L2VNI, MAC, VTEP), Mac(7, OTHER_MAC, VTEP))
    failures = await world.datapath.apply(RecordBatch(Kind.MAC, lost))
    assert [(row.index, row.error) for row in failures] == [(0, "ENODEV"), (2, "ENODEV")]
    assert "7" in failures[0].reason
    assert await held(world, Kind.MAC) == {lost[1]}
    assert not await world.datapath.apply(withdraw(*lost))


async def test_a_nexthop_by_a_device_that_is_not_there_fails_alone(world: World) -> None:
    good, bad = NEXTHOPS[0], Nexthop(9, NexthopType.GATEWAY, VTEP, "nope0")
    failures = await world.datapath.apply(upsert(bad, good))
    assert [(row.index, row.error) for row in failures] == [(0, "ENODEV")]
    assert "nope0" in failures[0].reason
    assert await held(world, Kind.NEXTHOP) == {good}


async def test_the_index_of_a_failure_counts_upserts_then_withdrawals(world: World) -> None:
    group = Nexthop(20, NexthopType.GROUP, members=(Member(19),))
    both = RecordBatch(Kind.NEXTHOP, (NEXTHOPS[0], group), (NEXTHOPS[1],))
    failures = await world.datapath.apply(both)
    assert [(row.index, row.error) for row in failures] == [(1, "EINVAL")]


async def test_a_group_may_come_before_its_members_in_a_batch(world: World) -> None:
    if world.datapath.name == "memory":
        pytest.skip("the kernel sorts; the contract does not ask for it")
    assert not await world.datapath.apply(RecordBatch(Kind.NEXTHOP, NEXTHOPS[::-1]))


async def test_a_nexthop_replaced_in_place_writes_no_route(world: World) -> None:
    await world.datapath.apply(RecordBatch(Kind.NEXTHOP, NEXTHOPS))
    prefixes = [f"+ 10.{i}.0.0/16 8" for i in range(1, 20)]
    assert not await world.datapath.apply(batch(*prefixes, vrf=world.vrf))
    written = world.count_route_writes()
    moved = replace(NEXTHOPS[-1], members=(Member(2, 3),))
    assert not await world.datapath.apply(upsert(moved))
    assert written() == 0
    assert moved in await held(world, Kind.NEXTHOP)
    async for some in world.datapath.dump(Kind.ROUTE):
        assert set(rows_of(some).values()) <= {8}  # type: ignore[arg-type]


async def test_a_mac_moves_to_another_vtep(world: World) -> None:
    moved = Mac(L2VNI, MAC, OTHER_VTEP)
    await world.datapath.apply(upsert(Mac(L2VNI, MAC, VTEP)))
    assert not await world.datapath.apply(upsert(moved))
    assert await held(world, Kind.MAC) == {moved}


@pytest.mark.parametrize("sticky", [True, False])
async def test_a_mac_becomes_sticky_and_ceases_to_be(world: World, sticky: bool) -> None:
    await world.datapath.apply(upsert(Mac(L2VNI, MAC, VTEP, sticky=not sticky)))
    assert not await world.datapath.apply(upsert(Mac(L2VNI, MAC, VTEP, sticky=sticky)))
    assert await held(world, Kind.MAC) == {Mac(L2VNI, MAC, VTEP, sticky=sticky)}


async def test_vteps_may_share_a_router_mac(world: World) -> None:
    first, second = RemoteVtep(L3VNI, VTEP, ROUTER), RemoteVtep(L3VNI, OTHER_VTEP, ROUTER)
    assert not await world.datapath.apply(upsert(first, second))
    assert await held(world, Kind.REMOTE_VTEP) == {first, second}
    assert await held(world, Kind.MAC) == set()
    assert not await world.datapath.apply(withdraw(second))
    assert await held(world, Kind.REMOTE_VTEP) == {first}
    assert not await world.datapath.apply(withdraw(first))
    assert await held(world, Kind.REMOTE_VTEP) == await held(world, Kind.NEIGHBOR) == set()
    assert await held(world, Kind.MAC) == set()


async def test_a_vtep_changes_its_router_mac(world: World) -> None:
    after = RemoteVtep(L3VNI, VTEP, OTHER_MAC)
    await world.datapath.apply(upsert(RemoteVtep(L3VNI, VTEP, ROUTER)))
    assert not await world.datapath.apply(upsert(after))
    assert await held(world, Kind.REMOTE_VTEP) == {after}
    assert await held(world, Kind.MAC) == set()


async def test_a_kind_that_no_datapath_takes_is_refused_as_data(world: World) -> None:
    assert Kind.LSP not in (await world.datapath.capabilities()).kinds


async def test_a_local_mac_is_told_and_the_stream_ends_with_close(world: World) -> None:
    async with asyncio.timeout(5):
        learned = world.datapath.learned()
        first = asyncio.ensure_future(anext(learned))
        await world.datapath.capabilities()
        await world.learn_mac(L2VNI, MAC)
        event = await first
        while event != LearnedMac(L2VNI, MAC):
            event = await anext(learned)
        await world.datapath.close()
        assert [event async for event in learned if event == LearnedMac(L2VNI, MAC)] == []
