"""When parked hops are deleted."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from datapaths.grout.picture import ids
from datapaths.grout.picture.hops import HOST, Hop, HopTable
from datapaths.grout.picture.interfaces import IfaceTable
from datapaths.grout.upkeep import garbage
from tests.fakes.waiting import until

GATEWAY, VTEP = ids.FIRST_HOP, ids.FIRST_HOP + 1


class World:
    """A grout whose requests are noted; `busy` makes it look as if it had one a moment ago."""

    def __init__(self, *, busy: bool) -> None:
        self.hops = HopTable(IfaceTable())
        self.deleted: list[object] = []
        self.looks = 0
        self._busy = busy
        channel = SimpleNamespace(api=None, call=self._call)
        world = self

        class Channel(SimpleNamespace):
            @property
            def used_at(self) -> float:
                world.looks += 1
                return asyncio.get_running_loop().time() if world._busy else -1e9

            @used_at.setter
            def used_at(self, _: float) -> None:
                pass

        self.client: Any = SimpleNamespace(
            observer=SimpleNamespace(hops=self.hops),
            channel=Channel(**vars(channel)),
            turn=asyncio.Lock(),
        )

    async def _call(self, _name: str, payload: object) -> None:
        self.deleted.append(payload)

    def park(self, hop_id: int, flags: int = 0) -> None:
        self.hops.put(Hop(hop_id, 1, 3, bytes((10, 0, 0, hop_id & 0xFF)), flags=flags))
        self.hops.park(hop_id)

    async def collect(self, looks: int) -> list[object]:
        running = asyncio.create_task(garbage.collect_garbage(self.client))
        try:
            await until(lambda: self.looks >= looks)
        finally:
            running.cancel()
        return self.deleted


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(garbage, "REST_S", 0.001)
    monkeypatch.setattr(garbage, "encode_del", lambda _api, nh_id: nh_id)


async def test_idle_grout_deletes_all_that_is_parked() -> None:
    world = World(busy=False)
    world.park(GATEWAY)
    world.park(VTEP, HOST)
    world.hops.dying.add(7)
    assert set(await world.collect(10)) == {ids.group_of(7), GATEWAY, VTEP}
    assert not world.hops.parked
    assert not world.hops.shadowing


async def test_busy_grout_deletes_parked_gateways_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """grout still has a route to the neighbor's address, through the parked hop."""
    monkeypatch.setattr(garbage, "REST_S", 0.01)
    world = World(busy=True)
    world.park(GATEWAY)
    world.park(VTEP, HOST)
    assert await world.collect(8) == [GATEWAY]
    assert world.hops.parked == {VTEP}
