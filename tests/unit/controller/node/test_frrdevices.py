"""Which of FRR's devices a round looks at: all, or those of changed records alone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from controller.intent.layout import Intent
from controller.node.frrdevices import FrrDevices
from datapaths.base import RowFailure, Unavailable
from datapaths.linux.picture import ADDED, SETTINGS
from datapaths.linux.shadows import Shadow, ShadowFailure, Shadows
from dualpath.model.kinds import Kind
from dualpath.model.links import Address, Port, Vni, Vrf
from tests.fakes.twins import NoTwins

CONTROL, FORWARDING = "frr", "fwd"
RED = Vrf("red", 1)
L3, MANY = Vni(100, layer=3, vrf="red"), tuple(Vni(n) for n in range(110, 160))
ONE = Vni(200)
FAILED = ShadowFailure("br200", 1, "refused", (Kind.VNI, 200))


class LookedAt(Shadows):
    """Notes how many VNIs each call looks at, None for all devices."""

    def __init__(self) -> None:
        super().__init__("")
        self.vnis: list[int | None] = []
        self.base: list[Shadow | None] = []  # what was known at each call of `ensure_base`
        self.base_failures: list[ShadowFailure] = []
        self.failures: list[ShadowFailure] = []

    def ensure_base(self, shadow: Shadow, known: Shadow | None = None) -> list[ShadowFailure]:
        self.base.append(known)
        return self.base_failures

    def ensure_overlay(self, shadow: Shadow, known: Shadow | None = None) -> list[ShadowFailure]:
        self.vnis.append(None if known is None else len(shadow.beyond(known).vnis))
        return self.failures


class CountedTwins(NoTwins):
    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self.error: Unavailable | None = None

    def ensure(self, ports: Sequence[Port], tcp_ports: Iterable[int]) -> Sequence[RowFailure]:
        self.rounds += 1
        if self.error:
            raise self.error
        return ()


class World:
    def __init__(self) -> None:
        self.twins, self.shadows, self.drifts = CountedTwins(), LookedAt(), 0
        self.devices = FrrDevices(CONTROL, self.twins, self._drifted)
        self.devices._shadows = self.shadows

    def _drifted(self) -> None:
        self.drifts += 1

    async def round(self, *vnis: Vni) -> None:
        intent = Intent(vrfs=(RED,), vnis=(L3, *vnis))
        await self.devices.ensure_base(intent)
        await self.devices.ensure_overlay(intent)
        await self.devices.ensure_twins((), intent)

    def looked_at(self) -> list[int | None]:
        found, self.shadows.vnis = self.shadows.vnis, []
        return found


@pytest.fixture
def world() -> World:
    return World()


async def test_round_after_an_edit_looks_at_the_changed_vni_alone(world: World) -> None:
    await world.round(*MANY)
    assert world.looked_at() == [None]
    await world.round(*MANY, ONE)
    assert world.looked_at() == [1]
    await world.round(*MANY, ONE)
    await world.round(*MANY)
    assert world.looked_at() == []
    assert world.twins.rounds == 1


@pytest.mark.parametrize("what", ["vni", "vxlan", "access", "vrf", "shadow-lo", ADDED])
async def test_round_after_somebodys_change_looks_at_all(world: World, what: str) -> None:
    await world.round(*MANY)
    world.devices._changed(CONTROL, what)
    assert world.drifts == 1
    await world.round(*MANY)
    assert world.looked_at() == [None, None]
    assert world.twins.rounds == 2


async def test_change_while_a_round_runs_is_not_forgotten(world: World) -> None:
    await world.round(*MANY)
    intent = Intent(vrfs=(RED,), vnis=(L3, *MANY, ONE))
    await world.devices.ensure_base(intent)
    running = asyncio.create_task(world.devices.ensure_overlay(intent))
    await asyncio.sleep(0)
    world.devices._changed(CONTROL, "vni")
    await running
    world.looked_at()
    await world.round(*MANY, ONE)
    assert world.looked_at() == [None]


@pytest.mark.parametrize("what", ["port", "twin"])
async def test_changed_port_leads_to_a_look_at_the_twins_alone(world: World, what: str) -> None:
    await world.round(*MANY)
    world.devices._changed(FORWARDING, what)
    assert world.drifts == 1
    await world.round(*MANY)
    assert world.looked_at() == [None]
    assert world.twins.rounds == 2


@pytest.mark.parametrize("what", ["vni", SETTINGS])
async def test_forwarding_devices_that_have_no_twin_do_not_matter(world: World, what: str) -> None:
    await world.round(*MANY)
    world.devices._changed(FORWARDING, what)
    assert world.drifts == 0
    await world.round(*MANY)
    assert world.looked_at() == [None]


async def test_round_after_a_failure_looks_at_all(world: World) -> None:
    await world.round(*MANY)
    world.shadows.failures = [FAILED]
    await world.round(*MANY, ONE)
    world.shadows.failures = []
    await world.round(*MANY, ONE)
    await world.round(*MANY)
    assert world.looked_at() == [None, 1, None]


async def test_vni_that_left_before_frr_was_configured_is_made_again(world: World) -> None:
    await world.round(*MANY, ONE)
    await world.devices.ensure_base(Intent(vrfs=(RED,), vnis=(L3, *MANY)))  # FRR refuses this
    await world.round(*MANY, ONE)
    assert world.looked_at() == [None, 1]


async def test_address_of_a_vtep_alone_is_set(world: World) -> None:
    """A changed loopback is a difference, even if no VRF and no VNI is."""
    for text in ("100.64.0.1/32", "100.64.0.2/32"):
        port = Port("lo", addresses=(Address.parse(text),), loopback=True)
        intent = Intent(ports=(port,))
        await world.devices.ensure_base(intent)
        await world.devices.ensure_overlay(intent)
    assert world.shadows.base == [None, Shadow(loopback=(Address.parse("100.64.0.1/32"),))]


async def test_first_look_after_the_watch_begins_is_at_all(world: World) -> None:
    """What was changed between a round and the start of the watch would not be seen."""
    await world.round(*MANY)
    await world.devices.watch_where_they_are()  # there is no namespace to watch
    await world.round(*MANY)
    assert world.looked_at() == [None, None]


async def test_look_at_all_is_timed_and_a_look_at_few_is_not(world: World) -> None:
    assert world.devices.look_s == 0
    await world.round(*MANY)
    before = world.devices.look_s
    assert before > 0
    await world.round(*MANY, ONE)
    assert world.devices.look_s == before


async def test_change_between_the_two_steps_is_not_forgotten(world: World) -> None:
    """FRR is configured between them, which can take minutes."""
    await world.round(*MANY)
    intent = Intent(vrfs=(RED,), vnis=(L3, *MANY, ONE))
    await world.devices.ensure_base(intent)
    world.devices._changed(CONTROL, "vrf")
    await world.devices.ensure_overlay(intent)
    world.shadows.base.clear()
    await world.round(*MANY, ONE)
    assert world.shadows.base == [None]


async def test_vrf_that_failed_in_a_round_that_frr_ended_is_made_again(world: World) -> None:
    await world.round(*MANY)
    world.shadows.base_failures = [FAILED]
    intent = Intent(vrfs=(RED, Vrf("blue", 2)), vnis=(L3, *MANY))
    assert await world.devices.ensure_base(intent) == [FAILED]  # then FRR refuses its file
    assert await world.devices.ensure_base(intent) == [FAILED]
    assert world.shadows.base[-1] is None


async def test_twins_that_an_error_left_half_made_are_looked_at_again(world: World) -> None:
    await world.round()
    world.twins.error = Unavailable("the datapath does not answer")
    edited = Intent(ports=(Port("eth1", twin=True),))
    with pytest.raises(Unavailable):
        await world.devices.ensure_twins(edited.ports, edited)
    world.twins.error = None
    await world.devices.ensure_twins((), Intent())
    assert world.twins.rounds == 3
