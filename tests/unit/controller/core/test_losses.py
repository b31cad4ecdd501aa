"""A row lost during a dump is programmed again, although the older dump still shows it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence

import pytest

from datapaths.base import Batch, RowFailure
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.links import Vni
from dualpath.model.nexthops import Nexthop, NexthopType
from dualpath.model.routes import RouteBatch
from tests.fakes.batches import batch
from tests.fakes.core import Core, LoggingDatapath, running

A, B = "10.0.0.0/8", "11.0.0.0/8"
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
FLOOD = Flood(100, bytes([10, 0, 0, 1]))


class SlowDumps(LoggingDatapath):
    """Calls back between the dump's rows and its end."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: dict[Kind, Callable[[], None]] = {}

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        batches = [batch async for batch in super().dump(kind)]
        if happens := self.meanwhile.pop(kind, None):
            happens()
        for dumped in batches:
            yield dumped


class World(Core):
    def __init__(self) -> None:
        self.dumps = SlowDumps()
        super().__init__(self.dumps)


@pytest.fixture
async def core() -> AsyncIterator[World]:
    made = World()
    async with running(made):
        made.state.want(Kind.VNI, [Vni(100)])
        made.subscribe()
        made.say(FLOOD, ONE)
        made.routes(f"+ {A} 1", f"+ {B} 1")
        made.synced()
        await made.settle()
        yield made


async def compare(core: World, kind: Kind, loss: Callable[[], None]) -> None:
    core.dumps.meanwhile[kind] = loss
    core.reconciler.suspect(kind)
    await core.settle()
    assert not core.dumps.meanwhile


async def test_a_route_that_goes_during_a_dump_of_the_routes(core: World) -> None:
    def loss() -> None:
        gone = batch(f"- {A}")
        key = gone.prefixes[0].tobytes(), int(gone.lengths[0])
        del core.datapath.routes[gone.vrf, gone.family][key]
        core.state.lost_routes(gone)

    await compare(core, Kind.ROUTE, loss)
    assert core.datapath.lookup("10.1.1.1") is not None


async def test_a_record_that_goes_during_a_dump_of_its_kind(core: World) -> None:
    def loss() -> None:
        core.datapath.lose(FLOOD)
        core.state.lost_records((FLOOD,))

    await compare(core, Kind.FLOOD, loss)
    assert FLOOD.key in core.datapath.records[Kind.FLOOD]


@pytest.mark.parametrize("kind", [Kind.ROUTE, Kind.NEXTHOP])
async def test_a_nexthop_takes_its_routes_along_during_a_dump(core: World, kind: Kind) -> None:
    def loss() -> None:
        (nexthop,) = core.nexthops()
        core.datapath.lose(nexthop)
        core.state.lost_records((nexthop,))

    await compare(core, kind, loss)
    assert core.datapath.lookup("10.1.1.1") == core.nexthops()[0].id
    assert core.datapath.lookup("11.1.1.1") == core.nexthops()[0].id


class Losing(LoggingDatapath):
    """Another program removes a route between its installation and the datapath's reply."""

    hear: Callable[[RouteBatch], object] | None = None

    async def apply(self, said: Batch) -> Sequence[RowFailure]:
        failures = await super().apply(said)
        if self.hear and isinstance(said, RouteBatch):
            hear, self.hear = self.hear, None
            gone = batch(f"- {A}")
            await super().apply(gone)
            hear(gone)
        return failures


@pytest.mark.parametrize("rows", [1, 4096])
async def test_a_route_that_goes_while_it_is_in_the_datapaths_hands(rows: int) -> None:
    losing = Losing()
    core = Core(losing)
    core.reconciler.routes.batch_rows = rows
    async with running(core):
        core.subscribe()
        core.say(ONE)
        await core.settle()
        losing.hear = core.state.lost_routes
        core.routes(f"+ {A} 1", f"+ {B} 1")
        await core.settle()
        assert core.datapath.lookup("10.1.1.1") == core.nexthops()[0].id
        assert core.state.repaired == 1
        core.routes(f"- {A}")
        await core.settle()
        assert core.datapath.lookup("10.1.1.1") is None
