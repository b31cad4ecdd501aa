"""Routes that no datapath supports fail with a reason, and their earlier nexthop is removed."""

from __future__ import annotations

from controller.core import routeviews
from controller.core.view import CoreView
from controller.inspect import routes
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.nexthops import Nexthop, NexthopType, unsupported
from dualpath.model.routes import RTPROT_KERNEL, Family
from dualpath.model.view import Problem, RowState
from dualpath.pb import inspect_pb2 as pb
from tests.fakes.batches import batch
from tests.fakes.core import Core, running
from tests.unit.controller.core.test_view import view_of

A = "10.0.0.0/8"
A6 = "2001:db8::/32"
ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
MPLS = unsupported("MPLS encapsulation")
SEG6 = unsupported("SRv6 encapsulation (seg6)")


def shown(view: CoreView, family: Family = Family.INET) -> pb.Route:
    rows, _ = view.routes("default", family, 0, 10)
    return routes.message(rows, routes.encoded_nexthops(view.nexthop)).routes[0]


async def test_an_update_that_cannot_be_used_replaces_the_old_way() -> None:
    core = Core()
    view = view_of(core)
    async with running(core):
        core.subscribe()
        core.say(ONE)
        core.routes(f"+ {A} 1")
        core.routes(f"+ {A6} 1")
        core.synced()
        await core.settle()
        core.routes(f"+ {A} {MPLS}")
        core.routes(f"+ {A6} {SEG6}")
        await core.settle()
        assert core.datapath.lookup("10.0.0.1") is None
        assert core.datapath.lookup("2001:db8::1") is None
        found = shown(view)
        assert (found.state, found.error) == (
            pb.ROW_STATE_FAILED,
            "EOPNOTSUPP: MPLS encapsulation",
        )
        assert shown(view, Family.INET6).error == "EOPNOTSUPP: SRv6 encapsulation (seg6)"
        (count,) = [c for c in view.status().counts if c.kind is Kind.ROUTE]
        assert (count.desired, count.programmed, count.failed) == (2, 0, 2)
        assert view.status().degraded == (
            "1 route cannot be forwarded: MPLS encapsulation; "
            "1 route cannot be forwarded: SRv6 encapsulation (seg6)"
        )
        audited = await core.reconciler.audit(10)
        assert [row.problem for row in audited.rows] == [Problem.REFUSED] * 2
        core.routes(f"+ {A} 1")
        core.routes(f"+ {A6} 1")
        await core.settle()
        assert core.datapath.lookup("10.0.0.1")
        assert core.datapath.lookup("2001:db8::1")
        assert shown(view).error == ""
        assert view.status().degraded == ""


async def test_zebra_is_notified_of_an_unusable_route() -> None:
    core = Core()
    async with running(core):
        core.subscribe()
        core.state.learn(events.SessionChanged(number=1, state="live", acknowledge=True))
        core.routes(f"+ {A} {MPLS}")
        assert [batch.nexthops.tolist() for batch in core.settled] == [[0]]


async def test_a_withdrawn_unusable_route_leaves_nothing() -> None:
    core = Core()
    async with running(core):
        core.subscribe()
        core.routes(f"+ {A} {MPLS}")
        await core.settle()
        table = core.state.rib.table("default", Family.INET)
        assert routeviews.show(table.rows, table.rows.slots(), 1).states.tolist() == [
            RowState.FAILED
        ]
        core.routes(f"- {A}")
        await core.settle()
        assert len(table.rows) == 0


async def test_a_connected_route_with_an_unsupported_nexthop_is_unmanaged() -> None:
    core = Core()
    view = view_of(core)
    async with running(core):
        core.subscribe()
        own = batch(f"+ {A} {MPLS}")
        own.protocols[:] = RTPROT_KERNEL
        core.state.learn(events.Changed(own))
        await core.settle()
        assert shown(view).state == pb.ROW_STATE_UNMANAGED
        assert view.status().degraded == ""


async def test_without_acknowledgements_zebra_is_not_notified() -> None:
    core = Core()
    async with running(core):
        core.subscribe()
        core.routes(f"+ {A} {MPLS}")
        assert core.settled == []
