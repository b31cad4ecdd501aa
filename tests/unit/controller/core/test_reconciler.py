"""The reconciler's order of programming, failures, restarts, and drift."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Sequence

import pytest

from controller.core import recordviews
from datapaths.base import Batch, Lost, RowFailure
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood, Mac
from dualpath.model.links import Port, Vni, Vrf
from dualpath.model.nexthops import Member, Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from dualpath.model.view import RowState
from tests.fakes.batches import batch
from tests.fakes.core import RETRY_S, Core, LoggingDatapath, running

A, B = "10.0.0.0/8", "11.0.0.0/8"
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
TWO = Nexthop(2, NexthopType.GATEWAY, bytes([192, 168, 1, 2]), "eth1")
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1), Member(2)))
FLOOD = Flood(100, bytes([10, 0, 0, 1]))


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    """Return a core with VNI 100, nexthops and one route through each, synced and programmed."""
    made = Core()
    async with running(made):
        made.state.want(Kind.VNI, [Vni(100)])
        made.subscribe()
        made.say(FLOOD, ONE, TWO, GROUP)
        made.routes(f"+ {A} 1", f"+ {B} 3")
        made.synced()
        await made.settle()
        yield made


def index(core: Core, word: str) -> int:
    return core.datapath.log.index(word)


def ids(core: Core) -> dict[bytes, int]:
    """Return the datapath's id of each gateway; a group's is under b""."""
    return {nexthop.gateway: nexthop.id for nexthop in core.nexthops()}


async def test_desired_rows_are_programmed(core: Core) -> None:
    one, group = ids(core)[ONE.gateway], ids(core)[b""]
    assert core.datapath.lookup("10.1.1.1") == one
    assert core.datapath.lookup("11.1.1.1") == group
    assert core.datapath.records[Kind.FLOOD] == {FLOOD.key: FLOOD}
    assert recordviews.count(core.state.records[Kind.NEXTHOP], 1).failed == 0


async def test_kinds_go_up_in_order(core: Core) -> None:
    """Invariant 3."""
    kinds = [word.split()[1] for word in core.datapath.log]
    assert kinds == ["VNI", "FLOOD", "NEXTHOP", "NEXTHOP", "NEXTHOP", "ROUTE", "ROUTE"]
    assert index(core, f"+ NEXTHOP {ids(core)[b'']}") == 4  # the group after its members


async def test_a_nexthop_outlives_its_last_route(core: Core) -> None:
    """Invariant 3."""
    group = ids(core)[b""]
    core.datapath.log.clear()
    core.unsay(GROUP, ONE)
    await core.settle()
    assert core.datapath.log == []
    core.routes(f"- {B}", f"- {A}")
    await core.settle()
    await core.settle()
    words = core.datapath.log
    assert words.index(f"- ROUTE {B}") < words.index(f"- NEXTHOP {group}")
    assert [nexthop.gateway for nexthop in core.nexthops()] == [TWO.gateway]


async def test_upserts_come_before_withdrawals(core: Core) -> None:
    core.datapath.log.clear()
    core.routes(f"- {A}", "+ 10.1.0.0/16 2")
    await core.settle()
    assert core.datapath.log == ["+ ROUTE 10.1.0.0/16", f"- ROUTE {A}"]


async def test_the_same_events_again_write_nothing(core: Core) -> None:
    """Invariant 4."""
    writes = core.datapath.writes
    core.say(FLOOD, ONE, TWO, GROUP)
    core.routes(f"+ {A} 1", f"+ {B} 3")
    core.synced()
    core.state.want(Kind.VNI, [Vni(100)])
    await core.settle()
    assert core.datapath.writes == writes


async def test_the_same_events_give_the_same_operations_in_the_same_order() -> None:
    """Invariant 5."""
    logs = []
    for _ in range(2):
        made = Core()
        async with running(made):
            made.subscribe()
            made.say(ONE, TWO, GROUP)
            made.routes(*(f"+ 10.0.{i * 7 % 40}.0/24 {i % 3 + 1}" for i in range(40)))
            made.routes("- 10.0.7.0/24")
            made.synced()
            await made.settle()
        logs.append(made.datapath.log)
    assert logs[0] == logs[1]


async def test_a_withdrawn_route_announced_by_another_nexthop_is_replaced_at_once(
    core: Core,
) -> None:
    core.routes(f"- {A}")
    core.routes(f"+ {A} 2")
    await core.settle()
    assert core.datapath.lookup("10.1.1.1") == ids(core)[TWO.gateway]


async def test_a_changed_nexthop_keeps_its_id(core: Core) -> None:
    before = ids(core)[ONE.gateway]
    core.say(Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 9]), "eth1"))
    await core.settle()
    assert core.datapath.records[Kind.NEXTHOP][before].gateway[-1] == 9  # type: ignore[union-attr]
    assert core.datapath.lookup("10.1.1.1") == before


# -- failures ------------------------------------------------------------------------------------


async def test_a_refused_row_is_tried_again_with_more_and_more_patience() -> None:
    made = Core()
    made.datapath.refuse[Kind.VRF, "red"] = errno.EPERM
    async with running(made):
        made.state.want(Kind.VRF, [Vrf("red"), Vrf("blue")])
        await made.settle()
        assert made.datapath.log == ["+ VRF red", "+ VRF blue", "+ VRF red"]
        for delay_s in RETRY_S[:3]:
            tries = made.datapath.log.count("+ VRF red")
            await made.later(delay_s - 0.5)
            assert made.datapath.log.count("+ VRF red") == tries
            await made.later(0.6)
            assert made.datapath.log.count("+ VRF red") == tries + 1
        rows = {row.record.key: row for row in recordviews.show(made.state.records[Kind.VRF], 0)}
        assert (rows["red"].state, rows["red"].error) == (
            RowState.FAILED,
            "EPERM: refused by a test",
        )
        made.datapath.refuse.clear()
        await made.later(RETRY_S[3] + 1)
        assert "red" in made.datapath.records[Kind.VRF]
        assert not made.state.records[Kind.VRF].has_failed()


async def test_a_row_that_always_fails_does_not_keep_the_loop_busy() -> None:
    made = Core()
    made.datapath.refuse[Kind.VRF, "red"] = errno.EPERM
    async with running(made):
        made.state.want(Kind.VRF, [Vrf("red")])
        for _ in range(5):
            await made.settle()
        assert made.datapath.log == ["+ VRF red"]


async def test_constant_news_does_not_put_off_a_retry(core: Core) -> None:
    core.datapath.refuse[Kind.FLOOD, (100, b"\x0a\0\0\2")] = errno.EBUSY
    core.say(Flood(100, b"\x0a\0\0\2"))
    await core.settle()
    core.datapath.refuse.clear()
    for step in range(12):
        core.clock.advance(0.1)
        core.routes(f"+ 10.9.{step}.0/24 1")
        await core.settle()
    await core.settle()
    assert (100, b"\x0a\0\0\2") in core.datapath.records[Kind.FLOOD]


async def test_a_refused_row_stops_nothing_else(core: Core) -> None:
    core.datapath.refuse["default", (bytes([12, 0, 0, 0]), 8)] = errno.ENETUNREACH
    core.routes("+ 12.0.0.0/8 1", "+ 13.0.0.0/8 1")
    await core.settle()
    assert core.datapath.lookup("13.0.0.1")
    assert core.datapath.lookup("12.0.0.1") is None
    assert core.heard[-1][1] == {0: "ENETUNREACH: refused by a test"}
    core.datapath.refuse.clear()
    await core.later(1.1)
    assert core.datapath.lookup("12.0.0.1")


async def test_rows_that_wait_for_a_device_are_retried_when_one_comes() -> None:
    made = Core()
    async with running(made):
        made.subscribe()
        made.say(FLOOD)
        await made.settle()
        assert made.datapath.records[Kind.FLOOD] == {}
        made.state.want(Kind.VNI, [Vni(100)])
        await made.settle()
        assert made.datapath.records[Kind.FLOOD] == {FLOOD.key: FLOOD}


async def test_rows_that_wait_for_a_vni_that_waits_for_a_port_are_not_delayed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """As on grout, whose VTEP address belongs to a port. No time passes."""
    made = Core()
    made.datapath.refuse[Kind.VNI, 100] = errno.EADDRNOTAVAIL
    apply = made.datapath.apply

    async def port_cures(batch: Batch) -> Sequence[RowFailure]:
        if isinstance(batch, RecordBatch) and batch.kind is Kind.PORT:
            made.datapath.refuse.clear()
        return await apply(batch)

    made.datapath.apply = port_cures  # type: ignore[method-assign]
    async with running(made):
        made.subscribe()
        made.say(FLOOD, ONE)
        made.routes(f"+ {A} 1")
        made.state.want(Kind.VNI, [Vni(100)])
        made.state.want(Kind.PORT, [Port("lo", loopback=True)])
        await made.settle()
        assert made.datapath.records[Kind.FLOOD] == {FLOOD.key: FLOOD}
        assert made.datapath.lookup("10.1.1.1")
    assert caplog.messages == []  # a row that waits for another one is not reported


async def test_a_datapath_that_does_not_answer_is_tried_again(core: Core) -> None:
    core.datapath.unavailable = True
    core.routes("+ 12.0.0.0/8 1", f"- {A}")
    core.routes("+ 13.0.0.0/8 1")
    await core.settle()
    assert core.reconciler.unavailable == "switched off by a test"
    core.routes("- 13.0.0.0/8")
    await core.settle()
    core.datapath.unavailable = False
    await core.later(1.1)
    assert core.reconciler.unavailable == ""
    assert set(core.datapath.routes["default", batch(f"+ {A} 1").family]) == {
        (bytes([12, 0, 0, 0]), 8),
        (bytes([11, 0, 0, 0]), 8),
    }


async def test_a_datapath_that_lost_everything_is_filled_again(core: Core) -> None:
    nexthops = core.nexthops()
    core.datapath.unavailable = True
    core.routes("+ 12.0.0.0/8 1")
    await core.settle()
    for held in core.datapath.records.values():
        held.clear()
    core.datapath.routes.clear()
    core.datapath.unavailable = False
    await core.later(1.1)
    assert core.nexthops() == nexthops
    assert core.datapath.lookup("12.0.0.1")
    assert core.datapath.lookup("10.0.0.1")


class Stubborn(LoggingDatapath):
    """Refuses to remove one nexthop."""

    keeps = 0

    async def apply(self, batch: Batch) -> Sequence[RowFailure]:
        await super().apply(batch)
        for index in range(len(batch)):
            record = batch.row(index) if isinstance(batch, RecordBatch) else None
            if isinstance(record, Nexthop) and record.id == self.keeps:
                self.records[Kind.NEXTHOP][record.id] = record
                return [RowFailure(index, errno.EBUSY)]
        return []


async def test_a_withdrawal_that_is_refused_does_not_keep_the_loop_busy() -> None:
    datapath = Stubborn()
    made = Core(datapath)
    async with running(made):
        made.subscribe()
        made.say(ONE, TWO)
        made.routes(f"+ {A} 2")
        await made.settle()
        datapath.keeps = ids(made)[ONE.gateway]
        made.unsay(ONE, TWO)
        await made.settle()
        assert datapath.log.count(f"- NEXTHOP {datapath.keeps}") <= 2
        datapath.keeps = 0
        await made.later(1.1)
        assert [nexthop.gateway for nexthop in made.nexthops()] == [TWO.gateway]


# -- groups --------------------------------------------------------------------------------------


async def test_a_group_stands_on_the_members_that_are_there(core: Core) -> None:
    group, two = ids(core)[b""], ids(core)[TWO.gateway]
    core.datapath.refuse[Kind.NEXTHOP, two] = errno.ENETDOWN
    core.state.lost_records((core.datapath.records[Kind.NEXTHOP].pop(two),))
    await core.settle()
    left = core.state.records[Kind.NEXTHOP].programmed(group)
    assert isinstance(left, Nexthop)
    assert [member.id for member in left.members] == [ids(core)[ONE.gateway]]
    core.datapath.refuse.clear()
    await core.later(1.1)
    whole = core.datapath.records[Kind.NEXTHOP][group]
    assert isinstance(whole, Nexthop)
    assert len(whole.members) == 2


async def test_a_group_without_members_waits_for_one() -> None:
    made = Core()
    async with running(made):
        made.subscribe()
        made.say(ONE)
        await made.settle()
        (one,) = made.nexthops()
        made.datapath.refuse[Kind.NEXTHOP, one.id] = errno.ENETDOWN
        made.state.lost_records((made.datapath.records[Kind.NEXTHOP].pop(one.id),))
        made.say(Nexthop(3, NexthopType.GROUP, members=(Member(1),)))
        made.routes(f"+ {A} 3")
        await made.settle()
        assert made.nexthops() == []
        made.datapath.refuse.clear()
        await made.later(1.1)
        assert len(made.nexthops()) == 2
        assert made.datapath.lookup("10.0.0.1")


async def test_a_group_that_lost_all_members_lost_its_routes(core: Core) -> None:
    one, two = (core.datapath.records[Kind.NEXTHOP][ids(core)[n.gateway]] for n in (ONE, TWO))
    for record in (one, two, core.datapath.records[Kind.NEXTHOP][ids(core)[b""]]):
        core.datapath._withdraw(record)
    core.state.lost_records((one, two))
    await core.settle()
    assert core.datapath.lookup("11.0.0.1")
    assert core.datapath.lookup("10.0.0.1")


# -- restarts ------------------------------------------------------------------------------------


async def test_a_restarted_controller_writes_nothing(core: Core) -> None:
    """Invariants 1 and 4."""
    writes = core.datapath.writes
    again = Core(core.datapath)
    async with running(again):
        again.subscribe()
        again.say(ONE, TWO, GROUP, FLOOD)
        await again.settle()
        again.routes(f"+ {B} 3", f"+ {A} 1")
        again.state.want(Kind.VNI, [Vni(100)])
        await again.settle()
        again.synced()
        await again.settle()
    assert core.datapath.writes == writes


async def test_a_restarted_controller_removes_nothing_before_synced(core: Core) -> None:
    """Invariant 1."""
    again = Core(core.datapath)
    writes = core.datapath.writes
    async with running(again):
        again.subscribe()
        await again.reconciler.resync()
        for kind in (*Kind,):
            if kind is not Kind.LSP:
                again.reconciler.suspect(kind)
        await again.settle()
        assert core.datapath.writes == writes
        again.datapath.unavailable = True
        again.say(Nexthop(7, NexthopType.GATEWAY, bytes([192, 168, 1, 7]), "eth1"))
        await again.settle()
        again.datapath.unavailable = False
        await again.later(1.1)
        assert core.datapath.writes == writes + 1
        assert core.datapath.lookup("10.0.0.1")
        again.synced()
        await again.settle()
        await again.settle()
        await again.settle()
    assert core.datapath.lookup("10.0.0.1") is None
    assert [nexthop.gateway[-1] for nexthop in core.nexthops()] == [7]
    assert core.datapath.records[Kind.VNI]  # there is no intent yet


async def test_a_lost_bridge_removes_nothing(core: Core) -> None:
    """Invariant 1."""
    writes = core.datapath.writes
    core.state.bridge_lost()
    await core.settle()
    core.subscribe()
    await core.settle()
    assert core.datapath.writes == writes
    assert not core.state.synced


async def test_another_bridge_with_other_handles_writes_nothing(core: Core) -> None:
    """Invariant 1: handles start over with every bridge."""
    writes = core.datapath.writes
    core.subscribe()
    core.say(
        Nexthop(1, TWO.type, TWO.gateway, "eth1"),
        Nexthop(5, ONE.type, ONE.gateway, "eth1"),
        Nexthop(6, NexthopType.GROUP, members=(Member(5), Member(1))),
        FLOOD,
    )
    core.routes(f"+ {A} 5", f"+ {B} 6")
    core.synced()
    await core.settle()
    assert core.datapath.writes == writes


async def test_rows_that_another_bridge_does_not_repeat_go_at_synced(core: Core) -> None:
    core.subscribe()
    core.say(ONE)
    core.routes(f"+ {A} 1")
    await core.settle()
    assert core.datapath.lookup("11.0.0.1")
    core.synced()
    for _ in range(3):
        await core.settle()
    assert core.datapath.lookup("11.0.0.1") is None
    assert [nexthop.gateway for nexthop in core.nexthops()] == [ONE.gateway]
    assert core.datapath.records[Kind.FLOOD] == {}


async def test_nexthops_desired_again_do_not_keep_the_loop_busy(core: Core) -> None:
    core.unsay(GROUP, TWO)
    await core.settle()
    core.subscribe()
    core.say(ONE, TWO)
    await core.settle()
    await core.settle()
    assert core.datapath.lookup("11.0.0.1")


# -- drift ---------------------------------------------------------------------------------------


async def test_a_record_that_somebody_removed_is_put_back(core: Core) -> None:
    core.datapath.lose(FLOOD)
    assert core.state.lost_records((FLOOD,)) == 1
    await core.settle()
    assert core.datapath.records[Kind.FLOOD] == {FLOOD.key: FLOOD}
    assert core.state.repaired == 1


async def test_a_nexthop_that_somebody_removed_is_put_back_with_its_routes(core: Core) -> None:
    one = core.datapath.records[Kind.NEXTHOP][ids(core)[ONE.gateway]]
    core.datapath.lose(one)
    assert core.datapath.lookup("10.0.0.1") is None
    core.state.lost_records((one,))
    await core.settle()
    assert core.datapath.lookup("10.0.0.1") == one.key


async def test_routes_that_somebody_removed_are_put_back(core: Core) -> None:
    gone = batch(f"+ {A} {ids(core)[ONE.gateway]}")
    del core.datapath.routes["default", gone.family][bytes([10, 0, 0, 0]), 8]
    assert core.state.lost_routes(gone) == 1
    await core.settle()
    assert core.datapath.lookup("10.0.0.1")


async def test_a_resync_repairs_and_counts_differences(core: Core) -> None:
    family = batch(f"+ {A} 1").family
    routes = core.datapath.routes["default", family]
    routes[bytes([10, 0, 0, 0]), 8] = ids(core)[TWO.gateway]
    routes[bytes([99, 0, 0, 0]), 8] = ids(core)[TWO.gateway]
    core.datapath.records[Kind.FLOOD].clear()
    stray = Mac(100, bytes(6), bytes([10, 0, 0, 9]))
    core.datapath.records[Kind.MAC][stray.key] = stray
    assert await core.reconciler.resync() == 4
    await core.settle()
    assert core.datapath.lookup("10.0.0.1") == ids(core)[ONE.gateway]
    assert core.datapath.lookup("99.0.0.1") is None
    assert core.datapath.records[Kind.FLOOD] == {FLOOD.key: FLOOD}
    assert core.datapath.records[Kind.MAC] == {}
    assert await core.reconciler.resync() == 0


async def test_a_suspected_kind_is_compared(core: Core) -> None:
    core.datapath.records[Kind.FLOOD].clear()
    core.datapath.tell(Lost(Kind.FLOOD))
    core.reconciler.suspect(Kind.FLOOD)
    await core.settle()
    assert core.datapath.records[Kind.FLOOD] == {FLOOD.key: FLOOD}


async def test_a_device_that_intent_drops_is_removed_last(core: Core) -> None:
    core.datapath.log.clear()
    core.state.want(Kind.VNI, [])
    core.unsay(FLOOD)
    core.routes(f"- {A}")
    await core.settle()
    assert core.datapath.log == [f"- ROUTE {A}", f"- FLOOD {FLOOD.key}", "- VNI 100"]
