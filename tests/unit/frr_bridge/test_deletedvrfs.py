"""Routes of deleted VRFs: withdrawn here, or repeated by zebra when the order is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frr_bridge.deletedvrfs import DeletedVrfs
from frr_bridge.overlay.devices import ShadowDevices
from frr_bridge.rib import Rib
from tests.fakes.shadow import LINKS, RED
from tests.fakes.zebra import table_routes

RED_TABLE = 1100


class World:
    def __init__(self) -> None:
        self.rib = Rib()
        self.devices = ShadowDevices()
        self.obeying = True
        self.replays = 0
        self.vrfs = DeletedVrfs(self.rib, self.devices, lambda: self.obeying, self._replay)
        self.devices.learn(LINKS[RED - 1])
        self.rib.learn(table_routes("+ 10.0.0.0/8 1", table=RED_TABLE), 1, hold=False)

    def _replay(self) -> None:
        self.replays += 1

    def delete(self) -> None:
        self.devices.learn(replace(LINKS[RED - 1], deleted=True))
        self.vrfs.deleted(RED_TABLE)

    def create(self) -> None:
        self.devices.learn(LINKS[RED - 1])


@pytest.fixture
def world() -> World:
    return World()


def test_deleted_vrf_s_routes_are_withdrawn(world: World) -> None:
    world.delete()
    world.vrfs.withdraw()
    assert (len(world.rib), world.replays) == (0, 0)


def test_routes_are_held_while_frr_is_not_obeyed(world: World) -> None:
    world.obeying = False
    world.delete()
    world.vrfs.withdraw()
    assert len(world.rib) == 1
    world.obeying = True
    world.vrfs.withdraw()
    assert len(world.rib) == 0


def test_reused_table_number_makes_zebra_repeat_its_routes(world: World) -> None:
    world.delete()
    world.create()
    world.vrfs.withdraw()
    world.vrfs.withdraw()
    assert (len(world.rib), world.replays) == (1, 1)


def test_fpm_ahead_of_netlink_makes_zebra_repeat_its_routes(world: World) -> None:
    world.delete()
    world.vrfs.fpm_ahead = True
    world.vrfs.withdraw()
    assert (len(world.rib), world.replays) == (1, 1)


def test_created_vrf_keeps_its_routes(world: World) -> None:
    world.delete()
    world.create()
    world.vrfs.created(RED_TABLE)
    world.vrfs.withdraw()
    assert (len(world.rib), world.replays) == (1, 0)


def test_sweep_ends_the_wait_for_a_reused_table(world: World) -> None:
    world.delete()
    world.create()
    world.vrfs.swept()
    world.vrfs.withdraw()
    assert (len(world.rib), world.replays) == (1, 0)
