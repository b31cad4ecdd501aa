"""MACs behind Ethernet segments, on datapaths with and without balancing over VTEPs."""

from __future__ import annotations

from collections.abc import AsyncIterator

from controller.cli.columns import MACS
from controller.inspect import rows
from datapaths.base import Batch, Capabilities
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import EthernetSegment, Mac
from dualpath.model.links import Vni
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.core import Core, LoggingDatapath, running
from tests.unit.controller.core.test_view import view_of

ONE, TWO, THREE = (bytes([100, 64, 0, last]) for last in (1, 2, 3))
SEGMENT = EthernetSegment(0x20000001, (ONE, TWO))
MACS_BEHIND = [Mac(100, bytes([2, 0, 0, 0, 0, i]), segment=SEGMENT.id) for i in range(20)]
VNI = [Vni(100)]


class Plain(LoggingDatapath):
    """A datapath whose MACs have one VTEP each."""

    async def capabilities(self) -> Capabilities:
        kinds = frozenset(Kind) - {Kind.LSP, Kind.ETHERNET_SEGMENT}
        return Capabilities("plain", "1", kinds)


def start(core: Core, kinds: frozenset[Kind]) -> None:
    core.state.datapath_takes(kinds)
    core.state.want(Kind.VNI, list(VNI))
    core.subscribe()
    core.say(SEGMENT, *MACS_BEHIND)


def shown(core: Core) -> pb.Mac:
    view = view_of(core)
    return rows.macs([next(iter(view.records(Kind.MAC)))], view.vteps).macs[0]


def vtep_cell(mac: pb.Mac) -> str:
    (column,) = [column for column in MACS if column.header == "VTEP"]
    return column.cell(mac)


def held(core: Core, kind: Kind = Kind.MAC) -> set[object]:
    return set(core.datapath.records[kind].values())


async def test_a_change_of_vteps_writes_the_segment_only() -> None:
    core = Core()
    async with running(core):
        start(core, (await core.datapath.capabilities()).kinds)
        core.synced()
        await core.settle()
        assert held(core) == set(MACS_BEHIND)
        assert vtep_cell(shown(core)) == "100.64.0.1,100.64.0.2"
        core.datapath.log.clear()
        core.say(EthernetSegment(SEGMENT.id, (TWO, THREE)))
        await core.settle()
        assert core.datapath.log == [f"+ ETHERNET_SEGMENT {SEGMENT.id}"]
        core.datapath.log.clear()
        core.unsay(*MACS_BEHIND, EthernetSegment(SEGMENT.id, (TWO, THREE)))
        await core.settle()
        assert core.datapath.log[-1] == f"- ETHERNET_SEGMENT {SEGMENT.id}"
        assert held(core) == held(core, Kind.ETHERNET_SEGMENT) == set()


async def test_without_balancing_macs_go_to_the_first_vtep_and_rows_say_so() -> None:
    core = Core(Plain())
    async with running(core):
        start(core, (await core.datapath.capabilities()).kinds)
        core.synced()
        await core.settle()
        assert {mac.vtep for mac in held(core) if isinstance(mac, Mac)} == {ONE}
        assert held(core, Kind.ETHERNET_SEGMENT) == set()
        assert vtep_cell(shown(core)) == "100.64.0.1 (one of 2)"
        core.datapath.log.clear()
        core.say(EthernetSegment(SEGMENT.id, (ONE, THREE)))
        await core.settle()
        assert core.datapath.log == []  # the first VTEP was kept
        core.say(EthernetSegment(SEGMENT.id, (TWO, THREE)))
        await core.settle()
        assert {mac.vtep for mac in held(core) if isinstance(mac, Mac)} == {TWO}
        assert not (await core.reconciler.audit(10)).differed
        core.unsay(*MACS_BEHIND, EthernetSegment(SEGMENT.id, (TWO, THREE)))
        await core.settle()
        assert held(core) == set()
        assert core.state.segments.vteps(MACS_BEHIND[0]) == ()


async def test_the_datapaths_kinds_may_be_known_after_frrs_rows() -> None:
    core = Core(Plain())
    core.state.want(Kind.VNI, list(VNI))
    core.subscribe()
    core.say(SEGMENT, *MACS_BEHIND)
    core.state.datapath_takes((await core.datapath.capabilities()).kinds)
    async with running(core):
        await core.settle()
        assert {mac.vtep for mac in held(core) if isinstance(mac, Mac)} == {ONE}


async def test_a_restarted_controller_adopts_segments_and_writes_nothing() -> None:
    datapath = LoggingDatapath()
    kinds = (await datapath.capabilities()).kinds
    for _ in range(2):
        core = Core(datapath)
        datapath.log.clear()
        async with running(core):
            start(core, kinds)
            core.synced()
            await core.settle()
            assert held(core) == set(MACS_BEHIND)
    assert datapath.log == []


async def test_a_lost_segment_is_programmed_again() -> None:
    core = Core()
    async with running(core):
        start(core, (await core.datapath.capabilities()).kinds)
        core.synced()
        await core.settle()
        core.datapath.records[Kind.ETHERNET_SEGMENT].clear()
        core.datapath.records[Kind.MAC].clear()
        audited = await core.reconciler.audit(100)
        assert audited.differed == 1 + len(MACS_BEHIND)
        await core.reconciler.resync()
        await core.settle()
        assert held(core, Kind.ETHERNET_SEGMENT) == {SEGMENT}
        assert held(core) == set(MACS_BEHIND)


async def test_a_mac_may_leave_its_segment_for_one_vtep() -> None:
    core = Core(Plain())
    async with running(core):
        start(core, (await core.datapath.capabilities()).kinds)
        await core.settle()
        single = Mac(100, MACS_BEHIND[0].mac, THREE)
        core.say(single)
        core.say(EthernetSegment(SEGMENT.id, (TWO,)))
        await core.settle()
        assert single in held(core)
        assert vtep_cell(shown(core)) == "100.64.0.3"


def test_mac_that_was_withdrawn_is_behind_no_segment() -> None:
    core = Core()
    core.subscribe()
    core.say(SEGMENT, MACS_BEHIND[0])
    same = Mac(100, MACS_BEHIND[0].mac)
    assert core.state.segments.segment_of(same) == SEGMENT.id
    core.unsay(MACS_BEHIND[0])
    assert core.state.segments.segment_of(same) == 0


class Strict(Plain):
    """Dumps only the kinds that it supports."""

    async def dump(self, kind: Kind) -> AsyncIterator[Batch]:
        assert kind is not Kind.ETHERNET_SEGMENT
        async for batch in super().dump(kind):
            yield batch


async def test_kind_that_the_datapath_does_not_take_is_not_compared() -> None:
    core = Core(Strict())
    core.state.datapath_takes((await core.datapath.capabilities()).kinds)
    async with running(core):
        start(core, (await core.datapath.capabilities()).kinds)
        core.reconciler.suspect(Kind.ETHERNET_SEGMENT)
        await core.settle()
        assert len(held(core)) == len(MACS_BEHIND)
