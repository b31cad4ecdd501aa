"""The state as clients see it."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import pytest

from controller.core.summary import Identity
from controller.core.view import CoreView
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Lsp
from dualpath.model.links import Vni
from dualpath.model.nexthops import BLACKHOLE, Nexthop, NexthopType
from dualpath.model.routes import RTPROT_KERNEL, Family
from dualpath.model.view import (
    Audited,
    BgpSession,
    Change,
    Difference,
    HostCount,
    NeighborTable,
    Problem,
    ResourceStatus,
    RowState,
)
from tests.fakes.batches import batch
from tests.fakes.core import RETRY_S, Core, running
from tests.unit.controller.intent.rulebook import rule

STARTED = 1.0
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")


@pytest.fixture
async def core() -> AsyncIterator[Core]:
    made = Core()
    async with running(made):
        yield made


def view_of(core: Core) -> CoreView:
    identity = Identity("0.1", "fwd", "frr", STARTED)
    return CoreView(identity, core.planes, core.clock, release=lambda: "let go")


async def settled(core: Core) -> CoreView:
    core.subscribe()
    core.say(ONE)
    core.routes("+ 10.0.0.0/8 1", vrf="default")
    core.routes(f"+ 2001:db8::/32 {BLACKHOLE}")
    core.synced()
    await core.settle()
    view = view_of(core)
    for applied, failures in core.heard:
        view.note(applied, failures)
    return view


async def test_ready_means_that_no_reason_is_left(core: Core) -> None:
    view = view_of(core)
    assert not view.ready()
    assert view.status().not_ready == "frr-bridge is not connected"
    core.subscribe()
    assert view.status().not_ready == "waiting for FRR to finish its replay"
    core.state.learn(events.SessionChanged(number=1, state="replaying", reason="wait for eth1"))
    assert view.status().not_ready == "wait for eth1"
    core.synced()
    assert (view.ready(), view.status().ready, view.status().not_ready) == (True, True, "")
    view.sources.problem = lambda: "intent is not in force yet"
    assert view.status().not_ready == "intent is not in force yet"
    view.sources.problem = lambda: ""
    core.datapath.unavailable = True
    core.say(ONE)
    await core.settle()
    assert "the datapath does not answer" in view.status().not_ready
    core.state.bridge_lost()
    assert view.status().bridge == "lost"


async def test_started_at_does_not_change_between_requests(core: Core) -> None:
    """Clients identify a daemon by its start time, and two clocks never agree."""
    view = view_of(core)
    first = view.status().started_at
    core.clock.wall += 0.0004
    assert view.status().started_at == first


async def test_an_audit_begins_with_frr_s_own_view(core: Core) -> None:
    view = await settled(core)
    assert await view.audit(10) == Audited(0)
    missed = Difference(Kind.MAC, "", "110 02:00:00:00:00:0a", Problem.MISSING)

    async def check() -> Audited:
        return Audited(3, (missed,), "only some")

    view.sources.check = check
    assert await view.audit(10) == Audited(3, (missed,), "only some")
    assert await view.audit(0) == Audited(3, (), "only some")


@pytest.mark.parametrize("step_s", [0, 3 * 86400, -3 * 86400])
async def test_ages_do_not_change_when_the_wall_clock_is_set(core: Core, step_s: float) -> None:
    core.subscribe()
    now = core.clock.monotonic()
    up = BgpSession("default", "eth1", 65000, "Established", since=now - 60)
    down = BgpSession("default", "eth2", 65000, "Active")
    core.state.learn(events.FrrReport((up, down)))
    core.state.learn(events.SessionChanged(number=1, state="held", stale_after=now + 90))
    core.clock.wall += step_s
    status, epoch = view_of(core).status(), core.clock.epoch()
    assert epoch - status.started_at == pytest.approx(now - STARTED)
    assert epoch - status.sessions[0].since == pytest.approx(60)
    assert status.stale_after - epoch == pytest.approx(90)
    assert status.sessions[1].since == 0.0


async def test_a_node_that_forwards_without_frr_or_fabric_says_so(core: Core) -> None:
    view = view_of(core)
    core.subscribe()
    core.state.learn(events.SessionChanged(number=1, state="live"))
    core.synced()
    up = BgpSession("default", "eth1", 65000, "Established")
    down = BgpSession("default", "eth2", 65000, "Active")
    host = BgpSession("red", "10.1.0.2", 65001, "Established")
    core.state.learn(events.FrrReport((up, down, host)))
    assert view.status().degraded == ""
    core.state.learn(events.FrrReport((down, replace(down, peer="eth1", state="Idle"), host)))
    assert view.status().degraded == (
        "no BGP session of the default VRF is established: eth2 is Active, eth1 is Idle"
    )
    core.state.learn(events.FrrReport(()))
    core.state.learn(events.SessionChanged(number=1, state="held", reason="bgpd died"))
    assert view.status().ready
    assert view.status().degraded == "FRR's last routes are forwarded: bgpd died"


async def test_refused_rows_degrade_by_their_kinds(core: Core) -> None:
    view = view_of(core)
    core.datapath.refuse[Kind.VNI, 100] = errno.EADDRNOTAVAIL
    async with running(core):
        core.state.want(Kind.VNI, [Vni(100), Vni(101)])
        await core.settle()
        assert view.status().degraded == "1 row refused by the datapath: 1 vni"
        assert view.status().degraded_by == ("rows",)
        core.datapath.refuse.clear()
        core.clock.advance(RETRY_S[0])
        await core.settle()
        assert view.status().degraded == ""


@rule("Status.degraded")
async def test_one_resource_that_failed_degrades_and_does_not_unready(core: Core) -> None:
    """A client that acts on readiness would otherwise take other tenants down, too."""
    view = view_of(core)
    core.subscribe()
    core.synced()
    fabric = ResourceStatus("Underlay", "fabric", True, generation=1, applied_generation=1)
    red = ResourceStatus("L3VNI", "red", False, "ValidationFailed", "vni: required, but missing")
    view.sources.resources = lambda: [fabric, red]
    assert view.status().ready
    assert view.status().degraded == "1 of 2 resources are not in force: L3VNI red"
    view.sources.resources = lambda: [fabric, *(replace(red, name=name) for name in "abcd")]
    assert view.status().degraded.endswith("L3VNI a, L3VNI b, L3VNI c and others")
    view.sources.resources = lambda: [fabric]
    assert not view.status().degraded
    view.sources.out_of_date = lambda: "API server: no answer"
    assert view.status().degraded == "API server: no answer"
    view.sources.out_of_date = lambda: ""
    view.sources.neighbor_tables = lambda: [
        NeighborTable("ipv4", entries=767, limit=1024, refused=0),
        NeighborTable("ipv6", entries=768, limit=1024, refused=0),
    ]
    assert view.status().degraded.startswith("the machine's ipv6 neighbor table has 768 rows")
    view.sources.neighbor_tables = lambda: ()
    view.sources.hosts = lambda: [HostCount(100, "ipv6", 8192, 11808), HostCount(200, "mac", 10, 0)]
    assert view.status().degraded == (
        "VNI 100: 11808 local IPv6 addresses above 8192 are not advertised (--host-limit)"
    )


async def test_without_any_underlay_in_force_there_is_no_router(core: Core) -> None:
    view = view_of(core)
    core.subscribe()
    core.synced()
    failed = ResourceStatus("Underlay", "fabric", False, "UnderlayFailed", "eth1: no such device")
    view.sources.resources = lambda: [failed]
    assert view.status().not_ready == "Underlay fabric is not in force: eth1: no such device"
    applied = replace(failed, applied_generation=1)
    for resources in ([applied], [failed, applied]):  # a failed edit keeps the earlier version
        view.sources.resources = partial(list, resources)
        assert view.status().ready


async def test_an_audit_includes_devices_beside_the_datapath(core: Core) -> None:
    view = await settled(core)
    missed = Difference(Kind.MAC, "", "110 02:00:00:00:00:0a", Problem.MISSING)
    twin = Difference(Kind.PORT, "", "twin eth1", Problem.DIFFERENT)

    async def check() -> Audited:
        return Audited(3, (missed,), "only some")

    async def beside() -> Audited:
        return Audited(1, (twin,), "FRR's devices (no namespace)")

    view.sources.check, view.sources.beside = check, beside
    unchecked = "only some; FRR's devices (no namespace)"
    assert await view.audit(10) == Audited(4, (missed, twin), unchecked)
    assert await view.audit(1) == Audited(4, (missed,), unchecked)


async def test_unmanaged_rows_are_not_counted_as_desired(core: Core) -> None:
    core.subscribe()
    core.say(ONE, Lsp(16, ("via 192.0.2.1",)))
    connected = batch("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1")
    connected.protocols[0] = RTPROT_KERNEL
    core.state.learn(events.Changed(connected))
    core.synced()
    await core.settle()
    counts = {count.kind: count for count in view_of(core).status().counts}
    assert all(count.desired == count.programmed for count in counts.values())
    assert (counts[Kind.ROUTE].programmed, counts[Kind.ROUTE].unmanaged) == (1, 1)
    assert counts[Kind.LSP].unmanaged == 1


async def test_counts_are_of_every_kind(core: Core) -> None:
    counts = {count.kind: count for count in (await settled(core)).status().counts}
    assert set(counts) == set(Kind)
    assert (counts[Kind.ROUTE].desired, counts[Kind.ROUTE].programmed) == (2, 2)
    assert counts[Kind.NEXTHOP].programmed == 1


async def test_tables_pages_and_nexthops_can_be_read(core: Core) -> None:
    view = await settled(core)
    assert view.route_tables() == [("default", Family.INET), ("default", Family.INET6)]
    rows, following = view.routes("default", Family.INET, 0, 10)
    assert (rows.states.tolist(), following) == ([RowState.PROGRAMMED], -1)
    (row,) = view.records(Kind.NEXTHOP)
    assert view.nexthop(int(rows.desired[0])) == row.record
    drop = view.nexthop(BLACKHOLE)
    assert drop is not None
    assert drop.type is NexthopType.BLACKHOLE
    assert view.nexthop(4711) is None


async def test_applied_batches_become_changes(core: Core) -> None:
    core.datapath.refuse["default", (bytes([11, 0, 0, 0]), 8)] = errno.ENOMEM
    core.subscribe()
    core.say(ONE)
    core.routes("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1")
    await core.settle()
    core.routes("- 10.0.0.0/8")
    await core.settle()
    view = view_of(core)
    for applied, failures in core.heard:
        view.note(applied, failures)
    found: list[Change] = []
    async for change in view.changes(0):
        found.append(change)
        if change.sequence == view.sequence():
            break
    assert [(c.kind, c.text, c.state, c.withdrawn) for c in found[1:]] == [
        (Kind.ROUTE, "10.0.0.0/8", RowState.PROGRAMMED, False),
        (Kind.ROUTE, "11.0.0.0/8", RowState.FAILED, False),
        (Kind.ROUTE, "10.0.0.0/8", RowState.PROGRAMMED, True),
    ]
    assert found[1].detail == "via 192.168.1.1 dev eth1"
    assert found[2].detail.startswith("ENOMEM")


async def changes(core: Core) -> list[Change]:
    await core.settle()
    view = view_of(core)
    for applied, failures in core.heard:
        view.note(applied, failures)
    for shown in core.unmanaged:
        view.note_unmanaged(shown)
    found: list[Change] = []
    async for change in view.changes(0):
        found.append(change)
        if change.sequence == view.sequence():
            break
    return found


async def test_labels_come_and_go_in_the_journal(core: Core) -> None:
    core.subscribe()
    core.say(Lsp(16, ("via 192.0.2.1",)), Lsp(17, ("via 192.0.2.1",)))
    core.say(Lsp(16, ("via 192.0.2.1",)))  # no change
    core.unsay(Lsp(16))
    core.subscribe()
    core.synced()  # which takes 17
    assert [(c.kind, c.text, c.state, c.withdrawn) for c in await changes(core)] == [
        (Kind.LSP, "16", RowState.UNMANAGED, False),
        (Kind.LSP, "17", RowState.UNMANAGED, False),
        (Kind.LSP, "16", RowState.UNMANAGED, True),
        (Kind.LSP, "17", RowState.UNMANAGED, True),
    ]


async def test_connected_routes_come_and_go_in_the_journal(core: Core) -> None:
    core.subscribe()
    core.say(ONE)
    for rows in (["+ 10.0.0.0/8 1"], ["+ 2001:db8::/32 1"], ["- 10.0.0.0/8"]):
        own = batch(*rows)
        own.protocols[:] = RTPROT_KERNEL
        core.state.learn(events.Changed(own))
    core.subscribe()
    core.say(ONE)
    core.synced()
    found = [change for change in await changes(core) if change.kind is Kind.ROUTE]
    assert [(c.text, c.state, c.withdrawn) for c in found] == [
        ("10.0.0.0/8", RowState.UNMANAGED, False),
        ("2001:db8::/32", RowState.UNMANAGED, False),
        ("10.0.0.0/8", RowState.UNMANAGED, True),
        ("2001:db8::/32", RowState.UNMANAGED, True),
    ]
    assert (found[0].family, str(found[0].record)) == (Family.INET, "via 192.168.1.1 dev eth1")


async def test_people_can_resync_and_release(core: Core) -> None:
    view = await settled(core)
    core.datapath.records[Kind.NEXTHOP].clear()
    assert await view.resync() >= 1
    assert view.release() == "let go"
