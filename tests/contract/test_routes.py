"""What every datapath does with routes."""

from __future__ import annotations

import numpy as np
import pytest

from controller.model.kinds import Kind
from controller.model.nexthops import BLACKHOLE, PROHIBIT, UNREACHABLE, Member, Nexthop, NexthopType
from controller.model.records import RecordBatch
from controller.model.routes import Family, Op, RouteBatch
from tests.contract.worlds import DEVICE, World
from tests.fakes.batches import batch, rows_of, upsert

GATEWAY6 = bytes.fromhex("fd00" + "00" * 13 + "02")
NEXTHOPS = (
    Nexthop(1, NexthopType.GATEWAY, bytes([10, 0, 0, 2]), DEVICE),
    Nexthop(2, NexthopType.GATEWAY, bytes([10, 0, 0, 3]), DEVICE),
    Nexthop(3, NexthopType.GROUP, members=(Member(1, 2), Member(2, 7))),
    Nexthop(61, NexthopType.GATEWAY, GATEWAY6, DEVICE),
    Nexthop(62, NexthopType.DEVICE, device=DEVICE),
)
V4 = {"0.0.0.0/0": 1, "20.0.0.0/8": 2, "20.1.2.0/24": 3, "20.1.2.3/32": 61, "20.3.0.0/16": 62}
V6 = {"::/0": 61, "2001:db8::/32": 62, "2001:db8::1/128": 61}
DROPS = {"21.1.0.0/16": BLACKHOLE, "21.2.0.0/16": UNREACHABLE, "21.3.0.0/16": PROHIBIT}
DROPS6 = {"2001:db8:1::/48": BLACKHOLE, "2001:db8:2::/48": UNREACHABLE, "2001:db8:3::/48": PROHIBIT}


@pytest.fixture(autouse=True)
async def _nexthops(world: World) -> None:
    assert not await world.datapath.apply(RecordBatch(Kind.NEXTHOP, NEXTHOPS))


def added(rows: dict[str, int]) -> list[str]:
    return [f"+ {prefix} {identity}" for prefix, identity in rows.items()]


async def apply(world: World, *rows: str) -> list[tuple[int, str]]:
    failures = await world.datapath.apply(batch(*rows, vrf=world.vrf))
    return [(row.index, row.error) for row in failures]


async def held(world: World, vrf: str | None = None) -> dict[str, int]:
    found: dict[str, int] = {}
    async for some in world.datapath.dump(Kind.ROUTE):
        assert isinstance(some, RouteBatch)
        assert (some.ops == Op.UPSERT).all()
        if some.vrf == (world.vrf if vrf is None else vrf):
            found |= rows_of(some)
    return found


def many(count: int, identity: int, op: Op = Op.UPSERT, vrf: str = "default") -> RouteBatch:
    prefixes = (0x1E000000 + np.arange(count) * 256).astype(">u4").view(np.uint8).reshape(-1, 4)
    return RouteBatch(
        vrf,
        Family.INET,
        np.full(count, op, np.uint8),
        prefixes,
        np.full(count, 24, np.uint8),
        np.full(count, 186, np.uint8),
        np.full(count, identity, np.uint32),
    )


@pytest.mark.parametrize("rows", [V4, V6, DROPS, DROPS6], ids=["v4", "v6", "drops", "drops6"])
async def test_dump_returns_what_apply_made(world: World, rows: dict[str, int]) -> None:
    for _ in range(2):
        assert await apply(world, *added(rows)) == []
        assert await held(world) == rows


async def test_a_withdrawal_takes_its_prefix_and_no_other(world: World) -> None:
    await apply(world, *added(V4))
    await apply(world, *added(V6))
    for _ in range(2):
        assert await apply(world, "- 20.1.2.0/24", "- 99.0.0.0/8") == []
        assert await apply(world, "- ::/0") == []
    rest = {**V4, **V6}
    del rest["20.1.2.0/24"], rest["::/0"]
    assert await held(world) == rest


@pytest.mark.parametrize("padding", [0, 50], ids=["few", "many"])
@pytest.mark.parametrize(
    ("rows", "left"),
    [
        (("+ 20.0.0.0/8 1", "+ 20.0.0.0/8 2"), {"20.0.0.0/8": 2}),
        (("- 20.0.0.0/8", "+ 20.0.0.0/8 2"), {"20.0.0.0/8": 2}),
        (("+ 20.0.0.0/8 1", "- 20.0.0.0/8"), {}),
        ((f"+ 20.0.0.0/8 {BLACKHOLE}", "+ 20.0.0.0/8 1"), {"20.0.0.0/8": 1}),
        (("+ 20.0.0.0/8 1", f"+ 20.0.0.0/8 {PROHIBIT}"), {"20.0.0.0/8": PROHIBIT}),
        (("+ 20.0.0.0/8 1", "- 20.0.0.0/8", "+ 20.0.0.0/8 3"), {"20.0.0.0/8": 3}),
    ],
)
async def test_the_last_row_for_a_prefix_wins(
    world: World, rows: tuple[str, ...], left: dict[str, int], padding: int
) -> None:
    others = {f"22.{i}.0.0/16": 1 for i in range(padding)}
    assert await apply(world, *added(others), *rows) == []
    assert await held(world) == others | left


@pytest.mark.parametrize("before", [1, 3, BLACKHOLE, UNREACHABLE])
@pytest.mark.parametrize("after", [2, 3, BLACKHOLE, PROHIBIT])
async def test_a_route_changes_into_any_other(world: World, before: int, after: int) -> None:
    await apply(world, f"+ 20.0.0.0/8 {before}")
    assert await apply(world, f"+ 20.0.0.0/8 {after}") == []
    assert await held(world) == {"20.0.0.0/8": after}


@pytest.mark.parametrize("before", [61, UNREACHABLE])
@pytest.mark.parametrize("after", [62, BLACKHOLE])
async def test_an_ipv6_route_changes_into_any_other(world: World, before: int, after: int) -> None:
    await apply(world, f"+ 2001:db8::/32 {before}")
    assert await apply(world, f"+ 2001:db8::/32 {after}") == []
    assert await held(world) == {"2001:db8::/32": after}


async def test_failures_are_data_and_stop_nothing_else(world: World) -> None:
    rows = ["+ 20.1.0.0/16 1", "+ 20.2.0.0/16 999", "+ 20.3.0.0/16 2"]
    assert await apply(world, *rows) == [(1, "EINVAL")]
    assert await held(world) == {"20.1.0.0/16": 1, "20.3.0.0/16": 2}


async def test_failures_keep_their_index_in_large_and_mixed_batches(world: World) -> None:
    routes = many(20_000, 1, vrf=world.vrf)
    bad = [0, 1, 4_368, 4_369, 10_000, 19_999]
    routes.nexthops[bad] = 999
    routes.nexthops[5::7] = BLACKHOLE
    routes.ops[3::11] = Op.WITHDRAW
    refused = sorted(i for i in bad if i % 7 != 5 and i % 11 != 3)
    failures = await world.datapath.apply(routes)
    assert sorted(row.index for row in failures) == refused
    assert {row.error for row in failures} == {"EINVAL"}
    upserts = int((routes.ops == Op.UPSERT).sum())
    assert len(await held(world)) == upserts - len(refused)


async def test_every_row_of_a_large_batch_may_fail(world: World) -> None:
    failures = await world.datapath.apply(many(20_000, 999, vrf=world.vrf))
    assert [row.index for row in failures] == list(range(20_000))
    assert not await world.datapath.apply(many(20_000, 0, Op.WITHDRAW, vrf=world.vrf))


async def test_a_vrf_that_is_not_there_fails_its_upserts(world: World) -> None:
    routes = batch("+ 20.0.0.0/8 1", "- 20.1.0.0/16", "+ 20.2.0.0/16 1", vrf="nowhere")
    failures = await world.datapath.apply(routes)
    assert [(row.index, row.error) for row in failures] == [(0, "ENODEV"), (2, "ENODEV")]
    assert "nowhere" in failures[0].reason


@pytest.mark.parametrize("prefix", ["20.0.0.0/8", "2001:db8::/32"])
async def test_routes_of_others_are_neither_shown_nor_touched(world: World, prefix: str) -> None:
    identity = 61 if ":" in prefix else 1
    world.add_foreign(prefix)
    assert await held(world) == {}
    assert await apply(world, f"- {prefix}") == []
    assert await apply(world, f"+ {prefix} {identity}") == []
    assert await held(world) == {prefix: identity}
    assert await apply(world, f"- {prefix}") == []
    assert world.has_foreign(prefix)


async def test_another_process_finds_what_the_last_one_made(world: World) -> None:
    await apply(world, *added(V4))
    await apply(world, *added(V6))
    await world.restart()
    assert await held(world) == {**V4, **V6}


async def test_routes_go_with_their_nexthop(world: World) -> None:
    await apply(world, "+ 20.0.0.0/8 1", "+ 21.0.0.0/8 2")
    assert not await world.datapath.apply(RecordBatch(Kind.NEXTHOP, withdrawals=(NEXTHOPS[0],)))
    assert await held(world) == {"21.0.0.0/8": 2}
    assert not await world.datapath.apply(upsert(NEXTHOPS[0]))


async def test_an_empty_batch_is_fine(world: World) -> None:
    assert await apply(world) == []
