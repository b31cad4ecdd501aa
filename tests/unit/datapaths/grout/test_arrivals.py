"""Which hosts the bridges of hosts are made to forget, behind which leg."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from datapaths.grout.upkeep import arrivals
from datapaths.grout.upkeep.departures import Departures
from datapaths.grout.wire import numbers as n
from datapaths.grout.wire.bridges import FdbEntry
from datapaths.linux.hostbridges import Bridge, Leg
from tests.fakes.waiting import until

RED, BLUE = (
    Leg(Bridge("node", "br-red"), "host-e-110"),
    Leg(Bridge("node", "br-blue"), "host-e-111"),
)
LEGS = {"pe-e-110": RED, "pe-e-111": BLUE}
ONE, OTHER = bytes(5) + b"\1", bytes(5) + b"\2"


class World:
    """Notes what is forgotten; a leg in `broken` is gone."""

    def __init__(self) -> None:
        self.forgotten: list[tuple[Leg, bytes]] = []
        self.broken: set[Leg] = set()
        interfaces = {7: SimpleNamespace(name="pe-e-110")}
        self.observer = SimpleNamespace(ifaces=interfaces, arrived=None)
        client: Any = SimpleNamespace(observer=self.observer)
        self.arrivals = arrivals.Arrivals(client, lambda: LEGS)

    def unlearn(self, leg: Leg, macs: Iterable[bytes]) -> None:
        if leg in self.broken:
            raise OSError(19, "No such device")
        self.forgotten += [(leg, mac) for mac in sorted(macs)]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(arrivals, "unlearn", made.unlearn)
    monkeypatch.setattr(arrivals, "ANSWER_S", 0.0)
    return made


async def forgotten(world: World, count: int) -> list[tuple[Leg, bytes]]:
    running = asyncio.create_task(world.arrivals.run())
    try:
        await until(lambda: len(world.forgotten) >= count)
    finally:
        running.cancel()
    return world.forgotten


async def test_mac_that_grout_learned_is_forgotten_behind_its_leg(world: World) -> None:
    for interface in (7, 8):  # nothing is known about 8
        world.observer.arrived(SimpleNamespace(iface=interface, mac=ONE))
    assert await forgotten(world, 1) == [(RED, ONE)]


async def test_hosts_whose_announcement_grout_answers_are_forgotten_once(world: World) -> None:
    for port, mac in (("pe-e-111", ONE), ("pe-e-111", OTHER), ("pe-e-111", ONE), ("eth1", ONE)):
        world.arrivals.answered(port, mac)
    assert len(world.arrivals._waiting) == 3  # a host that repeats itself is waited for once
    assert await forgotten(world, 2) == [(BLUE, ONE), (BLUE, OTHER)]
    assert not world.arrivals._waiting


@pytest.mark.parametrize(
    ("flags", "iface", "told"),
    [
        (n.GR_FDB_F_LEARN, 7, [("pe-e-110", ONE)]),
        (n.GR_FDB_F_LEARN | n.GR_FDB_F_EXTERN, 7, []),  # remote: it belongs behind the leg
        (n.GR_FDB_F_LEARN, 9, []),  # it is behind another port
    ],
)
async def test_only_local_macs_are_forgotten_when_a_bridge_learns_them_behind_a_leg(
    flags: int, iface: int, told: list[tuple[str, bytes]]
) -> None:
    entry = FdbEntry(bridge=2, mac=ONE, iface=iface, vtep=b"", flags=flags)
    port = SimpleNamespace(id=7, domain=2)
    ifaces = SimpleNamespace(named={"pe-e-110": port}.get)
    bridges = SimpleNamespace(get=lambda _, mac: entry if mac == ONE else None)
    client: Any = SimpleNamespace(observer=SimpleNamespace(ifaces=ifaces, bridges=bridges))
    behind: list[tuple[str, bytes]] = []
    noted = Departures(client, lambda: LEGS, lambda *it: behind.append(it))
    noted._note_learned(RED, [ONE, OTHER])
    noted._note_learned(RED._replace(end="tap7"), [ONE])  # the host itself
    assert behind == told


async def test_mac_that_a_bridge_learns_behind_its_leg_is_forgotten(world: World) -> None:
    world.arrivals.behind_leg("pe-e-110", ONE)
    assert await forgotten(world, 1) == [(RED, ONE)]


async def test_leg_that_is_gone_does_not_stop_the_others(world: World) -> None:
    world.broken = {RED}
    world.arrivals.answered("pe-e-110", ONE)
    world.arrivals.answered("pe-e-111", OTHER)
    assert await forgotten(world, 1) == [(BLUE, OTHER)]
