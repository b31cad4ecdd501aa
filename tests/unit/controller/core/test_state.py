"""How the bridge's words change the state."""

from __future__ import annotations

from controller.model import events
from controller.model.kinds import Kind
from controller.model.layer2 import Flood
from controller.model.links import Vrf
from controller.model.nexthops import Member, Nexthop, NexthopType
from controller.model.records import RecordBatch
from controller.model.routes import Family
from tests.fakes.batches import batch, upsert
from tests.fakes.core import Core

ONE = Nexthop(1, NexthopType.GATEWAY, bytes([192, 168, 1, 1]), "eth1")
GROUP = Nexthop(3, NexthopType.GROUP, members=(Member(1),))
FLOOD = Flood(100, bytes([10, 0, 0, 1]))


def core() -> Core:
    made = Core()
    made.subscribe()
    return made


def desired(made: Core, vrf: str = "default") -> int:
    return made.state.rib.table(vrf, Family.INET).count(made.state.generation).desired


def test_a_group_may_stand_before_its_members_in_a_batch() -> None:
    made = core()
    made.state.take(events.Changed(RecordBatch(Kind.NEXTHOP, (GROUP, ONE))))
    assert made.state.records[Kind.NEXTHOP].count(1).desired == 2


def test_a_route_without_a_nexthop_is_left_out_and_the_rest_stands() -> None:
    made = core()
    made.say(ONE)
    made.routes("+ 10.0.0.0/8 1", "+ 11.0.0.0/8 77")
    assert desired(made) == 1


def test_the_session_is_kept_as_told() -> None:
    made = core()
    told = events.SessionChanged(number=3, state="held", reason="bgpd died")
    made.state.take(told)
    assert made.state.session == told


def test_synced_lasts_until_the_next_subscription() -> None:
    made = core()
    made.synced()
    assert made.state.synced
    made.state.bridge_lost()
    assert (made.state.synced, made.state.connected) == (True, False)
    made.subscribe(same_bridge=True)
    assert (made.state.synced, made.state.connected) == (False, True)


def test_what_is_not_said_again_goes_at_synced_and_not_before() -> None:
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
    assert made.state.records[Kind.FLOOD].count(2).desired == 0


def test_intent_is_not_swept_by_frr() -> None:
    made = core()
    made.state.want(Kind.VRF, [Vrf("red")])
    made.synced()
    assert made.state.records[Kind.VRF].desired("red") == Vrf("red")


def test_all_that_intent_wants_of_a_kind_replaces_what_it_wanted() -> None:
    made = core()
    made.state.adopt(upsert(Vrf("old")))
    assert not made.state.complete(Kind.VRF)
    made.state.want(Kind.VRF, [Vrf("red"), Vrf("blue")])
    made.state.want(Kind.VRF, [Vrf("red", 7)])
    assert made.state.complete(Kind.VRF)
    pending = {key: (to, was) for key, to, was in made.state.records[Kind.VRF].pending()}
    assert pending == {"red": (Vrf("red", 7), None), "old": (None, Vrf("old"))}


def test_losses_of_what_is_unknown_are_nothing() -> None:
    made = core()
    assert made.state.lost_records((FLOOD, ONE)) == 0
    assert made.state.lost_routes(batch("+ 10.0.0.0/8 1")) == 0
    assert made.state.repaired == 0


def test_words_that_are_not_about_state_change_none() -> None:
    made = core()
    made.state.take(events.Alive())
    made.state.take(events.Configured(1, True, True))
    assert not made.state.synced
