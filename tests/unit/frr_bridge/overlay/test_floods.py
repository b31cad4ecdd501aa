"""Flood rows: to which VTEPs a VNI's BUM frames go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.overlay.floods import Floods
from frr_bridge.wire.neighbor import NeighborMessage
from tests.fakes.recordlog import RecordLog
from tests.fakes.shadow import FLOOD_ROWS, L2VNI, LINKS, OTHER_VTEP, VTEP, VX110, flood

VTEP6 = bytes.fromhex("fd000000000000000000000000000002")


class World:
    def __init__(self) -> None:
        self.log = RecordLog()
        self.devices = ShadowDevices()
        self.floods = Floods(self.devices, self.log)

    def link(self, message: object) -> None:
        effect = self.devices.learn(message)  # type: ignore[arg-type]
        self.floods.device_changed(effect.vxlan)


@pytest.fixture
def world() -> World:
    made = World()
    for link in LINKS:
        made.link(link)
    for row in FLOOD_ROWS:
        made.floods.learn(row)
    return made


def test_each_vtep_is_a_record(world: World) -> None:
    world.floods.learn(flood(VX110, VTEP6))
    vteps = {VTEP, OTHER_VTEP, VTEP6}
    assert set(world.log.records.values()) == {Flood(L2VNI, vtep) for vtep in vteps}


def test_deleted_row_is_withdrawn_once(world: World) -> None:
    for _ in range(2):
        world.floods.learn(flood(VX110, VTEP, deleted=True))
    assert world.log.withdrawn == [(Kind.FLOOD, (L2VNI, VTEP))]


def test_row_before_its_device_waits_for_it() -> None:
    world = World()
    world.floods.learn(flood(VX110, VTEP))
    assert world.log.records == {}
    world.link(LINKS[4])
    assert set(world.log.records.values()) == {Flood(L2VNI, VTEP)}


def test_changed_vni_replaces_the_record(world: World) -> None:
    world.link(replace(LINKS[4], vxlan_id=120))
    assert set(world.log.records.values()) == {Flood(120, VTEP), Flood(120, OTHER_VTEP)}


def test_deleted_device_takes_its_rows_with_it(world: World) -> None:
    world.link(replace(LINKS[4], deleted=True))
    assert world.log.records == {}
    world.link(LINKS[4])
    assert world.log.records == {}


@pytest.mark.parametrize(
    "row",
    [flood(VX110, VTEP6)._replace(flags=0), flood(VX110, b"")],
    ids=["a bridge row", "no VTEP"],
)
def test_other_all_zero_rows_are_ignored(world: World, row: NeighborMessage) -> None:
    before = dict(world.log.records)
    world.floods.learn(row)
    assert world.log.records == before


def test_dump_withdraws_the_rows_that_it_does_not_repeat(world: World) -> None:
    world.floods.begin_dump()
    world.floods.learn(FLOOD_ROWS[1])
    world.floods.end_dump()
    assert set(world.log.records.values()) == {Flood(L2VNI, OTHER_VTEP)}
