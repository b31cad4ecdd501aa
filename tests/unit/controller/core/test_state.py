"""How messages of frr-bridge change the state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.core import recordviews, routeviews
from controller.core.nexthop_ids import FIRST_ID
from dualpath.model import events
from dualpath.model.kinds import Kind
from dualpath.model.layer2 import Flood
from dualpath.model.links import Vrf
from dualpath.model.nexthops import BLACKHOLE, Member, Nexthop, NexthopType
from dualpath.model.records import RecordBatch
from dualpath.model.routes import Family
from dualpath.model.view import BgpSession
from tests.fakes.batches import batch, upsert
from tests.fakes.core import Core

ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1),))
GROUP_OF_GROUP = Nexthop(4, NexthopType.GROUP, members=(Member(3),))
FLOOD = Flood(100, bytes([10, 0, 0, 1]))


def core() -> Core:
    made = Core()
    made.subscribe()
    return made


def desired(made: Core, vrf: str = "default") -> int:
    rows = made.state.rib.table(vrf, Family.INET).rows
    return routeviews.count(rows, made.state.generation).desired


def test_a_group_may_stand_before_its_members_in_a_batch() -> None:
    made = core()
    made.state.learn(events.Changed(RecordBatch(Kind.NEXTHOP, (GROUP, ONE))))
    assert recordviews.count(made.state.records[Kind.NEXTHOP], 1).desired == 2


def test_a_route_without_a_nexthop_is_left_out_and_the_rest_stands() -> None:
    made = core()
    made.say(ONE)
    made.routes("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 77")
    assert desired(made) == 1


def test_group_that_an_earlier_bridge_left_out_is_forgotten() -> None:
    """Its members' handles now belong to other nexthops."""
    made = core()
    made.say(GROUP)
    made.subscribe()
    made.say(ONE)
    assert recordviews.count(made.state.records[Kind.NEXTHOP], 2).desired == 1


def test_a_group_waits_for_the_last_of_its_members(caplog: pytest.LogCaptureFixture) -> None:
    made = core()
    made.say(GROUP_OF_GROUP, GROUP, GROUP)
    assert recordviews.count(made.state.records[Kind.NEXTHOP], 1).desired == 0
    assert len(caplog.messages) == 2
    made.say(ONE)
    assert recordviews.count(made.state.records[Kind.NEXTHOP], 1).desired == 3
    made.routes("+ 10.0.0.0/8 4")
    made.routes("+ 2001:db8::/32 4")
    assert [routeviews.count(it.rows, 1).desired for it in made.state.rib] == [1, 1]


def test_a_group_keeps_its_members_until_the_new_one_comes() -> None:
    made = core()
    made.say(ONE, GROUP, replace(GROUP, members=(Member(2),)))
    table = made.state.records[Kind.NEXTHOP]
    one, group = (nexthop for nexthop in map(table.desired, table) if isinstance(nexthop, Nexthop))
    assert group.members == (Member(one.id),)
    made.say(replace(ONE, id=2))
    later = table.desired(group.id)
    assert isinstance(later, Nexthop)
    assert later.members != group.members


def test_a_group_that_waits_can_be_withdrawn() -> None:
    made = core()
    made.say(GROUP)
    made.unsay(GROUP)
    made.say(ONE)
    assert recordviews.count(made.state.records[Kind.NEXTHOP], 1).desired == 1


@pytest.mark.parametrize("handle", [0, BLACKHOLE, 2**32 - 1])
def test_a_nexthop_by_a_reserved_handle_is_left_out(handle: int) -> None:
    made = core()
    made.say(replace(ONE, id=handle), ONE)
    assert recordviews.count(made.state.records[Kind.NEXTHOP], 1).desired == 1


def test_the_session_is_kept_as_reported() -> None:
    made = core()
    told = events.SessionChanged(number=3, state="held", reason="bgpd died")
    made.state.learn(told)
    assert made.state.session == told


def test_synced_lasts_until_the_next_subscription() -> None:
    made = core()
    made.synced()
    assert made.state.synced
    made.state.bridge_lost()
    assert (made.state.synced, made.state.connected) == (True, False)
    made.subscribe(same_bridge=True)
    assert (made.state.synced, made.state.connected) == (False, True)


def test_rows_that_frr_does_not_repeat_go_at_synced_and_not_before() -> None:
    made = core()
    made.say(ONE, FLOOD)
    made.routes("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 1")
    made.synced()
    made.subscribe(same_bridge=True)
    made.say(ONE)
    made.routes("+ 11.0.0.0/8 1")
    assert desired(made) == 2
    made.synced()
    assert desired(made) == 1
    assert recordviews.count(made.state.records[Kind.FLOOD], 2).desired == 0


def test_intent_is_not_swept_by_frr() -> None:
    made = core()
    made.state.want(Kind.VRF, [Vrf("red")])
    made.synced()
    assert made.state.records[Kind.VRF].desired("red") == Vrf("red")


def test_new_intent_replaces_the_old_intent_of_a_kind() -> None:
    made = core()
    made.state.adopt(upsert(Vrf("old")))
    assert not made.state.complete(Kind.VRF)
    made.state.want(Kind.VRF, [Vrf("red"), Vrf("blue")])
    made.state.want(Kind.VRF, [Vrf("red", 7)])
    assert made.state.complete(Kind.VRF)
    pending = {key: (to, was) for key, to, was in made.state.records[Kind.VRF].pending()}
    assert pending == {"red": (Vrf("red", 7), None), "old": (None, Vrf("old"))}


def test_losses_of_unknown_rows_change_nothing() -> None:
    made = core()
    assert made.state.lost_records((FLOOD, ONE)) == 0
    assert made.state.lost_routes(batch("+ 10.0.0.0/8 1")) == 0
    assert made.state.repaired == 0


def test_events_without_state_change_none() -> None:
    made = core()
    made.state.learn(events.Alive())
    made.state.learn(events.Configured(1, True, True))
    assert not made.state.synced


def test_nexthops_that_come_and_go_while_the_datapath_has_none_leave_nothing() -> None:
    made = core()
    made.say(ONE)
    lasting = made.state.nexthop_ids
    made.unsay(ONE)
    made.say(replace(ONE, id=2))
    made.unsay(replace(ONE, id=2))
    lasting.new_bridge()
    first, second = lasting.claim(ONE), lasting.claim(replace(ONE, id=2))
    assert min(first.id, second.id) > FIRST_ID + 1


def test_report_of_a_lost_bridge_is_not_shown() -> None:
    made = core()
    made.state.learn(events.FrrReport((BgpSession("default", "eth1", 65000, "Established"),)))
    assert made.state.frr.sessions
    made.state.bridge_lost()
    assert made.state.frr == events.FrrReport()
