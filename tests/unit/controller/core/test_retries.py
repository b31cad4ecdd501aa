"""When a round is retried, and how a round completes the work of an earlier one."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator

import pytest

from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, RemoteVtep
from dualpath.model.links import Vni, Vrf
from dualpath.model.nexthops import BLACKHOLE, Member, Nexthop, NexthopType
from tests.fakes.core import RETRY_S, Core, running

A = "10.0.0.0/8"
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
TWO = Nexthop(2, NexthopType.GATEWAY, bytes([192, 168, 2, 2]), "eth2")
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1), Member(2)))
FLOOD = Flood(100, bytes([10, 0, 0, 1]))


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    made = Core()
    async with running(made):
        made.subscribe()
        made.synced()
        yield made


async def test_delays_of_retries_start_again_when_failures_may_be_cured() -> None:
    made = Core()
    made.datapath.refuse[Kind.VRF, "red"] = errno.EPERM
    async with running(made):
        made.state.want(Kind.VRF, [Vrf("red")])
        await made.settle()
        for delay_s in RETRY_S[:4]:
            await made.later(delay_s + 0.1)
        made.reconciler.retry_now()
        await made.settle()
        tries = made.datapath.log.count("+ VRF red")
        await made.later(RETRY_S[0] + 0.1)
        assert made.datapath.log.count("+ VRF red") == tries + 1


async def test_delays_of_retries_start_again_after_a_success(core: Core) -> None:
    core.state.want(Kind.VNI, [Vni(100)])
    core.datapath.refuse[Kind.FLOOD, FLOOD.key] = errno.EBUSY
    core.say(FLOOD)
    await core.settle()
    for delay_s in RETRY_S[:4]:
        await core.later(delay_s + 0.1)
    core.datapath.refuse.clear()
    await core.later(RETRY_S[4] + 0.1)
    assert FLOOD.key in core.datapath.records[Kind.FLOOD]
    other = Flood(100, bytes([10, 0, 0, 2]))
    core.datapath.refuse[Kind.FLOOD, other.key] = errno.EBUSY
    core.say(other)
    await core.settle()
    await core.later(RETRY_S[0] + 0.1)
    assert core.datapath.log.count(f"+ FLOOD {other.key}") == 2


async def test_groups_of_one_round_are_all_made(core: Core) -> None:
    other = Nexthop(4, NexthopType.GROUP, members=(Member(2), Member(1, 5)))
    core.say(ONE, TWO, GROUP, other)
    await core.settle()
    assert len(core.nexthops()) == 4


async def test_an_adopted_record_stays_until_synced() -> None:
    """Invariant 1: the dump shows a row that FRR has not sent yet."""
    core = Core()
    async with running(core):
        core.subscribe()
        core.datapath.records[Kind.FLOOD][FLOOD.key] = FLOOD
        core.reconciler.suspect(Kind.FLOOD)
        await core.settle()
        assert FLOOD.key in core.datapath.records[Kind.FLOOD]
        core.synced()
        await core.settle()
        assert core.datapath.records[Kind.FLOOD] == {}


async def test_router_mac_of_a_vtep_outlives_the_last_route_over_it(core: Core) -> None:
    vtep = RemoteVtep(100, bytes([100, 64, 0, 2]), bytes([2, 0, 0, 0, 0, 2]))
    core.state.want(Kind.VNI, [Vni(100)])
    core.say(vtep, Nexthop(9, NexthopType.GATEWAY, vtep.vtep, vni=100, onlink=True))
    core.routes(f"+ {A} 9")
    await core.settle()
    assert core.datapath.lookup("10.0.0.1")
    core.unsay(vtep)
    await core.settle()
    assert vtep.key in core.datapath.records[Kind.REMOTE_VTEP]
    core.routes(f"- {A}")
    await core.settle()
    assert core.datapath.records[Kind.REMOTE_VTEP] == {}


async def test_group_is_whole_again_once_its_member_is_back(core: Core) -> None:
    core.datapath.devices = {"eth1"}
    core.say(ONE, TWO, GROUP)
    for _ in range(3):  # the group is not read again
        await core.settle()
    assert [len(n.members) for n in core.nexthops() if n.members] == [1]
    core.datapath.devices = {"eth1", "eth2"}
    await core.later(RETRY_S[0] + 0.1)
    assert [len(n.members) for n in core.nexthops() if n.members] == [2]


async def test_route_that_drops_needs_no_nexthop(core: Core) -> None:
    core.routes(f"+ {A} {BLACKHOLE}")
    await core.settle()
    assert core.datapath.log == [f"+ ROUTE {A}"]


async def test_nexthop_that_a_new_bridge_wants_before_it_went_keeps_its_id(core: Core) -> None:
    core.datapath.devices = {"eth1"}
    core.say(ONE)
    await core.settle()
    before = core.nexthops()
    core.unsay(ONE)
    core.subscribe()
    core.say(ONE)
    core.synced()
    await core.settle()
    assert core.nexthops() == before
